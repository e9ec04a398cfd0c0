/* matmul_f16.c - the product with binary16 weights, converted span by span. */
#include "kernels/c/matmul_tile.h"

void matmul_f16_c(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    matmul_converted(w, m, x, ldx, y, ldy);
}
