/* rope.c - rotary position embedding, both layouts of the pairs. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"

/* What vf_load_pairs took apart. */
static ALWAYS_INLINE void vf_store_pairs(float *p, vf even, vf odd)
{
    /* The unpacking works within halves: pairs 0, 1, 4, 5 and 2, 3, 6, 7. */
    const vf low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
    _mm256_storeu_ps(p, _mm256_permute2f128_ps(low, high, 0x20));
    _mm256_storeu_ps(p + LANES, _mm256_permute2f128_ps(low, high, 0x31));
}

#include "kernels/simd/rope.h"

void rope_halves_avx2(size_t dim, const float *x, const float *cos_table, const float *sin_table, float *y)
{
    rotate_halves(dim, x, cos_table, sin_table, y);
}

void rope_interleaved_avx2(size_t dim, const float *x, const float *cos_table, const float *sin_table, float *y)
{
    rotate_interleaved(dim, x, cos_table, sin_table, y);
}
