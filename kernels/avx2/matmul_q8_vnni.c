/* matmul_q8_vnni.c (avx2) - the integer products by vpdpbusd on CPUs that have it and no AVX-512, in its VEX form: four
 * multiply-adds a lane.
 *
 * Compiled once more for check-kernels, under CIUIC_VNNI_EVEX, with the EVEX form of the instruction: what it computes is
 * the same, and CPUs with AVX-512 and without AVX-VNNI can run it. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"

#ifdef CIUIC_VNNI_EVEX
#define Q8_TARGET __attribute__((target("avx512vnni,avx512vl")))
#define q8_dot_int4 _mm256_dpbusd_epi32
#define INSTRUCTION "vpdpbusd"
#define REGISTER "v"
#else
#define Q8_TARGET __attribute__((target("avxvnni")))
#define q8_dot_int4 _mm256_dpbusd_avx_epi32
#define INSTRUCTION "%{vex%} vpdpbusd"
#define REGISTER "x"
#endif
#define q8_dot_int8 q8_dot_int4
#define Q8_INT8_OFFSET 128
#define q8_int8(stored) vi_xor(stored, vi_set1((int32_t)0x80808080u))
#define Q8_FLIPS_X 1
#define Q8_INT4_SIGNED 1
#define q8_dot_flipped dot_in_place

/* The intrinsic, by its instruction: GCC 12 copies every sum of a tile that it makes with the intrinsic. */
static Q8_TARGET ALWAYS_INLINE vi dot_in_place(vi acc, vi w, vi x)
{
    __asm__(INSTRUCTION " %2, %1, %0" : "+" REGISTER(acc) : REGISTER(x), REGISTER(w));
    return acc;
}

#include "kernels/simd/matmul_q8_many.h"

Q8_TARGET void AVX_VNNI(matmul_int8)(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8(KERNEL_INT8, w, m, x, y, ldy);
}

Q8_TARGET void AVX_VNNI(matmul_int4)(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8(KERNEL_INT4, w, m, x, y, ldy);
}

Q8_TARGET void AVX_VNNI(matmul_int3)(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8(KERNEL_INT3, w, m, x, y, ldy);
}
