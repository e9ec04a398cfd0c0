/* float_formats.c - conversions by bits; assumes IEEE binary32 and the default rounding mode. */
#include "optimizer/checkpoint/float_formats.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

enum { F32_MANTISSA = 23, F16_MANTISSA = 10, E4M3_MANTISSA = 3 };
/* Exponent bias of binary32 minus that of the narrower format. */
enum { F16_REBIAS = 127 - 15, E4M3_REBIAS = 127 - 7 };

float float_from_f16(uint16_t code)
{
    const uint32_t sign = (uint32_t)(code & 0x8000u) << 16, rest = code & 0x7fffu;
    const uint32_t mantissa = rest << (F32_MANTISSA - F16_MANTISSA);
    if (rest > 0x7c00u) return float_of(sign | 0x7fc00000u | mantissa);
    if (rest == 0x7c00u) return float_of(sign | 0x7f800000u);
    if (rest >= 0x0400u) return float_of(sign | (mantissa + ((uint32_t)F16_REBIAS << F32_MANTISSA)));
    const float magnitude = (float)rest * 0x1p-24f; /* subnormal: a multiple of 2^-24, exact */
    return sign != 0 ? -magnitude : magnitude;
}

uint16_t float_to_f16(float value)
{
    const uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffffu;
    const uint32_t sign = (bits >> 16) & 0x8000u;
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* from 65520, half-way to 65536, on */
    if (magnitude < 0x38800000u) { /* below 2^-14 the result counts 2^-24; 1024 of those is the first normal code */
        return (uint16_t)(sign | (uint32_t)nearbyintf(float_of(magnitude) * 0x1p24f));
    }
    const uint32_t odd = (magnitude >> 13) & 1u;
    const uint32_t rounded = magnitude + 0xfffu + odd - ((uint32_t)F16_REBIAS << F32_MANTISSA);
    return (uint16_t)(sign | rounded >> 13);
}

float float_from_bf16(uint16_t code)
{
    return float_of((uint32_t)code << 16);
}

uint16_t float_to_bf16(float value)
{
    const uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((bits >> 16) | 0x40u); /* rounding could lose the NaN */
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

float float_from_e4m3(uint8_t code)
{
    const uint32_t sign = (uint32_t)(code & 0x80u) << 24, rest = code & 0x7fu;
    if (rest == 0x7fu) return float_of(sign | 0x7fc00000u);
    if (rest >= 0x08u)
        return float_of(sign | ((rest << (F32_MANTISSA - E4M3_MANTISSA)) + ((uint32_t)E4M3_REBIAS << F32_MANTISSA)));
    const float magnitude = (float)rest * 0x1p-9f;
    return sign != 0 ? -magnitude : magnitude;
}
