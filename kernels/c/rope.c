/* rope.c - rotary position embedding (Su et al. 2021), both layouts of the pairs. */
#include "kernels/c/kernels_c.h"

void rope_halves_c(size_t dim, const float *x, const float *cos_table, const float *sin_table, float *y)
{
    const size_t half = dim / 2;
#pragma omp simd
    for (size_t i = 0; i < half; i++) {
        const float a = x[i], b = x[i + half];
        y[i] = a * cos_table[i] - b * sin_table[i];
        y[i + half] = b * cos_table[i] + a * sin_table[i];
    }
}

void rope_interleaved_c(size_t dim, const float *x, const float *cos_table, const float *sin_table, float *y)
{
    const size_t half = dim / 2;
#pragma omp simd
    for (size_t i = 0; i < half; i++) {
        const float a = x[2 * i], b = x[2 * i + 1];
        y[2 * i] = a * cos_table[i] - b * sin_table[i];
        y[2 * i + 1] = b * cos_table[i] + a * sin_table[i];
    }
}
