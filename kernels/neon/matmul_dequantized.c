/* matmul_dequantized.c - the product of INT8, INT4 and INT3 weights with x in FP32. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/matmul_dequantized.h"

void matmul_dequantized_neon(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    matmul_dequantized(w, m, x, ldx, y, ldy);
}
