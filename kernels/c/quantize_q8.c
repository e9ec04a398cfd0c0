/* quantize_q8.c - activations to int8 in groups, scaled by the largest magnitude. */
#include "kernels/c/convert.h"
#include "kernels/c/kernels_c.h"

/* Adding and subtracting 1.5 * 2^23 rounds to the nearest even integer: |value| <= 127 is far below 2^22. */
static float round_even(float value)
{
    const float magic = 12582912.0f;
    return (value + magic) - magic;
}

static void quantize_group(const float *restrict x, size_t width, size_t padded, int8_t *restrict values, float *scale,
                           int32_t *sum)
{
    /* Magnitudes compared as integers order like floats, and a NaN is larger than everything: one maximum finds
     * both. */
    uint32_t largest = 0;
    for (size_t i = 0; i < width; i++) {
        const uint32_t magnitude = bits_of_float(x[i]) & 0x7fffffff;
        largest = magnitude > largest ? magnitude : largest;
    }
    memset(values, 0, padded);
    *sum = 0;
    if (largest >= 255u << 23) {
        *scale = float_of_bits(0x7fc00000u);
        return;
    }
    *scale = float_of_bits(largest) / 127.0f;
    /* A largest magnitude in the subnormals may have a scale whose reciprocal overflows: nothing left to represent. */
    const float inverse = 127.0f / float_of_bits(largest);
    if (largest == 0 || inverse > 3.4028234e38f) {
        *scale = 0;
        return;
    }
    int32_t total = 0;
    for (size_t i = 0; i < width; i++) {
        const int32_t q = (int32_t)round_even(x[i] * inverse);
        values[i] = (int8_t)q;
        total += q;
    }
    *sum = total;
}

void quantize_q8_c(size_t m, size_t k, size_t group, const float *x, size_t ldx, kernel_q8 *q)
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
