/* test_quantized_checkpoint.c - checkpoints that are quantised already: the same bits as the source quantised on the
 * fly, used where they are mapped or in a copy. test_quantized_lies.c has what is refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/json.h"
#include "optimizer/quantize/calibrate.h"
#include "optimizer/runtime/model.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/quantized_folder.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

static const char v3[] = "datasets/golden/deepseek-v3";
static const char qwen2[] = "datasets/golden/r1-distill-qwen";
static const char fp8[] = "datasets/golden/deepseek-v3-fp8";

/* ---- the same bits ---------------------------------------------------------------------------------------------- */

typedef struct variant {
    bool graph;
    ciuic_memory memory;
    kernel_isa isa;
    bool weights_f32;
} variant;

/* A model of the folder; `r` is how it is to be quantised, NULL: it is already. */
static ciuic_model *load(const char *folder, const variant *v, const recipe *r)
{
    ciuic_model *model = NULL;
    const ciuic_status status = ciuic_model_load(folder, &model);
    CHECK(status == CIUIC_OK, "%s: %s", folder, ciuic_last_error());
    if (status != CIUIC_OK) return NULL;
    model->options.graph = v->graph;
    model->options.memory = v->memory;
    model->options.weights_f32 = v->weights_f32;
    model->options.isa = kernel_isa_name(v->isa);
    kernel_table_fill(&model->kernels, v->isa);
    if (r != NULL) CU_ASSERT_FATAL(recipe_copy(r, &model->recipe) == CIUIC_OK);
    return model;
}

enum { DECODED = 4 };

static size_t rows_of(const golden *g)
{
    return g->count / 2 + DECODED;
}

/* Logits of a prefill of half the golden's ids and of decoding some more; NULL when something failed. */
static float *run(ciuic_model *model, const golden *g)
{
    const ciuic_session_options options = {.threads = 2, .context = g->count};
    const size_t half = g->count / 2;
    ciuic_session *session = NULL;
    float *logits = malloc(rows_of(g) * g->vocabulary * sizeof *logits);
    bool ok = model != NULL && ciuic_session_create(model, &options, &session) == CIUIC_OK &&
              ciuic_prefill(session, g->ids, half, true, logits) == CIUIC_OK;
    for (size_t i = half; ok && i < rows_of(g); i++)
        ok = ciuic_decode(session, g->ids[i], logits + i * g->vocabulary) == CIUIC_OK;
    CHECK(ok, "%s: %s", g->folder, ciuic_last_error());
    ciuic_session_free(session);
    if (ok) return logits;
    free(logits);
    return NULL;
}

static const quantized_rule recipes[][QUANTIZED_RULES] = {
    {{"", "int8", 0}},
    {{"", "int8-g64-asym", 0}},
    {{"", "int8-row", 0}},
    {{"", "int4-g64-asym", 0}},
    {{"", "int4-row", 0}},
    {{"", "affine8", 0}},
    {{"", "affine4", 0}},
    {{"embed_tokens", "int8-g128", 0},
     {"kv_b_proj", "int4-g128", 0},
     {"down_proj", "none", 0},
     {"o_proj", "affine8", 0},
     {"k_proj", "int4-asym", 0},
     {"", "int4-g64", 0}},
    {{"lm_head", "none", 0}, {"experts.", "int4-row-asym", 0}, {"q_", "int8-g128", 0}, {"up_proj", "int8-g64", 0}},
};

static bool affine(const quantized_rule *rule)
{
    return strncmp(rule->setting, "affine", 6) == 0;
}

static void with_interleave(const quantized_rule from[QUANTIZED_RULES], size_t interleave,
                            quantized_rule to[QUANTIZED_RULES])
{
    for (int i = 0; i < QUANTIZED_RULES; i++) {
        to[i] = from[i];
        if (from[i].part != NULL && !affine(&from[i])) to[i].interleave = interleave;
    }
}

/* Writes the folder, opens it, and compares it in every variant with the source under the same recipe. */
static void check_same_bits(const golden *g, const quantized_rule rules[QUANTIZED_RULES], float *const expected[],
                            const variant *variants, size_t count)
{
    temporary_folder folder;
    quantized_folder f;
    temporary_folder_create(&folder);
    quantized_folder_make(g->folder, rules, &f);
    quantized_folder_write(&f, folder.path);
    for (size_t i = 0; i < count; i++) {
        ciuic_model *model = load(folder.path, &variants[i], NULL);
        float *logits = run(model, g);
        if (logits != NULL && expected[i] != NULL)
            CHECK(memcmp(logits, expected[i], rows_of(g) * g->vocabulary * sizeof *logits) == 0,
                  "%s, %s ... in panels of %zu, graph %d memory %d isa %s: not the bits of the source's variant",
                  g->folder, rules[0].setting, rules[0].interleave, variants[i].graph, variants[i].memory,
                  kernel_isa_name(variants[i].isa));
        free(logits);
        ciuic_model_free(model);
    }
    quantized_folder_free(&f);
    temporary_folder_remove(&folder);
}

static void folders_run_as_their_sources_do(void)
{
    static const char *const folders[] = {qwen2, v3, fp8};
    static const size_t interleaves[] = {0, 8, 16, 4, 32}; /* the last two, which few have, for one recipe */
    const kernel_isa best = kernel_isa_best();
    const variant variants[] = {
        {false, CIUIC_MEMORY_OFF, KERNEL_ISA_C, false}, {true, CIUIC_MEMORY_ON, KERNEL_ISA_C, false},
        {false, CIUIC_MEMORY_ON, best, false},          {true, CIUIC_MEMORY_OFF, best, false},
        {true, CIUIC_MEMORY_ON, best, false},
    };
    enum { VARIANTS = sizeof variants / sizeof variants[0] };
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        golden g;
        if (!golden_open(folders[i], &g)) continue;
        for (size_t j = 0; j < sizeof recipes / sizeof recipes[0]; j++) {
            float *expected[VARIANTS];
            recipe r;
            quantized_rules_recipe(g.folder, recipes[j], &r);
            for (size_t k = 0; k < VARIANTS; k++) {
                ciuic_model *model = load(g.folder, &variants[k], &r);
                expected[k] = run(model, &g);
                ciuic_model_free(model);
            }
            for (size_t k = 0; k < sizeof interleaves / sizeof interleaves[0]; k++) {
                quantized_rule rules[QUANTIZED_RULES];
                with_interleave(recipes[j], interleaves[k], rules);
                if (k == 0 || (!affine(&rules[0]) && (k < 3 || j == 3)))
                    check_same_bits(&g, rules, expected, variants, VARIANTS);
            }
            for (size_t k = 0; k < VARIANTS; k++) free(expected[k]);
            recipe_free(&r);
        }
        golden_close(&g);
    }
}

/* What is stored as the kernels want it stays where it is mapped; anything else is a copy. */
static void matching_panels_are_used_in_place(void)
{
    kernel_table kernels;
    kernel_table_fill(&kernels, kernel_isa_best());
    const struct {
        size_t interleave;
        ciuic_memory memory;
        bool mapped;
    } rows[] = {
        {kernels.interleave, CIUIC_MEMORY_ON, true},
        {kernels.interleave, CIUIC_MEMORY_OFF, false},
        {kernels.interleave == 0 ? 4 : 0, CIUIC_MEMORY_ON, false},
        {32, CIUIC_MEMORY_ON, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        temporary_folder folder;
        quantized_folder f;
        ciuic_model_info info = {0};
        const quantized_rule rules[QUANTIZED_RULES] = {{"", "int4", rows[i].interleave}};
        const variant v = {true, rows[i].memory, kernels.isa, false};
        temporary_folder_create(&folder);
        quantized_folder_make(v3, rules, &f);
        quantized_folder_write(&f, folder.path);
        ciuic_model *model = load(folder.path, &v, NULL), *plain = load(v3, &v, NULL);
        CHECK(model_prepare(model) == CIUIC_OK, "%s", ciuic_last_error());
        ciuic_model_describe(model, &info);
        /* All but norms, correction biases and the router, which are FP32 in the heap: a few thousand values. */
        const double mapped = (double)info.mapped_bytes / (double)info.weight_bytes;
        CHECK(rows[i].mapped ? mapped > 0.95 : info.mapped_bytes == 0, "row %zu: %zu of %zu bytes are mapped", i,
              info.mapped_bytes, info.weight_bytes);
        CHECK(info.parameters == checkpoint_parameters(plain->source), "%zu parameters", info.parameters);
        CHECK(info.bits_per_weight < 5, "%g bits a weight", info.bits_per_weight); /* 4 and a scale for every 32 */
        ciuic_model_free(model);
        ciuic_model_free(plain);
        quantized_folder_free(&f);
        temporary_folder_remove(&folder);
    }
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

/* Every matrix as the portable kernel decodes it, whatever panels it lies in. */
static void matrices_are_read_decoded(void)
{
    static const quantized_rule rules[][QUANTIZED_RULES] = {
        {{"o_proj", "int4-g64-asym", 0}, {"down_proj", "affine4", 0}, {"", "int8-row", 0}},
        {{"o_proj", "int4-g64-asym", 16}, {"down_proj", "affine4", 0}, {"", "int8-row", 32}},
        {{"o_proj", "int4-g64-asym", 4}, {"down_proj", "affine4", 0}, {"", "int8-row", 8}},
    };
    enum { FOLDERS = sizeof rules / sizeof rules[0] };
    temporary_folder folder[FOLDERS];
    checkpoint *c[FOLDERS] = {NULL}, *source = NULL;
    CU_ASSERT_FATAL(checkpoint_open(fp8, &source) == CIUIC_OK);
    for (int i = 0; i < FOLDERS; i++) {
        quantized_folder f;
        temporary_folder_create(&folder[i]);
        quantized_folder_make(fp8, rules[i], &f);
        quantized_folder_write(&f, folder[i].path);
        quantized_folder_free(&f);
        CHECK(checkpoint_open(folder[i].path, &c[i]) == CIUIC_OK, "%s", ciuic_last_error());
        CU_ASSERT_FATAL(c[i] != NULL);
        CHECK(checkpoint_parameters(c[i]) == checkpoint_parameters(source), "%zu parameters; expected %zu",
              checkpoint_parameters(c[i]), checkpoint_parameters(source));
    }
    size_t wrong = 0, compared = 0;
    const quantized_config *q = checkpoint_quantized(c[0]);
    for (size_t i = 0; i < q->count; i++) {
        const quantized_tensor *t = checkpoint_quantized_tensor(c[1], q->tensors[i].name);
        const size_t rows = t->matrix.rows, columns = t->matrix.columns, first = rows / 3, count = rows - first;
        char name[QUANTIZE_UNIT_NAME + 16];
        float *whole = malloc(rows * columns * sizeof *whole), *part = malloc(count * columns * sizeof *part);
        float *exact = malloc(rows * columns * sizeof *exact);
        snprintf(name, sizeof name, "%s.weight", t->name);
        CHECK(checkpoint_read_f32(c[0], name, 0, rows, whole) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(checkpoint_read_f32(source, name, 0, rows, exact) == CIUIC_OK, "%s", ciuic_last_error());
        for (int j = 1; j < FOLDERS; j++) {
            CHECK(checkpoint_read_f32(c[j], name, first, count, part) == CIUIC_OK, "%s", ciuic_last_error());
            wrong += memcmp(part, whole + first * columns, count * columns * sizeof *part) != 0;
        }
        /* Half a step of the coarsest: affine4's is 1/15 of the matrix's range. */
        float largest = 0;
        for (size_t k = 0; k < rows * columns; k++) largest = fmaxf(largest, fabsf(exact[k]));
        for (size_t k = 0; k < rows * columns; k++) wrong += !(fabsf(whole[k] - exact[k]) <= largest / 14);
        compared++;
        CHECK(checkpoint_read_f32(c[0], name, rows, 1, part) == CIUIC_ERROR_USAGE, "a row beyond the end of %s", name);
        free(whole);
        free(part);
        free(exact);
    }
    CHECK(wrong == 0 && compared > 20, "%zu of %zu matrices differ", wrong, compared);
    kernel_matrix m;
    CHECK(!checkpoint_matrix(c[0], "model.norm", &m) && !checkpoint_matrix(source, "lm_head", &m), "no such matrices");
    CHECK(checkpoint_matrix(c[1], "lm_head", &m) && m.interleave == 32 && m.rows == 512, "lm_head is not as written");
    for (int i = 0; i < FOLDERS; i++) {
        checkpoint_release(c[i]);
        temporary_folder_remove(&folder[i]);
    }
    checkpoint_release(source);
}

/* What the openblas baseline runs on: affine matmuls are in FP32 too, and differ in the order of their sums alone. */
static void weights_widen_to_f32(void)
{
    static const quantized_rule rules[QUANTIZED_RULES] = {{"", "affine8", 0}};
    golden g;
    temporary_folder folder;
    quantized_folder f;
    if (!golden_open(qwen2, &g)) return;
    temporary_folder_create(&folder);
    quantized_folder_make(g.folder, rules, &f);
    quantized_folder_write(&f, folder.path);
    for (int on = 0; on < 2; on++) {
        const variant wide = {on == 1, CIUIC_MEMORY_ON, KERNEL_ISA_C, true},
                      as_stored = {on == 1, CIUIC_MEMORY_ON, KERNEL_ISA_C, false};
        ciuic_model *a = load(folder.path, &wide, NULL), *b = load(folder.path, &as_stored, NULL);
        float *x = run(a, &g), *y = run(b, &g);
        if (x != NULL && y != NULL) {
            /* Of some 10^5 sums of 2^-24 each over an FP16 cache, where a few values round the other way (2^-11). */
            const double difference = max_abs_difference(x, y, rows_of(&g) * g.vocabulary);
            CHECK(difference <= 5e-4 + 4.0 / 1024, "graph %d: FP32 and affine8 differ by %.3g", on, difference);
        }
        free(x);
        free(y);
        ciuic_model_free(a);
        ciuic_model_free(b);
    }
    golden_close(&g);
    quantized_folder_free(&f);
    temporary_folder_remove(&folder);
}

/* ---- what it was made from -------------------------------------------------------------------------------------- */

static void provenance_is_told(void)
{
    static const quantized_rule rules[QUANTIZED_RULES] = {{"down_proj", "int8-row", 0}, {"", "int4-g64-asym", 16}};
    temporary_folder folder;
    quantized_folder f;
    checkpoint *c = NULL, *plain = NULL;
    temporary_folder_create(&folder);
    quantized_folder_make(v3, rules, &f);
    cJSON *entry = quantized_folder_entry(&f, "model.layers.1.mlp.experts.3.up_proj");
    cJSON_AddTrueToObject(entry, "pooled");
    cJSON_SetNumberValue(cJSON_GetObjectItem(entry, "tokens"), 77);
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(f.config, "quantization_config"), "activations",
                              cJSON_CreateString("none"));
    quantized_folder_write(&f, folder.path);
    CU_ASSERT_FATAL(checkpoint_open(folder.path, &c) == CIUIC_OK && checkpoint_open(v3, &plain) == CIUIC_OK);
    const quantized_provenance *p = checkpoint_provenance(c);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CHECK(strcmp(p->made_by, "ciuic 9.8.7") == 0 && strcmp(p->source_path, "somewhere/else") == 0 &&
              strncmp(p->source_sha256, "0123456789abcdef", 16) == 0 && p->source_bits_per_weight == 16 &&
              p->calibration_ids == NULL && p->activations == CIUIC_ACTIVATIONS_NONE,
          "made by %s from %s", p->made_by, p->source_path);
    const cJSON *kl = json_find(p->verified, "kl");
    CHECK(json_is_number(kl) && kl->valuedouble == 0.01, "verified is not what was written");
    const quantized_tensor *t = checkpoint_quantized_tensor(c, "model.layers.1.mlp.experts.3.up_proj");
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    CHECK(t->pooled && t->tokens == 77 && t->relative_error == 0.125 && t->quantizer == CIUIC_QUANTIZER_RTN &&
              t->setting.minimums && t->setting.group == 64 && t->interleave == 16,
          "the expert is not as listed");
    const quantize_setting unit = recipe_find(checkpoint_recipe(c), "model.layers.2.mlp.experts.7.down_proj");
    CHECK(unit.quantised && unit.format == KERNEL_INT8 && unit.group == 0, "the recipe has another setting");
    CHECK(!recipe_find(checkpoint_recipe(c), "model.layers.1.mlp.gate").quantised, "a router is quantised");
    CHECK(checkpoint_provenance(plain) == NULL && checkpoint_quantized(plain) == NULL &&
              checkpoint_recipe(plain)->count == 0 && checkpoint_quantized_tensor(plain, "lm_head") == NULL,
          "an ordinary checkpoint counts as quantised");
    checkpoint_release(c);
    checkpoint_release(plain);
    quantized_folder_free(&f);

    /* Chosen for activations that are not rounded: they are not, whatever the options say. */
    ciuic_model *model = NULL;
    CU_ASSERT_FATAL(ciuic_model_load(folder.path, &model) == CIUIC_OK);
    CHECK(model->options.activations == CIUIC_ACTIVATIONS_NONE, "activations are rounded");
    ciuic_model_free(model);
    temporary_folder_remove(&folder);
}

static void it_is_not_quantised_again(void)
{
    static const quantized_rule rules[QUANTIZED_RULES] = {{"down_proj", "int8-row", 0}, {"", "int4-g64-asym", 0}};
    temporary_folder folder;
    quantized_folder f;
    ciuic_model *model = NULL, *fast = NULL;
    temporary_folder_create(&folder);
    quantized_folder_make(qwen2, rules, &f);
    quantized_folder_write(&f, folder.path);
    quantized_folder_free(&f);
    CU_ASSERT_FATAL(ciuic_model_load(folder.path, &model) == CIUIC_OK);
    for (int q = CIUIC_QUANTIZE_NONE + 1; q < CIUIC_QUANTIZE_COUNT; q++) {
        const ciuic_options options = {.quantize = (ciuic_quantize)q, .bits = q == CIUIC_QUANTIZE_MIXED ? 4.5 : 0};
        CHECK(ciuic_optimize(model, &options, &fast, NULL) == CIUIC_ERROR_USAGE && fast == NULL, "%s: %s",
              ciuic_quantize_name(options.quantize), ciuic_last_error());
        CHECK(strstr(ciuic_last_error(), "is quantised already (int4-g64-asym and others, by ciuic 9.8.7); give its "
                                         "source, somewhere/else") != NULL,
              "%s", ciuic_last_error());
    }
    const ciuic_options options = {.graph = true, .memory = CIUIC_MEMORY_ON, .isa = "best", .max_error = 10};
    ciuic_report report;
    CHECK(ciuic_optimize(model, &options, &fast, &report) == CIUIC_OK && report.verified, "%s", ciuic_last_error());
    ciuic_model_free(fast);
    ciuic_model_free(model);

    checkpoint *c = NULL;
    CU_ASSERT_FATAL(checkpoint_open(folder.path, &c) == CIUIC_OK);
    quantized_set *set = quantized_set_create();
    quantize_log log = {0};
    const quantize_request request = {.source = c, .recipe = checkpoint_recipe(c)};
    CHECK(quantize_calibrate(&request, set, &log) == CIUIC_ERROR_USAGE && quantized_set_count(set) == 0,
          "calibration took it: %s", ciuic_last_error());
    quantized_set_free(set);
    checkpoint_release(c);
    temporary_folder_remove(&folder);
}

static const test_case cases[] = {
    {"folders run as their sources do", folders_run_as_their_sources_do},
    {"matching panels are used in place", matching_panels_are_used_in_place},
    {"matrices are read decoded", matrices_are_read_decoded},
    {"weights widen to FP32", weights_widen_to_f32},
    {"provenance is told", provenance_is_told},
    {"it is not quantised again", it_is_not_quantised_again},
};
TEST_SUITE(quantized_checkpoint, cases);
