/* rope.h - rotary position embedding (Su et al. 2021). The including file defines vf_store_pairs(p, even, odd), which
 * stores what vf_load_pairs loads. Both halves of a pair are loaded before either is stored: y may be x. */
#ifndef CIUIC_KERNELS_SIMD_ROPE_H
#define CIUIC_KERNELS_SIMD_ROPE_H

#include "kernels/kernels.h"

/* (a, b) turned by the angle: a cos - b sin, b cos + a sin. */
static ALWAYS_INLINE void rotate(vf *a, vf *b, vf cosine, vf sine)
{
    const vf first = vf_fma(*a, cosine, vf_negate(vf_mul(*b, sine)));
    *b = vf_fma(*b, cosine, vf_mul(*a, sine));
    *a = first;
}

static ALWAYS_INLINE void rotate_halves(size_t dim, const float *x, const float *cos_table, const float *sin_table,
                                        float *y)
{
    const size_t half = dim / 2;
    size_t i = 0;
    for (; i + LANES <= half; i += LANES) {
        vf a = vf_load(x + i), b = vf_load(x + i + half);
        rotate(&a, &b, vf_load(cos_table + i), vf_load(sin_table + i));
        vf_store(y + i, a);
        vf_store(y + i + half, b);
    }
    if (i < half) {
        const size_t count = half - i;
        vf a = vf_load_part(x + i, count), b = vf_load_part(x + i + half, count);
        rotate(&a, &b, vf_load_part(cos_table + i, count), vf_load_part(sin_table + i, count));
        vf_store_part(y + i, count, a);
        vf_store_part(y + i + half, count, b);
    }
}

/* The pairs that do not fill a vector go one by one: rotary dimensions are mostly multiples of 32. */
static ALWAYS_INLINE void rotate_interleaved(size_t dim, const float *x, const float *cos_table, const float *sin_table,
                                             float *y)
{
    const size_t half = dim / 2;
    size_t i = 0;
    for (; i + LANES <= half; i += LANES) {
        vf a, b;
        vf_load_pairs(x + 2 * i, &a, &b);
        rotate(&a, &b, vf_load(cos_table + i), vf_load(sin_table + i));
        vf_store_pairs(y + 2 * i, a, b);
    }
    for (; i < half; i++) {
        const float a = x[2 * i], b = x[2 * i + 1];
        y[2 * i] = a * cos_table[i] - b * sin_table[i];
        y[2 * i + 1] = b * cos_table[i] + a * sin_table[i];
    }
}

#endif
