/* matmul_dot.h - y = x w^T for few rows of x: dot products along the rows as they lie, several at a time so that a load
 * serves more than one product and the sums are independent chains.
 *
 * w is read once, as DOT_ROWS streams: row i of the first quarter of w beside row i of the others. Each stream runs on from
 * row to row through all of its quarter, however short the rows, so that the hardware's prefetchers never lose it; rows that
 * lie side by side would be as many streams that end and begin anew all the time. (Measured on Zen 4, rows of 3 KiB from
 * memory: 1.6 to 1.7 times as fast with one thread, 1.2 with two; prefetching by instructions besides gained nothing.) */
#ifndef CIUIC_KERNELS_SIMD_MATMUL_DOT_H
#define CIUIC_KERNELS_SIMD_MATMUL_DOT_H

#include "kernels/simd/prefetch.h"
#include "kernels/simd/weights.h"

/* sums[i] = the products of rows [row, row + DOT_ROWS) of w with M rows of x over k columns. Bytes `ahead` of the weights in
 * use are prefetched for M = 1; 0: none. */
static ALWAYS_INLINE void dot_tile(kernel_format format, const int M, const weight_rows *w, size_t row, size_t ahead,
                                   size_t k, const float *x, size_t ldx, v4 sums[])
{
    vf acc[DOT_X][DOT_ROWS];
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (int r = 0; r < DOT_ROWS; r++) acc[i][r] = vf_zero();
    }
    size_t c = 0;
    if (format == KERNEL_BF16 && M == 1) {
        vf of_odd[DOT_ROWS];
#pragma GCC unroll 4
        for (int r = 0; r < DOT_ROWS; r++) of_odd[r] = vf_zero();
        /* Splitting x once for all rows of the tile saves the widening of every weight: a shift and a mask are cheaper. */
        for (; c + 2 * LANES <= k; c += 2 * LANES) {
            vf x_even, x_odd;
            vf_load_pairs(x + c, &x_even, &x_odd);
#pragma GCC unroll 4
            for (int r = 0; r < DOT_ROWS; r++) {
                const void *p = weight_at(format, w, row + (size_t)r, c);
                if (ahead) prefetch((const char *)p + ahead);
                vf even, odd;
                vf_load_bf16_pairs(p, &even, &odd);
                acc[0][r] = vf_fma(even, x_even, acc[0][r]);
                of_odd[r] = vf_fma(odd, x_odd, of_odd[r]);
            }
        }
#pragma GCC unroll 4
        for (int r = 0; r < DOT_ROWS; r++) acc[0][r] = vf_add(acc[0][r], of_odd[r]);
    }
    for (; c + LANES <= k; c += LANES) {
        vf xs[DOT_X];
#pragma GCC unroll 8
        for (int i = 0; i < M; i++) xs[i] = vf_load(x + (size_t)i * ldx + c);
#pragma GCC unroll 4
        for (int r = 0; r < DOT_ROWS; r++) {
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
#pragma GCC unroll 4
        for (int r = 0; r < DOT_ROWS; r++) {
            const vf weights = load_weights_part(format, w, row + (size_t)r, c, k - c);
#pragma GCC unroll 8
            for (int i = 0; i < M; i++) acc[i][r] = vf_fma(weights, xs[i], acc[i][r]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) sums[i] = vf_sum4(acc[i][0], acc[i][1], acc[i][2], acc[i][3]);
}

static ALWAYS_INLINE float dot_one(kernel_format format, const weight_rows *w, size_t row, size_t k, const float *x)
{
    vf acc = vf_zero();
    size_t c = 0;
    for (; c + LANES <= k; c += LANES) acc = vf_fma(load_weights(format, w, row, c), vf_load(x + c), acc);
    if (c < k) acc = vf_fma(load_weights_part(format, w, row, c, k - c), vf_load_part(x + c, k - c), acc);
    return vf_sum(acc);
}

/* Row i of each of DOT_ROWS runs of `run` rows of w against M rows of x; to y with the bias added. */
static ALWAYS_INLINE void dot_block(kernel_format format, const int M, const weight_rows *streams, const float *bias,
                                    size_t i, size_t run, size_t k, const float *x, size_t ldx, float *y, size_t ldy)
{
    v4 sums[DOT_X];
    dot_tile(format, M, streams, 0, 0, k, x, ldx, sums);
#pragma GCC unroll 8
    for (int j = 0; j < M; j++) {
        float of_rows[DOT_ROWS];
        v4_store(of_rows, sums[j]);
        for (size_t r = 0; r < DOT_ROWS; r++)
            y[(size_t)j * ldy + i + r * run] = of_rows[r] + (bias ? bias[i + r * run] : 0.0f);
    }
}

static ALWAYS_INLINE void matmul_dot(kernel_format format, const kernel_matrix *matrix, size_t m, const float *x,
                                     size_t ldx, float *y, size_t ldy)
{
    const weight_rows w = rows_of_matrix(matrix);
    const size_t k = matrix->columns, run = matrix->rows / DOT_ROWS;
    weight_rows streams = w;
    streams.stride *= run;
    for (size_t n = 0; n < run; n++, streams.values += w.stride) {
        size_t i = 0;
#define DOT_STEP(M)                                                                                                    \
    for (; i + (M) <= m; i += (M))                                                                                     \
    dot_block(format, (M), &streams, matrix->bias, n, run, k, x + i * ldx, ldx, y + i * ldy, ldy)
        DOT_STEP(DOT_X);
        if (DOT_X > 2) DOT_STEP(2);
        DOT_STEP(1);
#undef DOT_STEP
    }
    for (size_t n = run * DOT_ROWS; n < matrix->rows; n++) {
        const float offset = matrix->bias ? matrix->bias[n] : 0.0f;
        for (size_t i = 0; i < m; i++) y[i * ldy + n] = dot_one(format, &w, n, k, x + i * ldx) + offset;
    }
}

#endif
