/* matmul_tile.h - the loop nest that every portable floating-point matmul shares.
 *
 * Four rows of w at a time, in spans of columns that fit the L1 cache as floats; a span is converted once and used for
 * all m rows of x, two at a time, so that a load of w or x feeds two or four products and the eight sums are
 * independent chains. `omp simd` is what lets a compiler split each sum into lanes. */
#ifndef CIUIC_KERNELS_C_MATMUL_TILE_H
#define CIUIC_KERNELS_C_MATMUL_TILE_H

#include "kernels/c/kernels_c.h"

enum { TILE_ROWS = 4, TILE_SPAN = 512 /* a multiple of KERNEL_GROUP; 4 * 512 floats are 8 KiB */ };

/* y[n], y[ldy + n] += the products of four rows of w with two rows of x over k columns. */
static inline void tile_4x2(size_t k, const float *const w[TILE_ROWS], const float *restrict x, size_t ldx, float *y,
                            size_t ldy)
{
    const float *restrict w0 = w[0], *restrict w1 = w[1], *restrict w2 = w[2], *restrict w3 = w[3];
    const float *restrict x1 = x + ldx;
    float a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
#pragma omp simd reduction(+ : a0, a1, a2, a3, b0, b1, b2, b3)
    for (size_t i = 0; i < k; i++) {
        a0 += w0[i] * x[i];
        a1 += w1[i] * x[i];
        a2 += w2[i] * x[i];
        a3 += w3[i] * x[i];
        b0 += w0[i] * x1[i];
        b1 += w1[i] * x1[i];
        b2 += w2[i] * x1[i];
        b3 += w3[i] * x1[i];
    }
    y[0] += a0, y[1] += a1, y[2] += a2, y[3] += a3;
    y[ldy] += b0, y[ldy + 1] += b1, y[ldy + 2] += b2, y[ldy + 3] += b3;
}

static inline void tile_4x1(size_t k, const float *const w[TILE_ROWS], const float *restrict x, float *y)
{
    const float *restrict w0 = w[0], *restrict w1 = w[1], *restrict w2 = w[2], *restrict w3 = w[3];
    float a0 = 0, a1 = 0, a2 = 0, a3 = 0;
#pragma omp simd reduction(+ : a0, a1, a2, a3)
    for (size_t i = 0; i < k; i++) {
        a0 += w0[i] * x[i];
        a1 += w1[i] * x[i];
        a2 += w2[i] * x[i];
        a3 += w3[i] * x[i];
    }
    y[0] += a0, y[1] += a1, y[2] += a2, y[3] += a3;
}

static inline void tile_1x1(size_t k, const float *restrict w, const float *restrict x, float *y)
{
    float a = 0;
#pragma omp simd reduction(+ : a)
    for (size_t i = 0; i < k; i++) a += w[i] * x[i];
    *y += a;
}

/* y += x * w^T over the columns [first, first + k), for the rows of w that `w` points into: `rows` of them, at most
 * 4. */
static inline void tile_rows(size_t rows, size_t k, const float *const w[TILE_ROWS], size_t m, const float *x,
                             size_t ldx, float *y, size_t ldy)
{
    size_t i = 0;
    if (rows == TILE_ROWS) {
        for (; i + 2 <= m; i += 2) tile_4x2(k, w, x + i * ldx, ldx, y + i * ldy, ldy);
        for (; i < m; i++) tile_4x1(k, w, x + i * ldx, y + i * ldy);
    }
    for (; i < m; i++) {
        for (size_t n = 0; n < rows; n++) tile_1x1(k, w[n], x + i * ldx, y + i * ldy + n);
    }
}

static inline void matmul_bias(const kernel_matrix *w, size_t m, float *y, size_t ldy)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t n = 0; n < w->rows; n++) y[i * ldy + n] = w->bias ? w->bias[n] : 0.0f;
    }
}

/* The matmul of any format that has to be converted. */
static inline void matmul_converted(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    float spans[TILE_ROWS][TILE_SPAN];
    const float *const pointers[TILE_ROWS] = {spans[0], spans[1], spans[2], spans[3]};
    matmul_bias(w, m, y, ldy);
    if (m == 0) return;
    for (size_t n = 0; n < w->rows; n += TILE_ROWS) {
        const size_t rows = w->rows - n < TILE_ROWS ? w->rows - n : TILE_ROWS;
        for (size_t k = 0; k < w->columns; k += TILE_SPAN) {
            const size_t width = w->columns - k < TILE_SPAN ? w->columns - k : TILE_SPAN;
            for (size_t r = 0; r < rows; r++) dequantize_span_c(w, n + r, k, width, spans[r]);
            tile_rows(rows, width, pointers, m, x + k, ldx, y + n, ldy);
        }
    }
}

#endif
