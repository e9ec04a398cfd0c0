/* test_claims.c - claims files are read strictly, and intervals decide as they should. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/judge/claims.h"
#include "harness/judge/judge.h"
#include "harness/tests/results_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static void the_projects_claims(void)
{
    cJSON *claims = NULL;
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/claims.json", &claims), CIUIC_OK);
    const char *const expected[] = {"speedup-3x", "memory-70-total", "memory-70-rss", "runs-where-fp16-does-not",
                                    "error-0.01", "perplexity-1pct"};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        claim c;
        CU_ASSERT_EQUAL_FATAL(claim_parse(cJSON_GetArrayItem(claims, (int)i), "claims", i, &c), CIUIC_OK);
        CU_ASSERT_STRING_EQUAL(c.id, expected[i]);
        /* Every claim is judged against all baselines that its metric knows. */
        CU_ASSERT_EQUAL(cJSON_GetArraySize(c.baselines), c.metric->kind == METRIC_ERROR ? 1 : 4);
    }
    cJSON_Delete(claims);
}

#define GOOD(members)                                                                                                  \
    "{\"id\": \"a\", \"question\": \"q\", \"sentence\": \"s\", \"source\": \"x\", \"phases\": [\"decode\"], "          \
    "\"variant\": {\"graph\": true}, " members "}"
#define LIMIT "\"metric\": \"memory_of_limit\", \"baselines\": [\"tuned\"]"
#define SPEED "\"metric\": \"speedup\", \"baselines\": [\"tuned\"]"

static void bad_claims(void)
{
    const struct {
        const char *text, *complaint;
    } bad[] = {
        {"{}", "not an array"},
        {"[]", "not an array"},
        {"[1]", "claims[0]: not an object"},
        {"[" GOOD(SPEED) "]", "neither min nor max"},
        {"[" GOOD(SPEED ", \"min\": \"3\"") "]", "\"min\" is \"3\""},
        {"[" GOOD(SPEED ", \"min\": 3, \"max\": 2") "]", "min 3 is above max 2"},
        {"[" GOOD(SPEED ", \"min\": 3, \"band_top\": 3") "]", "band_top 3"},
        {"[" GOOD(SPEED ", \"mim\": 3") "]", "did you mean \"min\""},
        {"[" GOOD("\"metric\": \"sped\", \"min\": 3, \"baselines\": [\"tuned\"]") "]", "unknown metric \"sped\""},
        {"[" GOOD("\"metric\": \"speedup\", \"min\": 3, \"baselines\": []") "]", "baselines is empty"},
        {"[" GOOD("\"metric\": \"speedup\", \"min\": 3, \"baselines\": [\"fast\"]") "]", "unknown fast"},
        {"[" GOOD("\"metric\": \"speedup\", \"min\": 3, \"baselines\": [7]") "]", "not a string"},
        {"[" GOOD("\"metric\": \"speedup\", \"min\": 3, \"baselines\": [\"tuned\", \"tuned\"]") "]", "\"tuned\" twice"},
        {"[" GOOD("\"metric\": \"kl\", \"max\": 3, \"baselines\": [\"tuned\"]") "]", "expected \"reference\""},
        {"[" GOOD(SPEED ", \"min\": 3, \"limit_bytes\": 4000000") "]", "limit_bytes with metric speedup"},
        {"[" GOOD(LIMIT ", \"min\": 0") "]", "memory_of_limit without max"},
        {"[" GOOD(LIMIT ", \"max\": 1, \"limit_bytes\": 12") "]", "limit_bytes"},
        {"[" GOOD(SPEED ", \"min\": 3") ", " GOOD(SPEED ", \"min\": 3") "]", "claims[1]: id \"a\" is taken"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cJSON *claims = NULL;
        CU_ASSERT_EQUAL_FATAL(json_parse(bad[i].text, strlen(bad[i].text), "bad.json", &claims), CIUIC_OK);
        const ciuic_status status = claims_check(claims, "bad.json");
        CHECK(status == CIUIC_ERROR_INPUT, "%s: status %d", bad[i].text, (int)status);
        CHECK(strstr(ciuic_last_error(), bad[i].complaint) != NULL && strstr(ciuic_last_error(), "bad.json") != NULL,
              "%s: said \"%s\", expected \"%s\"", bad[i].text, ciuic_last_error(), bad[i].complaint);
        cJSON_Delete(claims);
    }
    cJSON *claims = NULL;
    CU_ASSERT_EQUAL(claims_read("suites/no-such-claims.json", &claims), CIUIC_ERROR_INPUT);
    CU_ASSERT_PTR_NULL(claims);
}

static void verdicts_follow_the_interval(void)
{
    const double inf = INFINITY;
    const struct {
        double min, max, low, high;
        verdict expected;
    } table[] = {
        {3, NAN, 3.1, 4, VERDICT_SUPPORTED},       {3, NAN, 3, 4, VERDICT_SUPPORTED}, /* bounds are inclusive */
        {3, NAN, 2.9, 4, VERDICT_INCONCLUSIVE},    {3, NAN, 2.9, 3, VERDICT_INCONCLUSIVE},
        {3, NAN, 1, 2.999, VERDICT_REFUTED},       {3, NAN, NAN, NAN, VERDICT_INCONCLUSIVE},
        {3, NAN, NAN, 1, VERDICT_INCONCLUSIVE},    {3, NAN, 4, NAN, VERDICT_INCONCLUSIVE},
        {NAN, 0.01, 0, 0.01, VERDICT_SUPPORTED},   {NAN, 0.01, 0.005, 0.02, VERDICT_INCONCLUSIVE},
        {NAN, 0.01, 0.011, 0.02, VERDICT_REFUTED}, {NAN, 0.01, 0.01, inf, VERDICT_INCONCLUSIVE},
        {3, 5, 3.5, 4.5, VERDICT_SUPPORTED},       {3, 5, 2.5, 4.5, VERDICT_INCONCLUSIVE},
        {3, 5, 3.5, 5.5, VERDICT_INCONCLUSIVE},    {3, 5, 2, 6, VERDICT_INCONCLUSIVE},
        {3, 5, 5.1, 6, VERDICT_REFUTED},           {3, 5, 1, 2, VERDICT_REFUTED},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const claim c = {.min = table[i].min, .max = table[i].max};
        const verdict found = claim_judge(&c, table[i].low, table[i].high);
        CHECK(found == table[i].expected, "row %zu: %s, expected %s", i, verdict_name(found),
              verdict_name(table[i].expected));
    }
}

static void claims_are_about_everything_on(void)
{
    cJSON *claims = NULL, *root = fixture_results(&fixture_usual);
    result_set r;
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/claims.json", &claims), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(results_index(root, &r), CIUIC_OK);
    size_t covered = 0;
    for (size_t i = 0; i < r.case_count; i++) {
        claim c;
        CU_ASSERT_EQUAL_FATAL(claim_parse(claims->child, "claims", 0, &c), CIUIC_OK);
        const bool about = claim_covers(&c, &r, &r.cases[i]);
        const char *name = case_variant_name(&r.cases[i]);
        const bool all_on =
            strcmp(name, "int8+graph+memory+avx512") == 0 || strcmp(name, "int4+graph+memory+avx512") == 0;
        CHECK(about == all_on, "%s is %s", r.cases[i].id, about ? "covered" : "not covered");
        CU_ASSERT_EQUAL(is_all_on(&r, &r.cases[i]), all_on);
        covered += about;
    }
    CU_ASSERT_EQUAL(covered, 4);
    results_free(&r);

    /* Some passes are not the stage. */
    const char *const some = "decode64@256/b1/t2/int8+graph+memory+avx512";
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(fixture_case(root, some), "variant"), "graph",
                              cJSON_CreateString("fuse-qkv,last-row"));
    CU_ASSERT_EQUAL_FATAL(results_index(root, &r), CIUIC_OK);
    for (size_t i = 0; i < r.case_count; i++) {
        claim c;
        if (strstr(r.cases[i].id, some) == NULL || r.cases[i].twin) continue;
        CU_ASSERT_EQUAL_FATAL(claim_parse(claims->child, "claims", 0, &c), CIUIC_OK);
        CHECK(!claim_covers(&c, &r, &r.cases[i]) && !is_all_on(&r, &r.cases[i]), "two passes count as all");
        CHECK(r.cases[i].graph && strcmp(r.cases[i].passes, "fuse-qkv,last-row") == 0, "passes are lost");
    }
    results_free(&r);
    cJSON_Delete(root);
    cJSON_Delete(claims);
}

/* A mean over a few hundred positions has no interval here, so that close to the bound it decides nothing; KL has a
 * standard error and agreement a binomial one. */
static void errors_are_not_exact(void)
{
    static const char about[] =
        "[{\"id\": \"x\", \"question\": \"q\", \"sentence\": \"s\", \"source\": \"t\", \"metric\": \"%s\", \"%s\": %g,"
        " \"phases\": [\"decode\"], \"variant\": {\"quantize\": \"int4\", \"graph\": true, \"memory\": \"on\","
        " \"kernels\": \"best\"}, \"baselines\": [\"reference\"]}]";
    /* The fixture has 4096 positions, a KL equal to the rise with 1/30 of it as its standard error, and an agreement
     * of 1 - error / 2. */
    const struct {
        const char *metric, *key;
        double bound, error, rise;
        const char *expected, *said;
    } table[] = {
        {"mean_abs_error", "max", 0.01, 0.0089, 0, "supported", "keeps"},
        {"mean_abs_error", "max", 0.01, 0.0091, 0, "inconclusive", "a mean over 4096 positions"},
        {"mean_abs_error", "max", 0.01, 0.0109, 0, "inconclusive", "within 10% of the bound nothing is decided"},
        {"mean_abs_error", "max", 0.01, 0.0111, 0, "refuted", "exceeds"},
        {"kl", "max", 0.01, 0.01, 0.0093, "supported", "keeps"}, /* + 1.96 / 30 of it is 0.0099 */
        {"kl", "max", 0.01, 0.01, 0.0095, "inconclusive", "too close"},
        {"kl", "max", 0.01, 0.01, 0.0108, "refuted", "exceeds"},
        {"top1_agreement", "min", 0.95, 0.08, 0, "supported", "keeps"}, /* 96% +- 1.96 * 0.31% */
        {"top1_agreement", "min", 0.95, 0.09, 0, "inconclusive", "too close"},
        {"top1_agreement", "min", 0.95, 0.12, 0, "refuted", "misses"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[512];
        fixture_machine machine = fixture_usual;
        machine.int4_error = table[i].error;
        machine.int4_rise = table[i].rise;
        snprintf(text, sizeof text, about, table[i].metric, table[i].key, table[i].bound);
        cJSON *claims = cJSON_Parse(text), *results = fixture_results(&machine);
        CHECK(judge_results(results, claims) == CIUIC_OK, "row %zu: %s", i, ciuic_last_error());
        const cJSON *v = fixture_verdict(results, "x", "int4+graph+memory+avx512", "reference");
        const char *found = cJSON_GetStringValue(json_find(v, "verdict"));
        const char *reason = cJSON_GetStringValue(json_find(v, "reason"));
        CHECK(found != NULL && reason != NULL && strcmp(found, table[i].expected) == 0 &&
                  strstr(reason, table[i].said) != NULL,
              "row %zu: %s, expected %s: %s", i, found, table[i].expected, reason);
        cJSON_Delete(results);
        cJSON_Delete(claims);
    }
}

static const test_case cases[] = {
    {"the project's own claims", the_projects_claims},
    {"bad claims are refused with the place and what was expected", bad_claims},
    {"verdicts follow the interval", verdicts_follow_the_interval},
    {"errors are not exact", errors_are_not_exact},
    {"claims are about variants with everything on", claims_are_about_everything_on},
};

TEST_SUITE(claims, cases);
