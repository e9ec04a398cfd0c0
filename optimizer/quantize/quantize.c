/* quantize.c - float rows to storage formats, round to nearest. Slow and plain on purpose: it defines the codes. */
#include "optimizer/quantize/quantize.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/codes.h"
#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/error.h"

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

/* What a row is written with; w->values and w->scales are const, so the writable places come beside it. */
typedef struct destination {
    const kernel_matrix *w;
    unsigned char *values; /* of this row */
    uint16_t *scales;      /* of this row; formats in groups */
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

/* The column of the value of largest magnitude in the n columns from `first` on; the first of equals. */
static size_t extreme(const float *x, size_t first, size_t n)
{
    size_t best = first;
    for (size_t k = first + 1; k < first + n; k++)
        if (fabsf(x[k]) > fabsf(x[best])) best = k;
    return best;
}

static int clamp(float value, int low, int high)
{
    return value <= (float)low ? low : value >= (float)high ? high : (int)value;
}

/* A group whose scale underflows binary16 (every |w| below about 2^-25 times the top code) becomes zeros: all codes
 * decode to 0 then, so they are 0 too. */
static void store_int8_group(unsigned char *codes, const float *x, size_t n, float scale)
{
    for (size_t k = 0; k < n; k++) {
        const int code = scale == 0 ? 0 : clamp(nearbyintf(x[k] / scale), -127, 127);
        codes[k] = (unsigned char)(signed char)code;
    }
}

/* Padding gets the code that stands for 0. The bytes are zeros before. */
static void store_code_group(kernel_format format, unsigned char *codes, const float *x, size_t n, float scale)
{
    const int low = code_low_bits(format), high = code_high_bits(format);
    const int zero = code_zero(format, false), most = 2 * zero - 1;
    for (size_t k = 0; k < n || k % KERNEL_GROUP > 0; k++) {
        const int code = scale == 0 || k >= n ? zero : clamp(nearbyintf(x[k] / scale) + (float)zero, 0, most);
        const int u = k % KERNEL_GROUP / 4, at = code_high_at(format, u);
        unsigned char *bytes = codes + k / KERNEL_GROUP * code_block_bytes(format) + k % 4;
        bytes[u % low * 4] |= (unsigned char)((code & ((1 << low) - 1)) << u / low * low);
        if (high > 0) bytes[(low + at / 8) * 4] |= (unsigned char)(code >> low << at % 8);
    }
}

/* The scale of a group by its value of largest magnitude. Of codes that gets the end of the range that reaches one
 * further. */
static float group_scale(kernel_format format, float largest)
{
    return format == KERNEL_INT8 ? fabsf(largest) / 127 : largest / (float)-code_zero(format, false);
}

static ciuic_status store_groups(const destination *d, const float *x)
{
    const kernel_format format = d->w->format;
    const size_t columns = d->w->columns;
    memset(d->values, 0, kernel_row_bytes(format, columns));
    const size_t group = d->w->group > 0 ? d->w->group : columns;
    for (size_t first = 0; first < columns; first += group) {
        const size_t n = columns - first < group ? columns - first : group;
        const size_t at = extreme(x, first, n);
        const uint16_t stored = float_to_f16(group_scale(format, x[at]));
        const float scale = float_from_f16(stored);
        if (!isfinite(scale)) {
            char expected[48];
            snprintf(expected, sizeof expected, "a magnitude below %d * 65520",
                     format == KERNEL_INT8 ? 127 : code_zero(format, false));
            return refuse(d, at, x[at], expected);
        }
        d->scales[first / group] = scale == 0 ? 0 : stored; /* no negative zero */
        unsigned char *codes = d->values + kernel_row_bytes(format, first);
        if (format == KERNEL_INT8)
            store_int8_group(codes, x + first, n, scale);
        else
            store_code_group(format, codes, x + first, n, scale);
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
    case KERNEL_INT5:
    case KERNEL_INT6:
        return store_groups(d, x);
    case KERNEL_F8: /* made by those who train in it, and only read here */
    case KERNEL_FORMATS:
        break;
    }
    return ciuic_fail(CIUIC_ERROR_USAGE, "weight format %d asked for; expected one of %d", (int)d->w->format,
                      (int)KERNEL_FORMATS);
}

ciuic_status quantize_rows(const kernel_matrix *w, void *values, uint16_t *scales, size_t first, size_t count,
                           const float *rows)
{
    if (first > w->rows || count > w->rows - first)
        return ciuic_fail(CIUIC_ERROR_USAGE, "rows [%zu, %zu) of a matrix of %zu asked for", first, first + count,
                          w->rows);
    const size_t row_bytes = kernel_row_bytes(w->format, w->columns), row_scales = kernel_row_scales(w);
    for (size_t i = 0; i < count; i++) {
        const destination d = {
            .w = w,
            .values = (unsigned char *)values + (first + i) * row_bytes,
            .scales = scales == NULL ? NULL : scales + (first + i) * row_scales,
            .row = first + i,
        };
        CIUIC_TRY(store_row(&d, rows + i * w->columns));
    }
    return CIUIC_OK;
}
