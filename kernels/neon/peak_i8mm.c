/* peak_i8mm.c - the ceiling of smmla: eight products in each lane. */
#include "kernels/neon/vector.h"

#include "kernels/neon/peak_dot.h"

static ALWAYS_INLINE vi matrix_product(vi acc, vi w, vi x)
{
    return vmmlaq_s32(acc, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(x));
}

double peak_dot_i8mm(size_t rounds)
{
    return 16.0 * LANES * dot_rounds(rounds, matrix_product);
}
