/* matmul_codes.c - the product of weights of fewer than eight bits with int8 activations, by multiply-adds of int16 pairs. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/dot_pairs.h"
#include "kernels/avx512/kernels_avx512.h"
#include "kernels/simd/matmul_q8_many.h"

Q8_KERNEL(matmul_int4_avx512, KERNEL_INT4)
Q8_KERNEL(matmul_int3_avx512, KERNEL_INT3)
Q8_KERNEL(matmul_int5_avx512, KERNEL_INT5)
Q8_KERNEL(matmul_int6_avx512, KERNEL_INT6)
