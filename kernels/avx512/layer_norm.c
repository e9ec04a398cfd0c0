/* layer_norm.c - layer normalisation. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/simd/layer_norm.h"

void layer_norm_avx512(size_t n, const float *x, const float *weight, const float *bias, float eps, float *y)
{
    normalise_layer(n, x, weight, bias, eps, y);
}
