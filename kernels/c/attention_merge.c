/* attention_merge.c - one output row from those over consecutive parts of a cache (flash-decoding: Dao, Haziza, Massa and
 * Sizov 2023). Portable on every rung: it touches a row of values for a part, where the part itself read hundreds. */
#include "kernels/c/exp.h"
#include "kernels/c/kernels_c.h"

#include <math.h>

void attention_merge_c(size_t parts, size_t width, const float *out, size_t out_stride, const float *partial,
                       size_t partial_stride, float *y)
{
    if (parts == 0) return;
    float largest = -INFINITY, sum = 0;
    for (size_t p = 0; p < parts; p++) {
        const float part = partial[p * partial_stride];
        largest = part > largest ? part : largest; /* a part that is NaN gets a NaN for its weight below */
    }
    const float base = largest == -INFINITY ? 0.0f : largest; /* as in attention.c: inf - inf would be a NaN */
    for (size_t i = 0; i < width; i++) y[i] = 0;
    for (size_t p = 0; p < parts; p++) {
        const float *pair = partial + p * partial_stride, *restrict row = out + p * out_stride;
        const float weight = exp_f32(pair[0] - base);
        sum += weight * pair[1];
        for (size_t i = 0; i < width; i++) y[i] += weight * row[i];
    }
    const float inverse = 1.0f / sum;
    for (size_t i = 0; i < width; i++) y[i] *= inverse;
}
