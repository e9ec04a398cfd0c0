/* vector.h - the vocabulary that kernels/simd is written in, spelled in AVX-512 (F, BW, DQ, VL). A `part` operation
 * touches only the first `count` elements of memory; a partial load fills the rest with zeros. */
#ifndef CIUIC_KERNELS_VECTOR_H
#define CIUIC_KERNELS_VECTOR_H

#include "kernels/c/exp.h"

#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define VECTOR_REGISTER "v" /* in the words of inline assembly */

typedef __m512 vf;
typedef __m512i vi;
typedef __m128 v4;

/* Tiles, in registers: 32 of them. */
enum {
    LANES = 16,
    DOT_ROWS = 4, /* rows of w side by side: vf_sum4 */
    DOT_X = 4,    /* rows of x against them */
    PANEL_VECTORS = 2,
    PANEL_ROWS = 12,  /* rows of x: 24 sums, 2 weights */
    Q8_STREAMS = 2,   /* integer products, few rows of x: panels of w side by side */
    Q8_MANY_ROWS = 4, /* many: rows of x by panels of w, 12 sums in int32, 12 in float, 3 weights */
    Q8_MANY_PANELS = 3,
    Q8_TALL_ROWS = 8,  /* 24 sums in int32 */
    VALUE_VECTORS = 4, /* attention: 4 rows x 4 vectors of the output */
    CHAINS = 12,       /* peaks: more than latency times units, fewer than registers */
};

static ALWAYS_INLINE __mmask16 lanes16(size_t count)
{
    return (__mmask16)((1u << count) - 1);
}

/* ---- floats ---- */

static ALWAYS_INLINE vf vf_zero(void)
{
    return _mm512_setzero_ps();
}
static ALWAYS_INLINE vf vf_set1(float a)
{
    return _mm512_set1_ps(a);
}
static ALWAYS_INLINE vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static ALWAYS_INLINE vf vf_load_part(const float *p, size_t count)
{
    return _mm512_maskz_loadu_ps(lanes16(count), p);
}
static ALWAYS_INLINE void vf_store(float *p, vf a)
{
    _mm512_storeu_ps(p, a);
}
static ALWAYS_INLINE void vf_store_part(float *p, size_t count, vf a)
{
    _mm512_mask_storeu_ps(p, lanes16(count), a);
}
static ALWAYS_INLINE vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
static ALWAYS_INLINE vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
static ALWAYS_INLINE vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
static ALWAYS_INLINE vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
static ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
/* b where either is a NaN. */
static ALWAYS_INLINE vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
static ALWAYS_INLINE vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
static ALWAYS_INLINE vf vf_abs(vf a)
{
    return _mm512_abs_ps(a);
}
static ALWAYS_INLINE vf vf_negate(vf a)
{
    return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f));
}
/* a < 0 ? b : c, by lane. */
static ALWAYS_INLINE vf vf_if_negative(vf a, vf b, vf c)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, _mm512_setzero_ps(), _CMP_LT_OQ), c, b);
}
/* p * 2^n, n integral: one instruction, subnormal and infinite results included. */
static ALWAYS_INLINE vf vf_scale2(vf p, vf n)
{
    return _mm512_scalef_ps(p, n);
}
static ALWAYS_INLINE vf vf_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static ALWAYS_INLINE float vf_sum(vf a)
{
    return _mm512_reduce_add_ps(a);
}
static ALWAYS_INLINE float vf_largest(vf a)
{
    return _mm512_reduce_max_ps(a);
}
/* The sums of four vectors' lanes. */
static ALWAYS_INLINE v4 vf_sum4(vf a, vf b, vf c, vf d)
{
    const vf ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const vf cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const vf all = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

/* ---- four floats: the sums of as many vectors ---- */

static ALWAYS_INLINE v4 v4_zero(void)
{
    return _mm_setzero_ps();
}
static ALWAYS_INLINE v4 v4_load(const float *p)
{
    return _mm_loadu_ps(p);
}
static ALWAYS_INLINE void v4_store(float *p, v4 a)
{
    _mm_storeu_ps(p, a);
}
static ALWAYS_INLINE v4 v4_add(v4 a, v4 b)
{
    return _mm_add_ps(a, b);
}

/* ---- other formats as floats ---- */

static ALWAYS_INLINE vf vf_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static ALWAYS_INLINE vf vf_load_f16_part(const uint16_t *p, size_t count)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(lanes16(count), p));
}
static ALWAYS_INLINE vf vf_load_bf16(const uint16_t *p)
{
    const vi wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
static ALWAYS_INLINE vf vf_load_bf16_part(const uint16_t *p, size_t count)
{
    const vi wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes16(count), p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
/* 2 * LANES bfloat16 values without widening them one by one: those of even index in one vector, of odd index in another,
 * and 2 * LANES floats split the same way to meet them. */
static ALWAYS_INLINE void vf_load_bf16_pairs(const uint16_t *p, vf *even, vf *odd)
{
    const vi pairs = _mm512_loadu_si512(p);
    *even = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
    *odd = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000)));
}
static ALWAYS_INLINE void vf_load_pairs(const float *p, vf *even, vf *odd)
{
    const vf low = _mm512_loadu_ps(p), high = _mm512_loadu_ps(p + LANES);
    const vi first = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    *even = _mm512_permutex2var_ps(low, first, high);
    *odd = _mm512_permutex2var_ps(low, _mm512_add_epi32(first, _mm512_set1_epi32(1)), high);
}
static ALWAYS_INLINE vf vf_of_u8(__m128i bytes)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
}
static ALWAYS_INLINE vf vf_of_i8(__m128i bytes)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}
static ALWAYS_INLINE __m128i load_bytes(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}
static ALWAYS_INLINE __m128i load_bytes_part(const uint8_t *p, size_t count)
{
    return _mm_maskz_loadu_epi8(lanes16(count), p);
}
/* LANES / 2 bytes of two codes each, as LANES bytes: low four bits first. */
static ALWAYS_INLINE __m128i split_nibbles(__m128i bytes)
{
    const __m128i wide = _mm_cvtepu8_epi16(bytes);
    return _mm_and_si128(_mm_or_si128(wide, _mm_slli_epi16(wide, 4)), _mm_set1_epi16(0x0f0f));
}
static ALWAYS_INLINE __m128i load_half_bytes(const uint8_t *p)
{
    return _mm_loadl_epi64((const __m128i *)(const void *)p);
}
/* e4m3 times 2^-8: shifted into the places of a binary16, whose bias is 15 and not 7; the one magnitude that is no number
 * gets the exponent that says so. */
static ALWAYS_INLINE vf vf_of_f8(__m128i codes)
{
    const __m256i words = _mm256_cvtepi8_epi16(codes), magnitude = _mm256_set1_epi16(0x7f);
    const __m256i halves = _mm256_and_si256(_mm256_slli_epi16(words, 7), _mm256_set1_epi16((short)0xbfff));
    const __mmask16 nan = _mm256_cmpeq_epi16_mask(_mm256_and_si256(words, magnitude), magnitude);
    return _mm512_cvtph_ps(_mm256_mask_mov_epi16(halves, nan, _mm256_set1_epi16(0x7fff)));
}
static ALWAYS_INLINE void vf_store_f16(uint16_t *p, vf a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static ALWAYS_INLINE void vf_store_f16_part(uint16_t *p, size_t count, vf a)
{
    _mm256_mask_storeu_epi16(p, lanes16(count), _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* ---- integers ---- */

static ALWAYS_INLINE vi vi_zero(void)
{
    return _mm512_setzero_si512();
}
static ALWAYS_INLINE vi vi_set1(int32_t a)
{
    return _mm512_set1_epi32(a);
}
/* The four bytes at p in every lane. */
static ALWAYS_INLINE vi vi_set1_from(const void *p)
{
    int32_t a;
    memcpy(&a, p, sizeof a);
    return _mm512_set1_epi32(a);
}
static ALWAYS_INLINE vi vi_load(const void *p)
{
    return _mm512_loadu_si512(p);
}
/* count < 64 bytes. */
static ALWAYS_INLINE vi vi_load_part(const void *p, size_t count)
{
    return _mm512_maskz_loadu_epi8(((__mmask64)1 << count) - 1, p);
}
static ALWAYS_INLINE void vi_store(void *p, vi a)
{
    _mm512_storeu_si512(p, a);
}
static ALWAYS_INLINE vi vi_and(vi a, vi b)
{
    return _mm512_and_si512(a, b);
}
static ALWAYS_INLINE vi vi_xor(vi a, vi b)
{
    return _mm512_xor_si512(a, b);
}
static ALWAYS_INLINE vi vi_high_nibbles(vi a)
{
    return _mm512_and_si512(_mm512_srli_epi16(a, 4), _mm512_set1_epi8(15));
}
static ALWAYS_INLINE vi vi_add32(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
/* By lane of 32 bits, the sign shifted in from the left. */
static ALWAYS_INLINE vi vi_shift_left(vi a, int bits)
{
    return _mm512_slli_epi32(a, (unsigned)bits);
}
static ALWAYS_INLINE vi vi_shift_right(vi a, int bits)
{
    return _mm512_srai_epi32(a, (unsigned)bits);
}
static ALWAYS_INLINE vi vi_sub8(vi a, vi b)
{
    return _mm512_sub_epi8(a, b);
}
static ALWAYS_INLINE vi vi_sub32(vi a, vi b)
{
    return _mm512_sub_epi32(a, b);
}
static ALWAYS_INLINE vi vi_mul32(vi a, vi b)
{
    return _mm512_mullo_epi32(a, b);
}
static ALWAYS_INLINE vi vi_of_vf(vf a)
{
    return _mm512_cvtps_epi32(a);
}
static ALWAYS_INLINE vf vf_of_vi(vi a)
{
    return _mm512_cvtepi32_ps(a);
}
static ALWAYS_INLINE int32_t vi_sum(vi a)
{
    return _mm512_reduce_add_epi32(a);
}
/* 32 words of two vectors, each within int8, as bytes. */
static ALWAYS_INLINE void vi_store_bytes(int8_t *p, const vi q[2])
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(q[0]));
    _mm_storeu_si128((__m128i *)(void *)(p + 16), _mm512_cvtepi32_epi8(q[1]));
}
/* A square of LANES x LANES words, rows to columns. */
static ALWAYS_INLINE void vi_transpose(vi r[LANES])
{
    vi t[LANES];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}
static ALWAYS_INLINE vi vi_of_bits(vf a)
{
    return _mm512_castps_si512(a);
}

#endif
