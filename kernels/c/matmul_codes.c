/* matmul_codes.c - the product of weights of fewer than eight bits with int8 activations. */
#include "kernels/c/code_block.h"
#include "kernels/c/matmul_q8_tile.h"

#define CODES_KERNEL(name, format)                                                                                     \
    static void widen_##name(const void *values, size_t block, int zero, int16_t *restrict out)                        \
    {                                                                                                                  \
        code_block(format, (const uint8_t *)values + block * code_block_bytes(format), zero, out);                     \
    }                                                                                                                  \
    void name(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)                              \
    {                                                                                                                  \
        matmul_q8_rows(w, m, x, y, ldy, widen_##name);                                                                 \
    }
CODES_KERNEL(matmul_int4_c, KERNEL_INT4)
CODES_KERNEL(matmul_int3_c, KERNEL_INT3)
CODES_KERNEL(matmul_int5_c, KERNEL_INT5)
CODES_KERNEL(matmul_int6_c, KERNEL_INT6)
