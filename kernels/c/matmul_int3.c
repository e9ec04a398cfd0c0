/* matmul_int3.c - the product of 3-bit weights with int8 activations. */
#include "kernels/c/int3.h"
#include "kernels/c/matmul_q8_tile.h"

static void widen_int3(const void *values, size_t block, int zero, int16_t *restrict out)
{
    int3_block((const uint8_t *)values + block * INT3_BLOCK, zero, out);
}

void matmul_int3_c(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8_rows(w, m, x, y, ldy, widen_int3);
}
