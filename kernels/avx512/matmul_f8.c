/* matmul_f8.c - the product with e4m3 weights: dot products for few rows of x, packed panels for many. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"

#define F8_TARGET
enum { F8_STEP = 64, F8_AHEAD = 0 };
typedef const uint8_t *f8_codes;

/* NaN is looked for in all 64 codes at once, which is cheaper than in each vector. */
static ALWAYS_INLINE f8_codes f8_look(const uint8_t *p, vi *seen)
{
    *seen = _mm512_max_epu8(*seen, _mm512_or_si512(vi_load(p), _mm512_set1_epi8((char)0x80)));
    return p;
}

/* As vf_of_f8, but for NaN. */
static ALWAYS_INLINE void f8_values(f8_codes p, vf to[4])
{
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        const vi words = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(p + 32 * i)));
        const vi halves = _mm512_and_si512(_mm512_slli_epi16(words, 7), _mm512_set1_epi16((short)0xbfff));
        to[2 * i] = _mm512_cvtph_ps(_mm512_castsi512_si256(halves));
        to[2 * i + 1] = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(halves, 1));
    }
}

static ALWAYS_INLINE void f8_columns(const float *p, vf to[4])
{
#pragma GCC unroll 4
    for (size_t v = 0; v < 4; v++) to[v] = vf_load(p + v * LANES);
}

static ALWAYS_INLINE bool f8_seen_nan(vi seen)
{
    return _mm512_cmpeq_epi8_mask(seen, _mm512_set1_epi8(-1)) != 0;
}

#include "kernels/simd/matmul_f8.h"
#include "kernels/simd/matmul_panel.h"

void matmul_f8_avx512(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (f8_panel_pays(w, m))
        matmul_panel(KERNEL_F8, w, m, x, ldx, y, ldy);
    else
        matmul_f8_few(w, m, x, ldx, y, ldy);
}
