/* matmul_q8_tile.h - the loop nest of the portable integer matmuls: four rows of w widened to int16 once per span of
 * groups, the form that a multiply-add of int16 pairs (SSE2 pmaddwd, NEON smlal) takes, then used for all rows of x. */
#ifndef CIUIC_KERNELS_C_MATMUL_Q8_TILE_H
#define CIUIC_KERNELS_C_MATMUL_Q8_TILE_H

#include "kernels/c/convert.h"
#include "kernels/c/kernels_c.h"

enum { Q8_ROWS = 4, Q8_SPAN_GROUPS = 16 /* 4 * 16 * 32 int16 are 4 KiB */ };

typedef struct q8_span {
    int16_t q[Q8_ROWS][Q8_SPAN_GROUPS][KERNEL_GROUP];
    float scales[Q8_ROWS][Q8_SPAN_GROUPS];
} q8_span;

/* Widens one group of one row: `group` counts from the start of the matrix. */
typedef void widen_group_fn(const void *values, size_t group, int16_t *restrict out);

static inline int32_t dot_group(const int16_t *restrict w, const int16_t *restrict x)
{
    int32_t sum = 0;
    for (int i = 0; i < KERNEL_GROUP; i++) sum += (int32_t)w[i] * x[i];
    return sum;
}

/* y[r] += one row of x times the rows of the span. */
static inline void q8_span_row(const q8_span *span, size_t rows, size_t groups, const int8_t *x, const float *x_scales,
                               float *y)
{
    float sums[Q8_ROWS] = {0};
    for (size_t g = 0; g < groups; g++) {
        int16_t wide[KERNEL_GROUP];
        for (int i = 0; i < KERNEL_GROUP; i++) wide[i] = x[g * KERNEL_GROUP + (size_t)i];
        for (size_t r = 0; r < rows; r++) {
            sums[r] += (float)dot_group(span->q[r][g], wide) * (span->scales[r][g] * x_scales[g]);
        }
    }
    for (size_t r = 0; r < rows; r++) y[r] += sums[r];
}

static inline void matmul_q8_rows(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy,
                                  widen_group_fn *widen)
{
    const size_t groups = kernel_row_scales(w->format, w->columns);
    for (size_t i = 0; i < m; i++) {
        for (size_t n = 0; n < w->rows; n++) y[i * ldy + n] = w->bias ? w->bias[n] : 0.0f;
    }
    if (m == 0) return;
    for (size_t n = 0; n < w->rows; n += Q8_ROWS) {
        const size_t rows = w->rows - n < Q8_ROWS ? w->rows - n : Q8_ROWS;
        for (size_t first = 0; first < groups; first += Q8_SPAN_GROUPS) {
            q8_span span;
            const size_t count = groups - first < Q8_SPAN_GROUPS ? groups - first : Q8_SPAN_GROUPS;
            for (size_t r = 0; r < rows; r++) {
                for (size_t g = 0; g < count; g++) {
                    const size_t group = (n + r) * groups + first + g;
                    widen(w->values, group, span.q[r][g]);
                    span.scales[r][g] = f16_to_f32(w->scales[group]);
                }
            }
            for (size_t i = 0; i < m; i++) {
                const size_t at = i * groups + first;
                const int8_t *row = x->values + at * KERNEL_GROUP;
                if (rows == Q8_ROWS)
                    q8_span_row(&span, Q8_ROWS, count, row, x->scales + at, y + i * ldy + n);
                else
                    q8_span_row(&span, rows, count, row, x->scales + at, y + i * ldy + n);
            }
        }
    }
}

#endif
