/* panel_floats.h - panel_product.h in FP32: a word is a float, x is copied as it is. */
#ifndef CIUIC_KERNELS_SIMD_PANEL_FLOATS_H
#define CIUIC_KERNELS_SIMD_PANEL_FLOATS_H

#define PANEL_TARGET
#define PANEL_WORD_COLUMNS 1
#include "kernels/simd/panel_product.h"

#include <string.h>

static PANEL_INLINE vf panel_multiply(vf acc, vf weights, vf x)
{
    return vf_fma(weights, x, acc);
}

static PANEL_INLINE void panel_copy(const float *x, size_t width, float *to)
{
    size_t c = 0;
    for (; c + LANES <= width; c += LANES) vf_store(to + c, vf_load(x + c));
    if (c < width) vf_store(to + c, vf_load_part(x + c, width - c));
}

/* Columns of a panel on their way out of a square of rows. */
static PANEL_INLINE void panel_store_square(vi square[LANES], size_t count, float *to)
{
    vi_transpose(square);
    if (count == LANES) {
#pragma GCC unroll 16
        for (size_t r = 0; r < LANES; r++) vi_store(to + r * PANEL_N, square[r]);
    } else {
        for (size_t r = 0; r < count; r++) vi_store(to + r * PANEL_N, square[r]);
    }
}

#endif
