/* test_optimize.c - `ciuic optimize` from outside: what it refuses, what it writes, and that it writes nothing else. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/sha256.h"
#include "harness/tests/place_fixture.h"
#include "optimizer/checkpoint/safetensors.h"
#include "optimizer/tests/runner.h"

#define SOURCE "datasets/deepseek-v3-tiny"

enum { CALIBRATION_ROWS = 2, CALIBRATION_LENGTH = 256, VOCABULARY = 3072 };

static bool in_source(const char *name, char path[PLACE_PATH])
{
    snprintf(path, PLACE_PATH, SOURCE "/%s", name);
    return access(path, R_OK) == 0;
}

/* The digests of the source's files, one after the other. */
static sha256_hex source_digest(void)
{
    static const char *const names[] = {"config.json", "model.safetensors", "streams.safetensors",
                                        "generation_config.json"};
    char all[sizeof names / sizeof names[0] * sizeof(sha256_hex)] = "", path[PLACE_PATH];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        sha256_hex digest;
        if (!in_source(names[i], path)) continue;
        CHECK(sha256_file(path, &digest) == CIUIC_OK, "%s cannot be read", path);
        strcat(all, digest.text);
    }
    return sha256_data(all, strlen(all));
}

/* ---- calibration ids -------------------------------------------------------------------------------------------- */

/* The first ids of a tensor of the source's own streams. */
static void read_ids(const char *name, int32_t *ids)
{
    safetensors *file = NULL;
    CU_ASSERT_EQUAL_FATAL(safetensors_open(SOURCE "/streams.safetensors", &file), CIUIC_OK);
    const tensor *t = safetensors_find(file, name);
    CU_ASSERT_FATAL(t != NULL && t->dtype == TENSOR_I32 && t->count >= CALIBRATION_ROWS * CALIBRATION_LENGTH);
    memcpy(ids, t->data, CALIBRATION_ROWS * CALIBRATION_LENGTH * sizeof *ids);
    safetensors_close(file);
}

/* ---- what is refused -------------------------------------------------------------------------------------------- */

static void wrong_usage_is_refused(void)
{
    static const struct {
        const char *arguments[PLACE_ARGUMENTS];
        const char *says;
    } tests[] = {
        {{"optimize", SOURCE, "-o", "@/a"}, "expected a budget"},
        {{"optimize", SOURCE, "--bits", "4.8"}, "-o is missing"},
        {{"optimize", SOURCE, "--quantize", "int4", "--explain", "-o", "@/a"}, "--explain is of mixed precision"},
        {{"optimize", SOURCE, "--max-error", "1", "--explain"}, "needs -o"},
        {{"optimize", SOURCE, "--quantize", "int4", "--explain"}, "-o is missing"},
        {{"optimize", SOURCE, "--bits", "4.8", "-o", "@/a", "--metric", "kl"}, "--max-error"},
        {{"optimize", SOURCE, "--bits", "4.8", "-o", "@/a", "--max-error", "1", "--metric", "ppl"},
         "expected mean_abs_error, kl or nll_rise"},
        {{"optimize", SOURCE, "--bits", "4.8", "-o", "@/a", "--max-error", "0"}, "expected a number above 0"},
        {{"optimize", SOURCE, "--bits", "4.8", "-o", "@/a", "--max-error", "1x"}, "expected a number above 0"},
        {{"optimize", SOURCE, "--bits", "4.8", "-o", "@/a", "--quantizer", "obq"}, "expected rtn, clip, awq or gptq"},
        {{"optimize", SOURCE, "--quantize", "int4", "-o", "@/a", "--group", "48"}, "expected 32, 64, 128 or row"},
        {{"optimize", SOURCE, "--quantize", "int4", "-o", "@/a", "--activations", "int4"}, "expected int8 or none"},
        {{"optimize", SOURCE, "--quantize", "none", "-o", "@/a"}, "leaves nothing to do"},
        {{"optimize", SOURCE, "--bits", "0", "-o", "@/a"}, "--bits '0': expected"},
        {{"optimize", SOURCE, "--bits", "-1", "-o", "@/a"}, "--bits '-1': expected"},
        {{"optimize", SOURCE, "--bits", "abc", "-o", "@/a"}, "--bits 'abc': expected"},
        {{"optimize", SOURCE, "--bits", "64", "-o", "@/a"}, "--bits '64': expected"},
        {{"optimize", SOURCE, "--bits", "nan", "-o", "@/a"}, "--bits 'nan': expected"},
        {{"optimize", SOURCE, "--memory-limit", "3QB", "-o", "@/a"}, "--memory-limit '3QB': expected"},
        {{"optimize", SOURCE, "--memory-limit", "-3MB", "-o", "@/a"}, "--memory-limit '-3MB': expected"},
        {{"optimize", SOURCE, "--windows", "0", "-o", "@/a", "--bits", "4.8"}, "expected a whole number from 1"},
        /* Settings that do not go together. */
        {{"optimize", SOURCE, "--quantize", "int4", "--bits", "4.8", "-o", "@/a"}, "for quantize mixed, not for int4"},
        {{"optimize", SOURCE, "--bits", "4.8", "--group", "64", "-o", "@/a"}, "quantize mixed has its own"},
        {{"optimize", SOURCE, "--max-error", "1", "--asymmetric", "-o", "@/a"}, "quantize mixed has its own"},
        {{"optimize", SOURCE, "--quantize", "affine4", "--quantizer", "gptq", "-o", "@/a"}, "not for affine4"},
        {{"optimize", SOURCE, "--bits", "4.8", "-o", "@/a", "--calibration", "streams.safetensors"},
         "expected FILE.safetensors:NAME"},
        /* Places: refused before anything is measured. */
        {{"optimize", SOURCE, "--bits", "4.8", "-o", SOURCE "/a"}, "lies in the checkpoint"},
    };
    test_place p = place_open();
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        place_check_refused(&p, tests[i].arguments, 2, tests[i].says, 0);
    place_close(&p);
}

static void an_impossible_place_or_budget_costs_no_minutes(void)
{
    test_place p = place_open();
    place_check_refused(&p, (const char *const[]){"optimize", SOURCE, "--bits", "4.8", "-o", "@", NULL}, 3,
                        "is there already", 0);
    place_check_refused(&p, (const char *const[]){"optimize", SOURCE, "--bits", "1", "-o", "@/a", NULL}, 1,
                        "the smallest possible is 4.", 0);
    place_check_refused(&p, (const char *const[]){"optimize", SOURCE, "--memory-limit", "1MiB", "-o", "@/a", NULL}, 1,
                        "the smallest possible is 4.", 0);
    place_check_refused(
        &p, (const char *const[]){"eval", SOURCE, "--quantize", "mixed", "--bits", "1", "--logits-out", "@/a", NULL}, 1,
        "the smallest possible is 4.", 0);
    place_close(&p);
}

static void impossible_calibration_is_refused(void)
{
    static const struct {
        const char *ids, *says;
    } tests[] = {
        {"@/no-such.safetensors:ids", "no-such.safetensors"},
        {"@/large.safetensors:no_such", "tensor 'no_such': missing"},
        {"@/large.safetensors:ids", "row 1, column 7: id 3072; expected 0 to 3071"},
        {"@/negative.safetensors:ids", "row 0, column 0: id -1; expected 0 to 3071"},
        {"@/seen.safetensors:ids", "are also in"},
    };
    test_place p = place_open();
    int32_t ids[CALIBRATION_ROWS * CALIBRATION_LENGTH] = {0};
    ids[CALIBRATION_LENGTH + 7] = VOCABULARY;
    place_write_ids(&p, "large.safetensors", CALIBRATION_ROWS, CALIBRATION_LENGTH, ids);
    ids[0] = -1;
    place_write_ids(&p, "negative.safetensors", CALIBRATION_ROWS, CALIBRATION_LENGTH, ids);
    read_ids("eval_ids", ids);
    place_write_ids(&p, "seen.safetensors", CALIBRATION_ROWS, CALIBRATION_LENGTH, ids);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        place_check_refused(&p,
                            (const char *const[]){"optimize", SOURCE, "--bits", "4.8", "-o", "@/a", "--calibration",
                                                  tests[i].ids, NULL},
                            3, tests[i].says, 3);
    place_close(&p);
}

/* ---- what is made ----------------------------------------------------------------------------------------------- */

/* `eval` of a folder that was made: compared with the source that it names. */
static void check_eval(test_place *p, const char *made)
{
    int32_t ids[CALIBRATION_ROWS * CALIBRATION_LENGTH];
    read_ids("eval_ids", ids);
    place_write_ids(p, "eval.safetensors", CALIBRATION_ROWS, CALIBRATION_LENGTH, ids);
    cJSON *json = place_run_json(p, (const char *const[]){"eval", made, "--json", "--window", "256", "--ids",
                                                          "@/eval.safetensors:ids", "--isa", "best", NULL});
    const char *reference = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "reference"));
    const char *variant = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "variant"));
    CHECK(reference != NULL && strcmp(reference, "fp16+c") == 0, "reference %s", reference);
    CHECK(variant != NULL && strncmp(variant, "stored+", 7) == 0, "variant %s", variant);
    CHECK(place_number(json, "kl") > 0 && place_number(json, "ids") == CALIBRATION_ROWS * CALIBRATION_LENGTH, "kl %g",
          place_number(json, "kl"));
    cJSON_Delete(json);
}

/* The metrics that made sure of it say something, and its weights take as many bits as its settings have. */
static void check_made(const cJSON *json)
{
    const cJSON *verified = cJSON_GetObjectItemCaseSensitive(json, "verified");
    CHECK(place_number(verified, "kl") > 0 && place_number(verified, "positions") == 512, "kl %g on %g positions",
          place_number(verified, "kl"), place_number(verified, "positions"));
    CHECK(place_number(json, "bits_per_weight") > 4.5 && place_number(json, "bits_per_weight") < 4.7,
          "%g bits a weight", place_number(json, "bits_per_weight"));
}

static void what_is_made_is_verified_and_kept(void)
{
    const sha256_hex before = source_digest();
    test_place p = place_open();
    cJSON *json = place_run_json(&p, (const char *const[]){"optimize", SOURCE, "--quantize", "int4", "--quantizer",
                                                           "rtn", "-o", "@/made", "--windows", "1", "--json", NULL});
    check_made(json);
    cJSON_Delete(json);
    check_eval(&p, "@/made");
    program_run run = place_run(
        &p, (const char *const[]){"optimize", "@/made", "--quantize", "int4", "--quantizer", "rtn", "-o", "@/b", NULL});
    CHECK(run.status == 2 && strstr(run.err, "is quantised already") != NULL, "status %d: %s", run.status, run.err);
    program_run_free(&run);
    const sha256_hex after = source_digest();
    CHECK(strcmp(before.text, after.text) == 0, "the source was touched");
    place_close(&p);
}

static void a_calibrated_one_is_made_from_few_ids(void)
{
    const sha256_hex before = source_digest();
    test_place p = place_open();
    int32_t ids[CALIBRATION_ROWS * CALIBRATION_LENGTH];
    read_ids("calib_ids", ids);
    place_write_ids(&p, "calibration.safetensors", CALIBRATION_ROWS, CALIBRATION_LENGTH, ids);
    cJSON *json = place_run_json(&p, (const char *const[]){"optimize", SOURCE, "--quantize", "int4", "-o", "@/made",
                                                           "--windows", "1", "--json", "--calibration",
                                                           "@/calibration.safetensors:ids", NULL});
    check_made(json);
    /* What it was calibrated on stands in the folder, and is refused there as well. */
    place_check_refused(&p,
                        (const char *const[]){"eval", "@/made", "--isa", "best", "--ids",
                                              "@/calibration.safetensors:ids", "--no-reference", NULL},
                        3, "calibrating on what is evaluated", 2);
    /* 512 ids are too few for some of the experts, each of which reads a part of them: that is told. */
    CHECK(place_number(json, "pooled_expert_matrices") > 0, "%g pooled", place_number(json, "pooled_expert_matrices"));
    cJSON_Delete(json);
    const sha256_hex after = source_digest();
    CHECK(strcmp(before.text, after.text) == 0, "the source was touched");
    place_close(&p);
}

static void above_the_limit_nothing_is_left(void)
{
    static const char *const metrics[] = {"mean_abs_error", "kl"};
    test_place p = place_open();
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
        place_check_refused(&p,
                            (const char *const[]){"optimize", SOURCE, "--quantize=int4", "--quantizer=rtn", "-o",
                                                  "@/made", "--windows=1", "--max-error", "1e-9", "--metric",
                                                  metrics[i], NULL},
                            1, "above the limit of 1e-09", 0);
    place_close(&p);
}

static const test_case cases[] = {
    {"wrong usage is refused", wrong_usage_is_refused},
    {"an impossible place or budget costs no minutes", an_impossible_place_or_budget_costs_no_minutes},
    {"impossible calibration is refused", impossible_calibration_is_refused},
    {"what is made is verified and kept", what_is_made_is_verified_and_kept},
    {"a calibrated one is made from few ids", a_calibrated_one_is_made_from_few_ids},
    {"above the limit nothing is left", above_the_limit_nothing_is_left},
};
TEST_SUITE(optimize, cases);
