/* test_write_folder.c - quantised folders on disk: what was written runs bit for bit as the source does quantised on
 * the fly. test_folder_refusals.c has what is not written. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/sha256.h"
#include "harness/suite/checkpoint_digest.h"
#include "harness/synth/write.h"
#include "harness/tests/folder_fixture.h"
#include "harness/tests/program.h"
#include "optimizer/json.h"
#include "optimizer/runtime/model.h"
#include "optimizer/tests/runner.h"

static const char v3[] = "datasets/golden/deepseek-v3";
static const char qwen2[] = "datasets/golden/r1-distill-qwen";
static const char fp8[] = "datasets/golden/deepseek-v3-fp8";
static const char trained[] = "datasets/deepseek-v3-tiny";

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

static ciuic_status never_stop(void *context, size_t done_bytes, size_t total_bytes)
{
    (void)context;
    return done_bytes <= total_bytes ? CIUIC_OK : CIUIC_ERROR_INPUT;
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
            test_folder_open(sources[i], &recipes[j], usual_rows(best), &f);
            f.request.shard_bytes = j % 2 ? 150000 : 0;
            CHECK(test_folder_write(&f.request, &result) == CIUIC_OK, "%s", ciuic_last_error());
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
            test_folder_close(&f);
        }
}

/* A random checkpoint like the golden one, but for one number of its config. */
static char *changed_model(const char *like, const char *key, const char *value)
{
    char from[512], to[512], *made = NULL;
    char *folder = temporary_folder();
    cJSON *config = NULL;
    synth_result result;
    snprintf(from, sizeof from, "%s/config.json", like);
    snprintf(to, sizeof to, "%s/like.json", folder);
    CU_ASSERT_FATAL(asprintf(&made, "%s.synth", folder) > 0 &&
                    json_read_file(from, CONFIG_MAX_BYTES, &config) == CIUIC_OK);
    cJSON_DeleteItemFromObject(config, key);
    cJSON_DeleteItemFromObject(config, "qk_head_dim");
    cJSON_AddItemToObject(config, key, cJSON_Parse(value));
    CU_ASSERT_FATAL(json_write_file(to, config) == CIUIC_OK);
    cJSON_Delete(config);
    const synth_request request = {.like = to, .output = made, .seed = 3};
    CHECK(synth_write(&request, never_stop, NULL, &result) == CIUIC_OK, "%s", ciuic_last_error());
    remove_folder(folder);
    return made;
}

/* A tied head is the embedding, once; kv_b is read by heads, whose rows may be no whole panels: then it lies in none. */
static void ties_and_heads_are_minded(void)
{
    static const struct {
        const char *like, *key, *value;
        const char *matrix; /* and whether it lies in panels of 16 */
        bool panels;
    } rows[] = {
        {"datasets/golden/r1-distill-qwen", "tie_word_embeddings", "true", "model.embed_tokens", true},
        {"datasets/golden/deepseek-v3", "v_head_dim", "24", "model.layers.1.self_attn.kv_b_proj", false},
        {"datasets/golden/deepseek-v3", "v_head_dim", "16", "model.layers.1.self_attn.kv_b_proj", true},
    };
    static const test_recipe r = {.otherwise = "int4-g64", .units = {{"embed_tokens", "int8"}}};
    const variant variants[] = {{true, CIUIC_MEMORY_ON, kernel_isa_best()}, {false, CIUIC_MEMORY_OFF, KERNEL_ISA_C}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_folder f;
        checkpoint *c = NULL;
        char *source = changed_model(rows[i].like, rows[i].key, rows[i].value);
        test_folder_open(source, &r, 16, &f);
        CHECK(test_folder_write(&f.request, NULL) == CIUIC_OK, "%s", ciuic_last_error());
        CU_ASSERT_FATAL(checkpoint_open(f.output, &c) == CIUIC_OK);
        const quantized_tensor *t = checkpoint_quantized_tensor(c, rows[i].matrix);
        CHECK(t != NULL && t->interleave == (rows[i].panels ? 16 : 0), "%s %s: %s in panels of %zu", rows[i].key,
              rows[i].value, rows[i].matrix, t != NULL ? t->interleave : 0);
        CHECK((checkpoint_quantized_tensor(c, "lm_head") == NULL) == (i == 0), "%s: lm_head", rows[i].key);
        checkpoint_release(c);
        for (size_t k = 0; k < 2; k++) {
            ciuic_model_info info;
            float *expected = run(source, &variants[k], &f.recipe, NULL, NULL);
            float *found = run(f.output, &variants[k], NULL, NULL, &info);
            CHECK(memcmp(expected, found, ROWS * info.vocabulary * sizeof *found) == 0, "%s %s: other bits",
                  rows[i].key, rows[i].value);
            const double mapped = (double)info.mapped_bytes / (double)info.weight_bytes;
            if (k == 0 && usual_rows(variants[k].isa) == 16)
                CHECK(mapped > 0.9, "%s %s: %.2f of it is mapped", rows[i].key, rows[i].value, mapped);
            free(expected);
            free(found);
        }
        test_folder_close(&f);
        remove_folder(source);
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
    test_folder_open(v3, &calibrated, usual_rows(v.isa), &f);
    f.request.provenance.calibration_ids = "somewhere:ids";
    f.request.provenance.calibration_sha256 = TEST_SHA256;
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
    test_folder_close(&f);
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
    test_folder_open(v3, &r, 0, &f);
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
    test_folder_close(&f);
}

/* ---- beside the weights ------------------------------------------------------------------------------------------ */

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
        test_folder_open(rows[i].source, &(test_recipe){.otherwise = "int4-g128"}, 0, &f);
        CHECK(test_folder_write(&f.request, NULL) == CIUIC_OK, "%s", ciuic_last_error());
        snprintf(from, sizeof from, "%s/%s", rows[i].source, rows[i].file);
        snprintf(to, sizeof to, "%s/%s", f.output, rows[i].file);
        CHECK((access(to, F_OK) == 0) == rows[i].there, "%s", to);
        if (rows[i].there)
            CHECK(sha256_file(from, &a) == CIUIC_OK && sha256_file(to, &b) == CIUIC_OK && strcmp(a.text, b.text) == 0,
                  "%s differs", to);
        test_folder_close(&f);
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
        test_folder_open(fp8, &(test_recipe){.otherwise = rows[i].otherwise}, 0, &f);
        CHECK(test_folder_write(&f.request, NULL) == CIUIC_OK, "%s", ciuic_last_error());
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
        test_folder_close(&f);
    }
    cJSON *numbers = cJSON_Parse("{\"a\": [0.1, 1e-6, 163840, 0.30000000000000004, -5e-324, 9007199254740993]}");
    CHECK(json_exact_numbers(numbers), "no memory");
    char *text = cJSON_PrintUnformatted(numbers);
    CHECK(strcmp(text, "{\"a\":[0.1,1e-06,163840,0.30000000000000004,-4.94065645841247e-324,9007199254740992]}") == 0,
          "%s", text);
    cJSON_free(text);
    cJSON_Delete(numbers);
}

/* ---- the program on such folders -------------------------------------------------------------------------------- */

static void the_program_opens_them(void)
{
    test_folder f;
    cJSON *json = NULL;
    sha256_hex digest;
    test_folder_open(trained,
                     &(test_recipe){.otherwise = "int4-g64", .units = {{"o_proj", "int8-row"}, {"up_proj", "none"}}},
                     usual_rows(kernel_isa_best()), &f);
    CHECK(checkpoint_digest(f.source, &digest) == CIUIC_OK, "%s", ciuic_last_error());
    f.request.provenance.source_sha256 = digest.text;
    CHECK(test_folder_write(&f.request, NULL) == CIUIC_OK, "%s", ciuic_last_error());
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

    program_run eval =
        program((const char *const[]){"eval", f.output, "--stages", "none,on,on,best", "--no-reference", "--ids",
                                      "datasets/deepseek-v3-tiny/golden.safetensors:input_ids", "--json", NULL},
                NULL);
    CHECK(eval.status == 0 && strstr(eval.out, "\"perplexity\"") != NULL, "status %d: %s%s", eval.status, eval.out,
          eval.err);
    program_run_free(&eval);
    program_run again =
        program((const char *const[]){"eval", f.output, "--stages", "int8,on,on,best", "--no-reference", NULL}, NULL);
    CHECK(again.status == 2 && count_lines(again.err) == 1 && strstr(again.err, "is quantised already") != NULL, "%s",
          again.err);
    program_run_free(&again);
    test_folder_close(&f);
}

static const test_case cases[] = {
    {"written folders run as their sources do", written_folders_run_as_their_sources_do},
    {"ties and heads are minded", ties_and_heads_are_minded},
    {"calibrated folders run as the set does", calibrated_folders_run_as_the_set_does},
    {"changed vectors replace the source's", changed_vectors_replace_the_source_s},
    {"files beside the tensors come along", files_beside_the_tensors_come_along},
    {"config is the source's", config_is_the_source_s},
    {"the program opens them", the_program_opens_them},
};
TEST_SUITE(write_folder, cases);
