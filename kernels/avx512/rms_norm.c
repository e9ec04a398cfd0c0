/* rms_norm.c - root-mean-square normalisation. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/simd/elementwise.h"

void rms_norm_avx512(size_t n, const float *x, const float *weight, float eps, float *y)
{
    normalise(n, x, weight, eps, y);
}
