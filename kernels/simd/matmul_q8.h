/* matmul_q8.h - y = x w^T for interleaved INT8 and INT4 weights and int8 activations in the same groups.
 *
 * A vector holds four columns of LANES rows of w; a dot-product instruction multiplies it by four columns of one row of x,
 * repeated in every lane, and nothing is ever summed across lanes. An integer sum runs over a group; then it is multiplied
 * by the scales of both sides and added to a float sum.
 *
 * The instructions want one side unsigned. It is the weights': a 4-bit code is, an int8 becomes so by flipping its top bit
 * (where Q8_INT8_OFFSET says 128). That adds 8 or 128 to every weight, hence as many times the group's sum of x to the
 * product; the integer sums begin with minus that, and so stay exact.
 *
 * Few rows of x (decode) pass over the panels as they lie, at the speed of memory. Many rows go in blocks of Q8_BLOCK rows by
 * a span of columns, copied to a constant distance (rows a power of two apart would share the sets of the L1 cache), past
 * which all panels go.
 *
 * Included after vector.h, with Q8_TARGET (what functions may use beyond the rung's flags), Q8_INT8_OFFSET, q8_int8(stored)
 * (INT8 weights as q8_dot takes them), q8_dot_int8(acc, w, x) and q8_dot_int4(acc, codes, x) defined. */
#ifndef CIUIC_KERNELS_SIMD_MATMUL_Q8_H
#define CIUIC_KERNELS_SIMD_MATMUL_Q8_H

#include "kernels/kernels.h"
#include "kernels/simd/prefetch.h"

#include <string.h>

#define Q8_INLINE Q8_TARGET ALWAYS_INLINE

enum {
    Q8_VECTOR = LANES * 4,
    Q8_FEW = 8,         /* rows of x that count as few */
    Q8_FEW_SPAN = 8192, /* columns at once for few rows */
    Q8_BLOCK = 96,      /* rows of x at once for many */
    Q8_SPAN = 1024,     /* columns at once for many: 32 KiB of two panels of INT8 in 512-bit vectors */
    Q8_X_STRIDE = Q8_SPAN + 64,
    Q8_BLOCK_GROUPS = 3072 /* Q8_FEW * Q8_FEW_SPAN / 32; more than Q8_BLOCK * Q8_SPAN / 32 */
};

/* Some rows of x, some columns. */
typedef struct q8_block {
    const int8_t *values;
    size_t stride; /* bytes from row to row */
    size_t groups; /* of a row; the arrays are [rows][groups] */
    float scales[Q8_BLOCK_GROUPS];
    int32_t start[Q8_BLOCK_GROUPS]; /* minus the offset times the group's sum */
    float sums[Q8_BLOCK_GROUPS];    /* of x itself; only where there are minimums */
} q8_block;

/* The same columns of a panel of w. */
typedef struct q8_panel {
    const uint8_t *values;
    const uint16_t *scales, *minimums;
} q8_panel;

static Q8_INLINE size_t q8_block_bytes(kernel_format format)
{
    return (format == KERNEL_INT4 ? KERNEL_GROUP / 2 : KERNEL_GROUP) * LANES;
}

static Q8_INLINE q8_panel q8_panel_at(kernel_format format, const kernel_matrix *w, size_t panel, size_t column)
{
    const size_t groups = kernel_row_scales(w), group = w->group ? column / w->group : 0;
    const size_t blocks = kernel_groups(w->columns, KERNEL_GROUP), at = (panel * groups + group) * LANES;
    return (q8_panel){(const uint8_t *)w->values + (panel * blocks + column / KERNEL_GROUP) * q8_block_bytes(format),
                      w->scales + at, w->minimums ? w->minimums + at : NULL};
}

static Q8_INLINE vi q8_dot(kernel_format format, vi sum, vi w, vi x)
{
    return format == KERNEL_INT4 ? q8_dot_int4(sum, w, x) : q8_dot_int8(sum, w, x);
}

/* sum[i][v] += the products of M rows of x with V panels over KERNEL_GROUP columns, eight at a time: two vectors of INT8, or
 * the low and the high four bits of one of INT4, which meet the first and the second half of the columns. */
static Q8_INLINE void q8_columns(kernel_format format, const int M, const int V, const uint8_t *const *w,
                                 const int8_t *x, size_t stride, vi sum[][Q8_MOST_V])
{
    const bool int4 = format == KERNEL_INT4;
#pragma GCC unroll 4
    for (size_t q = 0; q < KERNEL_GROUP / 8; q++) {
        const int8_t *first = x + (int4 ? q * 4 : q * 8), *second = first + (int4 ? KERNEL_GROUP / 2 : 4);
        vi one[Q8_MOST_V], two[Q8_MOST_V];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            const uint8_t *at = w[v] + (int4 ? q : 2 * q) * Q8_VECTOR;
            one[v] = vi_load(at);
            two[v] = int4 ? vi_high_nibbles(one[v]) : vi_load(at + Q8_VECTOR);
            if (int4) one[v] = vi_and(one[v], vi_set1(0x0f0f0f0f));
            if (format == KERNEL_INT8) one[v] = q8_int8(one[v]), two[v] = q8_int8(two[v]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vi xs = vi_set1_from(first + (size_t)i * stride);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) sum[i][v] = q8_dot(format, sum[i][v], one[v], xs);
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vi xs = vi_set1_from(second + (size_t)i * stride);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) sum[i][v] = q8_dot(format, sum[i][v], two[v], xs);
        }
    }
}

/* Where a tile of y begins, and what it holds before: `bias` (LANES * V floats) in the first span, NULL after. */
typedef struct q8_output {
    float *y;
    size_t ldy, columns; /* columns of y that are there; the tile may be wider */
    const float *bias;
} q8_output;

static Q8_INLINE void q8_add(const q8_output *out, const int i, const int v, vf sum)
{
    if (out->columns <= (size_t)v * LANES) return;
    const size_t count = out->columns - (size_t)v * LANES;
    float *y = out->y + (size_t)i * out->ldy + (size_t)v * LANES;
    if (count >= LANES) {
        vf_store(y, vf_add(sum, vf_load(out->bias ? out->bias + v * LANES : y)));
    } else {
        const vf before = out->bias ? vf_load(out->bias + v * LANES) : vf_load_part(y, count);
        vf_store_part(y, count, vf_add(sum, before));
    }
}

/* y (+)= M rows of x, from row `row` of the block on, times V panels; `blocks` runs of KERNEL_GROUP columns in groups of
 * `group_blocks`. */
static Q8_INLINE void q8_tile(kernel_format format, const int M, const int V, const bool minimums, size_t blocks,
                              size_t group_blocks, const q8_block *x, size_t row, const q8_panel *panels,
                              const q8_output *out)
{
    vf acc[Q8_MOST_M][Q8_MOST_V];
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) acc[i][v] = vf_zero();
    }
    /* What the tile will be added to may be far away by now. */
    if (!out->bias) {
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) prefetch(out->y + (size_t)i * out->ldy + (size_t)v * LANES);
        }
    }
    const size_t step = q8_block_bytes(format);
    const int8_t *values = x->values + row * x->stride;
    size_t b = 0;
    for (size_t g = 0; b < blocks; g++) {
        const size_t at = row * x->groups + g;
        vi sum[Q8_MOST_M][Q8_MOST_V];
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vi start = vi_set1_from(x->start + at + (size_t)i * x->groups);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) sum[i][v] = start;
        }
        const size_t end = blocks - b < group_blocks ? blocks : b + group_blocks;
        for (; b < end; b++) {
            const uint8_t *w[Q8_MOST_V];
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) w[v] = panels[v].values + b * step;
            q8_columns(format, M, V, w, values + b * KERNEL_GROUP, x->stride, sum);
        }
        vf scale[Q8_MOST_V];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) scale[v] = vf_load_f16(panels[v].scales + g * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vf xs = vf_set1(x->scales[at + (size_t)i * x->groups]);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) acc[i][v] = vf_fma(vf_of_vi(sum[i][v]), vf_mul(scale[v], xs), acc[i][v]);
        }
        if (!minimums) continue;
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vf sums = vf_set1(x->sums[at + (size_t)i * x->groups]);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++)
                acc[i][v] = vf_fma(vf_load_f16(panels[v].minimums + g * LANES), sums, acc[i][v]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) q8_add(out, i, v, acc[i][v]);
    }
}

/* ---- blocks of x ---- */

static Q8_INLINE int32_t q8_sum(const int8_t *values, size_t count)
{
    int32_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    return sum;
}

/* Rows [first, first + rows) of x over `width` columns from `column` on; copied into `copy` unless that is NULL. */
static Q8_INLINE void q8_block_fill(kernel_format format, const kernel_matrix *w, const kernel_q8 *x, size_t first,
                                    size_t rows, size_t column, size_t width, int8_t *copy, q8_block *block)
{
    const size_t row_bytes = kernel_row_bytes(KERNEL_INT8, w->columns), groups = kernel_row_scales(w);
    const int offset = format == KERNEL_INT8 ? Q8_INT8_OFFSET : w->minimums ? 0 : 8;
    const size_t padded = kernel_row_bytes(KERNEL_INT8, width), from = w->group ? column / w->group : 0;
    block->groups = kernel_groups(width, w->group);
    block->values = copy ? copy : x->values + first * row_bytes + column;
    block->stride = copy ? Q8_X_STRIDE : row_bytes;
    for (size_t i = 0; i < rows; i++) {
        const int8_t *values = x->values + (first + i) * row_bytes + column;
        const float *scales = x->scales + (first + i) * groups + from;
        const int32_t *sums = x->sums + (first + i) * groups + from;
        if (copy) memcpy(copy + i * Q8_X_STRIDE, values, padded);
        const size_t to = i * block->groups;
        if (w->group == 0) { /* a span may be a part of the group: its own sum */
            const int32_t sum = width == w->columns ? sums[0] : q8_sum(values, padded);
            block->scales[to] = scales[0];
            block->start[to] = -offset * sum;
            block->sums[to] = scales[0] * (float)sum;
            continue;
        }
        for (size_t g = 0; g < block->groups; g++) {
            block->scales[to + g] = scales[g];
            block->start[to + g] = -offset * sums[g];
            block->sums[to + g] = scales[g] * (float)sums[g];
        }
    }
}

/* ---- the loops ---- */

/* All rows of the block against V panels. */
static Q8_INLINE void q8_rows(kernel_format format, const int V, const bool minimums, const bool many, size_t blocks,
                              size_t group_blocks, const q8_block *x, size_t rows, const q8_panel *panels,
                              q8_output out)
{
    size_t i = 0;
#define Q8_STEP(M)                                                                                                     \
    for (; i + (M) <= rows; i += (M), out.y += (M)*out.ldy)                                                            \
    q8_tile(format, (M), V, minimums, blocks, group_blocks, x, i, panels, &out)
    if (many) Q8_STEP(Q8_MOST_M);
    if (Q8_MOST_M > 4) Q8_STEP(4);
    Q8_STEP(2);
    Q8_STEP(1);
#undef Q8_STEP
}

/* All panels against the block: columns [column, column + width) of w. */
static Q8_INLINE void q8_panels(kernel_format format, const bool minimums, const bool many, const kernel_matrix *w,
                                const q8_block *x, size_t rows, size_t column, size_t width, float *y, size_t ldy)
{
    const size_t blocks = kernel_groups(width, KERNEL_GROUP);
    const size_t group_blocks = w->group ? w->group / KERNEL_GROUP : blocks;
    for (size_t n = 0; n < w->rows;) {
        const size_t left = w->rows - n;
        _Alignas(64) float bias[Q8_MOST_V * LANES] = {0};
        q8_panel panels[Q8_MOST_V];
        const bool wide = left > (Q8_MOST_V - 1) * LANES;
        const size_t count = wide ? Q8_MOST_V : 1, lanes = left < count * LANES ? left : count * LANES;
        if (w->bias) memcpy(bias, w->bias + n, lanes * sizeof *bias);
        for (size_t v = 0; v < count; v++) panels[v] = q8_panel_at(format, w, n / LANES + v, column);
        const q8_output out = {y + n, ldy, lanes, column == 0 ? bias : NULL};
        if (wide)
            q8_rows(format, Q8_MOST_V, minimums, many, blocks, group_blocks, x, rows, panels, out);
        else
            q8_rows(format, 1, minimums, many, blocks, group_blocks, x, rows, panels, out);
        n += count * LANES;
    }
}

static Q8_INLINE void matmul_q8_few(kernel_format format, const bool minimums, const kernel_matrix *w, size_t m,
                                    const kernel_q8 *x, float *y, size_t ldy)
{
    q8_block block;
    for (size_t k = 0; k < w->columns; k += Q8_FEW_SPAN) {
        const size_t width = w->columns - k < Q8_FEW_SPAN ? w->columns - k : Q8_FEW_SPAN;
        q8_block_fill(format, w, x, 0, m, k, width, NULL, &block);
        q8_panels(format, minimums, false, w, &block, m, k, width, y, ldy);
    }
}

static Q8_INLINE void matmul_q8_many(kernel_format format, const bool minimums, const kernel_matrix *w, size_t m,
                                     const kernel_q8 *x, float *y, size_t ldy)
{
    q8_block block;
    int8_t copy[Q8_BLOCK * Q8_X_STRIDE];
    for (size_t k = 0; k < w->columns; k += Q8_SPAN) {
        const size_t width = w->columns - k < Q8_SPAN ? w->columns - k : Q8_SPAN;
        for (size_t i = 0; i < m; i += Q8_BLOCK) {
            const size_t rows = m - i < Q8_BLOCK ? m - i : Q8_BLOCK;
            q8_block_fill(format, w, x, i, rows, k, width, copy, &block);
            q8_panels(format, minimums, true, w, &block, rows, k, width, y + i * ldy, ldy);
        }
    }
}

/* For w interleaved by LANES, with at least one column. */
static Q8_INLINE void matmul_q8(kernel_format format, const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y,
                                size_t ldy)
{
    const bool minimums = format == KERNEL_INT4 && w->minimums;
    if (m <= Q8_FEW) {
        if (minimums)
            matmul_q8_few(format, true, w, m, x, y, ldy);
        else
            matmul_q8_few(format, false, w, m, x, y, ldy);
    } else if (minimums) {
        matmul_q8_many(format, true, w, m, x, y, ldy);
    } else {
        matmul_q8_many(format, false, w, m, x, y, ldy);
    }
}

#endif
