/* matmul_f8.c - the product with e4m3 weights: dot products for few rows of x, packed panels for many. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"

#define F8_TARGET
enum { F8_STEP = 32, F8_AHEAD = 0 };
typedef const uint8_t *f8_codes;

/* NaN is looked for in all 32 codes at once, which is cheaper than in each vector. */
static ALWAYS_INLINE f8_codes f8_look(const uint8_t *p, vi *seen)
{
    *seen = _mm256_max_epu8(*seen, _mm256_or_si256(vi_load(p), _mm256_set1_epi8((char)0x80)));
    return p;
}

/* As vf_of_f8, but for NaN. */
static ALWAYS_INLINE void f8_values(f8_codes p, vf to[4])
{
    const vi codes = vi_load(p), places = _mm256_set1_epi16((short)0xbfff);
    /* Each in the upper half of a word, and one place down with its sign, which is then taken out of the exponent. */
    const vi low = vi_and(_mm256_srai_epi16(_mm256_unpacklo_epi8(vi_zero(), codes), 1), places);
    const vi high = vi_and(_mm256_srai_epi16(_mm256_unpackhi_epi8(vi_zero(), codes), 1), places);
    to[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(low));
    to[1] = _mm256_cvtph_ps(_mm256_castsi256_si128(high));
    to[2] = _mm256_cvtph_ps(_mm256_extracti128_si256(low, 1));
    to[3] = _mm256_cvtph_ps(_mm256_extracti128_si256(high, 1));
}

static ALWAYS_INLINE void f8_columns(const float *p, vf to[4])
{
#pragma GCC unroll 4
    for (size_t v = 0; v < 4; v++) to[v] = vf_load(p + v * LANES);
}

static ALWAYS_INLINE bool f8_seen_nan(vi seen)
{
    return _mm256_movemask_epi8(_mm256_cmpeq_epi8(seen, _mm256_set1_epi8(-1))) != 0;
}

#include "kernels/simd/matmul_f8.h"
#include "kernels/simd/matmul_panel.h"

void matmul_f8_avx2(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (f8_panel_pays(w, m))
        matmul_panel(KERNEL_F8, w, m, x, ldx, y, ldy);
    else
        matmul_f8_few(w, m, x, ldx, y, ldy);
}
