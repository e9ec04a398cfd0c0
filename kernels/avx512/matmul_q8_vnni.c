/* matmul_q8_vnni.c - the integer products by vpdpbusd, where the machine has it: four multiply-adds a lane. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"

#define Q8_TARGET __attribute__((target("avx512vnni")))
#define Q8_INT8_OFFSET 128
#define q8_int8(stored) vi_xor(stored, vi_set1((int32_t)0x80808080u))
#define q8_dot_int8 _mm512_dpbusd_epi32
#define q8_dot_int4 _mm512_dpbusd_epi32
#define Q8_FLIPS_X 1
#define Q8_INT4_SIGNED 1
#define q8_dot_flipped dot_in_place

/* The intrinsic, by its instruction: GCC 12 copies every sum of a tile that it makes with the intrinsic. */
static Q8_TARGET ALWAYS_INLINE vi dot_in_place(vi acc, vi w, vi x)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
    return acc;
}

#include "kernels/simd/matmul_q8_many.h"

Q8_TARGET void matmul_int8_vnni(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8(KERNEL_INT8, w, m, x, y, ldy);
}

Q8_TARGET void matmul_int4_vnni(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8(KERNEL_INT4, w, m, x, y, ldy);
}

Q8_TARGET void matmul_int3_vnni(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8(KERNEL_INT3, w, m, x, y, ldy);
}
