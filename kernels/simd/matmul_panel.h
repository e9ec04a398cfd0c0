/* matmul_panel.h - panel_product.h in FP32 for weights of any floating-point or affine format. */
#ifndef CIUIC_KERNELS_SIMD_MATMUL_PANEL_H
#define CIUIC_KERNELS_SIMD_MATMUL_PANEL_H

#include "kernels/simd/panel_floats.h"

/* panel[c][n] = w[first + n][k + c], c < width; rows from `rows` on are zero. */
static PANEL_INLINE void panel_pack(kernel_format format, const weight_rows *w, size_t first, size_t rows, size_t k,
                                    size_t width, float *panel)
{
    for (size_t n = 0; n < PANEL_N; n += LANES) {
        for (size_t c = 0; c < width; c += LANES) {
            const size_t count = width - c < LANES ? width - c : LANES;
            vi square[LANES];
#pragma GCC unroll 16
            for (size_t r = 0; r < LANES; r++) {
                if (n + r >= rows)
                    square[r] = vi_zero();
                else if (count == LANES)
                    square[r] = vi_of_bits(load_weights(format, w, first + n + r, k + c));
                else
                    square[r] = vi_of_bits(load_weights_part(format, w, first + n + r, k + c, count));
            }
            panel_store_square(square, count, panel + c * PANEL_N + n);
        }
    }
}

static ALWAYS_INLINE void matmul_panel(kernel_format format, const kernel_matrix *w, size_t m, const float *x,
                                       size_t ldx, float *y, size_t ldy)
{
    panel_product(format, w, m, x, ldx, y, ldy);
}

/* Transposing a weight costs about as much as 5 rows of x, summing across lanes about 33 / K of the work, and the rows
 * left over by a tile of PANEL_ROWS count most when they are few: measured, the two paths meet near these sizes. */
static ALWAYS_INLINE bool panel_pays(const kernel_matrix *w, size_t m)
{
    return m >= (w->columns < 128 ? 16 : 32) && w->rows >= LANES && w->columns > 0;
}

#endif
