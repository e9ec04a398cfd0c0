/* matmul_dequantized.h - y = x w^T for INT8, INT4 and INT3 weights and x in FP32: weights become floats on the way.
 *
 * A vector of an interleaved panel holds four columns of LANES rows: each column, converted and scaled, is a vector of
 * weights to be multiplied by one x, and nothing is summed across lanes. Few rows of x meet it right there; for many it
 * is stored as a column of a panel of panel_product.h, which wants just that.
 *
 * What is not interleaved for this rung is dequantised row by row, by portable code. */
#ifndef CIUIC_KERNELS_SIMD_MATMUL_DEQUANTIZED_H
#define CIUIC_KERNELS_SIMD_MATMUL_DEQUANTIZED_H

#include "kernels/c/kernels_c.h"
#include "kernels/simd/panel_floats.h"
#include "kernels/simd/units.h"

/* Rows of x that do not pay for storing the weights: measured, with 8 and with 16 lanes, the two meet near this. */
enum { DEQUANTIZED_FEW = 3 * DOT_X };

/* A panel of w, and how the codes of a group become weights: code * scale + base. */
typedef struct dequantized_panel {
    const uint8_t *blocks;
    const uint16_t *scales, *minimums;
    size_t group_blocks;
} dequantized_panel;

static ALWAYS_INLINE dequantized_panel dequantized_panel_at(kernel_format format, const kernel_matrix *w, size_t panel,
                                                            size_t column)
{
    const size_t blocks = kernel_groups(w->columns, KERNEL_GROUP), groups = kernel_row_scales(w);
    const size_t at = (panel * groups + (w->group ? column / w->group : 0)) * LANES;
    return (dequantized_panel){.blocks = (const uint8_t *)w->values +
                                         (panel * blocks + column / KERNEL_GROUP) * panel_block_bytes(format),
                               .scales = w->scales + at,
                               .minimums = w->minimums ? w->minimums + at : NULL,
                               .group_blocks = w->group ? w->group / KERNEL_GROUP : blocks};
}

/* Without minimums code * scale - zero * scale, both of which are exact in float, as is their sum. */
static ALWAYS_INLINE void group_terms(kernel_format format, const dequantized_panel *p, size_t group, vf *scale,
                                      vf *base)
{
    *scale = vf_load_f16(p->scales + group * LANES);
    *base = p->minimums ? vf_load_f16(p->minimums + group * LANES)
                        : vf_mul(*scale, vf_set1((float)-zero_code(format, false)));
}

/* ---- few rows of x ---- */

/* y = M rows of x times one panel of w, of which `columns` rows are there. `tails`: the columns of each row of x past
 * whole blocks, zeros after. */
static ALWAYS_INLINE void dequantized_tile(kernel_format format, const int M, const kernel_matrix *w, size_t panel,
                                           const float *x, size_t ldx, float (*tails)[KERNEL_GROUP], float *y,
                                           size_t ldy, size_t columns)
{
    const dequantized_panel p = dequantized_panel_at(format, w, panel, 0);
    const size_t whole = w->columns / KERNEL_GROUP, blocks = kernel_groups(w->columns, KERNEL_GROUP);
    vf sum[DOT_X][4];
#pragma GCC unroll 4
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++) sum[i][c] = vf_zero();
    }
    size_t b = 0;
    for (size_t g = 0; b < blocks; g++) {
        vf scale, base;
        group_terms(format, &p, g, &scale, &base);
        const size_t end = blocks - b < p.group_blocks ? blocks : b + p.group_blocks;
        for (; b < end; b++) {
            const float *xs[DOT_X];
#pragma GCC unroll 4
            for (int i = 0; i < M; i++) xs[i] = b < whole ? x + (size_t)i * ldx + b * KERNEL_GROUP : tails[i];
#pragma GCC unroll 8
            for (int u = 0; u < BLOCK_UNITS; u++) {
                const vi unit = block_unit(format, p.blocks + b * panel_block_bytes(format), u);
#pragma GCC unroll 4
                for (int c = 0; c < 4; c++) {
                    const vf weights = vf_fma(unit_column(format, unit, c, 0), scale, base);
#pragma GCC unroll 4
                    for (int i = 0; i < M; i++) sum[i][c] = vf_fma(weights, vf_set1(xs[i][4 * u + c]), sum[i][c]);
                }
            }
        }
    }
    _Alignas(64) float start[LANES] = {0};
    if (w->bias) memcpy(start, w->bias + panel * LANES, columns * sizeof *start);
#pragma GCC unroll 4
    for (int i = 0; i < M; i++) {
        const vf all = vf_add(vf_add(sum[i][0], sum[i][1]), vf_add(sum[i][2], sum[i][3]));
        add_to_row(y + (size_t)i * ldy, columns, start, 0, all);
    }
}

static ALWAYS_INLINE void dequantized_few(kernel_format format, const kernel_matrix *w, size_t m, const float *x,
                                          size_t ldx, float *y, size_t ldy)
{
    float tails[DEQUANTIZED_FEW][KERNEL_GROUP] = {{0}};
    const size_t tail = w->columns % KERNEL_GROUP;
    for (size_t i = 0; i < m; i++) memcpy(tails[i], x + i * ldx + w->columns - tail, tail * sizeof *x);
    for (size_t n = 0; n < w->rows; n += LANES) {
        const size_t columns = w->rows - n < LANES ? w->rows - n : LANES;
        size_t i = 0;
#define DEQUANTIZED_STEP(M)                                                                                            \
    for (; i + (M) <= m; i += (M))                                                                                     \
    dequantized_tile(format, (M), w, n / LANES, x + i * ldx, ldx, tails + i, y + i * ldy + n, ldy, columns)
        DEQUANTIZED_STEP(DOT_X);
        if (DOT_X > 2) DEQUANTIZED_STEP(2);
        DEQUANTIZED_STEP(1);
#undef DEQUANTIZED_STEP
    }
}

/* ---- many rows of x ---- */

/* to[c][lane] = the weights of a panel's columns, to whole blocks. */
static ALWAYS_INLINE void dequantize_panel(kernel_format format, const kernel_matrix *w, size_t panel, size_t column,
                                           size_t blocks, float *to)
{
    const dequantized_panel p = dequantized_panel_at(format, w, panel, column);
    /* The first column may be within a group. */
    size_t b = 0, end = p.group_blocks - column / KERNEL_GROUP % p.group_blocks;
    for (size_t g = 0; b < blocks; g++, end += p.group_blocks) {
        vf scale, base;
        group_terms(format, &p, g, &scale, &base);
        for (; b < end && b < blocks; b++) {
#pragma GCC unroll 8
            for (int u = 0; u < BLOCK_UNITS; u++) {
                const vi unit = block_unit(format, p.blocks + b * panel_block_bytes(format), u);
#pragma GCC unroll 4
                for (int c = 0; c < 4; c++, to += PANEL_N)
                    vf_store(to, vf_fma(unit_column(format, unit, c, 0), scale, base));
            }
        }
    }
}

/* The same for LANES rows, or what there is of them, that lie some other way. */
static void dequantize_rows(const kernel_matrix *w, size_t first, size_t rows, size_t column, size_t width, float *to)
{
    float values[LANES][KERNEL_GROUP] = {{0}};
    for (size_t k = 0; k < width; k += KERNEL_GROUP) {
        const size_t count = width - k < KERNEL_GROUP ? width - k : KERNEL_GROUP;
        for (size_t r = 0; r < rows; r++) dequantize_span_c(w, first + r, column + k, count, values[r]);
        for (size_t c = 0; c < KERNEL_GROUP; c += LANES) {
            vi square[LANES];
#pragma GCC unroll 16
            for (size_t r = 0; r < LANES; r++) square[r] = vi_load(values[r] + c);
            panel_store_square(square, LANES, to + (k + c) * PANEL_N);
        }
    }
}

/* panel[c][n] = w[first + n][k + c]. */
static PANEL_INLINE void panel_pack(kernel_format format, const weight_rows *w, size_t first, size_t rows, size_t k,
                                    size_t width, float *panel)
{
    const kernel_matrix *matrix = w->matrix;
    const size_t blocks = kernel_groups(width, KERNEL_GROUP);
    for (size_t n = 0; n < PANEL_N; n += LANES) {
        const size_t number = (first + n) / LANES;
        if (n >= rows || matrix->interleave != LANES)
            dequantize_rows(matrix, first + n,
                            n >= rows          ? 0
                            : rows - n < LANES ? rows - n
                                               : LANES,
                            k, width, panel + n);
        else if (format == KERNEL_INT8)
            dequantize_panel(KERNEL_INT8, matrix, number, k, blocks, panel + n);
        else if (format == KERNEL_INT4)
            dequantize_panel(KERNEL_INT4, matrix, number, k, blocks, panel + n);
        else
            dequantize_panel(KERNEL_INT3, matrix, number, k, blocks, panel + n);
    }
}

/* On its own, so that its panels take no stack where another kernel is called instead. */
static __attribute__((noinline)) void dequantized_many(const kernel_matrix *w, size_t m, const float *x, size_t ldx,
                                                       float *y, size_t ldy)
{
    panel_product(w->format, w, m, x, ldx, y, ldy);
}

/* ---- the kernel ---- */

static ALWAYS_INLINE void matmul_dequantized(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y,
                                             size_t ldy)
{
    const bool few = m <= DEQUANTIZED_FEW;
    if (w->columns == 0 || (few && w->interleave != LANES))
        matmul_dequantized_c(w, m, x, ldx, y, ldy);
    else if (!few)
        dequantized_many(w, m, x, ldx, y, ldy);
    else if (w->format == KERNEL_INT8)
        dequantized_few(KERNEL_INT8, w, m, x, ldx, y, ldy);
    else if (w->format == KERNEL_INT4)
        dequantized_few(KERNEL_INT4, w, m, x, ldx, y, ldy);
    else
        dequantized_few(KERNEL_INT3, w, m, x, ldx, y, ldy);
}

#endif
