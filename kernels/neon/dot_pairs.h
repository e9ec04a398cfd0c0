/* dot_pairs.h - sums of four products in each lane without the dot-product extension (a Cortex-A72): bytes to int16
 * products, those of two columns added, which |w| <= 128 and |x| <= 127 leave within int16, and pairs of them to int32. */
#ifndef CIUIC_KERNELS_DOT_PAIRS_H
#define CIUIC_KERNELS_DOT_PAIRS_H

#include "kernels/neon/vector.h"

#define Q8_TARGET
#define Q8_INT8_OFFSET 0
#define q8_int8(stored) (stored)
#define Q8_FLIPS_X 0
#define Q8_CODES_SIGNED 1
#define q8_dot_int8 dot_pairs
#define q8_dot_codes dot_pairs

static ALWAYS_INLINE vi dot_pairs(vi acc, vi w, vi x)
{
    const int8x16_t a = vreinterpretq_s8_s32(w), b = vreinterpretq_s8_s32(x);
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
    return vpadalq_s16(acc, vpaddq_s16(low, high));
}

#endif
