/* quantized_matrix.c - see quantized_matrix.h. */
#include "optimizer/checkpoint/quantized_matrix.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/error.h"

const char *const quantized_part_suffix[QUANTIZED_PARTS] = {".weight", ".weight_scale", ".weight_minimum"};

/* Without memory. */
static kernel_matrix shape_of(const quantized_tensor *t, size_t rows, size_t columns)
{
    return (kernel_matrix){.format = t->setting.format,
                           .rows = rows,
                           .columns = columns,
                           .group = t->setting.group,
                           .interleave = t->interleave};
}

size_t quantized_part_count(const quantize_setting *setting)
{
    return quantize_setting_by_groups(setting) && !setting->minimums ? QUANTIZED_MINIMUMS : QUANTIZED_PARTS;
}

tensor quantized_part(const quantized_tensor *t, size_t rows, size_t columns, int part)
{
    const kernel_matrix m = shape_of(t, rows, columns);
    const size_t stored = kernel_stored_rows(&m);
    tensor expected = {.dtype = TENSOR_U8, .dims = 2, .shape = {stored, kernel_row_bytes(m.format, columns)}};
    if (part != QUANTIZED_VALUES && quantize_setting_by_groups(&t->setting))
        expected = (tensor){.dtype = TENSOR_F16, .dims = 2, .shape = {stored, kernel_row_scales(&m)}};
    else if (part != QUANTIZED_VALUES)
        expected = (tensor){.dtype = TENSOR_F32, .dims = 1, .shape = {1}};
    expected.count = expected.shape[0] * (expected.dims > 1 ? expected.shape[1] : 1);
    expected.bytes = expected.count * tensor_dtype_bytes(expected.dtype);
    return expected;
}

/* "int4-g64-asym, panels of 16 rows". */
static const char *describe(const quantized_tensor *t, char text[80])
{
    char name[SETTING_NAME];
    quantize_setting_name(&t->setting, name);
    if (t->interleave > 0)
        snprintf(text, 80, "%s in panels of %zu rows", name, t->interleave);
    else
        snprintf(text, 80, "%s", name);
    return text;
}

static ciuic_status check_part(const char *source, const quantized_tensor *t, const tensor *expected, int part,
                               const tensor *found)
{
    char what[80], wanted[200], shape[200];
    describe(t, what);
    tensor_print_shape(expected->dims, expected->shape, wanted, sizeof wanted);
    if (found == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%s%s\" is missing; expected %s %s, for config.json says %s",
                          source, t->name, quantized_part_suffix[part], tensor_dtype_name(expected->dtype), wanted,
                          what);
    if (found->dtype != expected->dtype || found->dims != expected->dims ||
        memcmp(found->shape, expected->shape, expected->dims * sizeof expected->shape[0]) != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%s\" is %s %s; expected %s %s, for config.json says %s",
                          found->file, found->name, tensor_dtype_name(found->dtype),
                          tensor_print_shape(found->dims, found->shape, shape, sizeof shape),
                          tensor_dtype_name(expected->dtype), wanted, what);
    if ((uintptr_t)found->data % tensor_dtype_bytes(expected->dtype) != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: tensor \"%s\" is not aligned to the %zu bytes of its %s; expected that, as ciuic writes "
                          "it: quantise the source anew",
                          found->file, found->name, tensor_dtype_bytes(expected->dtype),
                          tensor_dtype_name(expected->dtype));
    return CIUIC_OK;
}

static ciuic_status not_finite(const tensor *t, size_t at, float value)
{
    return ciuic_fail(
        CIUIC_ERROR_INPUT,
        "%s: tensor \"%s\": value %zu is %g; expected finite ones: the file is damaged, quantise the source "
        "anew",
        t->file, t->name, at, (double)value);
}

/* An infinity or a NaN has all bits of its exponent set. */
static bool holds_extreme(const uint16_t *codes, size_t n)
{
    uint16_t found = 0;
    for (size_t i = 0; i < n; i++) found |= (uint16_t)((codes[i] & 0x7c00u) == 0x7c00u);
    return found != 0;
}

static ciuic_status check_finite(const tensor *t)
{
    if (t->dtype == TENSOR_F32) {
        float value;
        CIUIC_TRY(tensor_to_f32(t, 0, 1, &value));
        return isfinite(value) ? CIUIC_OK : not_finite(t, 0, value);
    }
    const uint16_t *codes = t->data;
    const bool extreme = holds_extreme(codes, t->count);
    tensor_drop_pages(t); /* looked at, not yet used */
    if (!extreme) return CIUIC_OK;
    size_t at = 0;
    while (isfinite(float_from_f16(codes[at]))) at++;
    return not_finite(t, at, float_from_f16(codes[at]));
}

ciuic_status quantized_matrix_bind(const char *source, const tensor *const found[QUANTIZED_PARTS], size_t rows,
                                   size_t columns, quantized_tensor *t)
{
    if (quantize_setting_by_groups(&t->setting) && !kernel_group_supported(columns, t->setting.group))
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: tensor \"%s.weight\": rows of %zu columns as one group; expected at most %d", source,
                          t->name, columns, KERNEL_GROUP_COLUMNS);
    const size_t parts = quantized_part_count(&t->setting);
    for (size_t i = 0; i < parts; i++) {
        const tensor expected = quantized_part(t, rows, columns, (int)i);
        CIUIC_TRY(check_part(source, t, &expected, (int)i, found[i]));
        if (i != QUANTIZED_VALUES) CIUIC_TRY(check_finite(found[i]));
    }
    t->matrix = shape_of(t, rows, columns);
    t->matrix.values = found[QUANTIZED_VALUES]->data;
    if (quantize_setting_by_groups(&t->setting)) {
        t->matrix.scales = found[QUANTIZED_SCALES]->data;
        t->matrix.minimums = t->setting.minimums ? found[QUANTIZED_MINIMUMS]->data : NULL;
        return CIUIC_OK;
    }
    CIUIC_TRY(tensor_to_f32(found[QUANTIZED_SCALES], 0, 1, &t->matrix.scale));
    return tensor_to_f32(found[QUANTIZED_MINIMUMS], 0, 1, &t->matrix.minimum);
}
