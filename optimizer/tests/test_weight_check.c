/* test_weight_check.c - weights made once more: whole models are found sound in every format and place, and one that was
 * changed anywhere is found by name. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "optimizer/runtime/model.h"
#include "optimizer/tests/runner.h"

static const char v3[] = "datasets/golden/deepseek-v3";

static ciuic_model *optimized(const char *folder, const ciuic_options *options)
{
    ciuic_model *plain = NULL, *made = NULL;
    CHECK(ciuic_model_load(folder, &plain) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(ciuic_optimize(plain, options, &made, NULL) == CIUIC_OK, "%s", ciuic_last_error());
    ciuic_model_free(plain);
    CU_ASSERT_PTR_NOT_NULL_FATAL(made);
    return made;
}

/* Every weight is looked at: folded, packed, mapped, widened, quantised or as it is. */
static void sound_models_are_found_sound(void)
{
    static const struct {
        const char *folder;
        ciuic_options options;
    } rows[] = {
        {v3, {.isa = "c"}},
        {v3, {.isa = "best", .graph = true, .memory = CIUIC_MEMORY_ON}},
        {v3, {.isa = "best", .graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE, .quantize = CIUIC_QUANTIZE_INT8}},
        {v3, {.isa = "best", .graph = true, .memory = CIUIC_MEMORY_ON, .quantize = CIUIC_QUANTIZE_INT4}},
        {v3, {.isa = "c", .graph = true, .quantize = CIUIC_QUANTIZE_INT3, .group = 64, .asymmetric = true}},
        {v3, {.isa = "c", .quantize = CIUIC_QUANTIZE_AFFINE8}},
        {v3, {.isa = "best", .memory = CIUIC_MEMORY_ON, .quantize = CIUIC_QUANTIZE_AFFINE4}},
        {v3, {.isa = "c", .graph = true, .memory = CIUIC_MEMORY_ON, .weights_f32 = true}}, /* norms folded in */
        {"datasets/golden/deepseek-v3-fp8", {.isa = "c"}},
        {"datasets/golden/deepseek-v3-fp8", {.isa = "best", .graph = true, .memory = CIUIC_MEMORY_ON}},
        {"datasets/golden/r1-distill-qwen", {.isa = "best", .graph = true, .memory = CIUIC_MEMORY_ON}}, /* biases */
        {"datasets/golden/r1-0528-qwen3", {.isa = "c", .graph = true, .quantize = CIUIC_QUANTIZE_INT5}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ciuic_model *model = optimized(rows[i].folder, &rows[i].options);
        ciuic_weight_check found;
        ciuic_model_info info;
        ciuic_model_describe(model, &info);
        CHECK(ciuic_check_weights(model, &found) == CIUIC_OK, "row %zu: %s", i, ciuic_last_error());
        /* Norms that were folded into matrices are there no more: two vectors a layer, at the least, and less than 1%. */
        const size_t folded = rows[i].options.weights_f32 ? info.parameters / 100 : 0;
        CHECK(found.unchecked == 0 && found.checked + folded >= info.parameters,
              "row %zu: %zu checked, %zu not, of %zu", i, found.checked, found.unchecked, info.parameters);
        ciuic_model_free(model);
    }
}

static void what_calibration_made_is_counted_as_unchecked(void)
{
    const ciuic_quantizer quantizers[] = {CIUIC_QUANTIZER_CLIP, CIUIC_QUANTIZER_AWQ};
    for (size_t i = 0; i < sizeof quantizers / sizeof quantizers[0]; i++) {
        const ciuic_options options = {
            .isa = "c", .graph = true, .quantize = CIUIC_QUANTIZE_INT4, .quantizer = quantizers[i]};
        ciuic_model *model = optimized("datasets/qwen2-tiny", &options);
        ciuic_weight_check found;
        CHECK(ciuic_check_weights(model, &found) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(found.unchecked > 0, "%zu checked, %zu not", found.checked, found.unchecked);
        ciuic_model_free(model);
    }
}

/* ---- damage ----------------------------------------------------------------------------------------------------- */

/* What to change in which matrix: a bit of a byte of its values, or a scale. */
typedef struct damage {
    const char *name;
    ciuic_options options;
    size_t byte;       /* of the values */
    unsigned char bit; /* 0: the scale of the matrix's first group, by 2% */
    const char *place; /* what the message has to hold */
    bool done;
} damage;

static ciuic_status apply(void *context, const stored_weight *w)
{
    damage *d = context;
    if (w->matrix == NULL || strcmp(w->name, d->name) != 0) return CIUIC_OK;
    /* Memory of the store's own, which only its users see as constant, or pages of a file, which are then this process's. */
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (d->options.memory != CIUIC_MEMORY_OFF && d->options.quantize == CIUIC_QUANTIZE_NONE)
        CU_ASSERT_EQUAL(
            mprotect((void *)((uintptr_t)w->matrix->values / page * page), 2 * page, PROT_READ | PROT_WRITE), 0);
    if (d->bit != 0) {
        ((unsigned char *)(uintptr_t)w->matrix->values)[d->byte] ^= d->bit;
    } else {
        uint16_t *scale = (uint16_t *)(uintptr_t)w->matrix->scales;
        scale[0] = (uint16_t)(scale[0] + 20); /* 20 units of a mantissa of 11 bits: 1 to 2% */
    }
    d->done = true;
    return CIUIC_OK;
}

static void a_changed_weight_is_found_by_name(void)
{
    static const char expert[] = "model.layers.1.mlp.experts.2.down_proj", head[] = "lm_head",
                      embedding[] = "model.embed_tokens";
    const ciuic_options heap = {.isa = "c"};
    const ciuic_options mapped = {.isa = "best", .graph = true, .memory = CIUIC_MEMORY_ON};
    const ciuic_options int8 = {
        .isa = "best", .graph = true, .memory = CIUIC_MEMORY_ON, .quantize = CIUIC_QUANTIZE_INT8};
    const ciuic_options int4 = {.isa = "c", .graph = true, .quantize = CIUIC_QUANTIZE_INT4};
    damage rows[] = {
        {embedding, heap, 1, 0x04, "[0][0]", false}, /* the lowest bit of an exponent */
        {expert, heap, 3, 0x40, "[0][1]", false},    /* the highest */
        {head, heap, 6, 0x01, "[0][3]", false},      /* the last bit of a mantissa */
        {expert, mapped, 3, 0x04, "where it is mapped", false},
        {expert, int8, 0, 0x01, "[0][0]", false},
        {expert, int8, 0, 0, "[0][", false},
        {head, int4, 0, 0x01, "[0][0]", false},
        {head, int4, 0, 0, "[0][", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ciuic_model *model = optimized(v3, &rows[i].options);
        ciuic_weight_check found;
        CU_ASSERT_EQUAL(weight_store_each(model->weights, apply, &rows[i]), CIUIC_OK);
        CHECK(rows[i].done, "row %zu: no %s", i, rows[i].name);
        CHECK(ciuic_check_weights(model, &found) == CIUIC_ERROR_LIMIT, "row %zu: nothing was found", i);
        CHECK(strstr(ciuic_last_error(), rows[i].name) != NULL && strstr(ciuic_last_error(), rows[i].place) != NULL,
              "row %zu: %s", i, ciuic_last_error());
        ciuic_model_free(model);
    }
}

static const test_case cases[] = {
    {"sound models are found sound", sound_models_are_found_sound},
    {"what calibration made is counted as unchecked", what_calibration_made_is_counted_as_unchecked},
    {"a changed weight is found by name", a_changed_weight_is_found_by_name},
};
TEST_SUITE(weight_check, cases);
