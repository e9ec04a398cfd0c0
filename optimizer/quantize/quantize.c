/* quantize.c - float rows to storage formats, round to nearest. Slow and plain on purpose: it defines the codes. */
#include "optimizer/quantize/quantize.h"

#include <math.h>
#include <string.h>

#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/error.h"
#include "optimizer/quantize/codes.h"
#include "optimizer/quantize/group_scale.h"

/* ---- the article's formula: one range per tensor ---------------------------------------------------------------- */

affine_range affine_range_empty(void)
{
    return (affine_range){.minimum = INFINITY, .maximum = -INFINITY};
}

bool affine_range_add(affine_range *range, size_t n, const float *values)
{
    affine_range wider = *range;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) return false;
        if (values[i] < wider.minimum) wider.minimum = values[i];
        if (values[i] > wider.maximum) wider.maximum = values[i];
    }
    *range = wider;
    return true;
}

void affine_parameters(affine_range range, int bits, float *scale, float *minimum)
{
    const bool empty = range.minimum > range.maximum;
    const double levels = (double)((1 << bits) - 1);
    /* In double: the difference of two floats may overflow float. */
    *scale = empty ? 0 : (float)(((double)range.maximum - (double)range.minimum) / levels);
    *minimum = empty ? 0 : range.minimum;
}

static unsigned affine_code(float value, float scale, float minimum, int levels)
{
    if (scale == 0) return 0;
    const double code = nearbyint(((double)value - (double)minimum) / (double)scale);
    return code <= 0 ? 0 : code >= levels ? (unsigned)levels : (unsigned)code;
}

/* ---- one row ---------------------------------------------------------------------------------------------------- */

/* What a row is written with. */
typedef struct destination {
    const kernel_matrix *w;
    unsigned char *values;       /* of this row */
    uint16_t *scales, *minimums; /* of this row; INT8, INT4 and INT3 */
    size_t row;
} destination;

static ciuic_status refuse(const destination *d, size_t column, float value, const char *expected)
{
    return ciuic_fail(CIUIC_ERROR_INPUT, "weight [%zu][%zu] is %g; expected %s for %s", d->row, column, (double)value,
                      expected, kernel_format_name(d->w->format));
}

static ciuic_status check_finite(const destination *d, const float *x)
{
    for (size_t k = 0; k < d->w->columns; k++)
        if (!isfinite(x[k])) return refuse(d, k, x[k], "a finite value");
    return CIUIC_OK;
}

static ciuic_status store_16bit(const destination *d, const float *x)
{
    const bool f16 = d->w->format == KERNEL_F16;
    for (size_t k = 0; k < d->w->columns; k++) {
        const uint16_t code = f16 ? float_to_f16(x[k]) : float_to_bf16(x[k]);
        if (!isfinite(f16 ? float_from_f16(code) : float_from_bf16(code)))
            return refuse(d, k, x[k], f16 ? "a magnitude below 65520" : "a magnitude below 2^128 - 2^119");
        memcpy(d->values + k * sizeof code, &code, sizeof code);
    }
    return CIUIC_OK;
}

static void store_affine(const destination *d, const float *x)
{
    const kernel_matrix *w = d->w;
    const bool wide = w->format == KERNEL_AFFINE8;
    memset(d->values, 0, kernel_row_bytes(w->format, w->columns));
    for (size_t k = 0; k < w->columns; k++) {
        const unsigned code = affine_code(x[k], w->scale, w->minimum, wide ? 255 : 15);
        if (wide)
            d->values[k] = (unsigned char)code;
        else
            d->values[k / 2] |= (unsigned char)(code << (k % 2 * 4));
    }
}

static const char *too_large(kernel_format format, bool asymmetric)
{
    if (asymmetric) return "a group whose range and minimum fit binary16";
    return format == KERNEL_INT8   ? "a magnitude below 127 * 65520"
           : format == KERNEL_INT4 ? "a magnitude below 8 * 65520"
                                   : "a magnitude below 4 * 65520";
}

/* Padding decodes to 0 in a symmetric format; with minimums it meets activations that are 0. */
static ciuic_status store_groups(const destination *d, const float *x)
{
    const size_t columns = d->w->columns, group = d->w->group > 0 ? d->w->group : columns;
    const bool asymmetric = d->minimums != NULL;
    const code_grid grid = code_grid_of(d->w->format, asymmetric);
    for (size_t first = 0; first < columns; first += group) {
        const size_t n = columns - first < group ? columns - first : group;
        group_scale s;
        if (!group_scale_rtn(d->w->format, asymmetric, n, x + first, &s)) {
            const size_t at = first + group_extreme(n, x + first);
            return refuse(d, at, x[at], too_large(d->w->format, asymmetric));
        }
        d->scales[first / group] = s.scale;
        if (asymmetric) d->minimums[first / group] = s.minimum;
        const float scale = float_from_f16(s.scale), minimum = float_from_f16(s.minimum);
        for (size_t block = 0; block < n; block += KERNEL_GROUP) {
            int8_t codes[KERNEL_GROUP];
            const size_t some = n - block < KERNEL_GROUP ? n - block : KERNEL_GROUP;
            for (size_t k = 0; k < some; k++) codes[k] = (int8_t)code_of(&grid, x[first + block + k], scale, minimum);
            codes_pack(d->w->format, codes, first + block, some, d->values);
        }
    }
    return CIUIC_OK;
}

static ciuic_status store_row(const destination *d, const float *x)
{
    CIUIC_TRY(check_finite(d, x));
    switch (d->w->format) {
    case KERNEL_F32:
        if (d->w->columns > 0) memcpy(d->values, x, d->w->columns * sizeof *x);
        return CIUIC_OK;
    case KERNEL_F16:
    case KERNEL_BF16:
        return store_16bit(d, x);
    case KERNEL_AFFINE8:
    case KERNEL_AFFINE4:
        store_affine(d, x);
        return CIUIC_OK;
    case KERNEL_INT8:
    case KERNEL_INT4:
    case KERNEL_INT3:
        return store_groups(d, x);
    case KERNEL_F8: /* made by those who train in it, and only read here */
    case KERNEL_FORMATS:
        break;
    }
    return ciuic_fail(CIUIC_ERROR_USAGE, "weight format %d asked for; expected one of %d", (int)d->w->format,
                      (int)KERNEL_FORMATS);
}

ciuic_status quantize_rows(const kernel_matrix *w, quantized_memory to, size_t first, size_t count, const float *rows)
{
    if (first > w->rows || count > w->rows - first)
        return ciuic_fail(CIUIC_ERROR_USAGE, "rows [%zu, %zu) of a matrix of %zu asked for", first, first + count,
                          w->rows);
    const size_t row_bytes = kernel_row_bytes(w->format, w->columns), row_scales = kernel_row_scales(w);
    for (size_t i = 0; i < count; i++) {
        const destination d = {
            .w = w,
            .values = (unsigned char *)to.values + (first + i) * row_bytes,
            .scales = to.scales == NULL ? NULL : to.scales + (first + i) * row_scales,
            .minimums = to.minimums == NULL ? NULL : to.minimums + (first + i) * row_scales,
            .row = first + i,
        };
        CIUIC_TRY(store_row(&d, rows + i * w->columns));
    }
    return CIUIC_OK;
}
