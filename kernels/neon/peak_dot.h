/* peak_dot.h - the ceilings of integer dot products, whatever instruction does them. */
#ifndef CIUIC_KERNELS_NEON_PEAK_DOT_H
#define CIUIC_KERNELS_NEON_PEAK_DOT_H

#include "kernels/neon/vector.h"
#include "kernels/simd/peak.h"

/* Runs CHAINS chains of `rounds` steps acc = step(acc, w, x); returns the steps done. */
static ALWAYS_INLINE double dot_rounds(size_t rounds, vi (*step)(vi acc, vi w, vi x))
{
    vi acc[CHAINS], w = vi_set1(0x01020304), x = vi_set1(0x04030201);
    PIN(w);
    PIN(x);
#pragma GCC unroll 24
    for (int i = 0; i < CHAINS; i++) acc[i] = vi_zero();
    for (size_t n = 0; n < rounds; n++) {
#pragma GCC unroll 24
        for (int i = 0; i < CHAINS; i++) {
            PIN(w);
            acc[i] = step(acc[i], w, x);
            PIN(acc[i]);
        }
    }
    return (double)CHAINS * (double)rounds;
}

#endif
