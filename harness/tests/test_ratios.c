/* test_ratios.c - what the ratio of every case says of itself, and rounds that were unlike the others. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/judge/claims.h"
#include "harness/judge/judge.h"
#include "harness/tests/judged_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static const cJSON *over_tuned(cJSON *results, const char *ending)
{
    return json_find(json_find(fixture_case(results, ending), "ratios"), "tuned");
}

/* What the ratio of every case says of itself: two intervals, a corrected p and a word. */
static void differences_are_called_among_all_cases(void)
{
    cJSON *results = fixture_results(&fixture_usual);
    judge_again(results);
    size_t family = 0, of_tuned = 0;
    for (const cJSON *c = json_find(results, "cases")->child; c != NULL; c = c->next) {
        const cJSON *ratio = NULL;
        cJSON_ArrayForEach(ratio, json_find(c, "ratios")) family += isnan(judged_number(ratio, "p")) ? 0 : 1;
        of_tuned += isnan(judged_number(json_find(json_find(c, "ratios"), "tuned"), "p")) ? 0 : 1;
    }
    CU_ASSERT_EQUAL(of_tuned, 2 * 24);     /* 24 variants and openblas but tuned itself; the twin is no question */
    CU_ASSERT_EQUAL(family, 3 * of_tuned); /* naive, tuned, openblas */
    const cJSON *faster = over_tuned(results, INT4_DECODE);
    const cJSON *slower = over_tuned(results, "decode64@256/b1/t2/fp16+c");
    const cJSON *twin = over_tuned(results, "decode64@256/b1/t2/fp16+graph+memory+avx512#again");
    CU_ASSERT_STRING_EQUAL(judged_text(faster, "difference"), "faster");
    CU_ASSERT_STRING_EQUAL(judged_text(slower, "difference"), "slower");
    CU_ASSERT_STRING_EQUAL(judged_text(twin, "difference"), "not shown");
    CU_ASSERT_TRUE(isnan(judged_number(twin, "p")) && isnan(judged_number(twin, "p_holm")));
    /* All 15 pairs beyond the floor: 2 / 2^15, times more than one baseline's cases, and at most the family. */
    CHECK(fabs(judged_number(faster, "p") - 2.0 / 32768) < 1e-15, "p %g", judged_number(faster, "p"));
    CHECK(judged_number(faster, "p_holm") > (double)of_tuned * 2.0 / 32768 &&
              judged_number(faster, "p_holm") <= (double)family * 2.0 / 32768 + 1e-15,
          "p_holm %g", judged_number(faster, "p_holm"));
    CHECK(judged_number(faster, "bootstrap_low") >= judged_number(faster, "low") &&
              judged_number(faster, "bootstrap_low") <= judged_number(faster, "value") &&
              judged_number(faster, "bootstrap_high") <= judged_number(faster, "high") &&
              judged_number(faster, "bootstrap_high") >= judged_number(faster, "value"),
          "bootstrap %g to %g, order statistics %g to %g", judged_number(faster, "bootstrap_low"),
          judged_number(faster, "bootstrap_high"), judged_number(faster, "low"), judged_number(faster, "high"));
    cJSON_Delete(results);
}

static cJSON *samples_of(cJSON *results, const char *ending)
{
    const char *id = json_find(fixture_case(results, ending), "id")->valuestring;
    for (cJSON *block = cJSON_GetObjectItem(results, "blocks")->child; block != NULL; block = block->next) {
        cJSON *samples = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(block, "samples"), id);
        if (samples != NULL) return samples;
    }
    return NULL;
}

static bool flagged(const cJSON *series, const char *flag)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, json_find(series, "flags"))
    {
        if (strcmp(item->valuestring, flag) == 0) return true;
    }
    return false;
}

/* A cold start, a drift of its own, one wild round: each is flagged where it is, and no round is dropped. */
static void unlike_rounds_are_flagged_and_kept(void)
{
    cJSON *results = fixture_results(&fixture_usual);
    size_t i = 0;
    cJSON *sample = NULL;
    cJSON_ArrayForEach(sample, samples_of(results, INT4_DECODE))
        cJSON_SetNumberHelper(sample, sample->valuedouble * (i++ < 3 ? 2 : 1));
    i = 0;
    cJSON_ArrayForEach(sample, samples_of(results, INT8_DECODE))
        cJSON_SetNumberHelper(sample, sample->valuedouble * (1 + 0.03 * (double)i++));
    i = 0;
    cJSON_ArrayForEach(sample, samples_of(results, INT4_PREFILL))
        cJSON_SetNumberHelper(sample, sample->valuedouble * (i++ == 7 ? 5 : 1));
    judge_again(results);
    const struct {
        const char *ending, *flag;
    } rows[] = {{INT4_DECODE, "warm-up"}, {INT8_DECODE, "drift"}, {INT4_PREFILL, "outliers"}};
    for (size_t k = 0; k < 3; k++) {
        const cJSON *ratio = over_tuned(results, rows[k].ending);
        CHECK(flagged(ratio, rows[k].flag), "%s: no %s", rows[k].ending, rows[k].flag);
        CHECK(judged_number(ratio, "rounds") == 15, "%s: %g rounds", rows[k].ending, judged_number(ratio, "rounds"));
        const cJSON *quiet = over_tuned(results, INT8_PREFILL);
        CHECK(!flagged(quiet, rows[k].flag), "%s: %s", INT8_PREFILL, rows[k].flag);
    }
    const cJSON *cold = over_tuned(results, INT4_DECODE);
    CHECK(judged_number(cold, "warm_up_rounds") == 3, "%g rounds of warm-up", judged_number(cold, "warm_up_rounds"));
    const cJSON *drift = over_tuned(results, INT8_DECODE);
    CHECK(judged_number(drift, "drift") < -0.25, "drift %g",
          judged_number(drift, "drift")); /* to 1/1.42 of what it was */
    /* The 1% a round that hit all alike is in every time and in no other ratio. */
    const cJSON *block = json_find(cJSON_GetArrayItem(json_find(results, "blocks"), 0), "series");
    for (const cJSON *series = block->child; series != NULL; series = series->next)
        CHECK(flagged(series, "drift") && fabs(judged_number(series, "drift") - 0.14 / 1.07) < 0.04, "%s drifts by %g",
              series->string, judged_number(series, "drift"));
    cJSON_Delete(results);
}

/* Equal programs in twenty suites of other noise: nothing may be called different. In one suite the chance that any of 48
 * is stays below 5% by Holm's correction alone, and the noise floor makes it far smaller. */
static void equals_are_never_called_different(void)
{
    fixture_machine machine = fixture_equals;
    size_t called = 0, all = 0;
    for (size_t repeat = 0; repeat < 20; repeat++) {
        machine.noise = 0.002 * (double)(repeat + 1);
        machine.rounds = 12 + repeat;
        cJSON *results = fixture_results(&machine);
        judge_again(results);
        for (const cJSON *c = json_find(results, "cases")->child; c != NULL; c = c->next) {
            const cJSON *ratio = json_find(json_find(c, "ratios"), "tuned");
            if (ratio == NULL) continue;
            all++;
            called += strcmp(judged_text(ratio, "difference"), "not shown") != 0;
        }
        cJSON_Delete(results);
    }
    CU_ASSERT_EQUAL(all, 20 * 50);
    CHECK(called == 0, "%zu of %zu equal programs were called different", called, all);
}

static const test_case cases[] = {
    {"differences are called among all cases", differences_are_called_among_all_cases},
    {"equals are never called different", equals_are_never_called_different},
    {"rounds unlike the others are flagged and kept", unlike_rounds_are_flagged_and_kept},
};

TEST_SUITE(ratios, cases);
