/* peak.h (simd) - the ceilings of a wide rung, by CHAINS independent chains (vector.h). */
#ifndef CIUIC_KERNELS_SIMD_PEAK_H
#define CIUIC_KERNELS_SIMD_PEAK_H

#include "kernels/peak.h"

/* Needs a value in a register at this point, and does nothing with it. */
#define USE(value) __asm__ volatile("" : : VECTOR_REGISTER(value))
/* Ties a value to a register at this point, so that no chain is merged, moved or folded. */
#define PIN(value) __asm__ volatile("" : "+" VECTOR_REGISTER(value))

static ALWAYS_INLINE double fma_rounds(size_t rounds)
{
    vf acc[CHAINS];
    vf factor = vf_set1(0.5f);
    PIN(factor);
#pragma GCC unroll 24
    for (int i = 0; i < CHAINS; i++) acc[i] = vf_set1((float)i);
    for (size_t n = 0; n < rounds; n++) {
#pragma GCC unroll 24
        for (int i = 0; i < CHAINS; i++) {
            acc[i] = vf_fma(acc[i], factor, factor);
            PIN(acc[i]);
        }
    }
    return 2.0 * LANES * CHAINS * (double)rounds;
}

/* Loads alone: an XOR with each, which nothing could take for more than loads, made them a quarter slower on Zen 4. */
static ALWAYS_INLINE void load_all(const void *p, size_t bytes, size_t streams)
{
    for (size_t at = 0; at < bytes; at += 8 * sizeof(vi)) {
        for (size_t s = 0; s < streams; s++) {
            const char *q = (const char *)p + s * bytes + at;
#pragma GCC unroll 8
            for (size_t i = 0; i < 8; i++) {
                const vi loaded = vi_load(q + i * sizeof(vi));
                USE(loaded);
            }
        }
    }
}

#endif
