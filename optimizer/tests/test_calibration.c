/* test_calibration.c - which ids are taken to calibrate on, and what calibration makes of a whole model. */
#include "optimizer/quantize/calibrate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

#define LITE "datasets/golden/deepseek-v2-lite" /* 512 ids, 512 positions, layer 0 dense, two with 8 experts */
#define TINY "datasets/deepseek-v3-tiny"

enum { ROWS = 4, LENGTH = 128 };

static checkpoint *open_checkpoint(const char *path)
{
    checkpoint *c = NULL;
    CHECK(checkpoint_open(path, &c) == CIUIC_OK, "%s: %s", path, ciuic_last_error());
    return c;
}

/* ---- reading ids ------------------------------------------------------------------------------------------------ */

/* Ids below 512, in one tensor `name` of the folder's file calib.safetensors; `source` names it. */
static void write_ids(const temporary_folder *folder, const char *name, tensor_dtype dtype, size_t rows, size_t columns,
                      int32_t bad, char source[TEST_PATH])
{
    char path[TEST_PATH];
    unsigned long long state = test_seed();
    const size_t count = (rows > 0 ? rows : 1) * columns;
    int32_t *ids = calloc(count + 1, sizeof *ids);
    for (size_t i = 0; ids != NULL && i < count; i++) ids[i] = (int32_t)(random_next(&state) % 512);
    if (ids != NULL && bad != 0) ids[count - 1] = bad;
    tensor t = {.name = name, .dtype = dtype, .dims = rows > 0 ? 2 : 1, .shape = {rows > 0 ? rows : columns, columns}};
    t.data = ids;
    const ciuic_status status = safetensors_write(temporary_path(folder, "calib.safetensors", path), &t, 1);
    CHECK(status == CIUIC_OK, "%s", ciuic_last_error());
    snprintf(source, TEST_PATH, "%.400s:%s", path, name);
    free(ids);
}

static void ids_are_read_or_refused(void)
{
    static const struct {
        tensor_dtype dtype;
        size_t rows, columns; /* rows 0: one stream */
        int32_t bad;          /* the last id, where it is not 0 */
        size_t windows, length;
        const char *message;
    } table[] = {
        {TENSOR_I32, 4, 128, 0, 4, 128, NULL},
        {TENSOR_I32, 1, 512, 511, 1, 512, NULL},
        {TENSOR_I32, 0, 512, 0, 1, 512, NULL},
        {TENSOR_I32, 0, 1100, 0, 2, 512, NULL},
        {TENSOR_I32, 0, 1100, 9999, 2, 512, NULL}, /* in what is left out */
        {TENSOR_I32, 4, 128, 512, 0, 0, "row 3, column 127: id 512; expected 0 to 511"},
        {TENSOR_I32, 4, 128, -1, 0, 0, "row 3, column 127: id -1; expected 0 to 511"},
        {TENSOR_I32, 0, 1024, 512, 0, 0, "row 1, column 511: id 512"},
        {TENSOR_I32, 7, 73, 0, 0, 0, "has 511 ids; expected at least 512"},
        {TENSOR_I32, 0, 511, 0, 0, 0, "has 511 ids; expected at least 512"},
        {TENSOR_I32, 1, 513, 0, 0, 0, "a window of 513 ids; expected at most the model's 512"},
        {TENSOR_F32, 4, 128, 0, 0, 0, "another type or shape"},
        {TENSOR_I16, 4, 128, 0, 0, 0, "another type or shape"},
    };
    temporary_folder folder;
    temporary_folder_create(&folder);
    checkpoint *c = open_checkpoint(LITE);
    char source[TEST_PATH];
    for (size_t i = 0; i < sizeof table / sizeof table[0] && c != NULL; i++) {
        calibration_ids ids = {0};
        write_ids(&folder, "calib", table[i].dtype, table[i].rows, table[i].columns, table[i].bad, source);
        const ciuic_status status = calibration_ids_read(c, source, &ids);
        if (table[i].message != NULL)
            CHECK(status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), table[i].message) != NULL &&
                      strstr(ciuic_last_error(), "calib.safetensors") != NULL && ids.ids == NULL,
                  "row %zu: status %d, \"%s\" lacks \"%s\"", i, (int)status, ciuic_last_error(), table[i].message);
        else
            CHECK(status == CIUIC_OK && ids.rows == table[i].windows && ids.length == table[i].length &&
                      strcmp(ids.source, source) == 0,
                  "row %zu: %zu x %zu ids, %s", i, ids.rows, ids.length,
                  status == CIUIC_OK ? ids.source : ciuic_last_error());
        calibration_ids_free(&ids);
    }
    temporary_folder_remove(&folder);
    checkpoint_release(c);
}

static void sources_that_are_not_there(void)
{
    temporary_folder folder;
    temporary_folder_create(&folder);
    checkpoint *c = open_checkpoint(LITE);
    char source[TEST_PATH], other[TEST_PATH];
    write_ids(&folder, "calib", TENSOR_I32, 4, 128, 0, source);
    const size_t path = strlen(source) - strlen(":calib");
    const struct {
        const char *tail; /* after the file's path */
        ciuic_status status;
        const char *message;
    } table[] = {
        {":other", CIUIC_ERROR_INPUT, "tensor 'other': missing; expected I32 of shape [n] or [rows, n]"},
        {"x:calib", CIUIC_ERROR_INPUT, "calib.safetensorsx"},
        {"", CIUIC_ERROR_USAGE, "expected FILE.safetensors:NAME"},
        {":", CIUIC_ERROR_USAGE, "expected FILE.safetensors:NAME"},
    };
    calibration_ids ids = {0};
    for (size_t i = 0; i < sizeof table / sizeof table[0] && c != NULL; i++) {
        snprintf(other, sizeof other, "%.*s%s", (int)path, source, table[i].tail);
        const ciuic_status status = calibration_ids_read(c, other, &ids);
        CHECK(status == table[i].status && strstr(ciuic_last_error(), table[i].message) != NULL, "%s: status %d, %s",
              other, (int)status, ciuic_last_error());
    }
    if (c != NULL) { /* the folder has no streams of its own */
        const ciuic_status status = calibration_ids_read(c, NULL, &ids);
        CHECK(status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), LITE "/streams.safetensors") != NULL,
              "status %d, %s", (int)status, ciuic_last_error());
        CHECK(calibration_ids_read(c, ":calib", &ids) == CIUIC_ERROR_USAGE, "no file's name");
    }
    CHECK(ids.ids == NULL && ids.source == NULL, "something was read");
    temporary_folder_remove(&folder);
    checkpoint_release(c);
}

/* ---- apart ------------------------------------------------------------------------------------------------------ */

enum { CALIB_ROWS = 3, EVAL_ROWS = 5, WIDE = 300 };

/* A run of `run` ids of one row of `other`, put into row 1 of the calibration ids at column 17. */
static void check_apart(size_t length, size_t other_length, size_t run, bool apart, const char *message)
{
    static int32_t ids[CALIB_ROWS * WIDE], other[EVAL_ROWS * WIDE];
    static char source[] = "calib";
    unsigned long long state = test_seed();
    const size_t from = 3 * other_length + other_length - run, to = length + (run < length ? 17 : 0);
    for (size_t i = 0; i < CALIB_ROWS * WIDE; i++) ids[i] = (int32_t)(random_next(&state) % 1000);
    for (size_t i = 0; i < EVAL_ROWS * WIDE; i++) other[i] = (int32_t)(random_next(&state) % 1000);
    memcpy(ids + to, other + from, run * sizeof *ids);
    if (from > 0) ids[to - 1] = other[from - 1] + 1; /* the run is no longer than it should be */
    if (to % length + run < length) ids[to + run] = other[(from + run) % (EVAL_ROWS * WIDE)] + 1;
    const calibration_ids c = {.source = source, .ids = ids, .rows = CALIB_ROWS, .length = length};
    const ciuic_status status = calibration_ids_check_apart(&c, other, EVAL_ROWS, other_length, "eval_ids");
    CHECK((status == CIUIC_OK) == apart, "%zu of %zu and %zu ids: status %d", run, length, other_length, (int)status);
    if (!apart)
        CHECK(status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), message) != NULL &&
                  strstr(ciuic_last_error(), "also in eval_ids") != NULL,
              "\"%s\" lacks \"%s\"", ciuic_last_error(), message);
}

static void ids_that_are_evaluated_are_refused(void)
{
    check_apart(WIDE, WIDE, CALIBRATION_OVERLAP, false, "calib: row 1, ids 17 to 144 are");
    check_apart(WIDE, WIDE, CALIBRATION_OVERLAP - 1, true, "");
    check_apart(WIDE, WIDE, 0, true, "");
    check_apart(WIDE, WIDE, WIDE, false, "row 1, ids 0 to 127 are"); /* an identical row */
    check_apart(WIDE, 200, CALIBRATION_OVERLAP, false, "row 1, ids 17 to 144 are");
    /* a whole row, where rows are shorter than a run */
    check_apart(100, 100, 100, false, "row 1, ids 0 to 99 are");
    check_apart(100, 100, 82, true, "");
    check_apart(WIDE, 50, 50, false, "row 1, ids 17 to 66 are");
    check_apart(WIDE, 50, 49, true, "");
    check_apart(60, WIDE, 60, false, "row 1, ids 0 to 59 are");
    check_apart(60, WIDE, 43, true, "");
}

/* ---- whole models ----------------------------------------------------------------------------------------------- */

/* `otherwise` for all units, but the named ones are left alone. */
static recipe recipe_of(const char *otherwise, const char *const *none, size_t count)
{
    recipe r = {0};
    CHECK(quantize_setting_parse(otherwise, &r.otherwise), "%s", otherwise);
    for (size_t i = 0; i < count; i++)
        CHECK(recipe_set(&r, none[i], (quantize_setting){0}) == CIUIC_OK, "%s", ciuic_last_error());
    return r;
}

static const quantize_record *find_record(const quantize_log *log, const char *name)
{
    const quantize_record *found = NULL;
    for (size_t i = 0; i < log->count; i++)
        if (strcmp(log->records[i].tensor, name) == 0) {
            CHECK(found == NULL, "%s: two records", name);
            found = &log->records[i];
        }
    return found;
}

/* Each matrix of the checkpoint but routers: in the set with its shape, setting and a record if the recipe says so. */
static void check_set(const checkpoint *c, const recipe *r, const quantized_set *set, const quantize_log *log)
{
    size_t expected = 0;
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const tensor *t = checkpoint_at(c, i);
        char name[QUANTIZE_UNIT_NAME];
        const size_t length = strlen(t->name) - strlen(".weight");
        if (t->dims != 2 || strstr(t->name, "mlp.gate.weight") != NULL || !checkpoint_uses(c, i)) continue;
        snprintf(name, sizeof name, "%.*s", (int)length, t->name);
        const quantize_setting s = recipe_find(r, name);
        const kernel_matrix *m = quantized_set_find(set, name);
        const quantize_record *record = find_record(log, name);
        CHECK((m != NULL) == s.quantised && (record != NULL) == s.quantised, "%s: in the set %d, recorded %d", name,
              m != NULL, record != NULL);
        if (m == NULL || record == NULL) continue;
        expected++;
        CHECK(m->format == s.format && m->group == s.group && m->rows == t->shape[0] && m->columns == t->shape[1] &&
                  (m->minimums != NULL) == s.minimums,
              "%s: %s %zu x %zu", name, kernel_format_name(m->format), m->rows, m->columns);
        CHECK(record->rows == t->shape[0] && record->columns == t->shape[1] && record->relative_error > 0 &&
                  record->relative_error < 0.5 && isfinite(record->squared_error),
              "%s: relative error %g", name, record->relative_error);
    }
    CHECK(expected > 0 && log->count == expected && quantized_set_count(set) == expected,
          "%zu records, %zu in the set, not %zu", log->count, quantized_set_count(set), expected);
}

/* `same`: one id over and over. Every token then is the same to every router, and most experts see none. */
static void calibrate_lite(ciuic_quantizer quantizer, const char *setting, bool same)
{
    static const char *const none[] = {"lm_head", "model.layers.1.mlp.experts.*.up_proj",
                                       "model.layers.2.self_attn.o_proj"};
    int32_t values[ROWS * LENGTH];
    unsigned long long state = test_seed();
    for (size_t i = 0; i < (size_t)ROWS * LENGTH; i++) values[i] = same ? 77 : (int32_t)(random_next(&state) % 512);
    calibration_ids ids = {.ids = values, .rows = ROWS, .length = LENGTH};
    recipe r = recipe_of(setting, none, 3);
    checkpoint *c = open_checkpoint(LITE);
    quantized_set *set = quantized_set_create();
    quantize_log log = {0};
    const quantize_request request = {.source = c, .recipe = &r, .quantizer = quantizer, .ids = &ids, .threads = 1};
    const ciuic_status status =
        c != NULL && set != NULL ? quantize_calibrate(&request, set, &log) : CIUIC_ERROR_UNSUPPORTED;
    CHECK(status == CIUIC_OK, "%s", ciuic_last_error());
    if (status == CIUIC_OK) {
        size_t unseen = 0, experts = 0, tokens = 0, wrong = 0;
        check_set(c, &r, set, &log);
        for (size_t i = 0; i < log.count; i++) {
            const quantize_record *record = &log.records[i];
            const bool expert = strstr(record->tensor, ".experts.") != NULL;
            if (record->pooled != expert) wrong++; /* nobody sees 1024 of 512 tokens */
            if (!expert && record->tokens != (strstr(record->tensor, "embed") ? 0 : ROWS * LENGTH)) wrong++;
            if (!expert) continue;
            experts++;
            unseen += record->tokens == 0;
            tokens += record->tokens;
        }
        CHECK(wrong == 0, "%zu records are noted wrongly", wrong);
        /* 5 of the 6 units of experts; of 8 experts each token goes to 3 */
        CHECK(experts == 40 && tokens == (size_t)5 * 3 * ROWS * LENGTH, "%zu experts saw %zu tokens", experts, tokens);
        if (same) CHECK(unseen == 25, "%zu of 40 experts saw nothing", unseen);
        CHECK(log.layers == 3 && log.layer_error[0] > 0 && log.layer_error[3] > 0 && log.layer_error[3] < 1,
              "errors %g to %g", log.layer_error[0], log.layer_error[3]);
    }
    quantize_log_free(&log);
    quantized_set_free(set);
    checkpoint_release(c);
    recipe_free(&r);
}

static void every_matrix_of_the_recipe_is_made(void)
{
    calibrate_lite(CIUIC_QUANTIZER_GPTQ, "int4", false);
    calibrate_lite(CIUIC_QUANTIZER_GPTQ, "int8-row", false);
    calibrate_lite(CIUIC_QUANTIZER_CLIP, "int4-g64-asym", false);
    calibrate_lite(CIUIC_QUANTIZER_RTN, "int8", false);
}

static void experts_without_tokens_are_pooled(void)
{
    calibrate_lite(CIUIC_QUANTIZER_GPTQ, "int4", true);
    calibrate_lite(CIUIC_QUANTIZER_CLIP, "int4", true);
}

/* Without experts there is no choice of experts for the unquantised model to follow. */
static void dense_models_are_calibrated(void)
{
    static const char *const folders[] = {"datasets/golden/r1-distill-qwen", "datasets/golden/r1-0528-qwen3"};
    int32_t values[LENGTH];
    unsigned long long state = test_seed();
    for (size_t i = 0; i < LENGTH; i++) values[i] = (int32_t)(random_next(&state) % 512);
    calibration_ids ids = {.ids = values, .rows = 1, .length = LENGTH};
    recipe r = recipe_of("int4", NULL, 0);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        checkpoint *c = open_checkpoint(folders[i]);
        quantized_set *set = quantized_set_create();
        quantize_log log = {0};
        const quantize_request request = {
            .source = c, .recipe = &r, .quantizer = CIUIC_QUANTIZER_GPTQ, .ids = &ids, .threads = 2};
        const ciuic_status status =
            c != NULL && set != NULL ? quantize_calibrate(&request, set, &log) : CIUIC_ERROR_UNSUPPORTED;
        CHECK(status == CIUIC_OK, "%s: %s", folders[i], ciuic_last_error());
        if (status == CIUIC_OK) check_set(c, &r, set, &log);
        quantize_log_free(&log);
        quantized_set_free(set);
        checkpoint_release(c);
    }
    recipe_free(&r);
}

typedef struct patience {
    size_t calls, left;
} patience;

static ciuic_status wait(void *context, const char *what, size_t done, size_t total)
{
    patience *p = context;
    CHECK(done < total && what[0] != '\0', "%s: %zu of %zu", what, done, total);
    p->calls++;
    return p->left-- == 0 ? CIUIC_ERROR_INTERRUPTED : CIUIC_OK;
}

/* At every place where it may be stopped; what it leaves behind a leak sanitiser would see. */
static void interruptions_are_passed_on(void)
{
    static const ciuic_quantizer quantizers[] = {CIUIC_QUANTIZER_RTN, CIUIC_QUANTIZER_AWQ, CIUIC_QUANTIZER_GPTQ};
    int32_t values[ROWS * LENGTH];
    unsigned long long state = test_seed();
    for (size_t i = 0; i < (size_t)ROWS * LENGTH; i++) values[i] = (int32_t)(random_next(&state) % 512);
    calibration_ids ids = {.ids = values, .rows = 1, .length = LENGTH};
    recipe r = recipe_of("int4", NULL, 0);
    checkpoint *c = open_checkpoint(LITE);
    for (size_t q = 0; q < 3 && c != NULL; q++)
        for (size_t after = 0; after < 13; after += 4) {
            patience p = {.left = after};
            quantize_log log = {0};
            quantized_set *set = quantized_set_create();
            const quantize_request request = {.source = c,
                                              .recipe = &r,
                                              .quantizer = quantizers[q],
                                              .ids = &ids,
                                              .threads = 1,
                                              .progress = wait,
                                              .progress_context = &p};
            const ciuic_status status = quantize_calibrate(&request, set, &log);
            CHECK(status == CIUIC_ERROR_INTERRUPTED && p.calls == after + 1, "status %d after %zu calls", (int)status,
                  p.calls);
            quantize_log_free(&log);
            quantized_set_free(set);
        }
    checkpoint_release(c);
    recipe_free(&r);
}

static double head_error(const checkpoint *c, const calibration_ids *ids, ciuic_quantizer quantizer)
{
    /* to save time not the largest, nor the experts of most layers */
    static const char *const none[] = {"model.embed_tokens",
                                       "lm_head",
                                       "model.layers.1.mlp.experts.*.gate_proj",
                                       "model.layers.1.mlp.experts.*.up_proj",
                                       "model.layers.1.mlp.experts.*.down_proj",
                                       "model.layers.2.mlp.experts.*.gate_proj",
                                       "model.layers.2.mlp.experts.*.up_proj",
                                       "model.layers.2.mlp.experts.*.down_proj",
                                       "model.layers.3.mlp.experts.*.gate_proj",
                                       "model.layers.3.mlp.experts.*.up_proj",
                                       "model.layers.3.mlp.experts.*.down_proj",
                                       "model.layers.4.mlp.experts.*.gate_proj",
                                       "model.layers.4.mlp.experts.*.up_proj",
                                       "model.layers.4.mlp.experts.*.down_proj"};
    recipe r = recipe_of("int3", none, sizeof none / sizeof none[0]);
    quantize_log log = {0};
    quantized_set *set = quantized_set_create();
    const quantize_request request = {.source = c, .recipe = &r, .quantizer = quantizer, .ids = ids, .threads = 1};
    const ciuic_status status = quantize_calibrate(&request, set, &log);
    CHECK(status == CIUIC_OK, "%s", ciuic_last_error());
    const double error = status == CIUIC_OK ? log.layer_error[log.layers] : (double)NAN;
    quantize_log_free(&log);
    quantized_set_free(set);
    recipe_free(&r);
    return error;
}

static void gptq_is_nearer_than_round_to_nearest(void)
{
    calibration_ids ids = {0};
    checkpoint *c = open_checkpoint(TINY);
    if (c == NULL) return;
    const ciuic_status status = calibration_ids_read(c, NULL, &ids);
    CHECK(status == CIUIC_OK && ids.rows > 4, "%s", ciuic_last_error());
    if (status == CIUIC_OK) {
        ids.rows = 4; /* shorter ones than there are, to save time */
        ids.length = 128;
        const double rtn = head_error(c, &ids, CIUIC_QUANTIZER_RTN), gptq = head_error(c, &ids, CIUIC_QUANTIZER_GPTQ);
        CHECK(gptq < 0.8 * rtn, "the logits are off by %g, round to nearest by %g", gptq, rtn);
    }
    calibration_ids_free(&ids);
    checkpoint_release(c);
}

static const test_case cases[] = {
    {"ids are read or refused", ids_are_read_or_refused},
    {"sources that are not there", sources_that_are_not_there},
    {"ids that are evaluated are refused", ids_that_are_evaluated_are_refused},
    {"every matrix of the recipe is made", every_matrix_of_the_recipe_is_made},
    {"experts without tokens are pooled", experts_without_tokens_are_pooled},
    {"dense models are calibrated", dense_models_are_calibrated},
    {"interruptions are passed on", interruptions_are_passed_on},
    {"GPTQ is nearer than round to nearest", gptq_is_nearer_than_round_to_nearest},
};
TEST_SUITE(calibration, cases);
