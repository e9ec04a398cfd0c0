/* quantize.h - activations to int8 in groups of 32; kernels/c/quantize_q8.c says how, lane by lane the same here. */
#ifndef CIUIC_KERNELS_SIMD_QUANTIZE_H
#define CIUIC_KERNELS_SIMD_QUANTIZE_H

#include "kernels/kernels.h"

#include <math.h>

enum { GROUP_VECTORS = KERNEL_GROUP / LANES };

static ALWAYS_INLINE void quantize_group(const vf x[GROUP_VECTORS], int8_t *values, float *scale, float *sum)
{
    vf largest = vf_abs(x[0]), check = vf_sub(x[0], x[0]); /* a NaN for a NaN or an infinity, else 0 */
#pragma GCC unroll 4
    for (int v = 1; v < GROUP_VECTORS; v++) {
        largest = vf_max(vf_abs(x[v]), largest);
        check = vf_add(check, vf_sub(x[v], x[v]));
    }
    const float top = vf_largest(largest), bad = vf_sum(check);
    const float inverse = 127.0f / top;
    memset(values, 0, KERNEL_GROUP);
    if (bad != 0.0f) { /* that is, a NaN */
        *scale = *sum = NAN;
        return;
    }
    *scale = *sum = 0;
    if (top == 0.0f || inverse > 3.4028234e38f) return;
    const vf factor = vf_set1(inverse);
    vi q[GROUP_VECTORS], total = vi_zero();
#pragma GCC unroll 4
    for (int v = 0; v < GROUP_VECTORS; v++) {
        q[v] = vi_of_vf(vf_mul(x[v], factor));
        total = vi_add32(total, q[v]);
    }
    vi_store_bytes(values, q);
    *scale = top / 127.0f;
    *sum = *scale * (float)vi_sum(total);
}

static ALWAYS_INLINE void quantize_rows(size_t m, size_t k, const float *x, size_t ldx, kernel_q8 *q)
{
    const size_t groups = k / KERNEL_GROUP + (k % KERNEL_GROUP != 0);
    for (size_t i = 0; i < m; i++) {
        for (size_t g = 0; g < groups; g++) {
            const size_t first = g * KERNEL_GROUP, at = i * groups + g, width = k - first;
            const float *from = x + i * ldx + first;
            vf vectors[GROUP_VECTORS];
#pragma GCC unroll 4
            for (size_t v = 0; v < GROUP_VECTORS; v++) {
                if (width >= (v + 1) * LANES)
                    vectors[v] = vf_load(from + v * LANES);
                else if (width > v * LANES)
                    vectors[v] = vf_load_part(from + v * LANES, width - v * LANES);
                else
                    vectors[v] = vf_zero();
            }
            quantize_group(vectors, q->values + at * KERNEL_GROUP, q->scales + at, q->sums + at);
        }
    }
}

#endif
