/* matmul_int8.c - the product of int8 weights with int8 activations. */
#include "kernels/c/matmul_q8_tile.h"

static void widen_int8(const void *values, size_t block, int zero, int16_t *restrict out)
{
    const int8_t *q = (const int8_t *)values + block * KERNEL_GROUP;
    (void)zero;
    for (int i = 0; i < KERNEL_GROUP; i++) out[i] = q[i];
}

void matmul_int8_c(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8_rows(w, m, x, y, ldy, widen_int8);
}
