/* matmul_f8.c - the product with e4m3 weights: dot products for few rows of x, packed panels for many. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"

#define F8_TARGET
enum { F8_STEP = 16, F8_AHEAD = 0 };
typedef const uint8_t *f8_codes;

/* NaN is looked for in all 16 codes at once, which is cheaper than in each vector. */
static ALWAYS_INLINE f8_codes f8_look(const uint8_t *p, vi *seen)
{
    *seen = vreinterpretq_s32_u8(vmaxq_u8(vreinterpretq_u8_s32(*seen), vorrq_u8(vld1q_u8(p), vdupq_n_u8(0x80))));
    return p;
}

/* As vf_of_f8, but for NaN. */
static ALWAYS_INLINE void f8_values(f8_codes p, vf to[4])
{
    const uint8x16_t codes = vld1q_u8(p);
    const uint16x8_t places = vdupq_n_u16(0xbfff);
    const int8x16_t bytes = vreinterpretq_s8_u8(codes);
    const uint16x8_t low = vandq_u16(vreinterpretq_u16_s16(vshll_n_s8(vget_low_s8(bytes), 7)), places);
    const uint16x8_t high = vandq_u16(vreinterpretq_u16_s16(vshll_high_n_s8(bytes, 7)), places);
    to[0] = vcvt_f32_f16(vget_low_f16(vreinterpretq_f16_u16(low)));
    to[1] = vcvt_high_f32_f16(vreinterpretq_f16_u16(low));
    to[2] = vcvt_f32_f16(vget_low_f16(vreinterpretq_f16_u16(high)));
    to[3] = vcvt_high_f32_f16(vreinterpretq_f16_u16(high));
}

static ALWAYS_INLINE void f8_columns(const float *p, vf to[4])
{
#pragma GCC unroll 4
    for (size_t v = 0; v < 4; v++) to[v] = vf_load(p + v * LANES);
}

static ALWAYS_INLINE bool f8_seen_nan(vi seen)
{
    return vmaxvq_u8(vreinterpretq_u8_s32(seen)) == 0xff;
}

#include "kernels/simd/matmul_f8.h"
#include "kernels/simd/matmul_panel.h"

void matmul_f8_neon(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (f8_panel_pays(w, m))
        matmul_panel(KERNEL_F8, w, m, x, ldx, y, ldy);
    else
        matmul_f8_few(w, m, x, ldx, y, ldy);
}
