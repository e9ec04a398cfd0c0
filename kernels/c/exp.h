/* exp.h - e^x in float without a branch, so that softmax and SiLU vectorise on any machine.
 *
 * x = n ln 2 + r with |r| <= ln 2 / 2 (plus a rounding of n), e^x = 2^n e^r.
 * - n by adding 1.5 * 2^23, whose sum's low bits hold n in two's complement. |n| < 2^8, so the product of n with the
 *   9-bit head of ln 2 is exact and the reduction loses only the rounding of n * tail, below 2^-25.
 * - e^r by its Taylor polynomial of degree 7: the rest, 0.3466^8 / 8! = 5.2e-9 < 2^-27, is below half an ulp of 1.
 * - 2^n in two factors, since n may be one more than the largest or less than the smallest exponent of a normal float.
 * The last sum rounds by half an ulp; its smaller operand r + r^2 p, below 0.42, brings in a rounding or two of its own
 * and the errors above: under 2 ulp for a normal result (0.99 found over every 97th float), and under one last place
 * for a subnormal one. The tests hold every rung to that. */
#ifndef CIUIC_KERNELS_EXP_H
#define CIUIC_KERNELS_EXP_H

#include "kernels/c/convert.h"

/* Beyond these e^x is 0 and infinity in float, also after rounding. */
#define EXP_LOWEST -104.0f
#define EXP_HIGHEST 89.0f
#define EXP_MAGIC 12582912.0f /* 1.5 * 2^23 */
#define EXP_LOG2E 1.44269504088896341f
#define EXP_LN2_HEAD 0.693359375f
#define EXP_LN2_TAIL -2.12194440e-4f

static inline float exp_f32(float x)
{
    uint32_t bits = bits_of_float(x);
    bits = select_bits(x < EXP_LOWEST, bits_of_float(EXP_LOWEST), bits); /* a NaN passes both */
    bits = select_bits(x > EXP_HIGHEST, bits_of_float(EXP_HIGHEST), bits);
    x = float_of_bits(bits);
    const float shifted = x * EXP_LOG2E + EXP_MAGIC, n = shifted - EXP_MAGIC;
    const float r = (x - n * EXP_LN2_HEAD) - n * EXP_LN2_TAIL;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    /* The low bits of `shifted` are n + 2^22 (its mantissa's leading bit); n is halved towards minus infinity. */
    const int32_t exponent = (int32_t)(bits_of_float(shifted) & 0x7fffff) - 0x400000;
    const int32_t half = exponent >> 1;
    const float first = float_of_bits((uint32_t)(half + 127) << 23);
    const float second = float_of_bits((uint32_t)(exponent - half + 127) << 23);
    return p * first * second;
}

/* x * sigmoid(x) by e^-|x|, which never overflows: full precision also where e^-x would. */
static inline float silu_f32(float x)
{
    const float e = exp_f32(-float_of_bits(bits_of_float(x) & 0x7fffffff));
    const float numerator = float_of_bits(select_bits(x < 0, bits_of_float(e), bits_of_float(1.0f)));
    return x * numerator / (1.0f + e);
}

#endif
