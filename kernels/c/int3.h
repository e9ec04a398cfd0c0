/* int3.h - 32 values of three bits out of their 12 bytes, eight at a time: a vector of int16 in the instructions that
 * every machine has. */
#ifndef CIUIC_KERNELS_C_INT3_H
#define CIUIC_KERNELS_C_INT3_H

#include "kernels/kernels.h"

enum { INT3_BLOCK = KERNEL_GROUP / 8 * 3 };

/* `zero` is subtracted from every code. */
static inline void int3_block(const uint8_t *restrict block, int zero, int16_t *restrict out)
{
    enum { TOGETHER = 8, HALF = TOGETHER / 2 };
    const int16_t less = (int16_t)zero;
    uint16_t bits[TOGETHER]; /* low ones in the lower byte, high ones in the upper */
    for (int i = 0; i < TOGETHER; i++)
        bits[i] = (uint16_t)(block[i] | block[TOGETHER + i % HALF] >> i / HALF * HALF << 8);
#pragma GCC unroll 4
    for (int s = 0; s < KERNEL_GROUP / TOGETHER; s++) {
#pragma omp simd
        for (int i = 0; i < TOGETHER; i++) {
            const uint16_t low = (uint16_t)(bits[i] >> 2 * s & 3), high = (uint16_t)(bits[i] >> (8 + s) & 1);
            out[s * TOGETHER + i] = (int16_t)((low | high << 2) - less);
        }
    }
}

#endif
