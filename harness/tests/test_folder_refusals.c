/* test_folder_refusals.c - quantised folders that are not written: what does not fit the plan, places that must not be
 * touched, values that no setting can hold; an interruption or a full disk leaves nothing. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "harness/tests/folder_fixture.h"
#include "harness/tests/program.h"
#include "optimizer/error.h"
#include "optimizer/json.h"
#include "optimizer/tests/changed_checkpoint.h"
#include "optimizer/tests/runner.h"

static const char v3[] = "datasets/golden/deepseek-v3";
static const char qwen2[] = "datasets/golden/r1-distill-qwen";
static const char trained[] = "datasets/deepseek-v3-tiny";

/* ---- refusals --------------------------------------------------------------------------------------------------- */

static void what_was_not_asked_for_is_refused(void)
{
    static const struct {
        const char *name;
        kernel_matrix like;
        bool minimums;
        const char *message;
    } rows[] = {
        {"model.layers.9.self_attn.o_proj",
         {.format = KERNEL_INT8, .rows = 1, .columns = 32},
         false,
         "for a tensor that the model does not have"},
        {"model.layers.0.self_attn.o_proj",
         {.format = KERNEL_INT8, .rows = 128, .columns = 128, .group = 32},
         false,
         "made as 128 x 128 int8; expected 128 x 128 int4-g64, rows as they lie"},
        {"model.layers.0.self_attn.o_proj",
         {.format = KERNEL_INT4, .rows = 128, .columns = 128, .group = 64},
         true,
         "made as 128 x 128 int4-g64-asym; expected 128 x 128 int4-g64"},
        {"model.layers.0.self_attn.o_proj",
         {.format = KERNEL_INT4, .rows = 64, .columns = 128, .group = 64},
         false,
         "made as 64 x 128"},
        {"model.norm", {.format = KERNEL_INT8, .rows = 1, .columns = 128}, false, "expected 1 x 128 f32"},
        {"model.norm",
         {.format = KERNEL_F32, .rows = 1, .columns = 64},
         false,
         "made as 1 x 64 f32; expected 1 x 128 f32"},
        {"model.layers.0.self_attn.q_a_proj",
         {.format = KERNEL_F32, .rows = 96, .columns = 128},
         false,
         "do not fit BF16, in which the source has it"},
    };
    static const test_recipe r = {.otherwise = "int4-g64", .units = {{"q_a_proj", "none"}}};
    static const uint16_t asymmetric = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_folder f;
        folder_writer *w = NULL;
        quantize_log log = {0};
        void *values = NULL;
        test_folder_open(v3, &r, 16, &f);
        CU_ASSERT_FATAL(folder_writer_open(&f.request, &w) == CIUIC_OK);
        quantized_set *set = quantized_set_create();
        kernel_matrix like = rows[i].like;
        if (rows[i].minimums) like.minimums = &asymmetric;
        CU_ASSERT_FATAL(quantized_set_add(set, rows[i].name, &like, &values, NULL, NULL, NULL) == CIUIC_OK);
        if (like.format == KERNEL_F32) ((float *)values)[like.columns - 1] = 1.0f / 3;
        CHECK(folder_writer_take(w, set, &log) != CIUIC_OK && strstr(ciuic_last_error(), rows[i].message) != NULL &&
                  strstr(ciuic_last_error(), rows[i].name) != NULL,
              "row %zu: %s", i, ciuic_last_error());
        quantized_set_free(set);
        CHECK(folder_writer_commit(w, NULL, NULL) == CIUIC_ERROR_USAGE, "row %zu: committed all the same", i);
        folder_writer_free(w);
        CHECK(count_files(f.root) == 0, "row %zu: something is left", i);
        test_folder_close(&f);
    }
}

static void impossible_requests_are_refused(void)
{
    static const struct {
        const char *output; /* what of it begins with "/" is behind the source, otherwise behind the folder's root */
        const char *sha, *message;
        ciuic_status status;
    } rows[] = {
        {"made", "0123", "sha256 is \"0123\"; expected 64", CIUIC_ERROR_INPUT},
        {"", TEST_SHA256, "is there already", CIUIC_ERROR_INPUT},
        {"/", TEST_SHA256, "lies in the checkpoint", CIUIC_ERROR_USAGE},
        {"/made", TEST_SHA256, "lies in the checkpoint", CIUIC_ERROR_USAGE},
        {"/new/parents/made", TEST_SHA256, "lies in the checkpoint", CIUIC_ERROR_USAGE},
        {"/../copy/made", TEST_SHA256, "lies in the checkpoint", CIUIC_ERROR_USAGE},
    };
    static const test_recipe r = {.otherwise = "int4"};
    char *root = temporary_folder(), *copy = NULL;
    CU_ASSERT_FATAL(root != NULL && asprintf(&copy, "%s/copy", root) > 0);
    test_folder f;
    test_folder_open(v3, &(test_recipe){.otherwise = "none"}, 0, &f);
    f.request.output = copy;
    CU_ASSERT_FATAL(test_folder_write(&f.request, NULL) ==
                    CIUIC_OK); /* a quantised one, though with nothing quantised */
    test_folder_close(&f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[512], config[512];
        struct stat before, after;
        cJSON *json = NULL;
        /* The copy becomes an ordinary checkpoint that may be written to: nobody may be. */
        snprintf(config, sizeof config, "%s/config.json", copy);
        CU_ASSERT_FATAL(json_read_file(config, CONFIG_MAX_BYTES, &json) == CIUIC_OK);
        cJSON_DeleteItemFromObject(json, "quantization_config");
        CU_ASSERT_FATAL(json_write_file(config, json) == CIUIC_OK);
        cJSON_Delete(json);
        test_folder_open(copy, &r, 0, &f);
        if (rows[i].output[0] == '/')
            snprintf(path, sizeof path, "%s%s", copy, rows[i].output);
        else
            snprintf(path, sizeof path, "%s/%s", f.root, rows[i].output);
        f.request.output = path;
        f.request.provenance.source_sha256 = rows[i].sha;
        const size_t files = count_files(copy);
        CU_ASSERT_FATAL(stat(copy, &before) == 0);
        CHECK(test_folder_write(&f.request, NULL) == rows[i].status, "%s: opened, or %s", path, ciuic_last_error());
        CHECK(strstr(ciuic_last_error(), rows[i].message) != NULL, "%s: %s", path, ciuic_last_error());
        CU_ASSERT_FATAL(stat(copy, &after) == 0);
        CHECK(count_files(copy) == files && count_files(f.root) == 0 && before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
                  before.st_mtim.tv_nsec == after.st_mtim.tv_nsec,
              "%s: something was written", path);
        test_folder_close(&f);
    }
    remove_folder(copy);
    remove_folder(root);
}

static void a_quantised_source_is_refused(void)
{
    test_folder f, second;
    test_folder_open(qwen2, &(test_recipe){.otherwise = "int8"}, 0, &f);
    CU_ASSERT_FATAL(test_folder_write(&f.request, NULL) == CIUIC_OK);
    test_folder_open(f.output, &(test_recipe){.otherwise = "int4"}, 0, &second);
    CHECK(test_folder_write(&second.request, NULL) == CIUIC_ERROR_USAGE &&
              strstr(ciuic_last_error(), "is quantised already; give its source, datasets/golden/r1-distill-qwen") !=
                  NULL,
          "%s", ciuic_last_error());
    CHECK(count_files(second.root) == 0, "something was written");
    test_folder_close(&second);
    test_folder_close(&f);
}

static void what_cannot_be_quantised_is_named(void)
{
    /* The embedding is large enough for several threads. */
    static const struct {
        const char *source, *tensor;
        const char *value; /* as POKE has it */
        const char *setting, *message;
    } rows[] = {
        {trained, "model.embed_tokens.weight", "768017 inf", "int4",
         "tensor model.embed_tokens.weight: rows from 0 on: weight [3000][17] is inf; expected a finite value for "
         "int4"},
        {qwen2, "model.layers.1.self_attn.o_proj.weight", "767 inf", "int8-row",
         "tensor model.layers.1.self_attn.o_proj.weight: rows from 0 on: weight [5][127] is inf"},
        {qwen2, "lm_head.weight", "65408 inf", "affine8",
         "tensor lm_head.weight: a NaN or an infinity in row 511; it cannot be quantised"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_folder f;
        char *source = temporary_folder();
        const checkpoint_change edit = {POKE, rows[i].tensor, rows[i].value};
        CU_ASSERT_PTR_NOT_NULL_FATAL(source);
        changed_checkpoint_write(rows[i].source, &edit, 1, source);
        test_folder_open(source, &(test_recipe){.otherwise = rows[i].setting}, 16, &f);
        CHECK(test_folder_write(&f.request, NULL) == CIUIC_ERROR_INPUT &&
                  strstr(ciuic_last_error(), rows[i].message) != NULL,
              "row %zu: %s", i, ciuic_last_error());
        CHECK(count_files(f.root) == 0, "row %zu: something is left", i);
        test_folder_close(&f);
        remove_folder(source);
    }
}

/* ---- whole or not at all ---------------------------------------------------------------------------------------- */

static const test_recipe mixed = {.otherwise = "int4", .units = {{"down_proj", "none"}, {"o_proj", "affine8"}}};

/* Says stop once *context calls have been made. */
static ciuic_status stop_after(void *context, const char *what, size_t done, size_t total)
{
    size_t *left = context;
    if (done > total) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %zu of %zu", what, done, total);
    return (*left)-- > 0 ? CIUIC_OK : ciuic_fail(CIUIC_ERROR_INTERRUPTED, "stopped");
}

static void interruptions_leave_nothing(void)
{
    size_t finished = 0;
    for (size_t calls = 0; calls < 200 && finished == 0; calls += 17) {
        test_folder f;
        size_t left = calls;
        test_folder_open(v3, &mixed, 16, &f);
        char *nested = NULL;
        CU_ASSERT_FATAL(asprintf(&nested, "%s/new/parents/made", f.root) > 0);
        f.request.output = nested;
        f.request.progress = stop_after;
        f.request.progress_context = &left;
        folder_writer *w = NULL;
        CU_ASSERT_FATAL(folder_writer_open(&f.request, &w) == CIUIC_OK);
        const ciuic_status status = folder_writer_finish(w);
        CHECK(status == CIUIC_OK || status == CIUIC_ERROR_INTERRUPTED, "%s", ciuic_last_error());
        finished += status == CIUIC_OK;
        folder_writer_free(w); /* never committed */
        CHECK(count_files(f.root) == 0, "after %zu calls something is left", calls);
        free(nested);
        test_folder_close(&f);
    }
    CHECK(finished == 1, "it never came to its end");
}

/* A limit on the size of files stands in for a full disk: writes beyond it fail the same way. */
static void a_full_disk_leaves_nothing(void)
{
    static const rlim_t limits[] = {0, 1000, 100000, 300000, 500000};
    struct rlimit before;
    CU_ASSERT_FATAL(getrlimit(RLIMIT_FSIZE, &before) == 0);
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        test_folder f;
        test_folder_open(v3, &(test_recipe){.otherwise = "int4-g64-asym"}, 16, &f);
        const struct rlimit small = {.rlim_cur = limits[i], .rlim_max = before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        const ciuic_status status = test_folder_write(&f.request, NULL);
        setrlimit(RLIMIT_FSIZE, &before);
        CHECK(status == CIUIC_ERROR_UNSUPPORTED, "%zu bytes: status %d: %s", (size_t)limits[i], (int)status,
              ciuic_last_error());
        CHECK(strstr(ciuic_last_error(),
                     "cannot be written: File too large; choose a writable place with enough space") != NULL,
              "%s", ciuic_last_error());
        CHECK(count_files(f.root) == 0, "%zu bytes: something is left", (size_t)limits[i]);
        test_folder_close(&f);
    }
    signal(SIGXFSZ, handler);
}

static const test_case cases[] = {
    {"what was not asked for is refused", what_was_not_asked_for_is_refused},
    {"impossible requests are refused", impossible_requests_are_refused},
    {"a quantised source is refused", a_quantised_source_is_refused},
    {"what cannot be quantised is named", what_cannot_be_quantised_is_named},
    {"interruptions leave nothing", interruptions_leave_nothing},
    {"a full disk leaves nothing", a_full_disk_leaves_nothing},
};
TEST_SUITE(folder_refusals, cases);
