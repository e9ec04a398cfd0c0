/* vector.h - the vocabulary that kernels/simd is written in, spelled in NEON (Advanced SIMD of ARMv8.0). A `part`
 * operation touches only the first `count` < LANES elements of memory; a partial load fills the rest with zeros. */
#ifndef CIUIC_KERNELS_VECTOR_H
#define CIUIC_KERNELS_VECTOR_H

#include "kernels/c/exp.h"

#include <arm_neon.h>
#include <stddef.h>
#include <string.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define VECTOR_REGISTER "w" /* in the words of inline assembly */

typedef float32x4_t vf;
typedef int32x4_t vi;
typedef float32x4_t v4;

/* Tiles, in registers: 32 of them. */
enum {
    LANES = 4,
    DOT_ROWS = 4, /* rows of w side by side: vf_sum4 */
    DOT_X = 4,    /* rows of x against them */
    PANEL_VECTORS = 4,
    PANEL_ROWS = 6,   /* rows of x: 24 sums, 4 weights */
    Q8_STREAMS = 4,   /* integer products, few rows of x: panels of w side by side */
    Q8_MANY_ROWS = 4, /* many: rows of x by panels of w, 16 sums, 4 weights; those in float leave the registers */
    Q8_MANY_PANELS = 4,
    Q8_TALL_ROWS = 4,
    VALUE_VECTORS = 4, /* attention: 4 rows x 4 vectors of the output */
    CHAINS = 24,       /* peaks: more than latency (4 cycles) times units (up to 4), fewer than registers */
};

/* ---- floats ---- */

static ALWAYS_INLINE vf vf_zero(void)
{
    return vdupq_n_f32(0);
}
static ALWAYS_INLINE vf vf_set1(float a)
{
    return vdupq_n_f32(a);
}
static ALWAYS_INLINE vf vf_load(const float *p)
{
    return vld1q_f32(p);
}
static ALWAYS_INLINE vf vf_load_part(const float *p, size_t count)
{
    vf a = vdupq_n_f32(0);
    if (count & 2) {
        a = vcombine_f32(vld1_f32(p), vdup_n_f32(0));
        return count & 1 ? vld1q_lane_f32(p + 2, a, 2) : a;
    }
    return count & 1 ? vld1q_lane_f32(p, a, 0) : a;
}
static ALWAYS_INLINE void vf_store(float *p, vf a)
{
    vst1q_f32(p, a);
}
static ALWAYS_INLINE void vf_store_part(float *p, size_t count, vf a)
{
    if (count & 2) {
        vst1_f32(p, vget_low_f32(a));
        if (count & 1) vst1q_lane_f32(p + 2, a, 2);
    } else if (count & 1) {
        vst1q_lane_f32(p, a, 0);
    }
}
static ALWAYS_INLINE vf vf_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}
static ALWAYS_INLINE vf vf_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}
static ALWAYS_INLINE vf vf_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}
static ALWAYS_INLINE vf vf_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}
static ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}
/* b where either is a NaN: what the machine's own maximum does not promise. */
static ALWAYS_INLINE vf vf_max(vf a, vf b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}
static ALWAYS_INLINE vf vf_min(vf a, vf b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}
static ALWAYS_INLINE vf vf_abs(vf a)
{
    return vabsq_f32(a);
}
static ALWAYS_INLINE vf vf_negate(vf a)
{
    return vnegq_f32(a);
}
/* a < 0 ? b : c, by lane. */
static ALWAYS_INLINE vf vf_if_negative(vf a, vf b, vf c)
{
    return vbslq_f32(vcltzq_f32(a), b, c);
}
/* p * 2^n, n integral and within -252..252: in two factors, as exp.h does. */
static ALWAYS_INLINE vf vf_scale2(vf p, vf n)
{
    const vi exponent = vcvtq_s32_f32(n), half = vshrq_n_s32(exponent, 1), bias = vdupq_n_s32(127);
    const vi first = vshlq_n_s32(vaddq_s32(half, bias), 23);
    const vi second = vshlq_n_s32(vaddq_s32(vsubq_s32(exponent, half), bias), 23);
    return vmulq_f32(vmulq_f32(p, vreinterpretq_f32_s32(first)), vreinterpretq_f32_s32(second));
}
static ALWAYS_INLINE vf vf_round(vf a)
{
    return vrndnq_f32(a);
}
static ALWAYS_INLINE float vf_sum(vf a)
{
    return vaddvq_f32(a);
}
static ALWAYS_INLINE float vf_largest(vf a)
{
    return vmaxvq_f32(a);
}
/* The sums of four vectors' lanes. */
static ALWAYS_INLINE v4 vf_sum4(vf a, vf b, vf c, vf d)
{
    return vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
}

/* ---- four floats: the sums of as many vectors ---- */

static ALWAYS_INLINE v4 v4_zero(void)
{
    return vdupq_n_f32(0);
}
static ALWAYS_INLINE v4 v4_load(const float *p)
{
    return vld1q_f32(p);
}
static ALWAYS_INLINE void v4_store(float *p, v4 a)
{
    vst1q_f32(p, a);
}
static ALWAYS_INLINE v4 v4_add(v4 a, v4 b)
{
    return vaddq_f32(a, b);
}

/* ---- other formats as floats ---- */

static ALWAYS_INLINE uint16x4_t load_halves_part(const uint16_t *p, size_t count)
{
    uint16x4_t a = vdup_n_u16(0);
    if (count > 0) a = vld1_lane_u16(p, a, 0);
    if (count > 1) a = vld1_lane_u16(p + 1, a, 1);
    if (count > 2) a = vld1_lane_u16(p + 2, a, 2);
    return a;
}
static ALWAYS_INLINE vf vf_load_f16(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}
static ALWAYS_INLINE vf vf_load_f16_part(const uint16_t *p, size_t count)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(load_halves_part(p, count)));
}
static ALWAYS_INLINE vf vf_load_bf16(const uint16_t *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}
static ALWAYS_INLINE vf vf_load_bf16_part(const uint16_t *p, size_t count)
{
    return vreinterpretq_f32_u32(vshll_n_u16(load_halves_part(p, count), 16));
}
/* 2 * LANES bfloat16 values without widening them one by one: those of even index in one vector, of odd index in another,
 * and 2 * LANES floats split the same way to meet them. */
static ALWAYS_INLINE void vf_load_bf16_pairs(const uint16_t *p, vf *even, vf *odd)
{
    const uint32x4_t pairs = vreinterpretq_u32_u16(vld1q_u16(p));
    *even = vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16));
    *odd = vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff0000)));
}
static ALWAYS_INLINE void vf_load_pairs(const float *p, vf *even, vf *odd)
{
    const vf low = vld1q_f32(p), high = vld1q_f32(p + LANES);
    *even = vuzp1q_f32(low, high);
    *odd = vuzp2q_f32(low, high);
}
static ALWAYS_INLINE vf vf_of_u8(uint8x8_t bytes)
{
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))));
}
static ALWAYS_INLINE vf vf_of_i8(uint8x8_t bytes)
{
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(bytes)))));
}
static ALWAYS_INLINE uint8x8_t load_bytes(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return vreinterpret_u8_u32(vdup_n_u32(word));
}
static ALWAYS_INLINE uint8x8_t load_bytes_part(const uint8_t *p, size_t count)
{
    uint8x8_t a = vdup_n_u8(0);
    if (count > 0) a = vld1_lane_u8(p, a, 0);
    if (count > 1) a = vld1_lane_u8(p + 1, a, 1);
    if (count > 2) a = vld1_lane_u8(p + 2, a, 2);
    return a;
}
/* LANES / 2 bytes of two codes each, as LANES bytes: low four bits first. */
static ALWAYS_INLINE uint8x8_t split_nibbles(uint8x8_t bytes)
{
    return vzip1_u8(vand_u8(bytes, vdup_n_u8(15)), vshr_n_u8(bytes, 4));
}
static ALWAYS_INLINE uint8x8_t load_half_bytes(const uint8_t *p)
{
    uint16_t half;
    memcpy(&half, p, sizeof half);
    return vreinterpret_u8_u16(vdup_n_u16(half));
}
/* e4m3 times 2^-8: shifted into the places of a binary16, whose bias is 15 and not 7; the one magnitude that is no number
 * gets the exponent that says so. */
static ALWAYS_INLINE vf vf_of_f8(uint8x8_t codes)
{
    const uint16x8_t halves =
        vandq_u16(vreinterpretq_u16_s16(vshll_n_s8(vreinterpret_s8_u8(codes), 7)), vdupq_n_u16(0xbfff));
    const uint8x8_t nan = vceq_u8(vand_u8(codes, vdup_n_u8(0x7f)), vdup_n_u8(0x7f));
    const uint16x8_t exponent = vshll_n_u8(vand_u8(nan, vdup_n_u8(0x40)), 8);
    return vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(vorrq_u16(halves, exponent))));
}
static ALWAYS_INLINE void vf_store_f16(uint16_t *p, vf a)
{
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(a)));
}
static ALWAYS_INLINE void vf_store_f16_part(uint16_t *p, size_t count, vf a)
{
    const uint16x4_t halves = vreinterpret_u16_f16(vcvt_f16_f32(a));
    if (count > 0) vst1_lane_u16(p, halves, 0);
    if (count > 1) vst1_lane_u16(p + 1, halves, 1);
    if (count > 2) vst1_lane_u16(p + 2, halves, 2);
}

/* ---- integers ---- */

static ALWAYS_INLINE vi vi_zero(void)
{
    return vdupq_n_s32(0);
}
static ALWAYS_INLINE vi vi_set1(int32_t a)
{
    return vdupq_n_s32(a);
}
/* The four bytes at p in every lane. */
static ALWAYS_INLINE vi vi_set1_from(const void *p)
{
    int32_t a;
    memcpy(&a, p, sizeof a);
    return vdupq_n_s32(a);
}
/* By bytes, which may lie anywhere and be of any type. */
static ALWAYS_INLINE vi vi_load(const void *p)
{
    return vreinterpretq_s32_u8(vld1q_u8(p));
}
static ALWAYS_INLINE void vi_store(void *p, vi a)
{
    vst1q_u8(p, vreinterpretq_u8_s32(a));
}
static ALWAYS_INLINE vi vi_and(vi a, vi b)
{
    return vandq_s32(a, b);
}
static ALWAYS_INLINE vi vi_xor(vi a, vi b)
{
    return veorq_s32(a, b);
}
static ALWAYS_INLINE vi vi_high_nibbles(vi a)
{
    return vreinterpretq_s32_u8(vshrq_n_u8(vreinterpretq_u8_s32(a), 4));
}
/* By lane of 32 bits, the sign shifted in from the left. */
static ALWAYS_INLINE vi vi_shift_left(vi a, int bits)
{
    return vshlq_s32(a, vdupq_n_s32(bits));
}
static ALWAYS_INLINE vi vi_shift_right(vi a, int bits)
{
    return vshlq_s32(a, vdupq_n_s32(-bits));
}
static ALWAYS_INLINE vi vi_add32(vi a, vi b)
{
    return vaddq_s32(a, b);
}
static ALWAYS_INLINE vi vi_sub8(vi a, vi b)
{
    return vreinterpretq_s32_s8(vsubq_s8(vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b)));
}
static ALWAYS_INLINE vi vi_sub32(vi a, vi b)
{
    return vsubq_s32(a, b);
}
static ALWAYS_INLINE vi vi_of_vf(vf a)
{
    return vcvtnq_s32_f32(a);
}
static ALWAYS_INLINE vf vf_of_vi(vi a)
{
    return vcvtq_f32_s32(a);
}
static ALWAYS_INLINE int32_t vi_sum(vi a)
{
    return vaddvq_s32(a);
}
/* The low half of every element of both, a's first. */
static ALWAYS_INLINE int16x8_t low_halves(vi a, vi b)
{
    return vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
}
static ALWAYS_INLINE int8x16_t low_bytes(int16x8_t a, int16x8_t b)
{
    return vuzp1q_s8(vreinterpretq_s8_s16(a), vreinterpretq_s8_s16(b));
}
/* 32 words of eight vectors, each within int8, as bytes. */
static ALWAYS_INLINE void vi_store_bytes(int8_t *p, const vi q[8])
{
    vst1q_s8(p, low_bytes(low_halves(q[0], q[1]), low_halves(q[2], q[3])));
    vst1q_s8(p + 16, low_bytes(low_halves(q[4], q[5]), low_halves(q[6], q[7])));
}
/* A square of LANES x LANES words, rows to columns. */
static ALWAYS_INLINE void vi_transpose(vi r[LANES])
{
    const int64x2_t even01 = vreinterpretq_s64_s32(vtrn1q_s32(r[0], r[1])),
                    odd01 = vreinterpretq_s64_s32(vtrn2q_s32(r[0], r[1])),
                    even23 = vreinterpretq_s64_s32(vtrn1q_s32(r[2], r[3])),
                    odd23 = vreinterpretq_s64_s32(vtrn2q_s32(r[2], r[3]));
    r[0] = vreinterpretq_s32_s64(vtrn1q_s64(even01, even23));
    r[1] = vreinterpretq_s32_s64(vtrn1q_s64(odd01, odd23));
    r[2] = vreinterpretq_s32_s64(vtrn2q_s64(even01, even23));
    r[3] = vreinterpretq_s32_s64(vtrn2q_s64(odd01, odd23));
}
static ALWAYS_INLINE vi vi_of_bits(vf a)
{
    return vreinterpretq_s32_f32(a);
}

#endif
