/* test_attribution.c - shares against all 24 orders written out, and against made-up machines whose truth is known. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/claims.h"
#include "harness/judge/judge.h"
#include "harness/judge/lattice.h"
#include "harness/report/report.h"
#include "harness/tests/judged_fixture.h"
#include "harness/tests/program.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

/* ---- the sums --------------------------------------------------------------------------------------------------- */

/* What each stage adds, in every order in which four can be added: the definition itself. */
static void average_over_orders(const double v[16], double share[4])
{
    size_t orders = 0;
    memset(share, 0, 4 * sizeof *share);
    for (size_t code = 0; code < 256; code++) {
        const size_t order[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
        size_t set = 0;
        for (size_t k = 0; k < 4; k++) set |= (size_t)1 << order[k];
        if (set != 15) continue;
        orders++;
        set = 0;
        for (size_t k = 0; k < 4; k++) {
            const size_t with = set | (size_t)1 << order[k];
            share[order[k]] += v[with] - v[set];
            set = with;
        }
    }
    for (size_t i = 0; i < 4; i++) share[i] /= (double)orders;
}

static void shares_are_averages_over_all_orders(void)
{
    uint64_t state = test_seed() | 1;
    for (int repeat = 0; repeat < 200; repeat++) {
        double v[16], share[4], expected[4];
        for (size_t set = 0; set < 16; set++) {
            state = state * 6364136223846793005ULL + 1442695040888963407ULL;
            v[set] = (double)(state >> 11) * 0x1p-53 * 4 - 2;
        }
        lattice_shapley(v, share);
        average_over_orders(v, expected);
        /* 8 differences below 4, each rounded to 2^-53 of that. */
        const double bound = 8 * 4 * 0x1p-52;
        for (size_t i = 0; i < 4; i++)
            CHECK(fabs(share[i] - expected[i]) < bound, "stage %zu: %.17g, over all orders %.17g", i, share[i],
                  expected[i]);
        CHECK(fabs(share[0] + share[1] + share[2] + share[3] - (v[15] - v[0])) < 4 * bound, "they do not add up");
        for (size_t k = 0; k < LATTICE_PAIRS; k++) {
            size_t i = 0, j = 0;
            lattice_pair(k, &i, &j);
            const double one = lattice_effect(v, i, j, 1) - lattice_effect(v, i, j, 0);
            const double other = lattice_effect(v, j, i, 1) - lattice_effect(v, j, i, 0);
            CHECK(i < j && fabs(one - other) < 4 * bound, "pair %zu: %.17g and %.17g", k, one, other);
        }
    }
}

static void games_by_hand(void)
{
    /* Worth 1 as soon as stages 0 and 3 are both on: half is each one's doing, and neither is worth anything alone. */
    double v[16], share[4];
    for (size_t set = 0; set < 16; set++) v[set] = (set & 9) == 9;
    lattice_shapley(v, share);
    const double expected[4] = {0.5, 0, 0, 0.5};
    for (size_t i = 0; i < 4; i++) CHECK(fabs(share[i] - expected[i]) < 1e-15, "[%zu] %.17g", i, share[i]);
    CU_ASSERT_EQUAL(lattice_effect(v, 0, 3, 0), 0.0);
    CHECK(fabs(lattice_effect(v, 0, 3, 1) - 1) < 1e-15, "%.17g", lattice_effect(v, 0, 3, 1));
    /* Beside stage 1, stage 0 adds 1 where 3 is on: {3} weighs 1/6, {2, 3} 1/3, whether 1 is on or not. */
    CHECK(fabs(lattice_effect(v, 0, 1, 0) - 0.5) < 1e-15 && fabs(lattice_effect(v, 0, 1, 1) - 0.5) < 1e-15, "%g, %g",
          lattice_effect(v, 0, 1, 0), lattice_effect(v, 0, 1, 1));
}

/* ---- made-up machines ------------------------------------------------------------------------------------------- */

static cJSON *claims;

static void judge(cJSON *results)
{
    cJSON_Delete(claims);
    claims = NULL;
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/claims.json", &claims), CIUIC_OK);
    CHECK(judge_results(results, claims) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON_Delete(claims);
    claims = NULL;
}

static const cJSON *entry_of(const cJSON *results, const char *ending)
{
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, json_find(results, "attribution"))
    {
        if (strstr(judged_text(entry, "all_on"), ending) != NULL) return entry;
    }
    return NULL;
}

static const cJSON *pair_of(const cJSON *entry, const char *first, const char *second)
{
    const cJSON *pair = NULL;
    cJSON_ArrayForEach(pair, json_find(entry, "interactions"))
    {
        if (strcmp(judged_text(pair, "first"), first) == 0 && strcmp(judged_text(pair, "second"), second) == 0)
            return pair;
    }
    return NULL;
}

static void check_factor(const cJSON *factor, double truth, double bound, const char *what)
{
    const double value = judged_number(factor, "value"), low = judged_number(factor, "low"),
                 high = judged_number(factor, "high");
    CHECK(fabs(log(value / truth)) < bound, "%s: %g, in truth %g", what, value, truth);
    CHECK(low <= value && value <= high && high / low < exp(2 * bound), "%s: %g in %g to %g", what, value, low, high);
}

/* Every gain multiplies whatever else is on: the shares are the gains themselves, and no pair needs another. */
static void shares_recover_the_gains(void)
{
    static const double gains[4] = {1.7, 1.15, 1.05, 8.0};
    const size_t blocks[] = {1, 3};
    for (size_t i = 0; i < 2; i++) {
        fixture_machine machine = fixture_usual;
        machine.blocks = blocks[i];
        machine.noise = 0.002;
        cJSON *results = fixture_results(&machine);
        judge(results);
        const cJSON *entry = entry_of(results, INT4_DECODE), *stage = NULL, *pair = NULL;
        CU_ASSERT_STRING_EQUAL(judged_text(entry, "method"), "shapley");
        /* Each of a difference's two ratios is of two samples within 0.2% of their truth: 4 * 0.0021 at the most, and an
         * average of such differences no more. */
        const double bound = 4 * 0.0021;
        size_t k = 0;
        double product = 1, portions = 0, bytes = 0;
        cJSON_ArrayForEach(stage, json_find(entry, "stages"))
        {
            check_factor(json_find(stage, "factor"), gains[k++], bound, judged_text(stage, "stage"));
            product *= judged_number(json_find(stage, "factor"), "value");
            portions += judged_number(json_find(stage, "share"), "value");
            bytes += judged_number(stage, "bytes_saved");
        }
        CU_ASSERT_EQUAL(k, 4);
        CHECK(fabs(product / judged_number(json_find(entry, "speedup"), "value") - 1) < 1e-12, "the product is %g",
              product);
        CHECK(fabs(portions - 1) < 1e-12, "the portions are %g", portions);
        const double off =
            judged_number(json_find(fixture_case(results, "decode64@256/b1/t2/fp16+c"), "memory_bytes"), "total");
        const double on = judged_number(json_find(fixture_case(results, INT4_DECODE), "memory_bytes"), "total");
        CHECK(fabs(bytes - (off - on)) < 1 && bytes == judged_number(entry, "bytes_saved"), "%g bytes of %g", bytes,
              off - on);
        k = 0;
        cJSON_ArrayForEach(pair, json_find(entry, "interactions"))
        {
            k++;
            check_factor(json_find(pair, "factor"), 1, 2 * bound, judged_text(pair, "first"));
            CHECK(strcmp(judged_text(pair, "together"), "more") != 0 ||
                      judged_number(json_find(pair, "factor"), "low") > 1,
                  "%s and %s: %s", judged_text(pair, "first"), judged_text(pair, "second"),
                  judged_text(pair, "together"));
        }
        CU_ASSERT_EQUAL(k, LATTICE_PAIRS);
        cJSON_Delete(results);
    }
}

static const char *peak_of(cJSON *results, const char *name)
{
    const cJSON *stage = NULL;
    judge(results);
    cJSON_ArrayForEach(stage, json_find(entry_of(results, INT4_DECODE), "stages"))
    {
        if (strcmp(judged_text(stage, "stage"), name) == 0) return judged_text(stage, "peak_rss");
    }
    return "(none)";
}

/* A peak is one figure of the kernel: what is saved of it is called so only beyond what the A/A pair's peaks are apart. */
static void a_peak_within_its_noise_is_not_shown(void)
{
    cJSON *results = fixture_results(&fixture_usual);
    cJSON *twin = fixture_case(results, "decode64@256/b1/t2/fp16+graph+memory+avx512#again");
    cJSON *memory = cJSON_GetObjectItem(twin, "memory_bytes");
    const cJSON *tuned = fixture_case(results, "decode64@256/b1/t2/fp16+graph+memory+avx512");
    const double peak = judged_number(json_find(tuned, "memory_bytes"), "peak_rss");
    cJSON_SetNumberHelper(cJSON_GetObjectItem(memory, "peak_rss"), peak + 2e5);
    CU_ASSERT_STRING_EQUAL(peak_of(results, "quantize"), "saved");
    CU_ASSERT_STRING_EQUAL(peak_of(results, "kernels"), "not shown"); /* peaks are drawn from within 1e5 bytes */
    cJSON_SetNumberHelper(cJSON_GetObjectItem(memory, "peak_rss"), 1e12);
    CU_ASSERT_STRING_EQUAL(peak_of(results, "quantize"), "not shown");
    cJSON_ReplaceItemInObject(twin, "status", cJSON_CreateString("failed"));
    CU_ASSERT_STRING_EQUAL(peak_of(results, "quantize"), "unknown");
    cJSON_Delete(results);
}

/* Takes int4's gain from every variant with portable kernels: it then helps only once the kernels are on. */
static void a_stage_that_needs_another_is_named(void)
{
    cJSON *results = fixture_results(&fixture_usual), *block = NULL, *list = NULL, *sample = NULL;
    cJSON_ArrayForEach(block, cJSON_GetObjectItem(results, "blocks"))
    {
        cJSON_ArrayForEach(list, cJSON_GetObjectItem(block, "samples"))
        {
            const size_t length = strlen(list->string);
            if (strstr(list->string, "/int4") == NULL || strcmp(list->string + length - 2, "+c") != 0) continue;
            cJSON_ArrayForEach(sample, list)
                cJSON_SetNumberHelper(sample, sample->valuedouble * fixture_usual.int4_gain);
        }
    }
    judge(results);
    const cJSON *entry = entry_of(results, INT4_DECODE), *pair = pair_of(entry, "quantize", "kernels");
    CU_ASSERT_STRING_EQUAL(judged_text(pair, "together"), "more");
    CHECK(strncmp(judged_text(pair, "sentence"), "int4 is seen to help only once kernels is on: 1.", 48) == 0, "%s",
          judged_text(pair, "sentence"));
    /* Half of the joint gain is each one's: sqrt(1.7), and 8 sqrt(1.7). Samples within 1%: 4 * 0.0101. */
    const cJSON *stages = json_find(entry, "stages");
    check_factor(json_find(cJSON_GetArrayItem(stages, 0), "factor"), sqrt(1.7), 0.0404, "quantize");
    check_factor(json_find(cJSON_GetArrayItem(stages, 3), "factor"), 8 * sqrt(1.7), 0.0404, "kernels");
    CU_ASSERT_STRING_EQUAL(judged_text(pair_of(entry, "graph", "memory"), "together"), "not shown");
    CU_ASSERT_STRING_EQUAL(judged_text(pair_of(entry, "graph", "memory"), "sentence"), "(none)");
    cJSON_Delete(results);
}

/* int4 makes every variant slower, by one factor with portable kernels and by another with the others: a cost is not called a
 * worth. */
static void a_stage_that_only_costs_is_not_worth_more(void)
{
    static const struct {
        double with_c, with_avx512;
        const char *together, *sentence;
    } rows[] = {{1.6, 1.2, "more", "int4 costs less once kernels is on: 0.8"},
                {1.2, 1.6, "less", "int4 costs more once kernels is on: 0.6"},
                {0.5, 0.7, "less", "int4 is worth less once kernels is on: 1.4"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *results = fixture_results(&fixture_usual), *block = NULL, *list = NULL, *sample = NULL;
        cJSON_ArrayForEach(block, cJSON_GetObjectItem(results, "blocks"))
        {
            cJSON_ArrayForEach(list, cJSON_GetObjectItem(block, "samples"))
            {
                if (strstr(list->string, "/int4") == NULL) continue;
                const bool c = strcmp(list->string + strlen(list->string) - 2, "+c") == 0;
                cJSON_ArrayForEach(sample, list) cJSON_SetNumberHelper(
                    sample, sample->valuedouble * fixture_usual.int4_gain * (c ? rows[i].with_c : rows[i].with_avx512));
            }
        }
        judge(results);
        const cJSON *pair = pair_of(entry_of(results, INT4_DECODE), "quantize", "kernels");
        CHECK(strcmp(judged_text(pair, "together"), rows[i].together) == 0 &&
                  strncmp(judged_text(pair, "sentence"), rows[i].sentence, strlen(rows[i].sentence)) == 0,
              "row %zu: %s: %s", i, judged_text(pair, "together"), judged_text(pair, "sentence"));
        cJSON_Delete(results);
    }
}

static void without_the_lattice_it_says_so(void)
{
    cJSON *results = fixture_results(&fixture_usual);
    cJSON *dead = fixture_case(results, "decode64@256/b1/t2/int4+memory+c");
    cJSON_ReplaceItemInObject(dead, "status", cJSON_CreateString("failed"));
    cJSON_AddStringToObject(dead, "reason", "the worker was killed by signal 9");
    judge(results);
    const cJSON *entry = entry_of(results, INT4_DECODE), *first = cJSON_GetArrayItem(json_find(entry, "stages"), 0);
    CU_ASSERT_STRING_EQUAL(judged_text(entry, "method"), "isolation and leave-one-out");
    CU_ASSERT_EQUAL(judged_number(entry, "missing"), 1.0);
    CU_ASSERT_STRING_EQUAL(judged_text(entry, "reason"), "int4+memory+c failed");
    CU_ASSERT_PTR_NULL(json_find(entry, "interactions"));
    CHECK(fabs(log(judged_number(json_find(first, "alone"), "value") / 1.7)) < 0.0404, "alone %g",
          judged_number(json_find(first, "alone"), "value"));
    CHECK(fabs(log(judged_number(json_find(first, "last"), "value") / 1.7)) < 0.0404, "last %g",
          judged_number(json_find(first, "last"), "value"));
    CU_ASSERT_STRING_EQUAL(judged_text(entry_of(results, "decode64@256/b1/t2/int8+graph+memory+avx512"), "method"),
                           "shapley");
    cJSON_Delete(results);
}

/* Too few rounds give figures and no interval, and nothing is said of pairs. */
static void few_rounds_have_no_interval(void)
{
    fixture_machine hasty = fixture_usual;
    hasty.rounds = 5;
    cJSON *results = fixture_results(&hasty);
    judge(results);
    const cJSON *entry = entry_of(results, INT4_DECODE), *speedup = json_find(entry, "speedup");
    CU_ASSERT_TRUE(judged_number(speedup, "value") > 10 && isnan(judged_number(speedup, "low")));
    CU_ASSERT_STRING_EQUAL(judged_text(pair_of(entry, "quantize", "kernels"), "together"), "unknown");
    CU_ASSERT_PTR_NULL(json_find(cJSON_GetArrayItem(json_find(entry, "stages"), 0), "share"));
    cJSON_Delete(results);
}

static void a_report_tells_whose_doing_it_is(void)
{
    char *folder = temporary_folder(), *path = NULL;
    const char *notice = NULL;
    cJSON *results = fixture_results(&fixture_usual);
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/claims.json", &claims), CIUIC_OK);
    cJSON_AddItemToObject(results, "claims", claims);
    claims = NULL;
    cJSON_ReplaceItemInObject(fixture_case(results, "prefill128@0/b1/t2/int8+c"), "status",
                              cJSON_CreateString("skipped"));
    CHECK(report_write(results, "made-up.json", &(report_request){.directory = folder}, &notice) == CIUIC_OK, "%s",
          ciuic_last_error());
    CHECK(asprintf(&path, "%s/report.md", folder) > 0, "no memory");
    char *page = read_text(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(page);
    static const char *const says[] = {
        "## Whose doing is it?", "| int4 | quantize | 1.",
        "| int4 | kernels | 7.", "int8+graph+memory+avx512: 1 of its sixteen settings were not measured",
        "leave-one-out",         "## Were the rounds alike?"};
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++)
        CHECK(strstr(page, says[i]) != NULL, "the report lacks \"%s\"", says[i]);
    free(page);
    free(path);
    remove_folder(folder);
    cJSON_Delete(results);
}

static const test_case cases[] = {
    {"a peak within its noise is not shown", a_peak_within_its_noise_is_not_shown},
    {"shares are averages over all orders", shares_are_averages_over_all_orders},
    {"games by hand", games_by_hand},
    {"shares recover the gains, within and across blocks", shares_recover_the_gains},
    {"a stage that needs another is named", a_stage_that_needs_another_is_named},
    {"a stage that only costs is not worth more", a_stage_that_only_costs_is_not_worth_more},
    {"without the lattice it says so", without_the_lattice_it_says_so},
    {"few rounds have no interval", few_rounds_have_no_interval},
    {"a report tells whose doing it is", a_report_tells_whose_doing_it_is},
};

TEST_SUITE(attribution, cases);
