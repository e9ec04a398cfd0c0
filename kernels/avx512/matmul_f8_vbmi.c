/* matmul_f8_vbmi.c - e4m3 weights against few rows of x where the machine has AVX512_VBMI: codes by table to bfloat16, which
 * is half of a float. Many rows, which pack the weights once, go as without it. */
#include "kernels/avx512/f8_table.h"

#include "kernels/avx512/kernels_avx512.h"

#define F8_TARGET __attribute__((target("avx512vbmi")))
enum { F8_STEP = 64, F8_AHEAD = 3 };

/* Bytes are put together to bfloat16 within quarters of a vector: of each 16 codes the first 8, then the last 8. */
typedef struct f8_codes {
    vi first, last;
} f8_codes;

F8_TARGET static ALWAYS_INLINE f8_codes f8_look(const uint8_t *p, vi *seen)
{
    vi low, high;
    (void)seen; /* a NaN comes from the table */
    f8_bytes(vi_load(p), &low, &high);
    f8_codes codes = {_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)};
    /* Done here, and not where it is used: the scheduler's window is too short to find work for the latency of all this. */
    __asm__ volatile("" : "+v"(codes.first), "+v"(codes.last));
    return codes;
}

/* The even codes of each half are one vector, the odd ones another. */
F8_TARGET static ALWAYS_INLINE void f8_values(f8_codes codes, vf to[4])
{
    const vi odd = vi_set1((int32_t)0xffff0000);
    to[0] = _mm512_castsi512_ps(vi_shift_left(codes.first, 16));
    to[1] = _mm512_castsi512_ps(vi_and(codes.first, odd));
    to[2] = _mm512_castsi512_ps(vi_shift_left(codes.last, 16));
    to[3] = _mm512_castsi512_ps(vi_and(codes.last, odd));
}

F8_TARGET static ALWAYS_INLINE void f8_columns(const float *p, vf to[4])
{
    const vf a = vf_load(p), b = vf_load(p + 16), c = vf_load(p + 32), d = vf_load(p + 48);
    /* Fours of columns: 0 and 4, 8 and 12 of each 16. */
    const vf ab_even = _mm512_shuffle_f32x4(a, b, 0x88), ab_odd = _mm512_shuffle_f32x4(a, b, 0xdd);
    const vf cd_even = _mm512_shuffle_f32x4(c, d, 0x88), cd_odd = _mm512_shuffle_f32x4(c, d, 0xdd);
    const vf at0 = _mm512_shuffle_f32x4(ab_even, cd_even, 0x88), at8 = _mm512_shuffle_f32x4(ab_even, cd_even, 0xdd);
    const vf at4 = _mm512_shuffle_f32x4(ab_odd, cd_odd, 0x88), at12 = _mm512_shuffle_f32x4(ab_odd, cd_odd, 0xdd);
    to[0] = _mm512_shuffle_ps(at0, at4, 0x88);
    to[1] = _mm512_shuffle_ps(at0, at4, 0xdd);
    to[2] = _mm512_shuffle_ps(at8, at12, 0x88);
    to[3] = _mm512_shuffle_ps(at8, at12, 0xdd);
}

static ALWAYS_INLINE bool f8_seen_nan(vi seen)
{
    (void)seen;
    return false;
}

#include "kernels/simd/matmul_f8.h"

F8_TARGET void matmul_f8_vbmi(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (f8_panel_pays(w, m))
        matmul_f8_avx512(w, m, x, ldx, y, ldy);
    else
        matmul_f8_few(w, m, x, ldx, y, ldy);
}
