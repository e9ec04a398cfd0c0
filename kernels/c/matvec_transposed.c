/* matvec_transposed.c - y += a^T w: rows of w scaled and added, four at a time so that y is loaded and stored a quarter
 * as often. */
#include "kernels/c/matmul_tile.h"

static void add_rows(size_t k, const float *restrict w, size_t stride, const float *restrict a, float *restrict y)
{
    const float a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
    const float *restrict w1 = w + stride, *restrict w2 = w1 + stride, *restrict w3 = w2 + stride;
    for (size_t i = 0; i < k; i++) y[i] += (a0 * w[i] + a1 * w1[i]) + (a2 * w2[i] + a3 * w3[i]);
}

void matvec_transposed_c(const kernel_matrix *w, const float *a, float *y)
{
    float spans[TILE_ROWS][TILE_SPAN];
    for (size_t k = 0; k < w->columns; k += TILE_SPAN) {
        const size_t width = w->columns - k < TILE_SPAN ? w->columns - k : TILE_SPAN;
        size_t r = 0;
        for (; r + TILE_ROWS <= w->rows; r += TILE_ROWS) {
            for (size_t i = 0; i < TILE_ROWS; i++) dequantize_span_c(w, r + i, k, width, spans[i]);
            add_rows(width, spans[0], TILE_SPAN, a + r, y + k);
        }
        for (; r < w->rows; r++) {
            dequantize_span_c(w, r, k, width, spans[0]);
            for (size_t i = 0; i < width; i++) y[k + i] += a[r] * spans[0][i];
        }
    }
}
