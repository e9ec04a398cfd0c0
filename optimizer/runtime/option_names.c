/* option_names.c - the settings of the stages by their names. */
#include <string.h>

#include "optimizer/ciuic.h"

static const char *const quantize_names[CIUIC_QUANTIZE_COUNT] = {
    [CIUIC_QUANTIZE_NONE] = "none",   [CIUIC_QUANTIZE_AFFINE8] = "affine8", [CIUIC_QUANTIZE_AFFINE4] = "affine4",
    [CIUIC_QUANTIZE_INT8] = "int8",   [CIUIC_QUANTIZE_INT4] = "int4",       [CIUIC_QUANTIZE_INT3] = "int3",
    [CIUIC_QUANTIZE_MIXED] = "mixed",
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
static const char *const memory_names[CIUIC_MEMORY_COUNT] = {[CIUIC_MEMORY_OFF] = "off", [CIUIC_MEMORY_ON] = "on"};

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
