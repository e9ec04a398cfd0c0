/* layer_norm.c - layer normalisation. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/layer_norm.h"

void layer_norm_neon(size_t n, const float *x, const float *weight, const float *bias, float eps, float *y)
{
    normalise_layer(n, x, weight, bias, eps, y);
}
