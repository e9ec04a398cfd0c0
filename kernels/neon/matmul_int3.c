/* matmul_int3.c - the product of 3-bit weights with int8 activations, by sums of int16 pairs. */
#include "kernels/neon/vector.h"

#include "kernels/neon/dot_pairs.h"
#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/matmul_q8_many.h"

void matmul_int3_neon(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8(KERNEL_INT3, w, m, x, y, ldy);
}
