/* f16.c - arrays to and from binary16. */
#include "kernels/c/convert.h"
#include "kernels/c/kernels_c.h"

void to_f16_c(size_t n, const float *x, uint16_t *y)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = f32_to_f16(x[i]);
}

void from_f16_c(size_t n, const uint16_t *x, float *y)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = f16_to_f32(x[i]);
}
