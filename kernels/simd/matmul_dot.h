/* matmul_dot.h - y = x w^T for few rows of x: dot products along the rows as they lie, several at a time so that a load
 * serves more than one product and the sums are independent chains. w is read once, in order: decode runs at the speed
 * of memory. */
#ifndef CIUIC_KERNELS_SIMD_MATMUL_DOT_H
#define CIUIC_KERNELS_SIMD_MATMUL_DOT_H

#include "kernels/simd/prefetch.h"
#include "kernels/simd/weights.h"

/* sums[i][r / 4] = the products of rows [row, row + R) of w with M rows of x over k columns; R is a multiple of 4. */
static ALWAYS_INLINE void dot_tile(kernel_format format, const int R, const int M, const weight_rows *w, size_t row,
                                   size_t k, const float *x, size_t ldx, v4 sums[][DOT_ROWS / 4])
{
    const size_t ahead = prefetch_distance((size_t)R, w->stride);
    vf acc[DOT_X][DOT_ROWS];
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) acc[i][r] = vf_zero();
    }
    size_t c = 0;
    if (format == KERNEL_BF16 && M == 1) {
        /* Splitting x once for all rows of the tile saves the widening of every weight: a shift and a mask are cheaper. */
        for (; c + 2 * LANES <= k; c += 2 * LANES) {
            vf x_even, x_odd;
            vf_load_pairs(x + c, &x_even, &x_odd);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                const void *p = weight_at(format, w, row + (size_t)r, c);
                if (ahead) prefetch((const char *)p + ahead);
                vf even, odd;
                vf_load_bf16_pairs(p, &even, &odd);
                acc[0][r] = vf_fma(odd, x_odd, vf_fma(even, x_even, acc[0][r]));
            }
        }
    }
    for (; c + LANES <= k; c += LANES) {
        vf xs[DOT_X];
#pragma GCC unroll 8
        for (int i = 0; i < M; i++) xs[i] = vf_load(x + (size_t)i * ldx + c);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            if (M == 1 && ahead) prefetch((const char *)weight_at(format, w, row + (size_t)r, c) + ahead);
            const vf weights = load_weights(format, w, row + (size_t)r, c);
#pragma GCC unroll 8
            for (int i = 0; i < M; i++) acc[i][r] = vf_fma(weights, xs[i], acc[i][r]);
        }
    }
    if (c < k) {
        vf xs[DOT_X];
#pragma GCC unroll 8
        for (int i = 0; i < M; i++) xs[i] = vf_load_part(x + (size_t)i * ldx + c, k - c);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            const vf weights = load_weights_part(format, w, row + (size_t)r, c, k - c);
#pragma GCC unroll 8
            for (int i = 0; i < M; i++) acc[i][r] = vf_fma(weights, xs[i], acc[i][r]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 8
        for (int r = 0; r < R; r += 4) {
            sums[i][r / 4] = vf_sum4(acc[i][r], acc[i][r + 1], acc[i][r + 2], acc[i][r + 3]);
        }
    }
}

static ALWAYS_INLINE float dot_one(kernel_format format, const weight_rows *w, size_t row, size_t k, const float *x)
{
    vf acc = vf_zero();
    size_t c = 0;
    for (; c + LANES <= k; c += LANES) acc = vf_fma(load_weights(format, w, row, c), vf_load(x + c), acc);
    if (c < k) acc = vf_fma(load_weights_part(format, w, row, c, k - c), vf_load_part(x + c, k - c), acc);
    return vf_sum(acc);
}

/* R rows of w, from `row` on, against M rows of x; to y with the bias added. */
static ALWAYS_INLINE void dot_block(kernel_format format, const int R, const int M, const weight_rows *w,
                                    const float *bias, size_t row, size_t k, const float *x, size_t ldx, float *y,
                                    size_t ldy)
{
    v4 sums[DOT_X][DOT_ROWS / 4];
    dot_tile(format, R, M, w, row, k, x, ldx, sums);
#pragma GCC unroll 8
    for (int r = 0; r < R; r += 4) {
        const v4 offset = bias ? v4_load(bias + row + (size_t)r) : v4_zero();
#pragma GCC unroll 8
        for (int i = 0; i < M; i++) {
            v4_store(y + (size_t)i * ldy + row + (size_t)r, v4_add(sums[i][r / 4], offset));
        }
    }
}

static ALWAYS_INLINE void matmul_dot(kernel_format format, const kernel_matrix *matrix, size_t m, const float *x,
                                     size_t ldx, float *y, size_t ldy)
{
    const weight_rows w = rows_of_matrix(matrix);
    const size_t k = matrix->columns, rows = matrix->rows;
    size_t n = 0;
    if (m == 1) {
        for (; n + DOT_ROWS <= rows; n += DOT_ROWS) {
            dot_block(format, DOT_ROWS, 1, &w, matrix->bias, n, k, x, ldx, y, ldy);
        }
    }
    for (; n + 4 <= rows; n += 4) {
        size_t i = 0;
        for (; i + DOT_X <= m; i += DOT_X) {
            dot_block(format, 4, DOT_X, &w, matrix->bias, n, k, x + i * ldx, ldx, y + i * ldy, ldy);
        }
        if (DOT_X > 2 && i + 2 <= m) {
            dot_block(format, 4, 2, &w, matrix->bias, n, k, x + i * ldx, ldx, y + i * ldy, ldy);
            i += 2;
        }
        if (i < m) dot_block(format, 4, 1, &w, matrix->bias, n, k, x + i * ldx, ldx, y + i * ldy, ldy);
    }
    for (; n < rows; n++) {
        const float offset = matrix->bias ? matrix->bias[n] : 0.0f;
        for (size_t i = 0; i < m; i++) y[i * ldy + n] = dot_one(format, &w, n, k, x + i * ldx) + offset;
    }
}

#endif
