/* rope.c - rotary position embedding, both layouts of the pairs. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"

/* What vf_load_pairs took apart. */
static ALWAYS_INLINE void vf_store_pairs(float *p, vf even, vf odd)
{
    const vi first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const vi second = _mm512_add_epi32(first, _mm512_set1_epi32(LANES / 2));
    _mm512_storeu_ps(p, _mm512_permutex2var_ps(even, first, odd));
    _mm512_storeu_ps(p + LANES, _mm512_permutex2var_ps(even, second, odd));
}

#include "kernels/simd/rope.h"

void rope_halves_avx512(size_t dim, const float *x, const float *cos_table, const float *sin_table, float *y)
{
    rotate_halves(dim, x, cos_table, sin_table, y);
}

void rope_interleaved_avx512(size_t dim, const float *x, const float *cos_table, const float *sin_table, float *y)
{
    rotate_interleaved(dim, x, cos_table, sin_table, y);
}
