/* test_judge.c - judge_results on made-up machines whose truth is known. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/claims.h"
#include "harness/judge/judge.h"
#include "harness/tests/judged_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static void expect(const cJSON *results, const char *claim_id, const char *ending, const char *baseline,
                   const char *expected)
{
    const cJSON *v = fixture_verdict(results, claim_id, ending, baseline);
    CHECK(v != NULL, "no verdict of %s for %s against %s", claim_id, ending, baseline);
    if (v != NULL)
        CHECK(strcmp(judged_text(v, "verdict"), expected) == 0, "%s, %s, against %s: %s, expected %s (%s)", claim_id,
              ending, baseline, judged_text(v, "verdict"), expected, judged_text(v, "reason"));
}

/* Every ratio is of two samples of one round, each within `noise` of its truth: the estimate is within
 * (1 + noise) / (1 - noise) of the true ratio, however the drift went. */
static void ratios_recover_the_truth(void)
{
    cJSON *results = judged_results(&fixture_usual);
    const cJSON *c = fixture_case(results, INT4_DECODE);
    const double bound = (1 + fixture_usual.noise) / (1 - fixture_usual.noise);
    const double over_tuned = fixture_usual.int4_gain;
    const double over_naive = over_tuned * 1.15 * 1.05 * 8.0, over_openblas = over_naive / fixture_usual.openblas_gain;
    const struct {
        const char *baseline;
        double truth;
    } table[] = {{"tuned", over_tuned}, {"naive", over_naive}, {"openblas", over_openblas}};
    for (size_t i = 0; i < 3; i++) {
        const cJSON *ratio = json_find(json_find(c, "ratios"), table[i].baseline);
        const double value = judged_number(ratio, "value"), low = judged_number(ratio, "low"),
                     high = judged_number(ratio, "high");
        CHECK(value / table[i].truth < bound && table[i].truth / value < bound, "against %s: %g, in truth %g",
              table[i].baseline, value, table[i].truth);
        CHECK(low <= value && value <= high && low / table[i].truth < bound && table[i].truth / high < bound,
              "against %s: %g in %g to %g", table[i].baseline, value, low, high);
        CU_ASSERT_EQUAL(judged_number(ratio, "rounds"), 15.0);
    }
    const double median = judged_number(json_find(c, "latency_s"), "median");
    CHECK(fabs(judged_number(c, "tokens_per_s") * median / 64 - 1) < 1e-12, "%g tokens/s at %g s",
          judged_number(c, "tokens_per_s"), median);
    cJSON_Delete(results);
}

/* Adds what a search for the smallest limit found: MB that it runs under, and that it does not. */
static void add_search(cJSON *results, const char *ending, double found, double failed_at)
{
    cJSON *limits = cJSON_AddObjectToObject(fixture_case(results, ending), "limits");
    cJSON *smallest = cJSON_AddObjectToObject(limits, "smallest_limit");
    cJSON_AddNumberToObject(smallest, "found", found * 1e6);
    cJSON_AddNumberToObject(smallest, "failed_at", failed_at * 1e6);
}

/* A run whose limit everything keeps: naive, tuned, int4 and int8 were searched for, and int8 takes more than tuned does. */
static void a_limit_that_was_searched_for_is_judged(void)
{
    static const char claim_id[] = "runs-where-fp16-does-not";
    cJSON *results = fixture_results(&fixture_usual);
    cJSON_AddNumberToObject(cJSON_AddObjectToObject(results, "limits"), "total_bytes", 1e15);
    judge_again(results);
    expect(results, claim_id, INT4_DECODE, "tuned", "inconclusive");
    add_search(results, "decode64@256/b1/t2/fp16+graph+memory+avx512", 24, 23);
    add_search(results, INT4_DECODE, 9, 8);
    add_search(results, INT8_DECODE, 30, 29);
    judge_again(results);
    expect(results, claim_id, INT4_DECODE, "tuned", "supported");
    expect(results, claim_id, INT8_DECODE, "tuned", "refuted");
    expect(results, claim_id, INT4_DECODE, "naive", "inconclusive");
    const cJSON *v = fixture_verdict(results, claim_id, INT4_DECODE, "tuned");
    CHECK(fabs(judged_number(v, "value") - 9.0 / 23.0) < 1e-12 &&
              strstr(judged_text(v, "reason"), "found by running") != NULL,
          "%g: %s", judged_number(v, "value"), judged_text(v, "reason"));
    cJSON_Delete(results);
}

static void set_need(cJSON *results, const char *ending, double bytes)
{
    cJSON *memory = cJSON_GetObjectItemCaseSensitive(fixture_case(results, ending), "memory_bytes");
    cJSON_AddNumberToObject(memory, "under_limit", bytes);
}

/* What is mapped while a variant loads counts, though it is no part of what it takes in the end. */
static void files_count_under_a_limit(void)
{
    static const char claim_id[] = "runs-where-fp16-does-not";
    cJSON *results = fixture_results(&fixture_usual);
    cJSON_AddNumberToObject(cJSON_AddObjectToObject(results, "limits"), "total_bytes", 5e15);
    set_need(results, "decode64@256/b1/t2/fp16+graph+memory+avx512", 6e15);
    set_need(results, INT4_DECODE, 4e15);
    set_need(results, INT8_DECODE, 7e15);
    judge_again(results);
    expect(results, claim_id, INT4_DECODE, "tuned", "supported");
    expect(results, claim_id, INT8_DECODE, "tuned", "refuted");
    CHECK(judged_number(fixture_verdict(results, claim_id, INT4_DECODE, "tuned"), "value") == 0.8, "not %g",
          judged_number(fixture_verdict(results, claim_id, INT4_DECODE, "tuned"), "value"));
    cJSON_Delete(results);
}

/* The fixture's openblas, renamed, is an onednn; without one there is no verdict against it, and without openblas there
 * is one that says so. */
static void onednn_is_judged_where_it_was_measured(void)
{
    cJSON *results = judged_results(&fixture_usual);
    CU_ASSERT_PTR_NULL(fixture_verdict(results, "speedup-3x", INT4_DECODE, "onednn"));
    cJSON *openblas = fixture_case(results, "decode64@256/b1/t2/openblas");
    cJSON *variant = cJSON_GetObjectItemCaseSensitive(openblas, "variant");
    cJSON_ReplaceItemInObject(variant, "baseline", cJSON_CreateString("onednn"));
    judge_again(results);
    expect(results, "speedup-3x", INT4_DECODE, "onednn", "supported");
    expect(results, "speedup-3x", INT4_DECODE, "openblas", "inconclusive");
    const cJSON *tuned = fixture_verdict(results, "speedup-3x", INT4_DECODE, "tuned");
    CHECK(strstr(judged_text(tuned, "reason"), "holds against naive and onednn only") != NULL, "%s",
          judged_text(tuned, "reason"));
    cJSON_Delete(results);
}

static void verdicts_name_the_baseline(void)
{
    cJSON *results = judged_results(&fixture_usual);
    /* int4: 1.7 over tuned, 16 over naive, 3.28 over openblas. */
    expect(results, "speedup-3x", INT4_DECODE, "tuned", "refuted");
    expect(results, "speedup-3x", INT4_DECODE, "naive", "supported");
    expect(results, "speedup-3x", INT4_DECODE, "openblas", "supported");
    const cJSON *tuned = fixture_verdict(results, "speedup-3x", INT4_DECODE, "tuned");
    CHECK(strstr(judged_text(tuned, "reason"), "holds against naive and openblas only") != NULL, "%s",
          judged_text(tuned, "reason"));
    const cJSON *naive = fixture_verdict(results, "speedup-3x", INT4_DECODE, "naive");
    CHECK(strstr(judged_text(naive, "reason"), "Against tuned, the fair baseline, it is refuted") != NULL, "%s",
          judged_text(naive, "reason"));
    CHECK(strstr(judged_text(naive, "reason"), "5.00x is reached too") != NULL, "%s", judged_text(naive, "reason"));
    CU_ASSERT_TRUE(cJSON_IsTrue(json_find(tuned, "headline")) && cJSON_IsFalse(json_find(naive, "headline")));
    expect(results, "error-0.01", INT4_DECODE, "reference", "refuted");
    expect(results, "error-0.01", INT8_DECODE, "reference", "supported");
    expect(results, "perplexity-1pct", INT4_DECODE, "reference", "refuted");
    expect(results, "perplexity-1pct", INT8_DECODE, "reference", "supported");
    /* 5.6 of 16.5 MB: 66% less; the process, with 9 MB of its own, 43% less. Of naive's 32 MB: 82% less. */
    expect(results, "memory-70-total", INT4_DECODE, "tuned", "refuted");
    expect(results, "memory-70-total", INT4_DECODE, "naive", "supported");
    expect(results, "memory-70-rss", INT4_DECODE, "tuned", "refuted");
    const cJSON *summary = json_find(results, "summary");
    CHECK(strstr(judged_text(summary, "headline"), "Is it 3 to 5 times faster? No.") != NULL, "%s",
          judged_text(summary, "headline"));
    CHECK(strstr(judged_text(summary, "headline"), "Is the loss hard to notice? Yes.") != NULL, "%s",
          judged_text(summary, "headline"));
    CHECK(strstr(judged_text(summary, "joint"), "No single variant") != NULL, "%s", judged_text(summary, "joint"));
    cJSON_Delete(results);
}

/* A baseline far below its own ceiling leaves room above the ratio of the ceilings: the bound that holds is the case's
 * ceiling over what the baseline was measured at. */
static void a_ceiling_below_the_bound_is_said(void)
{
    /* 7.6 million weights, 8.5 bits each, 46 GB/s; decode of 64 tokens takes naive half a second. */
    const double ceiling = 4.6e10 / (7.6e6 * 8.5 / 8);
    const struct {
        double kernels_gain;
        bool out_of_reach;
    } table[] = {{8.0, false}, {16.0, true}};
    for (size_t i = 0; i < 2; i++) {
        fixture_machine machine = fixture_usual;
        machine.drift = 0.0;
        machine.kernels_gain = table[i].kernels_gain;
        cJSON *results = judged_results(&machine);
        const double tuned = 64 / (0.5 / (machine.graph_gain * machine.memory_gain * machine.kernels_gain));
        const cJSON *v = fixture_verdict(results, "speedup-3x", INT8_DECODE, "tuned");
        const double bound =
            judged_number(v, "ceiling_ratio"); /* the median of tuned's samples is within 1% of the truth */
        CHECK(fabs(bound * tuned / ceiling - 1) < 0.0102, "bound %g, in truth %g", bound, ceiling / tuned);
        /* 8.5 bits for 16 are 1.88 times as fast at best: neither 3x nor 5x is within reach of that. */
        CHECK(strstr(judged_text(v, "reason"), "3.00x cannot be reached by 8.5 bits over an FP16 at its own ceiling: "
                                               "the ceiling here is 1.88x") != NULL,
              "%s", judged_text(v, "reason"));
        CHECK(fabs(judged_number(v, "both_at_ceiling") - 16 / 8.5) < 1e-6, "both at their ceilings: %g",
              judged_number(v, "both_at_ceiling"));
        char said[64];
        snprintf(said, sizeof said, "allow at most %.2fx the measured speed of tuned", bound);
        CHECK((strstr(judged_text(v, "reason"), said) != NULL) == table[i].out_of_reach, "row %zu: %s", i,
              judged_text(v, "reason"));
        cJSON_Delete(results);
    }
}

static void the_bound_itself_is_too_close_to_tell(void)
{
    fixture_machine exact = fixture_usual;
    exact.int4_gain = 3.0;
    cJSON *results = judged_results(&exact);
    expect(results, "speedup-3x", INT4_DECODE, "tuned", "inconclusive");
    cJSON_Delete(results);
    exact.int4_gain = 3.3;
    exact.noise = 0.2; /* the noise floor of such a machine is wider than 3.3 / 3 */
    results = judged_results(&exact);
    expect(results, "speedup-3x", INT4_DECODE, "tuned", "inconclusive");
    exact.noise = 0.005;
    cJSON_Delete(results);
    results = judged_results(&exact);
    expect(results, "speedup-3x", INT4_DECODE, "tuned", "supported");
    cJSON_Delete(results);
}

static void random_weights_have_no_accuracy(void)
{
    cJSON *results = judged_results(&fixture_usual);
    static const char *const claims[] = {"error-0.01", "perplexity-1pct"};
    cJSON *c = NULL;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(results, "cases")) cJSON_AddTrueToObject(c, "random_weights");
    judge_again(results);
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        expect(results, claims[i], INT4_DECODE, "reference", "inconclusive");
        const char *reason = judged_text(fixture_verdict(results, claims[i], INT4_DECODE, "reference"), "reason");
        CHECK(strstr(reason, "weights are random") != NULL, "%s", reason);
    }
    expect(results, "speedup-3x", INT4_DECODE, "naive", "supported");
    cJSON_Delete(results);
}

static void few_rounds_decide_nothing(void)
{
    fixture_machine hasty = fixture_usual;
    hasty.rounds = 5;
    hasty.int4_gain = 30;
    cJSON *results = judged_results(&hasty);
    expect(results, "speedup-3x", INT4_DECODE, "tuned", "inconclusive");
    const cJSON *v = fixture_verdict(results, "speedup-3x", INT4_DECODE, "tuned");
    CHECK(strstr(judged_text(v, "reason"), "5 paired rounds, a 95% interval needs at least 6") != NULL, "%s",
          judged_text(v, "reason"));
    CU_ASSERT_TRUE(isnan(judged_number(v, "low")) && judged_number(v, "value") > 25);
    /* Six rounds give one comparison its interval, 2/64 being below 0.05; among all cases they do not suffice. */
    hasty.rounds = 6;
    cJSON_Delete(results);
    results = judged_results(&hasty);
    expect(results, "speedup-3x", INT4_DECODE, "tuned", "inconclusive");
    v = fixture_verdict(results, "speedup-3x", INT4_DECODE, "tuned");
    CHECK(judged_number(v, "low") > 25 && fabs(judged_number(v, "p") - 2.0 / 64) < 1e-12, "low %g, p %g",
          judged_number(v, "low"), judged_number(v, "p"));
    CHECK(strstr(judged_text(v, "reason"), "would be decided by itself, but not among all cases of this suite") != NULL,
          "%s", judged_text(v, "reason"));
    size_t family = 0;
    for (const cJSON *other = json_find(results, "verdicts")->child; other != NULL; other = other->next)
        family += strcmp(judged_text(other, "metric"), "speedup") == 0;
    CHECK(fabs(judged_number(v, "p_holm") - (double)family * 2.0 / 64) < 1e-12, "%zu cases: p_holm %g", family,
          judged_number(v, "p_holm"));
    cJSON_Delete(results);
    /* So many rounds that 2 / 2^n times the family is below 0.05, and not one less. */
    size_t least = 6;
    while ((double)family * ldexp(2, -(int)least) > 0.05) least++;
    for (size_t rounds = least - 1; rounds <= least; rounds++) {
        hasty.rounds = rounds;
        results = judged_results(&hasty);
        expect(results, "speedup-3x", INT4_DECODE, "tuned", rounds < least ? "inconclusive" : "supported");
        cJSON_Delete(results);
    }
}

static cJSON *claims_for_every_rung(void)
{
    cJSON *claims = NULL;
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/claims.json", &claims), CIUIC_OK);
    cJSON_DeleteItemFromObject(cJSON_GetObjectItem(cJSON_GetArrayItem(claims, 0), "variant"), "kernels");
    return claims;
}

/* By way of tuned a case has a p like any other: 7 rounds give each of the two intervals its 97.5%, which decides one verdict and
 * not all of the suite. */
static void a_verdict_by_way_of_tuned_is_corrected(void)
{
    const size_t rounds[] = {7, 16};
    for (size_t i = 0; i < 2; i++) {
        fixture_machine machine = fixture_usual;
        machine.blocks = 3;
        machine.rounds = rounds[i];
        machine.int4_gain = 30;
        cJSON *results = fixture_results(&machine), *claims = claims_for_every_rung();
        CHECK(judge_results(results, claims) == CIUIC_OK, "%s", ciuic_last_error());
        const cJSON *v = fixture_verdict(results, "speedup-3x", "decode64@256/b1/t2/int4+graph+memory+c", "tuned");
        CHECK(strstr(judged_text(v, "interval"), "by way of tuned") != NULL, "interval: %s",
              judged_text(v, "interval"));
        CHECK(judged_number(v, "low") > 25, "from %g", judged_number(v, "low"));
        CHECK(fabs(judged_number(v, "p") / (2 * exp2(1 - (double)rounds[i])) - 1) < 1e-6, "p is %g",
              judged_number(v, "p"));
        CHECK(judged_number(v, "p_holm") > judged_number(v, "p"), "p_holm is %g", judged_number(v, "p_holm"));
        CHECK(strcmp(judged_text(v, "verdict"), i == 0 ? "inconclusive" : "supported") == 0, "%zu rounds: %s, %s",
              rounds[i], judged_text(v, "verdict"), judged_text(v, "reason"));
        cJSON_Delete(results);
        cJSON_Delete(claims);
    }
}

static void lost_rounds_and_failed_cases(void)
{
    cJSON *results = fixture_results(&fixture_usual);
    cJSON *openblas = fixture_case(results, "decode64@256/b1/t2/openblas");
    cJSON_ReplaceItemInObject(openblas, "status", cJSON_CreateString("failed"));
    cJSON_AddStringToObject(openblas, "reason", "the worker was killed by signal 9");
    cJSON *lost = fixture_case(results, INT4_DECODE);
    const char *id = json_find(lost, "id")->valuestring;
    for (cJSON *block = cJSON_GetObjectItem(results, "blocks")->child; block != NULL; block = block->next) {
        cJSON *samples = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(block, "samples"), id);
        for (int i = 0; samples != NULL && i < 8; i++)
            cJSON_ReplaceItemInArray(samples, 2 * i % 15, cJSON_CreateNull());
    }
    cJSON *broken = fixture_case(results, INT8_DECODE);
    cJSON_ReplaceItemInObject(broken, "status", cJSON_CreateString("failed"));
    cJSON_AddStringToObject(broken, "reason", "illegal instruction");
    judge_again(results);
    CU_ASSERT_EQUAL(judged_number(fixture_verdict(results, "speedup-3x", INT4_DECODE, "tuned"), "rounds"), 7.0);
    const cJSON *v = fixture_verdict(results, "speedup-3x", INT4_DECODE, "openblas");
    CHECK(strstr(judged_text(v, "reason"), "the baseline openblas failed: the worker was killed by signal 9") != NULL,
          "%s", judged_text(v, "reason"));
    CU_ASSERT_STRING_EQUAL(judged_text(v, "verdict"), "inconclusive");
    v = fixture_verdict(results, "error-0.01", INT8_DECODE, "reference");
    CHECK(strstr(judged_text(v, "reason"), "the case failed: illegal instruction") != NULL, "%s",
          judged_text(v, "reason"));
    cJSON_Delete(results);
}

static void an_unknown_noise_floor_decides_nothing(void)
{
    fixture_machine fast = fixture_usual;
    fast.int4_gain = 4;
    cJSON *results = fixture_results(&fast);
    const char *const twins[] = {"prefill128@0/b1/t2/fp16+graph+memory+avx512#again",
                                 "decode64@256/b1/t2/fp16+graph+memory+avx512#again"};
    for (cJSON *block = cJSON_GetObjectItem(results, "blocks")->child; block != NULL; block = block->next) {
        char id[160];
        for (size_t i = 0; i < 2; i++) {
            snprintf(id, sizeof id, "made-up-model/%s", twins[i]);
            cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItem(block, "samples"), id);
        }
    }
    judge_again(results);
    expect(results, "speedup-3x", INT4_DECODE, "tuned", "inconclusive");
    const cJSON *v = fixture_verdict(results, "speedup-3x", INT4_DECODE, "tuned");
    CHECK(strstr(judged_text(v, "reason"), "no A/A pair") != NULL, "%s", judged_text(v, "reason"));
    cJSON_Delete(results);
}

/* Makes the twin of the decode workload a third slower than it is, in one of the blocks only. */
static void disturb_twin(cJSON *results, size_t position)
{
    static const char twin[] = "made-up-model/decode64@256/b1/t2/fp16+graph+memory+avx512#again";
    for (cJSON *block = cJSON_GetObjectItem(results, "blocks")->child; block != NULL; block = block->next) {
        cJSON *samples = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(block, "samples"), twin);
        if (samples == NULL || position-- != 0) continue;
        for (cJSON *sample = samples->child; sample != NULL; sample = sample->next)
            cJSON_SetNumberValue(sample, 4.0 / 3.0 * sample->valuedouble);
    }
}

/* Three blocks, dealt out so that int8 with everything on is in the first and int4 in the last. A/A ratios of all three
 * together would hide what one of them went through, and so would an average. */
static void noise_is_that_of_the_blocks_compared(void)
{
    fixture_machine machine = fixture_usual;
    machine.blocks = 3;
    machine.int4_gain = machine.int8_gain = 3.3;
    cJSON *results = fixture_results(&machine);
    disturb_twin(results, 2);
    judge_again(results);
    expect(results, "speedup-3x", INT8_DECODE, "tuned", "supported");
    expect(results, "speedup-3x", INT4_DECODE, "tuned", "inconclusive"); /* 3.3 / 1.33 is below 3 */
    /* 4/3, and what 1% of noise can make of it */
    const double least = 4.0 / 3.0 * 0.99 / 1.01 - 1.0, most = 1.01 / 0.99 - 1.0;
    const double of_int4 = judged_number(fixture_verdict(results, "speedup-3x", INT4_DECODE, "tuned"), "noise_floor");
    const double of_int8 = judged_number(fixture_verdict(results, "speedup-3x", INT8_DECODE, "tuned"), "noise_floor");
    CHECK(of_int4 >= least, "the floor of the disturbed block is %g", of_int4);
    CHECK(of_int8 <= most, "the floor of a quiet block is %g", of_int8);
    /* Linked by way of tuned: the worse of the two. Without graph int8 is in the last block, without memory in the
     * second. */
    CHECK(judged_stage_floor(results, INT8_DECODE, "graph", "last") >= least, "linked to the disturbed block: %g",
          judged_stage_floor(results, INT8_DECODE, "graph", "last"));
    CHECK(judged_stage_floor(results, INT8_DECODE, "memory", "last") <= most, "linked to a quiet block: %g",
          judged_stage_floor(results, INT8_DECODE, "memory", "last"));
    /* The baselines are in all blocks. */
    CHECK(judged_stage_floor(results, INT4_DECODE, "quantize", "last") >= least, "int4 over tuned: %g",
          judged_stage_floor(results, INT4_DECODE, "quantize", "last"));
    /* The floors are listed by block; those of the other workload are none the worse. */
    size_t listed = 0, high = 0;
    for (const cJSON *floor = json_find(results, "noise_floor")->child; floor != NULL; floor = floor->next) {
        listed++;
        high += judged_number(floor, "floor") >= least ? 1 : 0;
        CU_ASSERT_EQUAL(judged_number(floor, "rounds"), 15.0);
        CU_ASSERT_EQUAL(judged_number(floor, "block"), (double)(listed - 1));
    }
    CU_ASSERT_TRUE(listed == 6 && high == 1);
    cJSON_Delete(results);
}

/* A block whose twin was lost borrows the worst floor of the workload's other blocks. */
static void a_lost_twin_borrows_the_worst_floor(void)
{
    fixture_machine machine = fixture_usual;
    machine.blocks = 3;
    cJSON *results = fixture_results(&machine);
    disturb_twin(results, 1);
    cJSON *last = cJSON_GetArrayItem(cJSON_GetObjectItem(results, "blocks"), 5);
    cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItem(last, "samples"),
                                            "made-up-model/decode64@256/b1/t2/fp16+graph+memory+avx512#again");
    judge_again(results);
    const double lent = judged_number(fixture_verdict(results, "speedup-3x", INT4_DECODE, "tuned"), "noise_floor");
    CHECK(lent >= 4.0 / 3.0 * 0.99 / 1.01 - 1.0, "lent %g", lent);
    cJSON_Delete(results);
}

/* ---- summary ---------------------------------------------------------------------------------------------------- */

static const cJSON *answer_to(const cJSON *results, const char *question)
{
    const cJSON *answers = json_find(json_find(results, "summary"), "answers");
    for (const cJSON *a = answers->child; a != NULL; a = a->next)
        if (strcmp(judged_text(a, "question"), question) == 0) return a;
    return NULL;
}

/* What was not measured neither wins nor loses: it must not stand in for a variant that was decided. */
static void a_dead_worker_decides_no_headline(void)
{
    static const char speed[] = "Is it 3 to 5 times faster?", loss[] = "Is the loss hard to notice?";
    const struct {
        const char *dead[4];
        bool alike; /* int8 is as far from the reference as int4: each claim of the loss falls one way for both */
        const char *question, *answer, *variant;
    } table[] = {
        {{NULL}, false, speed, "no", "int4+graph+memory+avx512"},
        {{NULL}, false, loss, "yes", "int8+graph+memory+avx512"},
        /* everywhere dead: the other variant speaks */
        {{INT8_DECODE, INT8_PREFILL}, false, speed, "no", "int4+graph+memory+avx512"},
        {{INT4_DECODE, INT4_PREFILL}, false, speed, "no", "int8+graph+memory+avx512"},
        {{INT8_DECODE, INT8_PREFILL}, false, loss, "no", "int4+graph+memory+avx512"},
        {{INT4_DECODE, INT4_PREFILL}, false, loss, "yes", "int8+graph+memory+avx512"},
        /* dead on one workload: the variant that was decided on both speaks */
        {{INT8_DECODE}, false, speed, "no", "int4+graph+memory+avx512"},
        {{INT8_DECODE}, true, loss, "partly", "int4+graph+memory+avx512"},
        {{INT4_DECODE}, true, loss, "partly", "int8+graph+memory+avx512"},
        /* but it may still be the one that keeps most, and then the answer is open */
        {{INT8_DECODE}, false, loss, "unclear", "int8+graph+memory+avx512"},
        {{INT8_DECODE, INT8_PREFILL, INT4_DECODE, INT4_PREFILL}, false, speed, "unclear", "(none)"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        fixture_machine machine = fixture_usual;
        if (table[i].alike) {
            machine.int8_error = machine.int4_error;
            machine.int4_rise = machine.int8_rise;
        }
        cJSON *results = fixture_results(&machine);
        for (size_t d = 0; d < 4 && table[i].dead[d] != NULL; d++) judged_kill(results, table[i].dead[d]);
        judge_again(results);
        const cJSON *answer = answer_to(results, table[i].question);
        CHECK(strcmp(judged_text(answer, "answer"), table[i].answer) == 0 &&
                  strcmp(judged_text(answer, "variant"), table[i].variant) == 0,
              "row %zu: %s by %s, expected %s by %s", i, judged_text(answer, "answer"), judged_text(answer, "variant"),
              table[i].answer, table[i].variant);
        cJSON_Delete(results);
    }
}

/* ---- form ------------------------------------------------------------------------------------------------------- */

static void judging_twice_changes_nothing(void)
{
    cJSON *results = judged_results(&fixture_usual), *parsed = NULL;
    char *once = cJSON_Print(results);
    judge_again(results);
    char *twice = cJSON_Print(results);
    CU_ASSERT_STRING_EQUAL(once, twice);
    /* Nor does judging what was written to a file and read again. */
    CU_ASSERT_EQUAL_FATAL(json_parse(once, strlen(once), "results", &parsed), CIUIC_OK);
    judge_again(parsed);
    const cJSON *a = fixture_verdict(results, "speedup-3x", INT4_DECODE, "tuned");
    const cJSON *b = fixture_verdict(parsed, "speedup-3x", INT4_DECODE, "tuned");
    CU_ASSERT_EQUAL(judged_number(a, "value"), judged_number(b, "value"));
    CU_ASSERT_STRING_EQUAL(judged_text(a, "reason"), judged_text(b, "reason"));
    cJSON_free(once);
    cJSON_free(twice);
    cJSON_Delete(parsed);
    cJSON_Delete(results);
}

static void spoilt_results(void)
{
    const char *const texts[] = {
        "{}",
        "{\"cases\": [], \"blocks\": 3}",
        "{\"cases\": [{}], \"blocks\": []}",
        ("{\"cases\": [{\"id\": \"x\", \"status\": \"ok\", \"variant\": {\"quantize\": \"none\","
         " \"graph\": true, \"memory\": \"on\", \"kernels\": \"c\"}}], \"blocks\": []}"),
    };
    cJSON *claims = NULL;
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/claims.json", &claims), CIUIC_OK);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cJSON *results = cJSON_Parse(texts[i]);
        CU_ASSERT_EQUAL(judge_results(results, claims), CIUIC_ERROR_INPUT);
        CHECK(strncmp(ciuic_last_error(), "results", 7) == 0, "%s", ciuic_last_error());
        cJSON_Delete(results);
    }
    /* No case at all is not an error: the answer is that nothing was measured. */
    cJSON *empty = cJSON_Parse("{\"cases\": [], \"blocks\": []}");
    CU_ASSERT_EQUAL(judge_results(empty, claims), CIUIC_OK);
    CHECK(strstr(judged_text(json_find(empty, "summary"), "joint"), "No variant") != NULL, "%s",
          judged_text(json_find(empty, "summary"), "joint"));
    CU_ASSERT_EQUAL(cJSON_GetArraySize(json_find(empty, "verdicts")), 0);
    cJSON_Delete(empty);
    cJSON_Delete(claims);
}

/* What many cases are found by: every id, none that is not there, and the blocks and cases of each group and no other. */
static void an_index_finds_what_is_there(void)
{
    fixture_machine machine = fixture_usual;
    machine.blocks = 3;
    cJSON *results = fixture_results(&machine);
    result_set r;
    CU_ASSERT_EQUAL_FATAL(results_index(results, &r), CIUIC_OK);
    for (size_t i = 0; i < r.case_count; i++)
        CHECK(results_case(&r, r.cases[i].id) == &r.cases[i], "%s is not found", r.cases[i].id);
    CU_ASSERT_PTR_NULL(results_case(&r, ""));
    CU_ASSERT_PTR_NULL(results_case(&r, "zzz"));
    CU_ASSERT_PTR_NULL(results_case(&r, "made-up-model/decode64@256/b1/t2/int4"));
    size_t cases_seen = 0, blocks_seen = 0;
    for (size_t g = 0; g < r.group_count; g++) {
        for (const result_case *c = r.groups[g].cases; c != NULL; c = c->next, cases_seen++)
            CHECK(c->group == g && (c->next == NULL || c->next > c), "%s is out of place", c->id);
        for (size_t b = r.groups[g].blocks; b != NO_BLOCK; b = r.blocks[b].next, blocks_seen++)
            CHECK(r.blocks[b].group == g, "block %zu is of group %zu", b, r.blocks[b].group);
    }
    CHECK(cases_seen == r.case_count && blocks_seen == r.block_count, "%zu cases and %zu blocks are linked", cases_seen,
          blocks_seen);
    results_free(&r);
    cJSON_Delete(results);
}

/* Pairs are taken by position: a list that is shorter or longer says of no sample which round it was of. */
static void a_block_has_a_sample_for_each_round(void)
{
    static const struct {
        int block;        /* of three for each workload */
        int more;         /* entries at the end of its last list; below zero: so many fewer */
        int rounds;       /* what the block says; -1: as it was, 15 */
        const char *says; /* NULL: it is sound */
    } rows[] = {
        {0, 0, -1, NULL},
        {4, -1, -1, "results: blocks[4].samples[\"made-up-model/decode64@256/b1/t2/"},
        {4, -1, -1, "\"]: found 14 samples, expected 15, one for each of the block's rounds"},
        {0, 1, -1, "found 16 samples, expected 15,"},
        {2, -15, -1, "found 0 samples, expected 15,"},
        {1, 0, 14, "results: blocks[1].samples[\"made-up-model/prefill128@0/b1/t2/"},
        {1, 0, 0, "found 15 samples, expected 0,"},
        {5, 0, 1000000, "found 15 samples, expected 1000000,"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fixture_machine machine = fixture_usual;
        machine.blocks = 3;
        cJSON *results = fixture_results(&machine);
        cJSON *block = cJSON_GetArrayItem(cJSON_GetObjectItem(results, "blocks"), rows[i].block);
        cJSON *list = cJSON_GetObjectItem(block, "samples")->child;
        while (list->next != NULL) list = list->next;
        for (int k = 0; k < rows[i].more; k++) cJSON_AddItemToArray(list, cJSON_CreateNull());
        for (int k = 0; k > rows[i].more; k--) cJSON_DeleteItemFromArray(list, 0);
        if (rows[i].rounds >= 0) cJSON_ReplaceItemInObject(block, "rounds", cJSON_CreateNumber((double)rows[i].rounds));
        result_set r;
        const ciuic_status status = results_index(results, &r);
        CHECK(status == (rows[i].says != NULL ? CIUIC_ERROR_INPUT : CIUIC_OK), "row %zu: status %d", i, (int)status);
        CHECK(rows[i].says == NULL || strstr(ciuic_last_error(), rows[i].says) != NULL, "row %zu: %s", i,
              ciuic_last_error());
        results_free(&r);
        cJSON_Delete(results);
    }
}

static const test_case cases[] = {
    {"an index finds what is there", an_index_finds_what_is_there},
    {"a block has a sample for each round", a_block_has_a_sample_for_each_round},
    {"ratios recover the truth", ratios_recover_the_truth},
    {"a limit that was searched for is judged", a_limit_that_was_searched_for_is_judged},
    {"files count under a limit", files_count_under_a_limit},
    {"onednn is judged where it was measured", onednn_is_judged_where_it_was_measured},
    {"verdicts name the baseline against which a claim holds", verdicts_name_the_baseline},
    {"a ceiling below the bound is said", a_ceiling_below_the_bound_is_said},
    {"the bound itself is too close to tell", the_bound_itself_is_too_close_to_tell},
    {"random weights have no accuracy", random_weights_have_no_accuracy},
    {"few rounds decide nothing", few_rounds_decide_nothing},
    {"a verdict by way of tuned is corrected", a_verdict_by_way_of_tuned_is_corrected},
    {"lost rounds and failed cases", lost_rounds_and_failed_cases},
    {"an unknown noise floor decides nothing", an_unknown_noise_floor_decides_nothing},
    {"noise is that of the blocks compared", noise_is_that_of_the_blocks_compared},
    {"a lost twin borrows the worst floor", a_lost_twin_borrows_the_worst_floor},
    {"a dead worker decides no headline", a_dead_worker_decides_no_headline},
    {"judging twice changes nothing", judging_twice_changes_nothing},
    {"spoilt and empty results", spoilt_results},
};

TEST_SUITE(judge, cases);
