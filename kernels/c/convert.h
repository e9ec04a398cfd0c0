/* convert.h - one value between binary16, bfloat16 and float, by integer arithmetic alone: no table, no branch, so that
 * a loop over it vectorises on any machine. */
#ifndef CIUIC_KERNELS_CONVERT_H
#define CIUIC_KERNELS_CONVERT_H

#include <stdint.h>
#include <string.h>

static inline float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* A choice by mask: a conditional expression may become a branch around a float operation, since that could trap, and
 * then the loop around it does not vectorise. */
static inline uint32_t select_bits(int condition, uint32_t yes, uint32_t no)
{
    const uint32_t mask = 0u - (uint32_t)condition;
    return (yes & mask) | (no & ~mask);
}

/* Exact. Shifted into a float's place the exponent is 112 too small, which a multiplication by 2^112 mends; it also
 * normalises subnormals, which the shift leaves subnormal. Infinity and NaN then only lack the upper exponent bits. */
static inline float f16_to_f32(uint16_t half)
{
    const uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
    const uint32_t rebased = bits_of_float(float_of_bits(magnitude) * 0x1p112f);
    const uint32_t special = select_bits(magnitude >= 31u << 23, 255u << 23, 0);
    return float_of_bits(rebased | special | (uint32_t)(half & 0x8000) << 16);
}

/* Round to nearest even. Below 2^-14 the float unit does the rounding: adding 0.5 puts the last place of the sum at
 * 2^-24, the last place of a subnormal half. Otherwise 0xfff and the lowest kept bit are added before the cut, and the
 * carry may run into the exponent. From 65520 on the result is infinity; a NaN stays one. */
static inline uint16_t f32_to_f16(float value)
{
    const uint32_t bits = bits_of_float(value), sign = bits & 0x80000000u, magnitude = bits ^ sign;
    const uint32_t subnormal = bits_of_float(float_of_bits(magnitude) + 0.5f) - bits_of_float(0.5f);
    const uint32_t normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
    const uint32_t special = select_bits(magnitude > 255u << 23, 0x7e00, 0x7c00);
    uint32_t half = select_bits(magnitude < 113u << 23, subnormal, normal);
    half = select_bits(magnitude >= 0x477ff000u, special, half); /* 65520 */
    return (uint16_t)(half | sign >> 16);
}

/* e4m3, exact: likewise with 2^120; the one magnitude that is no number is 0x7f. */
static inline float f8_to_f32(uint8_t code)
{
    const uint32_t magnitude = (uint32_t)(code & 0x7f) << 20;
    const uint32_t rebased = bits_of_float(float_of_bits(magnitude) * 0x1p120f);
    const uint32_t special = select_bits((code & 0x7f) == 0x7f, 0x7fc00000u, 0);
    return float_of_bits(rebased | special | (uint32_t)(code & 0x80) << 24);
}

static inline float bf16_to_f32(uint16_t upper)
{
    return float_of_bits((uint32_t)upper << 16);
}

#endif
