/* bf16.h - the two steps of every product by vdpbf16ps. Callers are compiled with BF16_TARGET. */
#ifndef CIUIC_KERNELS_AVX512_BF16_H
#define CIUIC_KERNELS_AVX512_BF16_H

#include "kernels/avx512/vector.h"

#define BF16_TARGET __attribute__((target("avx512bf16")))

/* acc + the products of pairs of bfloat16 in each lane. The intrinsic, by its instruction: GCC 12 copies every sum of a tile
 * that it makes with the intrinsic. */
static BF16_TARGET ALWAYS_INLINE vf bf16_dot(vf acc, vi w, vi x)
{
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(acc) : "v"(w), "v"(x));
    return acc;
}

/* `width` floats as bfloat16, filled up with zeros to whole vectors of 2 * LANES. */
static BF16_TARGET ALWAYS_INLINE void bf16_round_row(const float *x, size_t width, uint16_t *to)
{
    for (size_t c = 0; c < width; c += 2 * LANES) {
        const size_t left = width - c;
        const vf low = left >= LANES ? vf_load(x + c) : vf_load_part(x + c, left);
        vf high = vf_zero();
        if (left >= 2 * LANES)
            high = vf_load(x + c + LANES);
        else if (left > LANES)
            high = vf_load_part(x + c + LANES, left - LANES);
        vi_store(to + c, (vi)_mm512_cvtne2ps_pbh(high, low));
    }
}

#endif
