/* rms_norm.c - root-mean-square normalisation. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/simd/elementwise.h"

void rms_norm_avx2(size_t n, const float *x, const float *weight, float eps, float *y)
{
    normalise(n, x, weight, eps, y);
}
