/* cache_int8.c - a key or value to int8 in groups. Portable on every rung: it runs once for a token and layer, and its
 * result is then read for every later token. */
#include "kernels/c/convert.h"
#include "kernels/c/kernels_c.h"

/* Adding and subtracting 1.5 * 2^23 rounds to the nearest even integer: |value| is far below 2^22. */
static float round_even(float value)
{
    const float magic = 12582912.0f;
    return (value + magic) - magic;
}

/* The smallest binary16 that times 127 reaches `largest`, a magnitude; NaN when none does. The product of a half's 11 bits
 * with 127's seven is exact in float. */
static uint16_t scale_of(float largest)
{
    enum { HALF_INFINITY = 0x7c00, HALF_NAN = 0x7e00 };
    uint16_t half = f32_to_f16(largest / 127.0f);
    if (half < HALF_INFINITY && f16_to_f32(half) * 127.0f < largest) half++;
    return half < HALF_INFINITY ? half : HALF_NAN;
}

static void quantize_group(size_t width, const float *restrict x, int8_t *restrict values, uint16_t *scale)
{
    /* Magnitudes compared as integers order like floats, and a NaN is larger than everything. */
    uint32_t largest = 0;
    for (size_t i = 0; i < width; i++) {
        const uint32_t magnitude = bits_of_float(x[i]) & 0x7fffffff;
        largest = magnitude > largest ? magnitude : largest;
    }
    *scale = scale_of(float_of_bits(largest));
    const float factor = f16_to_f32(*scale);
    if (!(factor > 0)) { /* nothing but zeros, or NaN */
        memset(values, 0, width);
        return;
    }
    /* The scale is 2^-24 or more: its reciprocal is finite, and off by so little that 127 cannot become 128. */
    const float inverse = 1.0f / factor;
    for (size_t i = 0; i < width; i++) values[i] = (int8_t)round_even(x[i] * inverse);
}

void cache_int8_c(size_t width, const float *x, int8_t *values, uint16_t *scales)
{
    for (size_t first = 0; first < width; first += KERNEL_CACHE_GROUP) {
        const size_t left = width - first;
        quantize_group(left < KERNEL_CACHE_GROUP ? left : KERNEL_CACHE_GROUP, x + first, values + first, scales++);
    }
}
