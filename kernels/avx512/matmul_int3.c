/* matmul_int3.c - the product of 3-bit weights with int8 activations, by multiply-adds of int16 pairs. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/dot_pairs.h"
#include "kernels/avx512/kernels_avx512.h"
#include "kernels/simd/matmul_q8_many.h"

void matmul_int3_avx512(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8(KERNEL_INT3, w, m, x, y, ldy);
}
