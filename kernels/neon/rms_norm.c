/* rms_norm.c - root-mean-square normalisation. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/elementwise.h"

void rms_norm_neon(size_t n, const float *x, const float *weight, float eps, float *y)
{
    normalise(n, x, weight, eps, y);
}
