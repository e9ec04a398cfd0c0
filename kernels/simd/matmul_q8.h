/* matmul_q8.h - y = x w^T for interleaved INT8, INT4 and INT3 weights and int8 activations in the same groups.
 *
 * A vector holds four columns of LANES rows of w; a dot-product instruction multiplies it by four columns of one row of x,
 * repeated in every lane, and nothing is ever summed across lanes. An integer sum runs over a group; then it is multiplied
 * by the scales of both sides and added to a float sum.
 *
 * Few rows of x (decode), here, pass over the panels as they lie, at the speed of memory: Q8_STREAMS runs of panels side by
 * side, each read in order from its beginning to its end. Many rows: matmul_q8_many.h.
 *
 * The instructions want one side unsigned. For few rows it is the weights': a code is, an int8 becomes so by flipping
 * its top bit (where Q8_INT8_OFFSET says 128). That adds 4, 8 or 128 to every weight, hence as many times the group's
 * sum of x to the product; the integer sums begin with minus that, and so stay exact.
 *
 * Included after vector.h, with Q8_TARGET (what functions may use beyond the rung's flags), Q8_INT8_OFFSET,
 * q8_int8(stored) (INT8 weights as q8_dot takes them), q8_dot_int8(acc, w, x), q8_dot_int4(acc, codes, x), for INT3's
 * codes, too, and what matmul_q8_many.h asks for defined. */
#ifndef CIUIC_KERNELS_SIMD_MATMUL_Q8_H
#define CIUIC_KERNELS_SIMD_MATMUL_Q8_H

#include "kernels/c/kernels_c.h"
#include "kernels/simd/prefetch.h"
#include "kernels/simd/tile_output.h"
#include "kernels/simd/units.h"

#include <string.h>

#define Q8_INLINE Q8_TARGET ALWAYS_INLINE

enum {
    Q8_FEW_INT8 = 8, /* rows of x that count as few: making panels ready pays later where there is more to do */
    Q8_FEW_CODES = 24,
    Q8_FEW_SPAN = 65536,    /* columns at once for few rows: 128 * 127 * 65536 < 2^31 */
    Q8_FEW_ROWS = 4,        /* against Q8_STREAMS panels at once */
    Q8_BLOCK_GROUPS = 24576 /* Q8_BLOCK * Q8_SPAN / 32, matmul_q8_many.h */
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

static Q8_INLINE q8_panel q8_panel_at(kernel_format format, const kernel_matrix *w, size_t panel, size_t column)
{
    const size_t groups = kernel_row_scales(w), group = w->group ? column / w->group : 0;
    const size_t blocks = kernel_groups(w->columns, KERNEL_GROUP), at = (panel * groups + group) * LANES;
    return (q8_panel){(const uint8_t *)w->values + (panel * blocks + column / KERNEL_GROUP) * panel_block_bytes(format),
                      w->scales + at, w->minimums ? w->minimums + at : NULL};
}

static Q8_INLINE vi q8_dot(kernel_format format, vi sum, vi w, vi x)
{
    return format == KERNEL_INT8 ? q8_dot_int8(sum, w, x) : q8_dot_int4(sum, w, x);
}

/* sum[i][v] += the products of M rows of x with V panels over KERNEL_GROUP columns, two units of them at a time, of
 * INT4 those that share bytes. */
static Q8_INLINE void q8_columns(kernel_format format, const int M, const int V, const uint8_t *const *w,
                                 const int8_t *x, size_t stride, vi sum[][Q8_STREAMS])
{
    const bool codes = format != KERNEL_INT8;
#ifdef Q8_INT4_IN_16_BITS
    vi pairs[Q8_FEW_ROWS][Q8_STREAMS];
#pragma GCC unroll 16
    for (int i = 0; i < M && codes; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) pairs[i][v] = vi_zero();
    }
#define Q8_DOT(sum, pairs, w, x)                                                                                       \
    (codes ? (void)(pairs = q8_add_pairs(pairs, w, x)) : (void)(sum = q8_dot_int8(sum, w, x)))
#else
#define Q8_DOT(sum, pairs, w, x) (sum = q8_dot(format, sum, w, x))
#endif
#pragma GCC unroll 4
    for (int q = 0; q < BLOCK_UNITS / 2; q++) {
        const int first = format == KERNEL_INT4 ? q : 2 * q;
        const int second = format == KERNEL_INT4 ? q + BLOCK_UNITS / 2 : 2 * q + 1;
        vi one[Q8_STREAMS], two[Q8_STREAMS];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            one[v] = block_unit(format, w[v], first);
            two[v] = block_unit(format, w[v], second);
            if (!codes) one[v] = q8_int8(one[v]), two[v] = q8_int8(two[v]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vi xs = vi_set1_from(x + (size_t)i * stride + 4 * first);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) Q8_DOT(sum[i][v], pairs[i][v], one[v], xs);
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vi xs = vi_set1_from(x + (size_t)i * stride + 4 * second);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) Q8_DOT(sum[i][v], pairs[i][v], two[v], xs);
        }
    }
#ifdef Q8_INT4_IN_16_BITS
#pragma GCC unroll 16
    for (int i = 0; i < M && codes; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) sum[i][v] = q8_sum_pairs(sum[i][v], pairs[i][v]);
    }
#endif
#undef Q8_DOT
}

/* Where the product of a row of x with some panels goes. */
typedef struct q8_output {
    float *y[Q8_STREAMS];          /* by panel */
    const float *bias[Q8_STREAMS]; /* LANES floats that y begins with in the first span, NULL after */
    size_t columns[Q8_STREAMS];    /* of y that are there */
    size_t ldy;
} q8_output;

/* y (+)= M rows of x, from row `row` of the block on, times V panels; `blocks` runs of KERNEL_GROUP columns in groups of
 * `group_blocks`. */
static Q8_INLINE void q8_few_tile(kernel_format format, const int M, const int V, const bool minimums, size_t blocks,
                                  size_t group_blocks, const q8_block *x, size_t row, const q8_panel *panels,
                                  const q8_output *out)
{
    vf acc[Q8_FEW_ROWS][Q8_STREAMS];
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) acc[i][v] = vf_zero();
    }
    const size_t step = panel_block_bytes(format);
    const int8_t *values = x->values + row * x->stride;
    size_t b = 0;
    for (size_t g = 0; b < blocks; g++) {
        const size_t at = row * x->groups + g;
        vi sum[Q8_FEW_ROWS][Q8_STREAMS];
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vi start = vi_set1_from(x->start + at + (size_t)i * x->groups);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) sum[i][v] = start;
        }
        const size_t end = blocks - b < group_blocks ? blocks : b + group_blocks;
        for (; b < end; b++) {
            const uint8_t *w[Q8_STREAMS];
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) w[v] = panels[v].values + b * step;
            q8_columns(format, M, V, w, values + b * KERNEL_GROUP, x->stride, sum);
        }
        vf scale[Q8_STREAMS];
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
        for (int v = 0; v < V; v++)
            add_to_row(out->y[v] + (row + (size_t)i) * out->ldy, out->columns[v], out->bias[v], 0, acc[i][v]);
    }
}

/* ---- blocks of x ---- */

static Q8_INLINE int32_t q8_sum(const int8_t *values, size_t count)
{
    int32_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    return sum;
}

/* Rows [first, first + rows) of x over `width` columns from `column` on; `offset` is what the weights will have added. */
static Q8_INLINE void q8_block_fill(const kernel_matrix *w, const kernel_q8 *x, size_t first, size_t rows,
                                    size_t column, size_t width, int offset, q8_block *block)
{
    const size_t row_bytes = kernel_row_bytes(KERNEL_INT8, w->columns), groups = kernel_row_scales(w);
    const size_t from = w->group ? column / w->group : 0;
    block->groups = kernel_groups(width, w->group);
    block->values = x->values + first * row_bytes + column;
    block->stride = row_bytes;
    for (size_t i = 0; i < rows; i++) {
        const int8_t *values = x->values + (first + i) * row_bytes + column;
        const float *scales = x->scales + (first + i) * groups + from;
        const int32_t *sums = x->sums + (first + i) * groups + from;
        const size_t to = i * block->groups;
        if (w->group == 0) { /* a span may be a part of the group: its own sum */
            const int32_t sum = width == w->columns ? sums[0] : q8_sum(values, kernel_row_bytes(KERNEL_INT8, width));
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
static Q8_INLINE void q8_few_rows(kernel_format format, const int V, const bool minimums, size_t blocks,
                                  size_t group_blocks, const q8_block *x, size_t rows, const q8_panel *panels,
                                  const q8_output *out)
{
    size_t i = 0;
#define Q8_STEP(M)                                                                                                     \
    for (; i + (M) <= rows; i += (M)) q8_few_tile(format, (M), V, minimums, blocks, group_blocks, x, i, panels, out)
    Q8_STEP(Q8_FEW_ROWS);
    Q8_STEP(2);
    Q8_STEP(1);
#undef Q8_STEP
}

/* All panels against the block: columns [column, column + width) of w. */
static Q8_INLINE void q8_few_panels(kernel_format format, const bool minimums, const kernel_matrix *w,
                                    const q8_block *x, size_t rows, size_t column, size_t width, float *y, size_t ldy)
{
    const size_t blocks = kernel_groups(width, KERNEL_GROUP);
    const size_t group_blocks = w->group ? w->group / KERNEL_GROUP : blocks;
    const size_t panels = (w->rows + LANES - 1) / LANES, run = panels / Q8_STREAMS;
    _Alignas(64) float bias[Q8_STREAMS][LANES];
    q8_panel panel[Q8_STREAMS];
    q8_output out = {.ldy = ldy};
    /* One panel of each run; what is left over comes one by one. */
    for (size_t n = 0; n < panels;) {
        const int count = n < run ? Q8_STREAMS : 1;
        for (int v = 0; v < count; v++) {
            const size_t at = n + (size_t)v * run, left = w->rows - at * LANES;
            out.columns[v] = left < LANES ? left : LANES;
            out.y[v] = y + at * LANES;
            out.bias[v] = column == 0 ? bias[v] : NULL;
            memset(bias[v], 0, sizeof bias[v]);
            if (w->bias) memcpy(bias[v], w->bias + at * LANES, out.columns[v] * sizeof(float));
            panel[v] = q8_panel_at(format, w, at, column);
        }
        if (count == Q8_STREAMS)
            q8_few_rows(format, Q8_STREAMS, minimums, blocks, group_blocks, x, rows, panel, &out);
        else
            q8_few_rows(format, 1, minimums, blocks, group_blocks, x, rows, panel, &out);
        n++;
        if (n == run) n = run * Q8_STREAMS;
    }
}

static Q8_INLINE void matmul_q8_few(kernel_format format, const bool minimums, const kernel_matrix *w, size_t m,
                                    const kernel_q8 *x, float *y, size_t ldy)
{
    /* Whole groups, which have at most 128 columns, and no more of a row-long one than int32 can sum. */
    const size_t room = Q8_BLOCK_GROUPS / m / 4 * 4 * KERNEL_GROUP, span = room < Q8_FEW_SPAN ? room : Q8_FEW_SPAN;
    const int offset = format == KERNEL_INT8 ? Q8_INT8_OFFSET : zero_code(format, minimums);
    q8_block block;
    for (size_t k = 0; k < w->columns; k += span) {
        const size_t width = w->columns - k < span ? w->columns - k : span;
        q8_block_fill(w, x, 0, m, k, width, offset, &block);
        q8_few_panels(format, minimums, w, &block, m, k, width, y, ldy);
    }
}

#endif
