/* test_write_folder.c - quantised folders on disk: what was written runs bit for bit as the source does quantised on
 * the fly; they appear whole or not at all. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/optimize/write_folder.h"
#include "harness/sha256.h"
#include "harness/suite/checkpoint_digest.h"
#include "harness/tests/program.h"
#include "optimizer/error.h"
#include "optimizer/json.h"
#include "optimizer/runtime/model.h"
#include "optimizer/tests/runner.h"

static const char v3[] = "datasets/golden/deepseek-v3";
static const char qwen2[] = "datasets/golden/r1-distill-qwen";
static const char fp8[] = "datasets/golden/deepseek-v3-fp8";
static const char trained[] = "datasets/deepseek-v3-tiny";
static const char sha256[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/* ---- one folder ------------------------------------------------------------------------------------------------- */

enum { SETTINGS = 6 };

/* `otherwise`, and the settings of units whose names contain `part`. */
typedef struct test_recipe {
    const char *otherwise;
    struct {
        const char *part, *setting;
    } units[SETTINGS];
} test_recipe;

static quantize_setting setting_of(const char *name)
{
    quantize_setting s = {0};
    CHECK(quantize_setting_parse(name, &s), "%s is no setting", name);
    return s;
}

static recipe make_recipe(const checkpoint *c, const test_recipe *from)
{
    recipe r = {.otherwise = setting_of(from->otherwise)};
    for (size_t i = 0; i < checkpoint_count(c); i++)
        for (int j = 0; j < SETTINGS && from->units[j].part != NULL; j++) {
            const char *name = checkpoint_at(c, i)->name;
            char stem[256];
            if (strstr(name, from->units[j].part) == NULL || strlen(name) < 8) continue;
            snprintf(stem, sizeof stem, "%.*s", (int)strlen(name) - 7, name);
            CHECK(recipe_set(&r, stem, setting_of(from->units[j].setting)) == CIUIC_OK, "%s", ciuic_last_error());
            break;
        }
    return r;
}

typedef struct test_folder {
    char *root, *output;
    checkpoint *source;
    recipe recipe;
    folder_request request;
} test_folder;

static void open_folder(const char *source, const test_recipe *r, size_t interleave, test_folder *f)
{
    *f = (test_folder){.root = temporary_folder()};
    CU_ASSERT_FATAL(f->root != NULL && asprintf(&f->output, "%s/made", f->root) > 0);
    CU_ASSERT_FATAL(checkpoint_open(source, &f->source) == CIUIC_OK);
    f->recipe = make_recipe(f->source, r);
    f->request = (folder_request){.source = f->source,
                                  .output = f->output,
                                  .recipe = &f->recipe,
                                  .interleave = interleave,
                                  .provenance = {.made_by = "ciuic of the tests", .source_sha256 = sha256},
                                  .threads = 2};
}

static void close_folder(test_folder *f)
{
    checkpoint_release(f->source);
    recipe_free(&f->recipe);
    if (access(f->output, F_OK) == 0)
        remove_folder(f->output);
    else
        free(f->output);
    remove_folder(f->root);
}

static ciuic_status write_all(const folder_request *request, folder_result *result)
{
    folder_writer *w = NULL;
    ciuic_status status = folder_writer_open(request, &w);
    if (status == CIUIC_OK) status = folder_writer_finish(w);
    if (status == CIUIC_OK) status = folder_writer_commit(w, NULL, result);
    folder_writer_free(w);
    return status;
}

/* ---- the same bits ---------------------------------------------------------------------------------------------- */

typedef struct variant {
    bool graph;
    ciuic_memory memory;
    kernel_isa isa;
} variant;

enum { PREFILLED = 24, DECODED = 3, ROWS = PREFILLED + DECODED };

/* Logits of some ids; `r` is how the folder is to be quantised, NULL: it is already. */
static float *run(const char *folder, const variant *v, const recipe *r, quantized_set *made, ciuic_model_info *info)
{
    ciuic_model *model = NULL;
    ciuic_session *session = NULL;
    int32_t ids[ROWS];
    CU_ASSERT_FATAL(ciuic_model_load(folder, &model) == CIUIC_OK);
    const size_t vocabulary = model->config->vocabulary;
    for (size_t i = 0; i < ROWS; i++) ids[i] = (int32_t)((7919 * i + 3) % vocabulary);
    model->options.graph = v->graph;
    model->options.memory = v->memory;
    model->options.isa = kernel_isa_name(v->isa);
    kernel_table_fill(&model->kernels, v->isa);
    model->made = made; /* the model's from here on */
    if (r != NULL) CU_ASSERT_FATAL(recipe_copy(r, &model->recipe) == CIUIC_OK);
    float *logits = malloc(ROWS * vocabulary * sizeof *logits);
    const ciuic_session_options options = {.threads = 2, .context = ROWS};
    bool ok = ciuic_session_create(model, &options, &session) == CIUIC_OK &&
              ciuic_prefill(session, ids, PREFILLED, true, logits) == CIUIC_OK;
    for (size_t i = PREFILLED; ok && i < ROWS; i++)
        ok = ciuic_decode(session, ids[i], logits + i * vocabulary) == CIUIC_OK;
    CHECK(ok, "%s: %s", folder, ciuic_last_error());
    if (info != NULL) ciuic_model_describe(model, info);
    ciuic_session_free(session);
    ciuic_model_free(model);
    return logits;
}

static const test_recipe recipes[] = {
    {.otherwise = "int8"},
    {.otherwise = "int8-row"},
    {.otherwise = "int4-g64-asym"},
    {.otherwise = "affine4"},
    {.otherwise = "int4",
     .units = {{"embed_tokens", "int8-g128"},
               {"down_proj", "none"},
               {"o_proj", "affine8"},
               {"kv_b_proj", "int8-row"},
               {"q_", "int4-row-asym"}}},
    {.otherwise = "none", .units = {{"experts.", "int4-g64"}, {"lm_head", "int8"}, {"gate_proj", "int4-asym"}}},
};

static size_t usual_rows(kernel_isa isa)
{
    kernel_table kernels;
    kernel_table_fill(&kernels, isa);
    return kernels.interleave;
}

static void written_folders_run_as_their_sources_do(void)
{
    static const char *const sources[] = {trained, qwen2, fp8};
    const kernel_isa best = kernel_isa_best();
    const variant variants[] = {{false, CIUIC_MEMORY_OFF, KERNEL_ISA_C},
                                {true, CIUIC_MEMORY_ON, KERNEL_ISA_C},
                                {true, CIUIC_MEMORY_ON, best},
                                {false, CIUIC_MEMORY_OFF, best}};
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        for (size_t j = 0; j < sizeof recipes / sizeof recipes[0]; j++) {
            test_folder f;
            folder_result result = {0};
            if (i == 0 && j != 2 && j != 4) continue; /* the largest: one setting for all, and many */
            open_folder(sources[i], &recipes[j], usual_rows(best), &f);
            f.request.shard_bytes = j % 2 ? 150000 : 0;
            CHECK(write_all(&f.request, &result) == CIUIC_OK, "%s", ciuic_last_error());
            CHECK((result.shards > 1) == (j % 2 == 1) && result.quantised > 0, "%zu shards", result.shards);
            for (size_t k = 0; k < sizeof variants / sizeof variants[0]; k++) {
                if (i == 0 && variants[k].isa == KERNEL_ISA_C && j != 4) continue; /* slow, and much the same */
                ciuic_model_info info;
                float *expected = run(sources[i], &variants[k], &f.recipe, NULL, NULL);
                float *found = run(f.output, &variants[k], NULL, NULL, &info);
                CHECK(memcmp(expected, found, ROWS * info.vocabulary * sizeof *found) == 0,
                      "%s, %s, graph %d memory %d isa %s: not the bits of the source's variant", sources[i],
                      recipes[j].otherwise, variants[k].graph, variants[k].memory, info.isa);
                /* Written for these kernels: all but what is FP32 is used in place. */
                const double mapped = (double)info.mapped_bytes / (double)info.weight_bytes;
                if (k == 2)
                    CHECK(mapped > 0.9, "%s, %s: %.2f of it is mapped", sources[i], recipes[j].otherwise, mapped);
                free(expected);
                free(found);
            }
            close_folder(&f);
        }
}

/* ---- calibration ------------------------------------------------------------------------------------------------ */

static const test_recipe calibrated = {
    .otherwise = "int4-g64", .units = {{"down_proj", "int8-asym"}, {"o_proj", "affine8"}, {"up_proj", "none"}}};

static calibration_ids some_ids(void)
{
    calibration_ids ids = {.rows = 2, .length = 48};
    ids.ids = malloc(ids.rows * ids.length * sizeof *ids.ids);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ids.ids);
    for (size_t i = 0; i < ids.rows * ids.length; i++) ids.ids[i] = (int32_t)((31 * i + i / 7) % 512);
    return ids;
}

static quantized_set *calibrate(const test_folder *f, const calibration_ids *ids, folder_writer *w, quantize_log *log)
{
    quantized_set *set = quantized_set_create();
    const quantize_request request = {.source = f->source,
                                      .recipe = &f->recipe,
                                      .quantizer = CIUIC_QUANTIZER_GPTQ,
                                      .ids = ids,
                                      .threads = 2,
                                      .done = w != NULL ? folder_writer_take : NULL,
                                      .done_context = w};
    CHECK(quantize_calibrate(&request, set, log) == CIUIC_OK, "%s", ciuic_last_error());
    return set;
}

/* Layer by layer into the folder, or all of it in memory: the same model. */
static void calibrated_folders_run_as_the_set_does(void)
{
    const variant v = {true, CIUIC_MEMORY_ON, kernel_isa_best()};
    test_folder f;
    folder_writer *w = NULL;
    quantize_log log = {0}, again = {0};
    calibration_ids ids = some_ids();
    cJSON *metrics = cJSON_CreateObject();
    json_add_double(metrics, "kl", 0.1 + 0.2);
    open_folder(v3, &calibrated, usual_rows(v.isa), &f);
    f.request.provenance.calibration_ids = "somewhere:ids";
    f.request.provenance.calibration_sha256 = sha256;
    f.request.provenance.calibration_tokens = ids.rows * ids.length;
    CU_ASSERT_FATAL(folder_writer_open(&f.request, &w) == CIUIC_OK);
    quantized_set *emptied = calibrate(&f, &ids, w, &log);
    CHECK(quantized_set_count(emptied) == 0, "%zu matrices stayed", quantized_set_count(emptied));
    quantized_set_free(emptied);
    CHECK(folder_writer_finish(w) == CIUIC_OK, "%s", ciuic_last_error());
    checkpoint *unnamed = NULL;
    CHECK(checkpoint_open(folder_writer_path(w), &unnamed) == CIUIC_OK, "%s", ciuic_last_error());
    checkpoint_release(unnamed);
    CHECK(access(f.output, F_OK) != 0, "the folder is there before it was committed");
    CHECK(folder_writer_commit(w, metrics, NULL) == CIUIC_OK, "%s", ciuic_last_error());
    folder_writer_free(w);

    ciuic_model_info info;
    float *found = run(f.output, &v, NULL, NULL, &info);
    float *expected = run(v3, &v, &f.recipe, calibrate(&f, &ids, NULL, &again), NULL);
    CHECK(memcmp(expected, found, ROWS * info.vocabulary * sizeof *found) == 0, "not the bits of the set in memory");
    free(expected);
    free(found);

    checkpoint *c = NULL;
    CU_ASSERT_FATAL(checkpoint_open(f.output, &c) == CIUIC_OK);
    const quantized_provenance *p = checkpoint_provenance(c);
    CHECK(p->calibration_tokens == 96 && strcmp(p->calibration_ids, "somewhere:ids") == 0 &&
              strcmp(p->source_path, v3) == 0 && fabs(p->source_bits_per_weight - 16) < 0.1,
          "from %s, %g bits", p->source_path, p->source_bits_per_weight);
    const cJSON *kl = json_find(p->verified, "kl");
    CHECK(json_is_number(kl) && kl->valuedouble == 0.1 + 0.2, "what was measured is not what was told");
    for (size_t i = 0; i < log.count; i++) {
        const quantize_record *r = &log.records[i];
        const quantized_tensor *t = checkpoint_quantized_tensor(c, r->tensor);
        CHECK(t != NULL && t->quantizer == r->quantizer && t->tokens == r->tokens && t->pooled == r->pooled &&
                  t->relative_error == r->relative_error && quantize_setting_equal(&t->setting, &r->setting),
              "%s is not as the log has it", r->tensor);
    }
    const quantized_tensor *rounded = checkpoint_quantized_tensor(c, "model.layers.0.self_attn.o_proj");
    /* An eight-bit step is 1/255 of the range, its error's root mean square 1/sqrt(12) of a step; Gaussian weights
     * span some eight deviations. */
    CHECK(rounded != NULL && rounded->tokens == 0 && rounded->quantizer == CIUIC_QUANTIZER_RTN &&
              rounded->relative_error > 0.001 && rounded->relative_error < 0.03,
          "affine8: relative error %g", rounded != NULL ? rounded->relative_error : NAN);
    checkpoint_release(c);
    cJSON_Delete(metrics);
    quantize_log_free(&log);
    quantize_log_free(&again);
    calibration_ids_free(&ids);
    close_folder(&f);
}

/* What scaling changed stands in for the source's, and is counted once. */
static void changed_vectors_replace_the_source_s(void)
{
    static const test_recipe r = {.otherwise = "int4", .units = {{"q_a_proj", "none"}}};
    test_folder f;
    folder_writer *w = NULL;
    checkpoint *c = NULL;
    quantize_log log = {0};
    void *values = NULL;
    float got[128];
    open_folder(v3, &r, 0, &f);
    CU_ASSERT_FATAL(folder_writer_open(&f.request, &w) == CIUIC_OK);
    quantized_set *set = quantized_set_create();
    const kernel_matrix norm = {.format = KERNEL_F32, .rows = 1, .columns = 128},
                        router = {.format = KERNEL_F32, .rows = 8, .columns = 128},
                        exact = {.format = KERNEL_F32, .rows = 96, .columns = 128};
    CU_ASSERT_FATAL(quantized_set_add(set, "model.layers.1.post_attention_layernorm", &norm, &values, NULL, NULL,
                                      NULL) == CIUIC_OK);
    for (size_t i = 0; i < 128; i++) ((float *)values)[i] = (float)i / 3;
    CU_ASSERT_FATAL(quantized_set_add(set, "model.layers.1.mlp.gate", &router, &values, NULL, NULL, NULL) == CIUIC_OK);
    for (size_t i = 0; i < 8 * 128; i++) ((float *)values)[i] = (float)i / 7;
    CU_ASSERT_FATAL(quantized_set_add(set, "model.layers.1.self_attn.q_a_proj", &exact, &values, NULL, NULL, NULL) ==
                    CIUIC_OK);
    for (size_t i = 0; i < 96 * 128; i++) ((float *)values)[i] = (float)(i % 100) / 64; /* BF16 has eight bits */
    CHECK(folder_writer_take(w, set, &log) == CIUIC_OK, "%s", ciuic_last_error());
    quantized_set_free(set);
    CHECK(folder_writer_finish(w) == CIUIC_OK && folder_writer_commit(w, NULL, NULL) == CIUIC_OK, "%s",
          ciuic_last_error());
    folder_writer_free(w);
    CU_ASSERT_FATAL(checkpoint_open(f.output, &c) == CIUIC_OK);
    CHECK(checkpoint_read_f32(c, "model.layers.1.post_attention_layernorm.weight", 0, 128, got) == CIUIC_OK &&
              got[127] == 127.0f / 3,
          "norm: %g", (double)got[127]);
    CHECK(checkpoint_read_f32(c, "model.layers.1.mlp.gate.weight", 7, 1, got) == CIUIC_OK && got[127] == 1023.0f / 7,
          "router: %g", (double)got[127]);
    CHECK(checkpoint_find(c, "model.layers.2.mlp.gate.weight")->dtype == TENSOR_F32 &&
              checkpoint_find(c, "model.layers.2.mlp.gate.e_score_correction_bias")->dtype == TENSOR_F32 &&
              checkpoint_find(c, "model.layers.2.input_layernorm.weight")->dtype == TENSOR_F32,
          "router, biases and norms are not in FP32");
    CHECK(checkpoint_read_f32(c, "model.layers.1.self_attn.q_a_proj.weight", 0, 1, got) == CIUIC_OK &&
              got[99] == 99.0f / 64 &&
              checkpoint_find(c, "model.layers.1.self_attn.q_a_proj.weight")->dtype == TENSOR_BF16,
          "q_a_proj: %g", (double)got[99]);
    checkpoint_release(c);
    close_folder(&f);
}

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
        open_folder(v3, &r, 16, &f);
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
        close_folder(&f);
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
        {"", sha256, "is there already", CIUIC_ERROR_INPUT},
        {"/", sha256, "lies in the checkpoint", CIUIC_ERROR_USAGE},
        {"/made", sha256, "lies in the checkpoint", CIUIC_ERROR_USAGE},
        {"/new/parents/made", sha256, "lies in the checkpoint", CIUIC_ERROR_USAGE},
        {"/../copy/made", sha256, "lies in the checkpoint", CIUIC_ERROR_USAGE},
    };
    static const test_recipe r = {.otherwise = "int4"};
    char *root = temporary_folder(), *copy = NULL;
    CU_ASSERT_FATAL(root != NULL && asprintf(&copy, "%s/copy", root) > 0);
    test_folder f;
    open_folder(v3, &(test_recipe){.otherwise = "none"}, 0, &f);
    f.request.output = copy;
    CU_ASSERT_FATAL(write_all(&f.request, NULL) == CIUIC_OK); /* a quantised one, though with nothing quantised */
    close_folder(&f);
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
        open_folder(copy, &r, 0, &f);
        if (rows[i].output[0] == '/')
            snprintf(path, sizeof path, "%s%s", copy, rows[i].output);
        else
            snprintf(path, sizeof path, "%s/%s", f.root, rows[i].output);
        f.request.output = path;
        f.request.provenance.source_sha256 = rows[i].sha;
        const size_t files = count_files(copy);
        CU_ASSERT_FATAL(stat(copy, &before) == 0);
        CHECK(write_all(&f.request, NULL) == rows[i].status, "%s: opened, or %s", path, ciuic_last_error());
        CHECK(strstr(ciuic_last_error(), rows[i].message) != NULL, "%s: %s", path, ciuic_last_error());
        CU_ASSERT_FATAL(stat(copy, &after) == 0);
        CHECK(count_files(copy) == files && count_files(f.root) == 0 && before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
                  before.st_mtim.tv_nsec == after.st_mtim.tv_nsec,
              "%s: something was written", path);
        close_folder(&f);
    }
    remove_folder(copy);
    remove_folder(root);
}

static void a_quantised_source_is_refused(void)
{
    test_folder f, second;
    open_folder(qwen2, &(test_recipe){.otherwise = "int8"}, 0, &f);
    CU_ASSERT_FATAL(write_all(&f.request, NULL) == CIUIC_OK);
    open_folder(f.output, &(test_recipe){.otherwise = "int4"}, 0, &second);
    CHECK(write_all(&second.request, NULL) == CIUIC_ERROR_USAGE &&
              strstr(ciuic_last_error(), "is quantised already; give its source, datasets/golden/r1-distill-qwen") !=
                  NULL,
          "%s", ciuic_last_error());
    CHECK(count_files(second.root) == 0, "something was written");
    close_folder(&second);
    close_folder(&f);
}

/* ---- whole or not at all ---------------------------------------------------------------------------------------- */

static void files_beside_the_tensors_come_along(void)
{
    static const struct {
        const char *source, *file;
        bool there;
    } rows[] = {{trained, "tokenizer.json", true},
                {trained, "streams.safetensors", true},
                {trained, "golden.safetensors", false},
                {qwen2, "generation_config.json", true},
                {qwen2, "tokenizer.json", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_folder f;
        char from[512], to[512];
        sha256_hex a, b;
        open_folder(rows[i].source, &(test_recipe){.otherwise = "int4-g128"}, 0, &f);
        CHECK(write_all(&f.request, NULL) == CIUIC_OK, "%s", ciuic_last_error());
        snprintf(from, sizeof from, "%s/%s", rows[i].source, rows[i].file);
        snprintf(to, sizeof to, "%s/%s", f.output, rows[i].file);
        CHECK((access(to, F_OK) == 0) == rows[i].there, "%s", to);
        if (rows[i].there)
            CHECK(sha256_file(from, &a) == CIUIC_OK && sha256_file(to, &b) == CIUIC_OK && strcmp(a.text, b.text) == 0,
                  "%s differs", to);
        close_folder(&f);
    }
}

/* Every number of the source's config.json, to the last bit; the blocks of FP8 only where such matrices are left. */
static void config_is_the_source_s(void)
{
    static const struct {
        const char *otherwise;
        bool blocks;
    } rows[] = {{"int4", false}, {"none", true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_folder f;
        char path[512];
        cJSON *a = NULL, *b = NULL;
        open_folder(fp8, &(test_recipe){.otherwise = rows[i].otherwise}, 0, &f);
        CHECK(write_all(&f.request, NULL) == CIUIC_OK, "%s", ciuic_last_error());
        snprintf(path, sizeof path, "%s/config.json", fp8);
        CU_ASSERT_FATAL(json_read_file(path, CONFIG_MAX_BYTES, &a) == CIUIC_OK);
        snprintf(path, sizeof path, "%s/config.json", f.output);
        CU_ASSERT_FATAL(json_read_file(path, CONFIG_MAX_BYTES, &b) == CIUIC_OK);
        const bool blocks = json_find(json_find(b, "quantization_config"), "weight_block_size") != NULL;
        CHECK(blocks == rows[i].blocks, "%s: blocks are %stold", rows[i].otherwise, blocks ? "" : "not ");
        cJSON_DeleteItemFromObject(a, "quantization_config");
        cJSON_DeleteItemFromObject(b, "quantization_config");
        CHECK(cJSON_Compare(a, b, true), "%s: config.json differs", rows[i].otherwise);
        cJSON_Delete(a);
        cJSON_Delete(b);
        close_folder(&f);
    }
    cJSON *numbers = cJSON_Parse("{\"a\": [0.1, 1e-6, 163840, 0.30000000000000004, -5e-324, 9007199254740993]}");
    CHECK(json_exact_numbers(numbers), "no memory");
    char *text = cJSON_PrintUnformatted(numbers);
    CHECK(strcmp(text, "{\"a\":[0.1,1e-06,163840,0.30000000000000004,-4.94065645841247e-324,9007199254740992]}") == 0,
          "%s", text);
    cJSON_free(text);
    cJSON_Delete(numbers);
}

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
        open_folder(v3, &recipes[4], 16, &f);
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
        close_folder(&f);
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
        open_folder(v3, &recipes[2], 16, &f);
        const struct rlimit small = {.rlim_cur = limits[i], .rlim_max = before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        const ciuic_status status = write_all(&f.request, NULL);
        setrlimit(RLIMIT_FSIZE, &before);
        CHECK(status == CIUIC_ERROR_UNSUPPORTED, "%zu bytes: status %d: %s", (size_t)limits[i], (int)status,
              ciuic_last_error());
        CHECK(strstr(ciuic_last_error(),
                     "cannot be written: File too large; choose a writable place with enough space") != NULL,
              "%s", ciuic_last_error());
        CHECK(count_files(f.root) == 0, "%zu bytes: something is left", (size_t)limits[i]);
        close_folder(&f);
    }
    signal(SIGXFSZ, handler);
}

/* ---- the program on such folders -------------------------------------------------------------------------------- */

static void the_program_opens_them(void)
{
    test_folder f;
    cJSON *json = NULL;
    sha256_hex digest;
    open_folder(trained,
                &(test_recipe){.otherwise = "int4-g64", .units = {{"o_proj", "int8-row"}, {"up_proj", "none"}}},
                usual_rows(kernel_isa_best()), &f);
    CHECK(checkpoint_digest(f.source, &digest) == CIUIC_OK, "%s", ciuic_last_error());
    f.request.provenance.source_sha256 = digest.text;
    CHECK(write_all(&f.request, NULL) == CIUIC_OK, "%s", ciuic_last_error());
    program_run text = program((const char *const[]){"inspect", f.output, NULL}, NULL);
    CHECK(text.status == 0 && strstr(text.out, "int4-g64") != NULL && strstr(text.out, "int8-row") != NULL &&
              strstr(text.out, "ciuic of the tests") != NULL && strstr(text.out, trained) != NULL &&
              strstr(text.out, digest.text) != NULL,
          "status %d: %s%s", text.status, text.out, text.err);
    program_run_free(&text);
    program_run run = program((const char *const[]){"inspect", f.output, "--json", NULL}, NULL);
    CHECK(run.status == 0 && json_parse(run.out, strlen(run.out), "inspect", &json) == CIUIC_OK, "%s%s", run.out,
          run.err);
    const cJSON *quantized = json_find(json, "quantized"), *settings = json_find(quantized, "settings");
    const cJSON *rows = json_find(settings, "int8-row"), *tensors = json_find(rows, "tensors");
    CHECK(tensors != NULL && tensors->valueint == 6, "o_proj of six layers: %s", run.out);
    const cJSON *bytes = json_find(rows, "bytes"); /* 256 rows of 256 codes and a scale */
    CHECK(bytes != NULL && bytes->valueint == 6 * 256 * (256 + 2), "%s", run.out);
    cJSON_Delete(json);
    program_run_free(&run);

    program_run eval = program(
        (const char *const[]){"eval", f.output, "--stages", "none,on,on,best", "--no-reference", "--json", NULL}, NULL);
    CHECK(eval.status == 0 && strstr(eval.out, "\"perplexity\"") != NULL, "status %d: %s%s", eval.status, eval.out,
          eval.err);
    program_run_free(&eval);
    program_run again =
        program((const char *const[]){"eval", f.output, "--stages", "int8,on,on,best", "--no-reference", NULL}, NULL);
    CHECK(again.status == 2 && count_lines(again.err) == 1 && strstr(again.err, "is quantised already") != NULL, "%s",
          again.err);
    program_run_free(&again);
    close_folder(&f);
}

static const test_case cases[] = {
    {"written folders run as their sources do", written_folders_run_as_their_sources_do},
    {"calibrated folders run as the set does", calibrated_folders_run_as_the_set_does},
    {"changed vectors replace the source's", changed_vectors_replace_the_source_s},
    {"what was not asked for is refused", what_was_not_asked_for_is_refused},
    {"impossible requests are refused", impossible_requests_are_refused},
    {"a quantised source is refused", a_quantised_source_is_refused},
    {"files beside the tensors come along", files_beside_the_tensors_come_along},
    {"config is the source's", config_is_the_source_s},
    {"interruptions leave nothing", interruptions_leave_nothing},
    {"a full disk leaves nothing", a_full_disk_leaves_nothing},
    {"the program opens them", the_program_opens_them},
};
TEST_SUITE(write_folder, cases);
