/* layer_norm.h - layer normalisation. Between the passes y holds the differences to the mean: a partial load of them
 * fills up with zeros, which x - mean in lanes without an x would not be. */
#ifndef CIUIC_KERNELS_SIMD_LAYER_NORM_H
#define CIUIC_KERNELS_SIMD_LAYER_NORM_H

#include "kernels/simd/elementwise.h"

/* y *= factor, times weight, plus bias; in as many roundings as there are operations left. */
static ALWAYS_INLINE void scale_and_shift(size_t n, float by, const float *weight, const float *bias, float *y)
{
    const vf factor = vf_set1(by);
    for (size_t i = 0; i < n; i += LANES) {
        const size_t count = n - i;
        const bool whole = count >= LANES;
        vf value = vf_mul(whole ? vf_load(y + i) : vf_load_part(y + i, count), factor);
        const vf shift = !bias ? vf_zero() : whole ? vf_load(bias + i) : vf_load_part(bias + i, count);
        if (weight)
            value = vf_fma(value, whole ? vf_load(weight + i) : vf_load_part(weight + i, count), shift);
        else
            value = vf_add(value, shift);
        if (whole)
            vf_store(y + i, value);
        else
            vf_store_part(y + i, count, value);
    }
}

static ALWAYS_INLINE void normalise_layer(size_t n, const float *x, const float *weight, const float *bias, float eps,
                                          float *y)
{
    if (n == 0) return;
    const vf mean = vf_set1(sum_of(n, x, false) / (float)n);
    EACH_VECTOR(n, vf_store(y + i, vf_sub(vf_load(x + i), mean)),
                vf_store_part(y + i, count, vf_sub(vf_load_part(x + i, count), mean)));
    scale_and_shift(n, 1.0f / sqrtf(sum_of(n, y, true) / (float)n + eps), weight, bias, y);
}

#endif
