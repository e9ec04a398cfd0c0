/* matmul_dequantized.c - the product of INT8, INT4 and INT3 weights with x in FP32. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/simd/matmul_dequantized.h"

void matmul_dequantized_avx512(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    matmul_dequantized(w, m, x, ldx, y, ldy);
}
