/* matmul_int8.c - the product of int8 weights with int8 activations, by multiply-adds of int16 pairs. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/dot_pairs.h"
#include "kernels/avx512/kernels_avx512.h"
#include "kernels/simd/matmul_q8_many.h"

Q8_KERNEL(matmul_int8_avx512, KERNEL_INT8)
