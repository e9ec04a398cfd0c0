/* matmul_f8.c - the product with e4m3 weights, each block of 128 x 128 with a scale of its own. */
#include "kernels/c/matmul_tile.h"

void matmul_f8_c(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    matmul_converted(w, m, x, ldx, y, ldy);
}
