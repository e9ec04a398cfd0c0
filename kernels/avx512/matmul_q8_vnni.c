/* matmul_q8_vnni.c - the integer products by vpdpbusd, where the machine has it: four multiply-adds a lane. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/c/kernels_c.h"

#define Q8_TARGET __attribute__((target("avx512vnni")))
#define Q8_INT8_OFFSET 128
#define q8_int8(stored) vi_xor(stored, vi_set1((int32_t)0x80808080u))
#define q8_dot_int8 _mm512_dpbusd_epi32
#define q8_dot_int4 _mm512_dpbusd_epi32
#include "kernels/simd/matmul_q8.h"

Q8_TARGET void matmul_int8_vnni(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    if (w->interleave == LANES && w->columns > 0)
        matmul_q8(KERNEL_INT8, w, m, x, y, ldy);
    else
        matmul_int8_c(w, m, x, y, ldy);
}

Q8_TARGET void matmul_int4_vnni(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    if (w->interleave == LANES && w->columns > 0)
        matmul_q8(KERNEL_INT4, w, m, x, y, ldy);
    else
        matmul_int4_c(w, m, x, y, ldy);
}
