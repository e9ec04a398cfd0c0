/* matmul_f8.h - y = x w^T for few rows of x and e4m3 weights with a scale for each block of 128 x 128.
 *
 * The rows of x are copied, for every run of rows of w that share their scales, each column times the scale of its block:
 * what is left to do for a weight is its conversion and a multiply-add, as without scales. The copy is made once for up to
 * 128 rows of w; it stands in the order in which f8_weights() converts, and is filled up with zeros to whole steps.
 *
 * The including file defines how codes are converted:
 *   F8_TARGET     attributes of the functions here
 *   F8_STEP       columns converted together; a divisor of KERNEL_F8_BLOCK
 *   F8_AHEAD      rows of w that f8_look() is called for before f8_values() of the first
 *   f8_look       what f8_values() needs of the F8_STEP codes at p, as an f8_codes; *seen remembers them where a NaN's code
 *                 gives some number instead
 *   f8_values     these codes times 2^-8 as vectors, in an order of its own
 *   f8_columns    the F8_STEP floats at p in that order
 *   f8_seen_nan   whether a NaN's code was among those seen */
#ifndef CIUIC_KERNELS_SIMD_MATMUL_F8_H
#define CIUIC_KERNELS_SIMD_MATMUL_F8_H

#include "kernels/kernels.h"
#include "kernels/simd/prefetch.h"

#include <math.h>
#include <string.h>

#define F8_INLINE F8_TARGET ALWAYS_INLINE
enum {
    F8_VECTORS = F8_STEP / LANES,
    F8_COPY = 4096, /* floats of x copied at once: half of a small L1 cache */
    NEAR = 4096,
};

/* A run of w's rows within one row of blocks, over a span of columns that begins with a block. */
typedef struct f8_run {
    const uint8_t *codes;
    size_t stride; /* bytes from one row to the next */
    size_t rows, width;
    const float *scales; /* of the span's blocks; NULL: 1 */
} f8_run;

/* The columns of one row of x as the codes like to meet them. */
static F8_INLINE void f8_copy_row(const f8_run *w, const float *x, float *to)
{
    for (size_t c = 0; c < w->width; c += F8_STEP) {
        const vf scale = vf_set1(0x1p8f * (w->scales ? w->scales[c / KERNEL_F8_BLOCK] : 1.0f));
        const size_t left = w->width - c;
        float filled[F8_STEP] = {0};
        vf columns[F8_VECTORS];
        if (left < F8_STEP) memcpy(filled, x + c, left * sizeof *x);
        f8_columns(left < F8_STEP ? filled : x + c, columns);
#pragma GCC unroll 4
        for (int v = 0; v < F8_VECTORS; v++) vf_store(to + c + (size_t)v * LANES, vf_mul(columns[v], scale));
    }
}

/* One step of R rows of codes, stride bytes apart, against M copies of rows of x. */
static F8_INLINE void f8_step(const int R, const int M, const uint8_t *codes, size_t stride, size_t ahead,
                              const float *x, size_t ldx, vf acc[][DOT_ROWS], vi *seen)
{
    f8_codes looked[DOT_ROWS];
    vf columns[F8_VECTORS];
#pragma GCC unroll 4
    for (int v = 0; M == 1 && v < F8_VECTORS; v++) columns[v] = vf_load(x + v * LANES);
#pragma GCC unroll 16
    for (int at = 0; at < R + F8_AHEAD; at++) {
        if (at < R) {
            const uint8_t *p = codes + (size_t)at * stride;
            if (M == 1 && ahead) prefetch_next((const char *)p + ahead);
            looked[at] = f8_look(p, seen);
        }
        const int r = at - F8_AHEAD;
        if (r < 0) continue;
        vf weights[F8_VECTORS];
        f8_values(looked[r], weights);
#pragma GCC unroll 8
        for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
            for (int v = 0; v < F8_VECTORS; v++) {
                const vf column = M == 1 ? columns[v] : vf_load(x + (size_t)i * ldx + (size_t)v * LANES);
                acc[i][r] = vf_fma(weights[v], column, acc[i][r]);
            }
        }
    }
}

static bool f8_any_nan(const uint8_t *codes, size_t count)
{
    unsigned found = 0;
    for (size_t i = 0; i < count; i++) found |= (codes[i] & 0x7f) == 0x7f;
    return found;
}

/* y += the products of R rows of the run, from `row` on, with M rows of x; R is DOT_ROWS or 1. */
static F8_INLINE void f8_tile(const int R, const int M, const f8_run *w, size_t row, const float *x, size_t ldx,
                              float *y, size_t ldy)
{
    /* A run's rows are pieces of w's, too short for the hardware to follow: those of the next tile are asked for, far enough
     * ahead to cover the latency of memory; as the L1 cache is full, into the next one. */
    const size_t block = (size_t)R * w->stride, ahead = (NEAR + block - 1) / block * block;
    const uint8_t *codes = w->codes + row * w->stride;
    vf acc[DOT_X][DOT_ROWS];
    vi seen = vi_zero();
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) acc[i][r] = vf_zero();
    }
    size_t c = 0;
    for (; c + F8_STEP <= w->width; c += F8_STEP) f8_step(R, M, codes + c, w->stride, ahead, x + c, ldx, acc, &seen);
    if (c < w->width) {
        uint8_t filled[DOT_ROWS * F8_STEP] = {0};
        for (size_t r = 0; r < (size_t)R; r++) memcpy(filled + r * F8_STEP, codes + r * w->stride + c, w->width - c);
        f8_step(R, M, filled, F8_STEP, 0, x + c, ldx, acc, &seen);
    }
    y += row;
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) {
        float *out = y + (size_t)i * ldy;
        if (R == 1) *out += vf_sum(acc[i][0]);
#pragma GCC unroll 8
        for (int r = 0; r + DOT_ROWS <= R; r += DOT_ROWS) {
            const v4 sums = vf_sum4(acc[i][r], acc[i][r + 1], acc[i][r + 2], acc[i][r + 3]);
            v4_store(out + r, v4_add(v4_load(out + r), sums));
        }
    }
    if (!f8_seen_nan(seen)) return;
    for (size_t r = 0; r < (size_t)R; r++) {
        if (!f8_any_nan(codes + r * w->stride, w->width)) continue;
        for (size_t i = 0; i < (size_t)M; i++) y[i * ldy + r] = NAN;
    }
}

/* M rows of x, copied, against all rows of the run. */
static F8_INLINE void f8_rows(const int M, const f8_run *w, const float *x, size_t ldx, float *y, size_t ldy)
{
    const size_t apart = F8_COPY / (size_t)M;
    _Alignas(64) float copy[F8_COPY];
    for (size_t i = 0; i < (size_t)M; i++) f8_copy_row(w, x + i * ldx, copy + i * apart);
    size_t n = 0;
    for (; n + DOT_ROWS <= w->rows; n += DOT_ROWS) f8_tile(DOT_ROWS, M, w, n, copy, apart, y, ldy);
    for (; n < w->rows; n++) f8_tile(1, M, w, n, copy, apart, y, ldy);
}

static F8_INLINE void matmul_f8_few(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    const size_t columns = w->columns, blocks = kernel_groups(columns, KERNEL_F8_BLOCK);
    const size_t together = m < DOT_X ? m < 2 ? 1 : 2 : DOT_X, most = F8_COPY / together;
    const size_t spans = columns / most + (columns % most != 0);
    /* Spans of equal width, so that none is a short rest. */
    const size_t span = spans ? (blocks + spans - 1) / spans * KERNEL_F8_BLOCK : 1;
    for (size_t i = 0; i < m; i++) {
        for (size_t n = 0; n < w->rows; n++) y[i * ldy + n] = w->bias ? w->bias[n] : 0.0f;
    }
    for (size_t n = 0, rows; n < w->rows; n += rows) {
        const size_t place = (w->block_row + n) % KERNEL_F8_BLOCK, left = w->rows - n;
        rows = KERNEL_F8_BLOCK - place < left ? KERNEL_F8_BLOCK - place : left;
        for (size_t k = 0; k < columns; k += span) {
            const f8_run run = {
                .codes = (const uint8_t *)w->values + n * columns + k,
                .stride = columns,
                .rows = rows,
                .width = columns - k < span ? columns - k : span,
                .scales = w->block_scales
                              ? w->block_scales + (w->block_row + n) / KERNEL_F8_BLOCK * blocks + k / KERNEL_F8_BLOCK
                              : NULL,
            };
            const float *xi = x + k;
            float *yi = y + n;
            size_t rest = m;
            for (; rest >= DOT_X; rest -= DOT_X, xi += DOT_X * ldx, yi += DOT_X * ldy)
                f8_rows(DOT_X, &run, xi, ldx, yi, ldy);
            for (; rest >= 2; rest -= 2, xi += 2 * ldx, yi += 2 * ldy) f8_rows(2, &run, xi, ldx, yi, ldy);
            if (rest) f8_rows(1, &run, xi, ldx, yi, ldy);
        }
    }
}

/* Packing converts a code once for all rows of x, this once for DOT_X of them: measured, with 8 and with 16 lanes, the two
 * meet near 6 * DOT_X. */
static ALWAYS_INLINE bool f8_panel_pays(const kernel_matrix *w, size_t m)
{
    return m >= 6 * DOT_X && w->rows >= LANES && w->columns > 0;
}

#endif
