/* matmul_int4.c - the product of 4-bit weights with int8 activations. */
#include "kernels/c/matmul_q8_tile.h"

static void widen_int4(const void *values, size_t block, int zero, int16_t *restrict out)
{
    enum { HALF = KERNEL_GROUP / 2 };
    const uint8_t *codes = (const uint8_t *)values + block * HALF;
    for (int i = 0; i < HALF; i++) {
        out[i] = (int16_t)((codes[i] & 15) - zero);
        out[i + HALF] = (int16_t)((codes[i] >> 4) - zero);
    }
}

void matmul_int4_c(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    matmul_q8_rows(w, m, x, y, ldy, widen_int4);
}
