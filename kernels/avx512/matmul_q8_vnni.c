/* matmul_q8_vnni.c - the integer products by vpdpbusd, where the machine has it: four multiply-adds a lane. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"

#define Q8_TARGET __attribute__((target("avx512vnni")))
#define Q8_INT8_OFFSET 128
#define q8_int8(stored) vi_xor(stored, vi_set1((int32_t)0x80808080u))
#define q8_dot_int8 _mm512_dpbusd_epi32
#define q8_dot_codes _mm512_dpbusd_epi32
#define Q8_FLIPS_X 1
#define Q8_CODES_SIGNED 1
#define q8_dot_flipped dot_in_place

/* The intrinsic, by its instruction: GCC 12 copies every sum of a tile that it makes with the intrinsic. */
static Q8_TARGET ALWAYS_INLINE vi dot_in_place(vi acc, vi w, vi x)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
    return acc;
}

#include "kernels/simd/matmul_q8_many.h"

Q8_KERNEL(matmul_int8_vnni, KERNEL_INT8)
Q8_KERNEL(matmul_int4_vnni, KERNEL_INT4)
Q8_KERNEL(matmul_int3_vnni, KERNEL_INT3)
Q8_KERNEL(matmul_int5_vnni, KERNEL_INT5)
Q8_KERNEL(matmul_int6_vnni, KERNEL_INT6)
