/* code_block.h - the whole numbers of KERNEL_GROUP columns out of their bytes, many at a time: vectors of int16 in the
 * instructions that every machine has. */
#ifndef CIUIC_KERNELS_C_CODE_BLOCK_H
#define CIUIC_KERNELS_C_CODE_BLOCK_H

#include "kernels/codes.h"

/* `zero` is subtracted from every code. */
CODE_INLINE void code_block(kernel_format format, const uint8_t *restrict block, int zero, int16_t *restrict out)
{
    const int low = code_low_bits(format), high = code_high_bits(format), together = 4 * low;
    const int low_mask = (1 << low) - 1, high_mask = (1 << high) - 1;
    const int16_t less = (int16_t)zero;
    uint16_t bits[KERNEL_GROUP]; /* low ones in the lower byte, high ones in the upper */
    for (int i = 0; i < together; i++) {
        const int at = code_high_at(format, i / 4);
        bits[i] = (uint16_t)(block[i] | (high ? block[together + at / 8 * 4 + i % 4] >> at % 8 << 8 : 0));
    }
#pragma GCC unroll 4
    for (int s = 0; s < 8 / low; s++) {
#pragma omp simd
        for (int i = 0; i < together; i++) {
            const uint16_t lower = (uint16_t)(bits[i] >> s * low & low_mask);
            const uint16_t upper = (uint16_t)(bits[i] >> (8 + s * high) & high_mask);
            out[s * together + i] = (int16_t)((lower | upper << low) - less);
        }
    }
}

#endif
