/* quantize.h - activations to int8 in groups; kernels/c/quantize_q8.c says how, lane by lane the same here. */
#ifndef CIUIC_KERNELS_SIMD_QUANTIZE_H
#define CIUIC_KERNELS_SIMD_QUANTIZE_H

#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

enum { GROUP_VECTORS = KERNEL_GROUP / LANES };

static ALWAYS_INLINE vf load_up_to(const float *x, size_t count)
{
    return count >= LANES ? vf_load(x) : vf_load_part(x, count);
}

/* The largest magnitude of `width` values; NaN when one of them is NaN or infinite. */
static ALWAYS_INLINE float largest_magnitude(const float *x, size_t width)
{
    vf largest = vf_zero(), check = vf_zero(); /* x - x is a NaN for a NaN or an infinity, else 0 */
    for (size_t i = 0; i < width; i += LANES) {
        const vf value = load_up_to(x + i, width - i);
        largest = vf_max(vf_abs(value), largest);
        check = vf_add(check, vf_sub(value, value));
    }
    return vf_sum(check) != 0.0f ? NAN : vf_largest(largest);
}

static ALWAYS_INLINE void quantize_group(const float *x, size_t width, size_t padded, int8_t *values, float *scale,
                                         int32_t *sum)
{
    const float top = largest_magnitude(x, width), inverse = 127.0f / top;
    *sum = 0;
    if (!(top > 0.0f) || inverse > 3.4028234e38f) {
        memset(values, 0, padded);
        *scale = isnan(top) ? NAN : 0;
        return;
    }
    const vf factor = vf_set1(inverse);
    vi total = vi_zero();
    for (size_t i = 0; i < padded; i += KERNEL_GROUP) {
        vi q[GROUP_VECTORS];
#pragma GCC unroll 8
        for (size_t v = 0; v < GROUP_VECTORS; v++) {
            const size_t at = i + v * LANES;
            q[v] = at < width ? vi_of_vf(vf_mul(load_up_to(x + at, width - at), factor)) : vi_zero();
            total = vi_add32(total, q[v]);
        }
        vi_store_bytes(values + i, q);
    }
    *scale = top / 127.0f;
    *sum = vi_sum(total);
}

static ALWAYS_INLINE void quantize_rows(size_t m, size_t k, size_t group, const float *x, size_t ldx, kernel_q8 *q)
{
    const size_t groups = kernel_groups(k, group), row = kernel_row_bytes(KERNEL_INT8, k);
    const size_t step = group ? group : row;
    for (size_t i = 0; i < m; i++) {
        for (size_t g = 0; g < groups; g++) {
            const size_t first = g * step, at = i * groups + g;
            const size_t width = k - first < step ? k - first : step, padded = row - first < step ? row - first : step;
            quantize_group(x + i * ldx + first, width, padded, q->values + i * row + first, q->scales + at,
                           q->sums + at);
        }
    }
}

#endif
