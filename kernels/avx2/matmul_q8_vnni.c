/* matmul_q8_vnni.c (avx2) - the integer products by vpdpbusd on CPUs that have it and no AVX-512, in its VEX form: four
 * multiply-adds a lane.
 *
 * Compiled once more for check-kernels, under CIUIC_VNNI_EVEX, with the EVEX form of the instruction: what it computes is
 * the same, and CPUs with AVX-512 and without AVX-VNNI can run it. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/c/kernels_c.h"

#ifdef CIUIC_VNNI_EVEX
#define Q8_TARGET __attribute__((target("avx512vnni,avx512vl")))
#define q8_dot_int8 _mm256_dpbusd_epi32
#define q8_dot_int4 _mm256_dpbusd_epi32
#else
#define Q8_TARGET __attribute__((target("avxvnni")))
#define q8_dot_int8 _mm256_dpbusd_avx_epi32
#define q8_dot_int4 _mm256_dpbusd_avx_epi32
#endif
#define Q8_INT8_OFFSET 128
#define q8_int8(stored) vi_xor(stored, vi_set1((int32_t)0x80808080u))
#include "kernels/simd/matmul_q8.h"

Q8_TARGET void AVX_VNNI(matmul_int8)(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    if (w->interleave == LANES && w->columns > 0)
        matmul_q8(KERNEL_INT8, w, m, x, y, ldy);
    else
        matmul_int8_c(w, m, x, y, ldy);
}

Q8_TARGET void AVX_VNNI(matmul_int4)(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    if (w->interleave == LANES && w->columns > 0)
        matmul_q8(KERNEL_INT4, w, m, x, y, ldy);
    else
        matmul_int4_c(w, m, x, y, ldy);
}
