/* matmul_codes.c - the product of weights of fewer than eight bits with int8 activations, by sums of int16 pairs. */
#include "kernels/neon/vector.h"

#include "kernels/neon/dot_pairs.h"
#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/matmul_q8_many.h"

Q8_KERNEL(matmul_int4_neon, KERNEL_INT4)
Q8_KERNEL(matmul_int3_neon, KERNEL_INT3)
Q8_KERNEL(matmul_int5_neon, KERNEL_INT5)
Q8_KERNEL(matmul_int6_neon, KERNEL_INT6)
