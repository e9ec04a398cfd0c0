/* vector.h - the vocabulary that kernels/simd is written in, spelled in AVX2, FMA and F16C. A `part` operation touches
 * only the first `count` elements of memory; a partial load fills the rest with zeros. */
#ifndef CIUIC_KERNELS_VECTOR_H
#define CIUIC_KERNELS_VECTOR_H

#include "kernels/c/exp.h"

#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define VECTOR_REGISTER "v" /* in the words of inline assembly */

typedef __m256 vf;
typedef __m256i vi;
typedef __m128 v4;

/* Tiles, in registers: 16 of them. */
enum {
    LANES = 8,
    DOT_ROWS = 4, /* rows of w side by side: vf_sum4 */
    DOT_X = 2,    /* rows of x against them */
    PANEL_VECTORS = 2,
    PANEL_ROWS = 6,   /* rows of x: 12 sums, 2 weights */
    Q8_STREAMS = 2,   /* integer products, few rows of x: panels of w side by side */
    Q8_MANY_ROWS = 4, /* many: rows of x by panels of w, 8 sums; those in float leave the registers between groups */
    Q8_MANY_PANELS = 2,
    Q8_TALL_ROWS = 4,
    VALUE_VECTORS = 2, /* attention: 4 rows x 2 vectors of the output */
    CHAINS = 12,       /* peaks: more than latency times units, fewer than registers */
};

/* All ones in the first `count` lanes. */
static ALWAYS_INLINE vi lanes_mask(size_t count)
{
    static const int32_t ones[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + LANES - count));
}

/* ---- floats ---- */

static ALWAYS_INLINE vf vf_zero(void)
{
    return _mm256_setzero_ps();
}
static ALWAYS_INLINE vf vf_set1(float a)
{
    return _mm256_set1_ps(a);
}
static ALWAYS_INLINE vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static ALWAYS_INLINE vf vf_load_part(const float *p, size_t count)
{
    return _mm256_maskload_ps(p, lanes_mask(count));
}
static ALWAYS_INLINE void vf_store(float *p, vf a)
{
    _mm256_storeu_ps(p, a);
}
static ALWAYS_INLINE void vf_store_part(float *p, size_t count, vf a)
{
    _mm256_maskstore_ps(p, lanes_mask(count), a);
}
static ALWAYS_INLINE vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
static ALWAYS_INLINE vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
static ALWAYS_INLINE vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
static ALWAYS_INLINE vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
static ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
/* b where either is a NaN. */
static ALWAYS_INLINE vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
static ALWAYS_INLINE vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
static ALWAYS_INLINE vf vf_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
static ALWAYS_INLINE vf vf_negate(vf a)
{
    return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f));
}
/* a < 0 ? b : c, by lane. */
static ALWAYS_INLINE vf vf_if_negative(vf a, vf b, vf c)
{
    return _mm256_blendv_ps(c, b, _mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_LT_OQ));
}
/* p * 2^n, n integral and within -252..252: in two factors, as exp.h does. */
static ALWAYS_INLINE vf vf_scale2(vf p, vf n)
{
    const vi exponent = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(exponent, 1);
    const vi bias = _mm256_set1_epi32(127);
    const vi first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    const vi second = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(exponent, half), bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(first)), _mm256_castsi256_ps(second));
}
static ALWAYS_INLINE vf vf_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* The sums of four vectors' lanes. */
static ALWAYS_INLINE v4 vf_sum4(vf a, vf b, vf c, vf d)
{
    const vf all = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    return _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
}
static ALWAYS_INLINE float vf_sum(vf a)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
static ALWAYS_INLINE float vf_largest(vf a)
{
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
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

/* Fewer than 4 (8) bytes at p as the low bytes of a word, the rest zero: by loads that may overlap and agree where they
 * do, since a copy through memory would stall on the load that follows. */
static ALWAYS_INLINE uint64_t under4_bytes(const uint8_t *p, size_t count)
{
    if (count == 0) return 0;
    return p[0] | (uint64_t)p[count / 2] << 8 * (count / 2) | (uint64_t)p[count - 1] << 8 * (count - 1);
}
static ALWAYS_INLINE uint64_t under8_bytes(const uint8_t *p, size_t count)
{
    uint32_t first, last;
    if (count < 4) return under4_bytes(p, count);
    memcpy(&first, p, 4);
    memcpy(&last, p + count - 4, 4);
    return first | (uint64_t)last << 8 * (count - 4);
}
static ALWAYS_INLINE __m128i load_halves_part(const uint16_t *p, size_t count)
{
    const uint8_t *bytes = (const uint8_t *)p;
    uint64_t first;
    if (count < 4) return _mm_cvtsi64_si128((long long)under8_bytes(bytes, 2 * count));
    memcpy(&first, p, 8);
    return _mm_set_epi64x((long long)under8_bytes(bytes + 8, 2 * count - 8), (long long)first);
}
static ALWAYS_INLINE vf vf_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static ALWAYS_INLINE vf vf_load_f16_part(const uint16_t *p, size_t count)
{
    return _mm256_cvtph_ps(load_halves_part(p, count));
}
static ALWAYS_INLINE vf vf_of_bf16(__m128i halves)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}
static ALWAYS_INLINE vf vf_load_bf16(const uint16_t *p)
{
    return vf_of_bf16(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static ALWAYS_INLINE vf vf_load_bf16_part(const uint16_t *p, size_t count)
{
    return vf_of_bf16(load_halves_part(p, count));
}
/* 2 * LANES bfloat16 values without widening them one by one: those of even index in one vector, of odd index in another,
 * and 2 * LANES floats split the same way to meet them. */
static ALWAYS_INLINE void vf_load_bf16_pairs(const uint16_t *p, vf *even, vf *odd)
{
    const vi pairs = _mm256_loadu_si256((const __m256i *)(const void *)p);
    *even = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
    *odd = _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int)0xffff0000)));
}
static ALWAYS_INLINE void vf_load_pairs(const float *p, vf *even, vf *odd)
{
    const vf low = _mm256_loadu_ps(p), high = _mm256_loadu_ps(p + LANES);
    /* The shuffles work within halves: low 0, high 0, low 1, high 1, and the permutation puts them in order. */
    const __m256d e = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0x88)),
                  o = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0xdd));
    *even = _mm256_castpd_ps(_mm256_permute4x64_pd(e, 0xd8));
    *odd = _mm256_castpd_ps(_mm256_permute4x64_pd(o, 0xd8));
}
static ALWAYS_INLINE vf vf_of_u8(__m128i bytes)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}
static ALWAYS_INLINE vf vf_of_i8(__m128i bytes)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}
static ALWAYS_INLINE __m128i load_bytes(const uint8_t *p)
{
    return _mm_loadl_epi64((const __m128i *)(const void *)p);
}
static ALWAYS_INLINE __m128i load_bytes_part(const uint8_t *p, size_t count)
{
    return _mm_cvtsi64_si128((long long)under8_bytes(p, count));
}
/* LANES / 2 bytes of two codes each, as LANES bytes: low four bits first. */
static ALWAYS_INLINE __m128i split_nibbles(__m128i bytes)
{
    const __m128i wide = _mm_cvtepu8_epi16(bytes);
    return _mm_and_si128(_mm_or_si128(wide, _mm_slli_epi16(wide, 4)), _mm_set1_epi16(0x0f0f));
}
static ALWAYS_INLINE __m128i load_half_bytes(const uint8_t *p)
{
    int32_t word;
    memcpy(&word, p, sizeof word);
    return _mm_cvtsi32_si128(word);
}
/* e4m3 times 2^-8: shifted into the places of a binary16, whose bias is 15 and not 7; the one magnitude that is no number
 * gets the exponent that says so. */
static ALWAYS_INLINE vf vf_of_f8(__m128i codes)
{
    const __m128i words = _mm_cvtepi8_epi16(codes), magnitude = _mm_set1_epi16(0x7f);
    const __m128i halves = _mm_and_si128(_mm_slli_epi16(words, 7), _mm_set1_epi16((short)0xbfff));
    const __m128i nan = _mm_cmpeq_epi16(_mm_and_si128(words, magnitude), magnitude);
    return _mm256_cvtph_ps(_mm_or_si128(halves, _mm_and_si128(nan, _mm_set1_epi16(0x4000))));
}
static ALWAYS_INLINE void vf_store_f16(uint16_t *p, vf a)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static ALWAYS_INLINE void vf_store_f16_part(uint16_t *p, size_t count, vf a)
{
    uint16_t halves[LANES];
    vf_store_f16(halves, a);
    memcpy(p, halves, count * sizeof *p);
}

/* ---- integers ---- */

static ALWAYS_INLINE vi vi_zero(void)
{
    return _mm256_setzero_si256();
}
static ALWAYS_INLINE vi vi_set1(int32_t a)
{
    return _mm256_set1_epi32(a);
}
/* The four bytes at p in every lane. */
static ALWAYS_INLINE vi vi_set1_from(const void *p)
{
    int32_t a;
    memcpy(&a, p, sizeof a);
    return _mm256_set1_epi32(a);
}
static ALWAYS_INLINE vi vi_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}
/* count is 0 or 16 bytes: the parts of a vector that whole groups leave. */
static ALWAYS_INLINE vi vi_load_part(const void *p, size_t count)
{
    return count ? _mm256_zextsi128_si256(_mm_loadu_si128((const __m128i *)p)) : _mm256_setzero_si256();
}
static ALWAYS_INLINE void vi_store(void *p, vi a)
{
    _mm256_storeu_si256((__m256i *)p, a);
}
static ALWAYS_INLINE vi vi_and(vi a, vi b)
{
    return _mm256_and_si256(a, b);
}
static ALWAYS_INLINE vi vi_xor(vi a, vi b)
{
    return _mm256_xor_si256(a, b);
}
static ALWAYS_INLINE vi vi_high_nibbles(vi a)
{
    return _mm256_and_si256(_mm256_srli_epi16(a, 4), _mm256_set1_epi8(15));
}
static ALWAYS_INLINE vi vi_add32(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}
/* By lane of 32 bits, the sign shifted in from the left. */
static ALWAYS_INLINE vi vi_shift_left(vi a, int bits)
{
    return _mm256_slli_epi32(a, bits);
}
static ALWAYS_INLINE vi vi_shift_right(vi a, int bits)
{
    return _mm256_srai_epi32(a, bits);
}
static ALWAYS_INLINE vi vi_sub8(vi a, vi b)
{
    return _mm256_sub_epi8(a, b);
}
static ALWAYS_INLINE vi vi_sub32(vi a, vi b)
{
    return _mm256_sub_epi32(a, b);
}
static ALWAYS_INLINE vi vi_mul32(vi a, vi b)
{
    return _mm256_mullo_epi32(a, b);
}
static ALWAYS_INLINE vi vi_of_vf(vf a)
{
    return _mm256_cvtps_epi32(a);
}
static ALWAYS_INLINE vf vf_of_vi(vi a)
{
    return _mm256_cvtepi32_ps(a);
}
static ALWAYS_INLINE int32_t vi_sum(vi a)
{
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
}
/* 32 words of four vectors, each within int8, as bytes. */
static ALWAYS_INLINE void vi_store_bytes(int8_t *p, const vi q[4])
{
    const vi bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    _mm256_storeu_si256((__m256i *)(void *)p,
                        _mm256_permutevar8x32_epi32(bytes, _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0)));
}
/* A square of LANES x LANES words, rows to columns. */
static ALWAYS_INLINE void vi_transpose(vi r[LANES])
{
    vi t[LANES];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        const vi low = _mm256_permute2x128_si256(r[i], r[i + 4], 0x20);
        r[i + 4] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x31);
        r[i] = low;
    }
}
static ALWAYS_INLINE vi vi_of_bits(vf a)
{
    return _mm256_castps_si256(a);
}

#endif
