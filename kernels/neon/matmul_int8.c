/* matmul_int8.c - the product of int8 weights with int8 activations, by sums of int16 pairs. */
#include "kernels/neon/vector.h"

#include "kernels/neon/dot_pairs.h"
#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/matmul_q8_many.h"

Q8_KERNEL(matmul_int8_neon, KERNEL_INT8)
