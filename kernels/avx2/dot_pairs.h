/* dot_pairs.h - sums of four products in each lane without VNNI (a Haswell): bytes to int16 pairs to int32. Weights keep
 * their sign: |w| meets x with w's sign, and |w| <= 128, |x| <= 127 leave two products within int16. */
#ifndef CIUIC_KERNELS_DOT_PAIRS_H
#define CIUIC_KERNELS_DOT_PAIRS_H

#include "kernels/avx2/vector.h"

#define Q8_TARGET
#define Q8_INT8_OFFSET 0
#define q8_int8(stored) (stored)
#define Q8_FLIPS_X 0
#define Q8_CODES_SIGNED 0
#define Q8_CODES_IN_16_BITS

static ALWAYS_INLINE vi q8_dot_int8(vi acc, vi w, vi x)
{
    const vi pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static ALWAYS_INLINE vi q8_dot_codes(vi acc, vi codes, vi x)
{
    return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(codes, x), _mm256_set1_epi16(1)));
}

static ALWAYS_INLINE vi q8_add_pairs(vi pairs, vi codes, vi x)
{
    return _mm256_add_epi16(pairs, _mm256_maddubs_epi16(codes, x));
}

static ALWAYS_INLINE vi q8_sum_pairs(vi acc, vi pairs)
{
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#endif
