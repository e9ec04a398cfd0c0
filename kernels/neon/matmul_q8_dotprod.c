/* matmul_q8_dotprod.c - the integer products by sdot, where the machine has it: four multiply-adds a lane. */
#include "kernels/neon/vector.h"

#include "kernels/neon/dot_product.h"
#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/matmul_q8_many.h"

void matmul_int8_dotprod(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8(KERNEL_INT8, w, m, x, y, ldy);
}

void matmul_int4_dotprod(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8(KERNEL_INT4, w, m, x, y, ldy);
}

void matmul_int3_dotprod(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8(KERNEL_INT3, w, m, x, y, ldy);
}
