/* matmul_int8.c - the product of int8 weights with int8 activations, by multiply-adds of int16 pairs. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/dot_pairs.h"
#include "kernels/avx2/kernels_avx2.h"
#include "kernels/simd/matmul_q8_many.h"

Q8_KERNEL(matmul_int8_avx2, KERNEL_INT8)
