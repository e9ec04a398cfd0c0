/* dequantize.h - rows of weights of any format as floats, and sums of scaled rows: y += a^T w. */
#ifndef CIUIC_KERNELS_SIMD_DEQUANTIZE_H
#define CIUIC_KERNELS_SIMD_DEQUANTIZE_H

#include "kernels/c/kernels_c.h"
#include "kernels/simd/units.h"
#include "kernels/simd/weights.h"

static ALWAYS_INLINE void float_span(kernel_format format, const kernel_matrix *w, size_t row, size_t first,
                                     size_t count, float *out)
{
    const weight_rows rows = rows_of_matrix(w);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) vf_store(out + i, load_weights(format, &rows, row, first + i));
    if (i < count) vf_store_part(out + i, count - i, load_weights_part(format, &rows, row, first + i, count - i));
}

/* out[i] = w[row][first + i], i < count; first is a multiple of KERNEL_GROUP. */
static inline void span_to_float(const kernel_matrix *w, size_t row, size_t first, size_t count, float *out)
{
    switch (w->format) {
    case KERNEL_F32:
        float_span(KERNEL_F32, w, row, first, count, out);
        return;
    case KERNEL_F16:
        float_span(KERNEL_F16, w, row, first, count, out);
        return;
    case KERNEL_BF16:
        float_span(KERNEL_BF16, w, row, first, count, out);
        return;
    case KERNEL_F8:
        float_span(KERNEL_F8, w, row, first, count, out);
        return;
    case KERNEL_AFFINE8:
        float_span(KERNEL_AFFINE8, w, row, first, count, out);
        return;
    case KERNEL_AFFINE4:
        float_span(KERNEL_AFFINE4, w, row, first, count, out);
        return;
    case KERNEL_INT8:
    case KERNEL_INT4:
    case KERNEL_INT3:
    case KERNEL_FORMATS:
        dequantize_span_c(w, row, first, count, out);
    }
}

enum { TRANSPOSED_ROWS = 8, TRANSPOSED_SPAN = 256 /* floats of y that stay in the L1 cache with eight rows of w */ };

/* y[i] += a[0] * rows[0][i] + ..., over R rows. */
static ALWAYS_INLINE void add_scaled_rows(const int R, size_t width, float rows[][TRANSPOSED_SPAN], const float *a,
                                          float *y)
{
    vf factors[TRANSPOSED_ROWS];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) factors[r] = vf_set1(a[r]);
    for (size_t i = 0; i < width; i += LANES) {
        const bool whole = i + LANES <= width;
        vf even = whole ? vf_load(y + i) : vf_load_part(y + i, width - i), odd = vf_zero();
#pragma GCC unroll 4
        for (int r = 0; r + 1 < R; r += 2) {
            even = vf_fma(factors[r], vf_load(rows[r] + i), even);
            odd = vf_fma(factors[r + 1], vf_load(rows[r + 1] + i), odd);
        }
        if (R % 2) even = vf_fma(factors[R - 1], vf_load(rows[R - 1] + i), even);
        if (whole)
            vf_store(y + i, vf_add(even, odd));
        else
            vf_store_part(y + i, width - i, vf_add(even, odd));
    }
}

enum { TRANSPOSED_PANELS = 16 /* of an interleaved matrix, at once */ };

/* y[0..3] += over panels: the columns of unit u of each one's block, times factors (a, scaled); `count` of the four are
 * there. */
static ALWAYS_INLINE void add_unit(kernel_format format, const uint8_t *const *blocks, int u, const vf *factors,
                                   size_t panels, int zero, float base, size_t count, float *y)
{
    vf sum[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    for (size_t p = 0; p < panels; p++) {
        const vi unit = block_unit(format, blocks[p], u);
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++) sum[c] = vf_fma(unit_column(format, unit, c, zero), factors[p], sum[c]);
    }
    float four[4];
    v4_store(four, vf_sum4(sum[0], sum[1], sum[2], sum[3]));
    for (size_t c = 0; c < count; c++) y[c] += four[c] + base;
}

/* Up to TRANSPOSED_PANELS panels of an interleaved matrix: each lane multiplies its row, and four columns at a time are
 * summed across lanes. */
static ALWAYS_INLINE void add_panels(kernel_format format, const kernel_matrix *w, size_t first, const float *a,
                                     float *y)
{
    const size_t rest = w->rows - first, rows = rest < TRANSPOSED_PANELS * LANES ? rest : TRANSPOSED_PANELS * LANES;
    const size_t panels = (rows + LANES - 1) / LANES, groups = kernel_row_scales(w);
    const size_t panel_bytes = kernel_row_bytes(format, w->columns) * LANES;
    const size_t step = w->group ? w->group : w->columns;
    const int zero = zero_code(format, w->minimums);
    const uint8_t *values = (const uint8_t *)w->values + first / LANES * panel_bytes;
    for (size_t g = 0; g < groups; g++) {
        vf factors[TRANSPOSED_PANELS], base = vf_zero();
        for (size_t p = 0; p < panels; p++) {
            const size_t at = p * LANES, count = rows - at, scale = ((first / LANES + p) * groups + g) * LANES;
            const vf lanes = count >= LANES ? vf_load(a + at) : vf_load_part(a + at, count);
            factors[p] = vf_mul(lanes, vf_load_f16(w->scales + scale));
            if (w->minimums) base = vf_fma(lanes, vf_load_f16(w->minimums + scale), base);
        }
        const float minimums = w->minimums ? vf_sum(base) : 0;
        const size_t end = (g + 1) * step < w->columns ? (g + 1) * step : w->columns;
        for (size_t k = g * step; k < end;) {
            const uint8_t *blocks[TRANSPOSED_PANELS];
            for (size_t p = 0; p < panels; p++)
                blocks[p] = values + p * panel_bytes + k / KERNEL_GROUP * panel_block_bytes(format);
            for (int u = 0; u < BLOCK_UNITS && k < end; u++, k += 4)
                add_unit(format, blocks, u, factors, panels, zero, minimums, end - k < 4 ? end - k : 4, y + k);
        }
    }
}

static ALWAYS_INLINE void matvec_transposed(const kernel_matrix *w, const float *a, float *y)
{
    if (w->interleave == LANES && kernel_is_grouped(w->format)) {
        for (size_t r = 0; r < w->rows; r += TRANSPOSED_PANELS * LANES) {
            if (w->format == KERNEL_INT8)
                add_panels(KERNEL_INT8, w, r, a + r, y);
            else if (w->format == KERNEL_INT4)
                add_panels(KERNEL_INT4, w, r, a + r, y);
            else
                add_panels(KERNEL_INT3, w, r, a + r, y);
        }
        return;
    }
    float rows[TRANSPOSED_ROWS][TRANSPOSED_SPAN] = {{0}}; /* lanes past the width are read, though not used */
    for (size_t k = 0; k < w->columns; k += TRANSPOSED_SPAN) {
        const size_t width = w->columns - k < TRANSPOSED_SPAN ? w->columns - k : TRANSPOSED_SPAN;
        size_t r = 0;
        for (; r + TRANSPOSED_ROWS <= w->rows; r += TRANSPOSED_ROWS) {
            for (size_t i = 0; i < TRANSPOSED_ROWS; i++) span_to_float(w, r + i, k, width, rows[i]);
            add_scaled_rows(TRANSPOSED_ROWS, width, rows, a + r, y + k);
        }
        for (; r < w->rows; r++) {
            span_to_float(w, r, k, width, rows[0]);
            add_scaled_rows(1, width, rows, a + r, y + k);
        }
    }
}

#endif
