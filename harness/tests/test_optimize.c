/* test_optimize.c - `ciuic optimize` from outside: what it refuses, what it writes, and that it writes nothing else. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/sha256.h"
#include "harness/tests/program.h"
#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/tests/runner.h"

#define SOURCE "datasets/deepseek-v3-tiny"

enum { ARGUMENTS = 12, CALIBRATION_ROWS = 2, CALIBRATION_LENGTH = 256, VOCABULARY = 3072, PLACE = 512 };

/* A folder for everything a case writes. "@" at the start of an argument stands for it. */
typedef struct place {
    char *folder;
    char text[ARGUMENTS][PLACE];
} place;

static program_run optimize(place *p, const char *const *arguments)
{
    const char *all[ARGUMENTS + 1] = {NULL};
    for (size_t i = 0; i < ARGUMENTS && arguments[i] != NULL; i++) {
        all[i] = arguments[i];
        if (arguments[i][0] != '@') continue;
        snprintf(p->text[i], PLACE, "%s%s", p->folder, arguments[i] + 1);
        all[i] = p->text[i];
    }
    return program(all, NULL);
}

/* Runs it; a refusal is one line on stderr, nothing on stdout, and `left` files in the place. */
static void check_refused(place *p, const char *const *arguments, int status, const char *says, size_t left)
{
    program_run run = optimize(p, arguments);
    CHECK(run.status == status && strstr(run.err, says) != NULL && count_lines(run.err) == 1,
          "status %d, expected %d; '%s' expected in: %s", run.status, status, says, run.err);
    CHECK(run.out[0] == '\0' && count_files(p->folder) == left, "%zu files, stdout holds: %s", count_files(p->folder),
          run.out);
    program_run_free(&run);
}

static bool in_source(const char *name, char path[PLACE])
{
    snprintf(path, PLACE, SOURCE "/%s", name);
    return access(path, R_OK) == 0;
}

/* The digests of the source's files, one after the other. */
static sha256_hex source_digest(void)
{
    static const char *const names[] = {"config.json", "model.safetensors", "streams.safetensors",
                                        "generation_config.json"};
    char all[sizeof names / sizeof names[0] * sizeof(sha256_hex)] = "", path[PLACE];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        sha256_hex digest;
        if (!in_source(names[i], path)) continue;
        CHECK(sha256_file(path, &digest) == CIUIC_OK, "%s cannot be read", path);
        strcat(all, digest.text);
    }
    return sha256_data(all, strlen(all));
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
}

/* ---- calibration ids -------------------------------------------------------------------------------------------- */

static void write_ids(const place *p, const char *name, const int32_t *ids)
{
    char path[PLACE];
    const size_t count = CALIBRATION_ROWS * CALIBRATION_LENGTH;
    const tensor t = {.name = "ids",
                      .dtype = TENSOR_I32,
                      .dims = 2,
                      .shape = {CALIBRATION_ROWS, CALIBRATION_LENGTH},
                      .count = count,
                      .bytes = count * sizeof *ids,
                      .data = ids};
    snprintf(path, sizeof path, "%s/%s", p->folder, name);
    CU_ASSERT_EQUAL_FATAL(safetensors_write(path, &t, 1), CIUIC_OK);
}

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
        const char *arguments[ARGUMENTS];
        const char *says;
    } tests[] = {
        {{"optimize", SOURCE, "-o", "@/a"}, "expected a budget"},
        {{"optimize", SOURCE, "--bits", "4.8"}, "-o is missing"},
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
    place p = {.folder = temporary_folder()};
    CU_ASSERT_PTR_NOT_NULL_FATAL(p.folder);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        check_refused(&p, tests[i].arguments, 2, tests[i].says, 0);
    remove_folder(p.folder);
}

static void an_impossible_place_or_budget_costs_no_minutes(void)
{
    place p = {.folder = temporary_folder()};
    CU_ASSERT_PTR_NOT_NULL_FATAL(p.folder);
    check_refused(&p, (const char *const[]){"optimize", SOURCE, "--bits", "4.8", "-o", "@", NULL}, 3,
                  "is there already", 0);
    check_refused(&p, (const char *const[]){"optimize", SOURCE, "--bits", "1", "-o", "@/a", NULL}, 1,
                  "the smallest possible is 4.", 0);
    check_refused(&p, (const char *const[]){"optimize", SOURCE, "--memory-limit", "1MiB", "-o", "@/a", NULL}, 1,
                  "the smallest possible is 4.", 0);
    check_refused(
        &p, (const char *const[]){"eval", SOURCE, "--quantize", "mixed", "--bits", "1", "--logits-out", "@/a", NULL}, 1,
        "the smallest possible is 4.", 0);
    remove_folder(p.folder);
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
    place p = {.folder = temporary_folder()};
    int32_t ids[CALIBRATION_ROWS * CALIBRATION_LENGTH] = {0};
    CU_ASSERT_PTR_NOT_NULL_FATAL(p.folder);
    ids[CALIBRATION_LENGTH + 7] = VOCABULARY;
    write_ids(&p, "large.safetensors", ids);
    ids[0] = -1;
    write_ids(&p, "negative.safetensors", ids);
    read_ids("eval_ids", ids);
    write_ids(&p, "seen.safetensors", ids);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        check_refused(&p,
                      (const char *const[]){"optimize", SOURCE, "--bits", "4.8", "-o", "@/a", "--calibration",
                                            tests[i].ids, NULL},
                      3, tests[i].says, 3);
    remove_folder(p.folder);
}

/* ---- what is made ----------------------------------------------------------------------------------------------- */

/* Runs it, which must succeed, and returns its JSON. */
static cJSON *run_json(place *p, const char *const *arguments)
{
    program_run run = optimize(p, arguments);
    CHECK(run.status == 0 && run.err[0] == '\0', "status %d: %s", run.status, run.err);
    cJSON *json = cJSON_ParseWithOpts(run.out, NULL, true);
    CHECK(cJSON_IsObject(json), "no JSON object: %s", run.out);
    program_run_free(&run);
    return json;
}

/* Removes a folder in the place. */
static void remove_made(const place *p, const char *name)
{
    char path[PLACE];
    snprintf(path, sizeof path, "%s%s", p->folder, name);
    remove_folder(strdup(path));
}

/* `eval` of a folder that was made: compared with the source that it names. */
static void check_eval(place *p, const char *made)
{
    int32_t ids[CALIBRATION_ROWS * CALIBRATION_LENGTH];
    read_ids("eval_ids", ids);
    write_ids(p, "eval.safetensors", ids);
    cJSON *json = run_json(p, (const char *const[]){"eval", made, "--json", "--window", "256", "--ids",
                                                    "@/eval.safetensors:ids", "--isa", "best", NULL});
    const char *reference = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "reference"));
    const char *variant = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "variant"));
    CHECK(reference != NULL && strcmp(reference, "fp16+c") == 0, "reference %s", reference);
    CHECK(variant != NULL && strncmp(variant, "stored+", 7) == 0, "variant %s", variant);
    CHECK(number(json, "kl") > 0 && number(json, "ids") == CALIBRATION_ROWS * CALIBRATION_LENGTH, "kl %g",
          number(json, "kl"));
    cJSON_Delete(json);
}

/* The metrics that made sure of it say something, and its weights take as many bits as its settings have. */
static void check_made(const cJSON *json)
{
    const cJSON *verified = cJSON_GetObjectItemCaseSensitive(json, "verified");
    CHECK(number(verified, "kl") > 0 && number(verified, "positions") == 512, "kl %g on %g positions",
          number(verified, "kl"), number(verified, "positions"));
    CHECK(number(json, "bits_per_weight") > 4.5 && number(json, "bits_per_weight") < 4.7, "%g bits a weight",
          number(json, "bits_per_weight"));
}

static void what_is_made_is_verified_and_kept(void)
{
    const sha256_hex before = source_digest();
    place p = {.folder = temporary_folder()};
    CU_ASSERT_PTR_NOT_NULL_FATAL(p.folder);
    cJSON *json = run_json(&p, (const char *const[]){"optimize", SOURCE, "--quantize", "int4", "--quantizer", "rtn",
                                                     "-o", "@/made", "--windows", "1", "--json", NULL});
    check_made(json);
    cJSON_Delete(json);
    check_eval(&p, "@/made");
    program_run run = optimize(
        &p, (const char *const[]){"optimize", "@/made", "--quantize", "int4", "--quantizer", "rtn", "-o", "@/b", NULL});
    CHECK(run.status == 2 && strstr(run.err, "is quantised already") != NULL, "status %d: %s", run.status, run.err);
    program_run_free(&run);
    const sha256_hex after = source_digest();
    CHECK(strcmp(before.text, after.text) == 0, "the source was touched");
    remove_made(&p, "/made");
    remove_folder(p.folder);
}

static void a_calibrated_one_is_made_from_few_ids(void)
{
    const sha256_hex before = source_digest();
    place p = {.folder = temporary_folder()};
    int32_t ids[CALIBRATION_ROWS * CALIBRATION_LENGTH];
    CU_ASSERT_PTR_NOT_NULL_FATAL(p.folder);
    read_ids("calib_ids", ids);
    write_ids(&p, "calibration.safetensors", ids);
    cJSON *json =
        run_json(&p, (const char *const[]){"optimize", SOURCE, "--quantize", "int4", "-o", "@/made", "--windows", "1",
                                           "--json", "--calibration", "@/calibration.safetensors:ids", NULL});
    check_made(json);
    /* 512 ids are too few for some of the experts, each of which reads a part of them: that is told. */
    CHECK(number(json, "pooled_expert_matrices") > 0, "%g pooled", number(json, "pooled_expert_matrices"));
    cJSON_Delete(json);
    const sha256_hex after = source_digest();
    CHECK(strcmp(before.text, after.text) == 0, "the source was touched");
    remove_made(&p, "/made");
    remove_folder(p.folder);
}

static void above_the_limit_nothing_is_left(void)
{
    static const char *const metrics[] = {"mean_abs_error", "kl"};
    place p = {.folder = temporary_folder()};
    CU_ASSERT_PTR_NOT_NULL_FATAL(p.folder);
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
        check_refused(&p,
                      (const char *const[]){"optimize", SOURCE, "--quantize=int4", "--quantizer=rtn", "-o", "@/made",
                                            "--windows=1", "--max-error", "1e-9", "--metric", metrics[i], NULL},
                      1, "above the limit of 1e-09", 0);
    remove_folder(p.folder);
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
