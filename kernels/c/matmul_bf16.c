/* matmul_bf16.c - the product with bfloat16 weights, converted span by span. */
#include "kernels/c/matmul_tile.h"

void matmul_bf16_c(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    matmul_converted(w, m, x, ldx, y, ldy);
}
