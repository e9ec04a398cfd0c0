/* matmul_f32.c - the product with float weights, read in place for a few rows of x. For many, the
 * spans are copied like those of other formats: rows a power of two apart would share the cache sets of x. */
#include "kernels/c/matmul_tile.h"

void matmul_f32_c(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (m >= 4) {
        matmul_converted(w, m, x, ldx, y, ldy);
        return;
    }
    matmul_bias(w, m, y, ldy);
    for (size_t n = 0; n < w->rows; n += TILE_ROWS) {
        const size_t rows = w->rows - n < TILE_ROWS ? w->rows - n : TILE_ROWS;
        for (size_t k = 0; k < w->columns; k += TILE_SPAN) {
            const size_t width = w->columns - k < TILE_SPAN ? w->columns - k : TILE_SPAN;
            const float *pointers[TILE_ROWS] = {NULL};
            for (size_t r = 0; r < rows; r++) pointers[r] = (const float *)w->values + (n + r) * w->columns + k;
            tile_rows(rows, width, pointers, m, x + k, ldx, y + n, ldy);
        }
    }
}
