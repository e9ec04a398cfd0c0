/* matmul_dequantized.c - the product of INT8, INT4 and INT3 weights with x in FP32, converted span by span. */
#include "kernels/c/matmul_tile.h"

void matmul_dequantized_c(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    matmul_converted(w, m, x, ldx, y, ldy);
}
