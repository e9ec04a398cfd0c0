/* dot_product.h - sums of four products in each lane by sdot. Both sides are signed: nothing needs an offset, and a code
 * is as good a signed byte as any. For files compiled with the dotprod extension. */
#ifndef CIUIC_KERNELS_DOT_PRODUCT_H
#define CIUIC_KERNELS_DOT_PRODUCT_H

#include "kernels/neon/vector.h"

#define Q8_TARGET
#define Q8_INT8_OFFSET 0
#define q8_int8(stored) (stored)
#define Q8_FLIPS_X 0
#define Q8_CODES_SIGNED 1
#define q8_dot_int8 dot_product
#define q8_dot_codes dot_product

static ALWAYS_INLINE vi dot_product(vi acc, vi w, vi x)
{
    return vdotq_s32(acc, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(x));
}

#endif
