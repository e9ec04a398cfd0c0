/* matmul_int4.c - the product of 4-bit weights with int8 activations, by sums of int16 pairs. */
#include "kernels/neon/vector.h"

#include "kernels/neon/dot_pairs.h"
#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/matmul_q8_many.h"

void matmul_int4_neon(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8(KERNEL_INT4, w, m, x, y, ldy);
}
