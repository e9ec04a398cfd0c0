/* rope.c - rotary position embedding, both layouts of the pairs. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"

/* What vf_load_pairs took apart. */
static ALWAYS_INLINE void vf_store_pairs(float *p, vf even, vf odd)
{
    vf_store(p, vzip1q_f32(even, odd));
    vf_store(p + LANES, vzip2q_f32(even, odd));
}

#include "kernels/simd/rope.h"

void rope_halves_neon(size_t dim, const float *x, const float *cos_table, const float *sin_table, float *y)
{
    rotate_halves(dim, x, cos_table, sin_table, y);
}

void rope_interleaved_neon(size_t dim, const float *x, const float *cos_table, const float *sin_table, float *y)
{
    rotate_interleaved(dim, x, cos_table, sin_table, y);
}
