/* layer_norm.c - layer normalisation. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/simd/layer_norm.h"

void layer_norm_avx2(size_t n, const float *x, const float *weight, const float *bias, float eps, float *y)
{
    normalise_layer(n, x, weight, bias, eps, y);
}
