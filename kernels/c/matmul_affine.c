/* matmul_affine.c - the product with weights of one scale and one minimum per matrix, converted span by span: the
 * reference keeps to the definition w = q * scale + minimum rather than factor the two out of the sum. */
#include "kernels/c/matmul_tile.h"

void matmul_affine8_c(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    matmul_converted(w, m, x, ldx, y, ldy);
}

void matmul_affine4_c(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    matmul_converted(w, m, x, ldx, y, ldy);
}
