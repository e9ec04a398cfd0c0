/* test_holds.c - claims about a limit of memory, claims on several rungs of kernels, and what verdicts add up to: where a
 * claim holds, where not, and what it takes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/judge/holds.h"
#include "harness/judge/judge.h"
#include "harness/run_limit.h"
#include "harness/tests/judged_fixture.h"
#include "harness/tests/results_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

#define INT8 "decode64@256/b1/t2/int8+graph+memory+avx512"
#define INT4 "decode64@256/b1/t2/int4+graph+memory+avx512"
#define TUNED "decode64@256/b1/t2/fp16+graph+memory+avx512"

static void limit_run(cJSON *results, double bytes)
{
    cJSON *limits = cJSON_CreateObject();
    cJSON_AddNumberToObject(limits, "total_bytes", bytes);
    cJSON_DeleteItemFromObject(results, "limits");
    cJSON_AddItemToObject(results, "limits", limits);
}

static void refuse(cJSON *results, const char *ending, double needed, double limit)
{
    judged_kill(results, ending);
    cJSON *refused = cJSON_AddObjectToObject(fixture_case(results, ending), "refused");
    cJSON_AddNumberToObject(refused, "needed_bytes", needed);
    cJSON_AddNumberToObject(refused, "limit_bytes", limit);
}

/* In the fixture tuned needs 16.5 MB in all, int8 9.4 MB and int4 5.6 MB. */
static void a_limit_that_fp16_exceeds(void)
{
    static const struct {
        double limit;       /* 0: none */
        bool refused, died; /* tuned was refused for its 16.5 MB; died of something else */
        const char *ending, *expected, *said;
    } table[] = {
        {10e6, true, false, INT8, "supported", "ran held to that; tuned needs 16.5 MB and was refused"},
        {10e6, true, false, INT4, "supported", "Needs 5.6 MB of 10.0 MB"},
        {10e6, false, true, INT8, "inconclusive", "the baseline tuned failed: the worker was killed"},
        {20e6, false, false, INT8, "inconclusive", "the limit of 20.0 MB is none that tuned exceeds"},
        {9e6, true, false, INT8, "refuted", "which is more"},
        {0, false, false, INT8, NULL, NULL}, /* about nothing */
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cJSON *results = fixture_results(&fixture_usual);
        if (table[i].limit > 0) limit_run(results, table[i].limit);
        if (table[i].refused) refuse(results, TUNED, 16.5e6, table[i].limit);
        if (table[i].died) judged_kill(results, TUNED);
        judge_again(results);
        const cJSON *v = fixture_verdict(results, "runs-where-fp16-does-not", table[i].ending, "tuned");
        if (table[i].expected == NULL) {
            CHECK(v == NULL, "row %zu: judged without a limit", i);
            const cJSON *answers = json_find(json_find(results, "summary"), "answers"), *answer = NULL;
            cJSON_ArrayForEach(answer, answers)
                CHECK(strstr(judged_text(answer, "question"), "does not fit") == NULL, "row %zu: asked", i);
        } else {
            CHECK(strcmp(judged_text(v, "verdict"), table[i].expected) == 0 &&
                      strstr(judged_text(v, "reason"), table[i].said) != NULL,
                  "row %zu: %s: %s", i, judged_text(v, "verdict"), judged_text(v, "reason"));
        }
        cJSON_Delete(results);
    }
}

/* The numbers go beside the sentence, to the byte: the sentence rounds them. */
static void a_refusal_carries_its_numbers(void)
{
    static const struct {
        size_t total, limit;
        bool refused;
    } rows[] = {
        {123456789, 100000000, true}, {100000001, 100000000, true}, {100000000, 100000000, false}, {7, 0, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        run_need need = {.total = rows[i].total, .longest_context = 7};
        const ciuic_status status = run_limit_check("a model", &need, rows[i].limit);
        cJSON *refusal = run_refusal_json(&need);
        CHECK(status == (rows[i].refused ? CIUIC_ERROR_UNSUPPORTED : CIUIC_OK), "row %zu: status %d", i, (int)status);
        CHECK((refusal != NULL) == rows[i].refused, "row %zu: %s", i, refusal != NULL ? "refused" : "not refused");
        CHECK(refusal == NULL || (json_number(refusal, "needed_bytes") == (double)rows[i].total &&
                                  json_number(refusal, "limit_bytes") == (double)rows[i].limit),
              "row %zu: %g of %g", i, json_number(refusal, "needed_bytes"), json_number(refusal, "limit_bytes"));
        cJSON_Delete(refusal);
    }
}

static const cJSON *summed_up(const cJSON *results, const char *claim_id)
{
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, json_find(json_find(results, "summary"),
                                        "claims")) if (strcmp(judged_text(entry, "claim"), claim_id) == 0) return entry;
    return NULL;
}

/* Every headline verdict is in one of the three lists, and nothing else is. */
static void the_sums_are_those_of_the_verdicts(void)
{
    cJSON *results = judged_results(&fixture_usual);
    const cJSON *entry = NULL, *v = NULL;
    size_t entries = 0;
    cJSON_ArrayForEach(entry, json_find(json_find(results, "summary"), "claims"))
    {
        static const char *const words[] = {"supported", "refuted", "inconclusive"};
        static const char *const lists[] = {"holds", "fails", "open"};
        entries++;
        for (int k = 0; k < 3; k++) {
            double n = 0;
            cJSON_ArrayForEach(v, json_find(results, "verdicts")) n +=
                strcmp(judged_text(v, "claim"), judged_text(entry, "claim")) == 0 &&
                cJSON_IsTrue(json_find(v, "headline")) && strcmp(judged_text(v, "verdict"), words[k]) == 0;
            CHECK(judged_number(entry, words[k]) == n, "%s: %g are %s, %g are counted", judged_text(entry, "claim"), n,
                  words[k], judged_number(entry, words[k]));
            CHECK((n > 0) == (bool)cJSON_IsString(json_find(entry, lists[k])), "%s: %s", judged_text(entry, "claim"),
                  lists[k]);
        }
    }
    CHECK(entries == 5, "%zu claims are summed up: all but that about a limit", entries);
    cJSON_Delete(results);
}

static cJSON *band_claim(const char *metric, double min, double max)
{
    cJSON *o = cJSON_CreateObject();
    static const char *const texts[] = {"id", "question", "sentence", "source"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) cJSON_AddStringToObject(o, texts[i], "band");
    cJSON_AddStringToObject(o, "metric", metric);
    if (!isnan(min)) cJSON_AddNumberToObject(o, "min", min);
    if (!isnan(max)) cJSON_AddNumberToObject(o, "max", max);
    cJSON_AddItemToObject(o, "phases", cJSON_Parse("[\"decode\"]"));
    cJSON_AddItemToObject(
        o, "variant",
        cJSON_Parse(
            "{\"quantize\": [\"int4\", \"int8\"], \"graph\": true, \"memory\": [\"on\"], \"kernels\": [\"best\"]}"));
    cJSON_AddItemToObject(o, "baselines", cJSON_Parse("[\"tuned\"]"));
    return o;
}

/* 3x over tuned in decode, from the fixture's own ceilings and sizes, recomputed here. */
static void what_it_takes_is_arithmetic(void)
{
    fixture_machine machine = fixture_usual;
    machine.int4_gain = 1.9;
    machine.int8_gain = 1.5;
    machine.int8_error = 0.02; /* twice the bound: one bit more */
    machine.int4_error = 0.2;
    cJSON *results = judged_results(&machine), *item = NULL;
    const cJSON *v = fixture_verdict(results, "speedup-3x", INT4, "tuned");
    const double most = judged_number(v, "ceiling_ratio");
    char expected[128];
    snprintf(expected, sizeof expected,
             most >= 3 ? "3.00x is %.0f%% of its ceiling" : "even at its ceiling it is %.2fx",
             most >= 3 ? 300 / most : most);
    bool said = false;
    cJSON_ArrayForEach(item, json_find(summed_up(results, "speedup-3x"), "takes")) said =
        said || (strstr(item->valuestring, "decode64@256") != NULL && strstr(item->valuestring, expected) != NULL);
    CHECK(said, "nothing of \"%s\"", expected);

    /* 70% of tuned's total of 16.5 MB leaves 4.95; int4 has 5.6, of which 4.3 are weights of 4.5 bits: (4.95 - 1.3) / 4.3 *
     * 4.5 is 3.8 bits. */
    const cJSON *takes = json_find(summed_up(results, "memory-70-total"), "takes");
    CHECK(cJSON_GetArraySize(takes) == 2 &&
              strstr(takes->child->valuestring, "at most 5.0 MB instead of 5.6 MB") != NULL &&
              strstr(takes->child->valuestring, "3.8 bits per weight instead of 4.5") != NULL,
          "%s", takes->child != NULL ? takes->child->valuestring : "nothing");
    takes = json_find(summed_up(results, "error-0.01"), "takes");
    CHECK(cJSON_GetArraySize(takes) == 2 && strstr(takes->child->valuestring, "an error 2.0 times smaller") != NULL &&
              strstr(takes->child->valuestring, "at least 9.5 bits per weight instead of 8.5") != NULL,
          "%s", takes->child != NULL ? takes->child->valuestring : "nothing");
    cJSON_Delete(results);
}

/* Rounds: an interval half as wide takes four times as many; within the noise floor none are enough. */
static void what_rounds_can_do(void)
{
    static const struct {
        double value, low, high, floor, rounds;
        const char *said;
    } table[] = {
        {3.1, 2.9, 3.3138, 0.0, 20, "about 83 rounds instead of 20"}, /* log: half 0.0667, room 0.0328: 4.14 x 20 */
        {3.1, 2.9, 3.3138, 0.05, 20, "a quieter machine"},
        {3.1, NAN, NAN, 0.05, 3, "enough rounds for an interval"},
    };
    cJSON *results = judged_results(&fixture_usual);
    result_set r;
    CU_ASSERT_EQUAL_FATAL(results_index(results, &r), CIUIC_OK);
    cJSON *claims = NULL;
    claim about;
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/claims.json", &claims), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(claim_parse(claims->child, "claims", 0, &about), CIUIC_OK);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[512];
        cJSON *v = cJSON_CreateObject();
        cJSON_AddStringToObject(v, "verdict", "inconclusive");
        json_add_double(v, "value", table[i].value);
        json_add_double(v, "low", table[i].low);
        json_add_double(v, "high", table[i].high);
        json_add_double(v, "noise_floor", table[i].floor);
        json_add_double(v, "rounds", table[i].rounds);
        takes_write(&r, &about, v, &r.cases[0], &r.cases[0], text, sizeof text);
        CHECK(strstr(text, table[i].said) != NULL, "row %zu: \"%s\"", i, text);
        cJSON_Delete(v);
    }
    results_free(&r);
    cJSON_Delete(claims);
    cJSON_Delete(results);
}

/* A claim with two bounds: what counts is the one that is missed, or the nearer one. In the fixture tuned needs 16.5 MB in all,
 * int4 5.6 MB. */
static void a_band_takes_what_its_missed_bound_does(void)
{
    static const struct {
        const char *metric, *verdict;
        double min, max, value, low, high;
        const char *said;
    } table[] = {
        {"speedup", "refuted", 1.0, 1.05, 1.61, 1.6, 1.62, "53% more time: it is faster than the most claimed, 1.05x"},
        {"speedup", "refuted", NAN, 1.0, 1.61, 1.6, 1.62, "61% more time"},
        {"speedup", "inconclusive", 1.0, 1.05, 1.045, 1.02, 1.07,
         "about 503 rounds"}, /* half .02393, room .00477: 25.1 x 20 */
        {"speedup", "inconclusive", 1.0, 1.05, 1.005, 0.98, 1.03,
         "about 498 rounds"}, /* half .02488, room .00499: 24.9 x 20 */
        {"memory_reduction_total", "refuted", 0.3, 0.4, 0.66, 0.66, 0.66, "at least 9.9 MB instead of 5.6 MB"},
        {"memory_reduction_total", "refuted", 0.7, 0.8, 0.66, 0.66, 0.66, "at most 5.0 MB instead of 5.6 MB"},
    };
    cJSON *results = judged_results(&fixture_usual);
    result_set r;
    CU_ASSERT_EQUAL_FATAL(results_index(results, &r), CIUIC_OK);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[512];
        cJSON *item = band_claim(table[i].metric, table[i].min, table[i].max), *v = cJSON_CreateObject();
        claim about;
        CU_ASSERT_EQUAL_FATAL(claim_parse(item, "claims", 0, &about), CIUIC_OK);
        cJSON_AddStringToObject(v, "verdict", table[i].verdict);
        json_add_double(v, "value", table[i].value);
        json_add_double(v, "low", table[i].low);
        json_add_double(v, "high", table[i].high);
        json_add_double(v, "noise_floor", 0.0);
        json_add_double(v, "rounds", 20);
        takes_write(&r, &about, v, results_case(&r, judged_text(fixture_case(results, TUNED), "id")),
                    results_case(&r, judged_text(fixture_case(results, INT4), "id")), text, sizeof text);
        CHECK(strstr(text, table[i].said) != NULL, "row %zu: \"%s\"", i, text);
        cJSON_Delete(v);
        cJSON_Delete(item);
    }
    results_free(&r);
    cJSON_Delete(results);
}

/* Nearness is the distance to the bounds: of what is too fast, the slowest is nearest. */
static void the_nearest_to_a_band_is_named(void)
{
    static const struct {
        double min, max;
        const char *nearest, *said;
    } table[] = {
        {1.0, 1.05, "int8+graph+memory+avx512", "exceeds the most allowed, 1.05x"},
        {8.0, 9.0, "int4+graph+memory+avx512", "misses the least required, 8.00x"},
        {NAN, 1.05, "int8+graph+memory+avx512", "exceeds the most allowed, 1.05x"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cJSON *results = fixture_results(&fixture_usual), *claims = cJSON_CreateArray();
        cJSON_AddItemToArray(claims, band_claim("speedup", table[i].min, table[i].max));
        CU_ASSERT_EQUAL_FATAL(judge_results(results, claims), CIUIC_OK);
        const cJSON *first = json_find(summed_up(results, "band"), "takes")->child;
        const cJSON *v = fixture_verdict(results, "band", INT4, "tuned");
        CHECK(first != NULL && strstr(first->valuestring, table[i].nearest) != NULL, "row %zu: %s", i,
              first != NULL ? first->valuestring : "nothing");
        CHECK(strstr(judged_text(v, "reason"), table[i].said) != NULL, "row %zu: %s", i, judged_text(v, "reason"));
        cJSON_Delete(results);
        cJSON_Delete(claims);
    }
}

/* A rung below tuned's is judged against FP16 on that rung, and is no headline. */
static void every_rung_is_judged_against_its_own(void)
{
    cJSON *results = fixture_results(&fixture_usual), *c = NULL;
    /* The fixture's rung c becomes avx2, and tuned's stays avx512. */
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(results, "cases"))
    {
        cJSON *variant = cJSON_GetObjectItem(c, "variant"), *kernels = cJSON_GetObjectItem(variant, "kernels");
        if (strcmp(kernels->valuestring, "c") == 0)
            cJSON_ReplaceItemInObject(variant, "kernels", cJSON_CreateString("avx2"));
    }
    judge_again(results);
    const char *const ending = "decode64@256/b1/t2/int8+graph+memory+c";
    const cJSON *v = fixture_verdict(results, "speedup-3x", ending, "tuned");
    CU_ASSERT_PTR_NOT_NULL_FATAL(v);
    CHECK(strstr(judged_text(v, "baseline_case"), "fp16+graph+memory+c") != NULL, "against %s",
          judged_text(v, "baseline_case"));
    CHECK(!cJSON_IsTrue(json_find(v, "headline")), "another rung is a headline");
    CHECK(fabs(judged_number(v, "value") / fixture_usual.int8_gain - 1) < 0.05, "%g, in truth %g",
          judged_number(v, "value"), fixture_usual.int8_gain);
    cJSON_Delete(results);
}

/* A claim about every variant is about the baselines, too, each against the others only. */
static void nothing_is_judged_against_itself(void)
{
    cJSON *results = fixture_results(&fixture_usual), *claims = cJSON_CreateArray();
    cJSON *all = band_claim("speedup", 1.0, 1.05);
    cJSON_ReplaceItemInObject(all, "variant", cJSON_CreateObject());
    cJSON_ReplaceItemInObject(all, "baselines", cJSON_Parse("[\"tuned\", \"naive\"]"));
    cJSON_AddItemToArray(claims, all);
    CU_ASSERT_EQUAL_FATAL(judge_results(results, claims), CIUIC_OK);
    const cJSON *v = NULL;
    size_t n = 0;
    cJSON_ArrayForEach(v, json_find(results, "verdicts"))
    {
        n++;
        CHECK(strcmp(judged_text(v, "case"), judged_text(v, "baseline_case")) != 0, "%s against itself",
              judged_text(v, "case"));
    }
    CHECK(n > 40, "%zu verdicts", n);
    const char *const rung = "decode64@256/b1/t2/fp16+graph+memory+c";
    CHECK(fixture_verdict(results, "band", TUNED, "tuned") == NULL &&
              fixture_verdict(results, "band", rung, "tuned") == NULL,
          "tuned is judged against tuned");
    CU_ASSERT_PTR_NOT_NULL(fixture_verdict(results, "band", rung, "naive"));
    cJSON_Delete(results);
    cJSON_Delete(claims);
}

static const test_case cases[] = {
    {"a limit of memory that FP16 exceeds", a_limit_that_fp16_exceeds},
    {"a refusal carries its numbers", a_refusal_carries_its_numbers},
    {"the sums are those of the verdicts", the_sums_are_those_of_the_verdicts},
    {"what it takes is arithmetic", what_it_takes_is_arithmetic},
    {"what rounds can do", what_rounds_can_do},
    {"a band takes what its missed bound does", a_band_takes_what_its_missed_bound_does},
    {"the nearest to a band is named", the_nearest_to_a_band_is_named},
    {"nothing is judged against itself", nothing_is_judged_against_itself},
    {"every rung is judged against its own", every_rung_is_judged_against_its_own},
};

TEST_SUITE(holds, cases);
