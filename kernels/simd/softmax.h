/* softmax.h - exponentials over their sum, shifted by the largest. A NaN is passed over when the largest is looked for,
 * and shows in the sum, as does the NaN of infinity less infinity; 1 / sum then carries it everywhere. */
#ifndef CIUIC_KERNELS_SIMD_SOFTMAX_H
#define CIUIC_KERNELS_SIMD_SOFTMAX_H

#include "kernels/simd/elementwise.h"

/* The last vector overlaps the one before it: a partial load would fill up with zeros, which may be larger than all. */
static ALWAYS_INLINE float largest_of(size_t n, const float *x)
{
    float largest = -INFINITY;
    if (n < LANES) {
        for (size_t i = 0; i < n; i++) largest = x[i] > largest ? x[i] : largest;
        return largest;
    }
    vf lanes = vf_set1(largest), others = lanes;
    size_t at = 0;
    for (; at + 2 * LANES <= n; at += 2 * LANES) {
        lanes = vf_max(vf_load(x + at), lanes);
        others = vf_max(vf_load(x + at + LANES), others);
    }
    if (at + LANES <= n) lanes = vf_max(vf_load(x + at), lanes);
    return vf_largest(vf_max(vf_max(vf_load(x + n - LANES), lanes), others));
}

static ALWAYS_INLINE void softmax_row(size_t n, const float *x, float *y)
{
    const vf shift = vf_set1(largest_of(n, x));
    vf sums = vf_zero();
    for (size_t i = 0; i < n; i += LANES) {
        const size_t count = n - i;
        if (count >= LANES) {
            const vf e = vf_exp(vf_sub(vf_load(x + i), shift));
            vf_store(y + i, e);
            sums = vf_add(sums, e);
        } else {
            vf_store_part(y + i, count, vf_exp(vf_sub(vf_load_part(x + i, count), shift)));
            sums = vf_add(sums, vf_load_part(y + i, count)); /* zeros beyond the end */
        }
    }
    const vf factor = vf_set1(1.0f / vf_sum(sums));
    EACH_VECTOR(n, vf_store(y + i, vf_mul(vf_load(y + i), factor)),
                vf_store_part(y + i, count, vf_mul(vf_load_part(y + i, count), factor)));
}

#endif
