/* f8_table.h - e4m3 as bfloat16 by looking its two bytes up (vpermi2b, AVX512_VBMI): 64 codes by two instructions, zero,
 * subnormal and NaN alike. The values are times 2^-8, as those of vf_of_f8 (vector.h). */
#ifndef CIUIC_KERNELS_F8_TABLE_H
#define CIUIC_KERNELS_F8_TABLE_H

#include "kernels/avx512/vector.h"

/* The bits of magnitude c: 0x7f is NaN; from 8 on the fraction moves up four places and the bias grows from 7 - 8 to 127;
 * below, c * 2^-17 is normalised by hand. */
#define F8_BF16(c)                                                                                                     \
    ((c) == 0x7f ? 0x7fc0                                                                                              \
     : (c) >= 8  ? (112 << 7) + ((c) << 4)                                                                             \
     : (c) >= 4  ? (112 << 7) + ((c)-4) * 32                                                                           \
     : (c) >= 2  ? (111 << 7) + ((c)-2) * 64                                                                           \
     : (c) == 1  ? 110 << 7                                                                                            \
                 : 0)
#define F8_BYTE_4(c, s)                                                                                                \
    (uint8_t)(F8_BF16(c) >> (s)), (uint8_t)(F8_BF16((c) + 1) >> (s)), (uint8_t)(F8_BF16((c) + 2) >> (s)),              \
        (uint8_t)(F8_BF16((c) + 3) >> (s))
#define F8_BYTE_16(c, s) F8_BYTE_4(c, s), F8_BYTE_4((c) + 4, s), F8_BYTE_4((c) + 8, s), F8_BYTE_4((c) + 12, s)
#define F8_BYTE_64(c, s) F8_BYTE_16(c, s), F8_BYTE_16((c) + 16, s), F8_BYTE_16((c) + 32, s), F8_BYTE_16((c) + 48, s)

static _Alignas(64) const uint8_t f8_low_bytes[2][64] = {{F8_BYTE_64(0, 0)}, {F8_BYTE_64(64, 0)}};
static _Alignas(64) const uint8_t f8_high_bytes[2][64] = {{F8_BYTE_64(0, 8)}, {F8_BYTE_64(64, 8)}};

/* Of each of 64 codes the low and the high byte. */
__attribute__((target("avx512vbmi"))) static ALWAYS_INLINE void f8_bytes(vi codes, vi *low, vi *high)
{
    *low = _mm512_permutex2var_epi8(vi_load(f8_low_bytes[0]), codes, vi_load(f8_low_bytes[1]));
    const vi magnitude = _mm512_permutex2var_epi8(vi_load(f8_high_bytes[0]), codes, vi_load(f8_high_bytes[1]));
    /* 0xf8: a | (b & c) */
    *high = _mm512_ternarylogic_epi32(magnitude, codes, _mm512_set1_epi8((char)0x80), 0xf8);
}

#endif
