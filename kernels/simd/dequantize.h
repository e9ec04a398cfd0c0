/* dequantize.h - rows of weights of any format as floats, and sums of scaled rows: y += a^T w. */
#ifndef CIUIC_KERNELS_SIMD_DEQUANTIZE_H
#define CIUIC_KERNELS_SIMD_DEQUANTIZE_H

#include "kernels/c/kernels_c.h"
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
    case KERNEL_AFFINE8:
        float_span(KERNEL_AFFINE8, w, row, first, count, out);
        return;
    case KERNEL_AFFINE4:
        float_span(KERNEL_AFFINE4, w, row, first, count, out);
        return;
    case KERNEL_F8:
    case KERNEL_INT8:
    case KERNEL_INT4:
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

static ALWAYS_INLINE void matvec_transposed(const kernel_matrix *w, const float *a, float *y)
{
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
