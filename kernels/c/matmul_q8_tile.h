/* matmul_q8_tile.h - the loop nest of the portable integer matmuls: four rows of w widened to int16 once per span of
 * columns, the form that a multiply-add of int16 pairs (SSE2 pmaddwd, NEON smlal) takes, then used for all rows of x. */
#ifndef CIUIC_KERNELS_C_MATMUL_Q8_TILE_H
#define CIUIC_KERNELS_C_MATMUL_Q8_TILE_H

#include "kernels/c/convert.h"
#include "kernels/c/kernels_c.h"

enum {
    Q8_ROWS = 4,
    Q8_SPAN_BLOCKS = 16, /* blocks of KERNEL_GROUP columns: 4 * 16 * 32 int16 are 4 KiB */
    Q8_SPAN = Q8_SPAN_BLOCKS * KERNEL_GROUP,
};

typedef struct q8_span {
    int16_t q[Q8_ROWS][Q8_SPAN_BLOCKS][KERNEL_GROUP];
    float scales[Q8_ROWS][Q8_SPAN_BLOCKS], minimums[Q8_ROWS][Q8_SPAN_BLOCKS]; /* by group */
    size_t groups, group_blocks; /* of the span; blocks that share a scale */
    size_t blocks;
} q8_span;

/* Widens one block of KERNEL_GROUP columns of one row: `block` counts from the start of the matrix. `zero` is subtracted
 * from every code. */
typedef void widen_block_fn(const void *values, size_t block, int zero, int16_t *restrict out);

static inline int32_t dot_block(const int16_t *restrict w, const int16_t *restrict x)
{
    int32_t sum = 0;
    for (int i = 0; i < KERNEL_GROUP; i++) sum += (int32_t)w[i] * x[i];
    return sum;
}

/* y[r] += one row of x times the rows of the span. `sums` belong to x's groups, and are read where there are minimums. */
static inline void q8_span_row(const q8_span *span, size_t rows, const int8_t *x, const float *x_scales,
                               const int32_t *sums, float *y)
{
    float total[Q8_ROWS] = {0};
    for (size_t g = 0; g < span->groups; g++) {
        const size_t first = g * span->group_blocks, rest = span->blocks - first;
        const size_t end = first + (rest < span->group_blocks ? rest : span->group_blocks);
        int32_t dot[Q8_ROWS] = {0};
        for (size_t b = first; b < end; b++) {
            int16_t wide[KERNEL_GROUP];
            for (int i = 0; i < KERNEL_GROUP; i++) wide[i] = x[b * KERNEL_GROUP + (size_t)i];
            for (size_t r = 0; r < rows; r++) dot[r] += dot_block(span->q[r][b], wide);
        }
        for (size_t r = 0; r < rows; r++) total[r] += (float)dot[r] * (span->scales[r][g] * x_scales[g]);
        for (size_t r = 0; sums && r < rows; r++) total[r] += span->minimums[r][g] * (x_scales[g] * (float)sums[g]);
    }
    for (size_t r = 0; r < rows; r++) y[r] += total[r];
}

/* Rows [n, n + rows) of w, blocks [first, first + span->blocks), as int16; groups likewise. */
static inline void widen_span(const kernel_matrix *w, size_t n, size_t rows, size_t first, widen_block_fn *widen,
                              q8_span *span)
{
    const size_t row_blocks = kernel_groups(w->columns, KERNEL_GROUP), row_groups = kernel_row_scales(w);
    const size_t group = w->group ? first * KERNEL_GROUP / w->group : 0;
    const int zero = w->minimums ? 0 : w->format == KERNEL_INT4 ? 8 : 4; /* INT8 has none */
    for (size_t r = 0; r < rows; r++) {
        for (size_t b = 0; b < span->blocks; b++)
            widen(w->values, (n + r) * row_blocks + first + b, zero, span->q[r][b]);
        for (size_t g = 0; g < span->groups; g++) {
            const size_t at = (n + r) * row_groups + group + g;
            span->scales[r][g] = f16_to_f32(w->scales[at]);
            span->minimums[r][g] = w->minimums ? f16_to_f32(w->minimums[at]) : 0;
        }
    }
}

/* A span is whole groups, or, where a group is longer than that, a part of one: then its scale is applied to each part,
 * and the minimum with the first. */
static inline void matmul_q8_rows(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy,
                                  widen_block_fn *widen)
{
    const size_t blocks = kernel_groups(w->columns, KERNEL_GROUP), groups = kernel_row_scales(w);
    for (size_t i = 0; i < m; i++) {
        for (size_t n = 0; n < w->rows; n++) y[i * ldy + n] = w->bias ? w->bias[n] : 0.0f;
    }
    if (m == 0) return;
    for (size_t n = 0; n < w->rows; n += Q8_ROWS) {
        const size_t rows = w->rows - n < Q8_ROWS ? w->rows - n : Q8_ROWS;
        for (size_t first = 0; first < blocks; first += Q8_SPAN_BLOCKS) {
            q8_span span;
            span.blocks = blocks - first < Q8_SPAN_BLOCKS ? blocks - first : Q8_SPAN_BLOCKS;
            span.group_blocks = w->group ? w->group / KERNEL_GROUP : Q8_SPAN_BLOCKS;
            span.groups = (span.blocks + span.group_blocks - 1) / span.group_blocks;
            const size_t group = w->group ? first * KERNEL_GROUP / w->group : 0;
            widen_span(w, n, rows, first, widen, &span);
            const bool minimums = w->minimums && (w->group || first == 0);
            for (size_t i = 0; i < m; i++) {
                const int8_t *row = x->values + (i * blocks + first) * KERNEL_GROUP;
                const size_t at = i * groups + group;
                const int32_t *sums = minimums ? x->sums + at : NULL;
                if (rows == Q8_ROWS)
                    q8_span_row(&span, Q8_ROWS, row, x->scales + at, sums, y + i * ldy + n);
                else
                    q8_span_row(&span, rows, row, x->scales + at, sums, y + i * ldy + n);
            }
        }
    }
}

#endif
