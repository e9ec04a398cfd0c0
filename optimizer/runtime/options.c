/* options.c - the settings of the stages: their names, which of them go together, and what they mean for a matrix. */
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/quantize/setting.h"

static const char *const quantize_names[CIUIC_QUANTIZE_COUNT] = {
    [CIUIC_QUANTIZE_NONE] = "none", [CIUIC_QUANTIZE_AFFINE8] = "affine8", [CIUIC_QUANTIZE_AFFINE4] = "affine4",
    [CIUIC_QUANTIZE_INT8] = "int8", [CIUIC_QUANTIZE_INT4] = "int4",       [CIUIC_QUANTIZE_INT3] = "int3",
    [CIUIC_QUANTIZE_INT5] = "int5", [CIUIC_QUANTIZE_INT6] = "int6",       [CIUIC_QUANTIZE_MIXED] = "mixed",
};
static const char *const quantizer_names[CIUIC_QUANTIZER_COUNT] = {
    [CIUIC_QUANTIZER_RTN] = "rtn",
    [CIUIC_QUANTIZER_CLIP] = "clip",
    [CIUIC_QUANTIZER_AWQ] = "awq",
    [CIUIC_QUANTIZER_GPTQ] = "gptq",
};
static const char *const activations_names[CIUIC_ACTIVATIONS_COUNT] = {
    [CIUIC_ACTIVATIONS_INT8] = "int8",
    [CIUIC_ACTIVATIONS_NONE] = "none",
};
static const char *const memory_names[CIUIC_MEMORY_COUNT] = {
    [CIUIC_MEMORY_OFF] = "off", [CIUIC_MEMORY_ON] = "on", [CIUIC_MEMORY_AGGRESSIVE] = "aggressive"};

/* The index of `name`, `count` when there is none of it. */
static int find(const char *const *names, int count, const char *name)
{
    int i = 0;
    while (i < count && strcmp(names[i], name) != 0) i++;
    return i;
}

const char *ciuic_quantize_name(ciuic_quantize quantize)
{
    return (unsigned)quantize < CIUIC_QUANTIZE_COUNT ? quantize_names[quantize] : NULL;
}

const char *ciuic_quantizer_name(ciuic_quantizer quantizer)
{
    return (unsigned)quantizer < CIUIC_QUANTIZER_COUNT ? quantizer_names[quantizer] : NULL;
}

const char *ciuic_activations_name(ciuic_activations activations)
{
    return (unsigned)activations < CIUIC_ACTIVATIONS_COUNT ? activations_names[activations] : NULL;
}

const char *ciuic_memory_name(ciuic_memory memory)
{
    return (unsigned)memory < CIUIC_MEMORY_COUNT ? memory_names[memory] : NULL;
}

bool ciuic_quantize_parse(const char *name, ciuic_quantize *quantize)
{
    const int i = find(quantize_names, CIUIC_QUANTIZE_COUNT, name);
    if (i < CIUIC_QUANTIZE_COUNT) *quantize = (ciuic_quantize)i;
    return i < CIUIC_QUANTIZE_COUNT;
}

bool ciuic_quantizer_parse(const char *name, ciuic_quantizer *quantizer)
{
    const int i = find(quantizer_names, CIUIC_QUANTIZER_COUNT, name);
    if (i < CIUIC_QUANTIZER_COUNT) *quantizer = (ciuic_quantizer)i;
    return i < CIUIC_QUANTIZER_COUNT;
}

bool ciuic_activations_parse(const char *name, ciuic_activations *activations)
{
    const int i = find(activations_names, CIUIC_ACTIVATIONS_COUNT, name);
    if (i < CIUIC_ACTIVATIONS_COUNT) *activations = (ciuic_activations)i;
    return i < CIUIC_ACTIVATIONS_COUNT;
}

bool ciuic_memory_parse(const char *name, ciuic_memory *memory)
{
    const int i = find(memory_names, CIUIC_MEMORY_COUNT, name);
    if (i < CIUIC_MEMORY_COUNT) *memory = (ciuic_memory)i;
    return i < CIUIC_MEMORY_COUNT;
}

ciuic_status ciuic_options_check(const ciuic_options *options)
{
    const ciuic_quantize q = options->quantize;
    const char *name = ciuic_quantize_name(q);
    if (name == NULL || ciuic_memory_name(options->memory) == NULL ||
        ciuic_quantizer_name(options->quantizer) == NULL || ciuic_activations_name(options->activations) == NULL)
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "options: quantize, quantizer, activations or memory is no setting that exists");
    if (options->passes >> CIUIC_PASSES != 0 || (options->passes != 0 && !options->graph))
        return ciuic_fail(CIUIC_ERROR_USAGE, options->graph ? "options: passes has a bit of no pass that exists"
                                                            : "options: passes were chosen, and graph is off");
    if (options->weights_f32 && q != CIUIC_QUANTIZE_NONE)
        return ciuic_fail(CIUIC_ERROR_USAGE, "options: FP32 weights and quantize %s exclude each other", name);
    const quantize_setting setting = quantize_setting_of(options);
    const bool groups = quantize_setting_by_groups(&setting);
    const int g = options->group;
    if (g != 0 && g != 32 && g != 64 && g != 128 && g != CIUIC_GROUP_ROW)
        return ciuic_fail(CIUIC_ERROR_USAGE, "options: groups of %d columns; expected 32, 64, 128 or whole rows", g);
    if (!groups && (g != 0 || options->asymmetric))
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "options: group and asymmetric are for int8 to int3; quantize %s has its own", name);
    if (!groups && q != CIUIC_QUANTIZE_MIXED && options->quantizer != CIUIC_QUANTIZER_RTN)
        return ciuic_fail(CIUIC_ERROR_USAGE, "options: quantizer %s is for int8 to int3 and mixed, not for %s",
                          ciuic_quantizer_name(options->quantizer), name);
    /* Of quantize none it may be said: the checkpoint's own weights may be quantised. */
    if (!groups && q != CIUIC_QUANTIZE_MIXED && q != CIUIC_QUANTIZE_NONE &&
        options->activations == CIUIC_ACTIVATIONS_NONE)
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "options: activations none is for int8 to int3 and mixed; quantize %s reads FP32 ones anyway",
                          name);
    if (options->layers_only && (q == CIUIC_QUANTIZE_NONE || q == CIUIC_QUANTIZE_MIXED))
        return ciuic_fail(CIUIC_ERROR_USAGE, "options: layers only is for one format in all layers; quantize %s %s",
                          name,
                          q == CIUIC_QUANTIZE_NONE ? "leaves everything as it is" : "chooses for each matrix itself");
    const bool budget = options->bits != 0 || options->weight_bytes != 0;
    if (budget != (q == CIUIC_QUANTIZE_MIXED))
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          budget ? "options: a budget of bits or bytes is for quantize mixed, not for %s"
                                 : "options: quantize %s needs a budget, bits or weight_bytes",
                          name);
    if (!(options->bits >= 0 && options->bits <= 32))
        return ciuic_fail(CIUIC_ERROR_USAGE, "options: %g bits a weight; expected 0 to 32", options->bits);
    return CIUIC_OK;
}

quantize_setting quantize_setting_of(const ciuic_options *options)
{
    static const kernel_format formats[CIUIC_QUANTIZE_COUNT] = {
        [CIUIC_QUANTIZE_AFFINE8] = KERNEL_AFFINE8, [CIUIC_QUANTIZE_AFFINE4] = KERNEL_AFFINE4,
        [CIUIC_QUANTIZE_INT8] = KERNEL_INT8,       [CIUIC_QUANTIZE_INT4] = KERNEL_INT4,
        [CIUIC_QUANTIZE_INT3] = KERNEL_INT3,       [CIUIC_QUANTIZE_INT5] = KERNEL_INT5,
        [CIUIC_QUANTIZE_INT6] = KERNEL_INT6,
    };
    const ciuic_quantize q = options->quantize;
    if (q == CIUIC_QUANTIZE_NONE || q == CIUIC_QUANTIZE_MIXED) return (quantize_setting){0};
    quantize_setting s = {.quantised = true, .format = formats[q], .minimums = options->asymmetric};
    if (quantize_setting_by_groups(&s))
        s.group = options->group == CIUIC_GROUP_ROW ? 0 : options->group == 0 ? KERNEL_GROUP : (size_t)options->group;
    return s;
}

ciuic_status recipe_of_options(const ciuic_options *options, recipe *r)
{
    static const char *const outside[] = {"model.embed_tokens", "lm_head"};
    recipe made = {.otherwise = quantize_setting_of(options)};
    for (size_t i = 0; options->layers_only && i < sizeof outside / sizeof outside[0]; i++) {
        const ciuic_status status = recipe_set(&made, outside[i], (quantize_setting){0});
        if (status == CIUIC_OK) continue;
        recipe_free(&made);
        return status;
    }
    *r = made;
    return CIUIC_OK;
}

bool ciuic_options_calibrate(const ciuic_options *options)
{
    return options->quantizer != CIUIC_QUANTIZER_RTN || options->quantize == CIUIC_QUANTIZE_MIXED;
}
