/* test_judge_stages.c - what each stage earns, on made-up machines whose truth is known: its gain, or why it is not told. */
#include <math.h>
#include <string.h>

#include "harness/tests/judged_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static void stages_recover_their_gains(void)
{
    const size_t blocks[] = {1, 3}; /* within one block by pairs; over three by way of `tuned` */
    for (size_t i = 0; i < 2; i++) {
        fixture_machine machine = fixture_usual;
        machine.blocks = blocks[i];
        machine.noise = 0.002;
        cJSON *results = judged_results(&machine);
        const struct {
            const char *stage;
            double gain;
        } table[] = {{"quantize", 1.7}, {"graph", 1.15}, {"memory", 1.05}, {"kernels", 8.0}};
        size_t linked = 0;
        for (size_t s = 0; s < 4; s++) {
            const cJSON *entry = judged_stage(results, INT4_DECODE, table[s].stage);
            const char *const sides[] = {"alone", "last"};
            for (size_t side = 0; side < 2; side++) {
                const cJSON *e = json_find(entry, sides[side]);
                /* Four samples, each within 0.2% of its truth, when linked. */
                CHECK(fabs(log(judged_number(e, "value") / table[s].gain)) < 4 * 0.0021, "%s %s: %g, in truth %g",
                      table[s].stage, sides[side], judged_number(e, "value"), table[s].gain);
                CHECK(strcmp(judged_text(e, "verdict"), "faster") == 0, "%s %s is %s", table[s].stage, sides[side],
                      judged_text(e, "verdict"));
                CHECK(judged_number(e, "coverage") >= 0.95, "coverage %g", judged_number(e, "coverage"));
                linked += cJSON_IsFalse(json_find(e, "paired")) ? 1 : 0;
            }
            CU_ASSERT_PTR_NULL(json_find(entry, "sentence"));
        }
        CHECK((linked > 0) == (blocks[i] > 1), "%zu of 8 effects were linked", linked);
        CHECK(strstr(judged_text(json_find(results, "summary"), "stages"), "Every stage earns its place") != NULL, "%s",
              judged_text(json_find(results, "summary"), "stages"));
        cJSON_Delete(results);
    }
}

static void a_stage_that_costs_is_named(void)
{
    fixture_machine machine = fixture_usual;
    machine.int4_gain = 0.8;
    machine.graph_gain = 1.0;
    cJSON *results = judged_results(&machine);
    const cJSON *quantize = judged_stage(results, INT4_DECODE, "quantize"),
                *graph = judged_stage(results, INT4_DECODE, "graph");
    CU_ASSERT_STRING_EQUAL(judged_text(json_find(quantize, "last"), "verdict"), "slower");
    CHECK(strstr(judged_text(quantize, "sentence"), "quantize costs more than it gives") != NULL, "%s",
          judged_text(quantize, "sentence"));
    /* 15.2 MB of weights in 33.6 MB of cache. */
    CHECK(strstr(judged_text(quantize, "sentence"), "15.2 MB, already fit in the last-level cache of 33.6 MB") != NULL,
          "%s", judged_text(quantize, "sentence"));
    CU_ASSERT_STRING_EQUAL(judged_text(json_find(graph, "last"), "verdict"), "no difference");
    CHECK(strstr(judged_text(graph, "sentence"), "makes no difference worth the name") != NULL, "%s",
          judged_text(graph, "sentence"));
    CHECK(strstr(judged_text(json_find(results, "summary"), "stages"), "Not every stage is seen to earn its place") !=
              NULL,
          "%s", judged_text(json_find(results, "summary"), "stages"));
    cJSON_Delete(results);
}

static void says(const char *sentence, const char *part)
{
    CHECK(strstr(sentence, part) != NULL, "\"%s\" lacks \"%s\"", sentence, part);
}

/* Neither faster nor a reason is the one thing that a stage's row must not be. */
static void an_effect_that_is_unknown_says_why(void)
{
    cJSON *results = fixture_results(&fixture_usual);
    judged_kill(results, "decode64@256/b1/t2/int4+memory+avx512");
    judged_kill(results, INT8_DECODE);
    judge_again(results);
    const cJSON *graph = judged_stage(results, INT4_DECODE, "graph");
    CU_ASSERT_STRING_EQUAL(judged_text(json_find(graph, "last"), "verdict"), "unknown");
    says(judged_text(graph, "sentence"),
         "what graph earns is unknown, because int4+memory+avx512 failed: the worker was");
    says(judged_text(judged_stage(results, INT8_DECODE, "memory"), "sentence"),
         "because int8+graph+memory+avx512 failed:");
    CU_ASSERT_PTR_NULL(json_find(judged_stage(results, INT4_DECODE, "memory"), "sentence"));
    cJSON_Delete(results);

    fixture_machine hasty = fixture_usual;
    hasty.rounds = 5;
    results = judged_results(&hasty);
    says(judged_text(judged_stage(results, INT4_DECODE, "graph"), "sentence"),
         "because 5 rounds are not enough; a 95% interval needs at least 6");
    cJSON_Delete(results);
    hasty.rounds = 6; /* by way of tuned each of the two intervals is one of 97.5% */
    hasty.blocks = 3;
    results = judged_results(&hasty);
    says(judged_text(judged_stage(results, INT4_DECODE, "graph"), "sentence"),
         "because 6 rounds are not enough; a 95% interval by way of tuned needs at least 7");
    cJSON_Delete(results);

    results = fixture_results(&fixture_usual);
    judged_kill(results, "decode64@256/b1/t2/fp16+graph+memory+avx512#again");
    judged_kill(results, "prefill128@0/b1/t2/fp16+graph+memory+avx512#again");
    judge_again(results);
    says(judged_text(judged_stage(results, INT4_DECODE, "graph"), "sentence"), "because no A/A pair was measured");
    cJSON_Delete(results);
}

/* A mechanism is named where there is a loss to explain, and only one that fits the case. */
static void reasons_are_for_losses(void)
{
    static const char expanded[] = "kv_b";
    fixture_machine machine = fixture_usual;
    machine.memory_gain = 0.8;
    cJSON *results = judged_results(&machine);
    const cJSON *decode = judged_stage(results, INT4_DECODE, "memory"),
                *prefill = judged_stage(results, INT4_PREFILL, "memory");
    /* Alone, graph is off, and the cache shrinks to a fifteenth: more than 16 bits explain. */
    CU_ASSERT_STRING_EQUAL(judged_text(json_find(decode, "alone"), "verdict"), "slower");
    says(judged_text(decode, "alone_sentence"), "memory alone makes it slower");
    says(judged_text(decode, "alone_sentence"), "expands it with kv_b again for every cached position");
    /* Last, graph absorbs kv_b; a prefill expands each position once either way. */
    CU_ASSERT_STRING_EQUAL(judged_text(json_find(decode, "last"), "verdict"), "slower");
    CHECK(strstr(judged_text(decode, "sentence"), expanded) == NULL, "%s", judged_text(decode, "sentence"));
    says(judged_text(decode, "sentence"), "buys bytes, not time");
    says(judged_text(prefill, "alone_sentence"), "memory alone makes it slower");
    CHECK(strstr(judged_text(prefill, "alone_sentence"), expanded) == NULL, "%s",
          judged_text(prefill, "alone_sentence"));
    cJSON_Delete(results);
    machine.memory_gain = 1.0;
    machine.noise = 0.002;
    results = judged_results(&machine);
    decode = judged_stage(results, INT4_DECODE, "memory");
    CU_ASSERT_STRING_EQUAL(judged_text(json_find(decode, "last"), "verdict"), "no difference");
    says(judged_text(decode, "sentence"), "makes no difference worth the name");
    CHECK(strstr(judged_text(decode, "sentence"), "because") == NULL, "%s", judged_text(decode, "sentence"));
    CU_ASSERT_PTR_NULL(json_find(decode, "alone_sentence"));
    cJSON_Delete(results);
}

/* A/A: with every gain at 1 no stage may be called faster or slower, whatever the noise. The interval of the effect and
 * that of the floor are each wrong in 5% of cases, and both must be for a false call. */
static void noise_is_never_called_a_difference(void)
{
    fixture_machine machine = fixture_equals;
    machine.noise = 0.05;
    machine.rounds = 25;
    cJSON *results = judged_results(&machine);
    size_t all = 0, called = 0;
    for (const cJSON *s = json_find(results, "stages")->child; s != NULL; s = s->next) {
        const char *v = judged_text(json_find(s, "last"), "verdict");
        called += strcmp(v, "faster") == 0 || strcmp(v, "slower") == 0;
        all++;
    }
    CU_ASSERT_EQUAL(all, 16);
    /* Samples that differ by up to a third allow no "no difference" from seven rounds. */
    machine.noise = 0.15;
    machine.rounds = 7;
    cJSON *noisy = judged_results(&machine);
    CU_ASSERT_STRING_EQUAL(judged_text(json_find(judged_stage(noisy, INT4_DECODE, "graph"), "last"), "verdict"),
                           "not resolved");
    CHECK(strstr(judged_text(judged_stage(noisy, INT4_DECODE, "graph"), "sentence"), "cannot be told from noise") !=
              NULL,
          "%s", judged_text(judged_stage(noisy, INT4_DECODE, "graph"), "sentence"));
    cJSON_Delete(noisy);
    CHECK(called == 0, "%zu of %zu differences were found where there is none", called, all);
    cJSON_Delete(results);
}

/* Sixteen effects a group and more: 8 rounds on one side, p = 2 / 2^8 each, tell one alone and not all of them; 15 rounds do. */
static void effects_are_judged_together(void)
{
    const size_t rounds[] = {8, 15};
    for (size_t i = 0; i < 2; i++) {
        fixture_machine machine = fixture_usual;
        machine.noise = 0.002;
        machine.rounds = rounds[i];
        cJSON *results = judged_results(&machine);
        const cJSON *entry = judged_stage(results, INT4_DECODE, "kernels"), *last = json_find(entry, "last");
        CHECK(fabs(judged_number(last, "p") - exp2(1 - (double)rounds[i])) < 1e-12, "%zu rounds: p is %g", rounds[i],
              judged_number(last, "p"));
        CHECK(judged_number(last, "p_holm") > judged_number(last, "p"), "p_holm is %g", judged_number(last, "p_holm"));
        CHECK(strcmp(judged_text(last, "verdict"), i == 0 ? "not resolved" : "faster") == 0, "%zu rounds: %s",
              rounds[i], judged_text(last, "verdict"));
        if (i == 0) says(judged_text(entry, "sentence"), "not among all effects of this run");
        cJSON_Delete(results);
    }
}

/* By way of tuned: exactly the errors at which the interval of the difference begins to lie beyond the floor. */
static void an_effect_by_way_of_tuned_has_a_p(void)
{
    fixture_machine machine = fixture_usual;
    machine.noise = 0.002;
    machine.blocks = 3;
    machine.rounds = 12;
    cJSON *results = judged_results(&machine);
    const cJSON *last = json_find(judged_stage(results, INT4_DECODE, "graph"), "last");
    CHECK(cJSON_IsFalse(json_find(last, "paired")), "it is paired");
    /* All 12 rounds of both lie on one side: the widest intervals, each with an error of 2 / 2^12, still do. */
    CHECK(fabs(judged_number(last, "p") / (2 * exp2(-11)) - 1) < 1e-6, "p is %g", judged_number(last, "p"));
    cJSON_Delete(results);
}

static const test_case cases[] = {
    {"stages recover their gains, within and across blocks", stages_recover_their_gains},
    {"a stage that costs more than it gives is named", a_stage_that_costs_is_named},
    {"an effect that is unknown says why", an_effect_that_is_unknown_says_why},
    {"reasons are for losses", reasons_are_for_losses},
    {"effects are judged together", effects_are_judged_together},
    {"an effect by way of tuned has a p", an_effect_by_way_of_tuned_has_a_p},
    {"noise is never called a difference", noise_is_never_called_a_difference},
};
TEST_SUITE(judge_stages, cases);
