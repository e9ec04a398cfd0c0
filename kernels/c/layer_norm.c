/* layer_norm.c - layer normalisation (Ba, Kiros and Hinton 2016, equation 3). The variance is summed from differences to
 * the mean, not as mean of squares less square of the mean: that cancels where the mean is large. */
#include "kernels/c/kernels_c.h"

#include <math.h>

void layer_norm_c(size_t n, const float *x, const float *weight, const float *bias, float eps, float *y)
{
    if (n == 0) return;
    float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) sum += x[i];
    const float mean = sum / (float)n;
#pragma omp simd reduction(+ : squares)
    for (size_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    const float factor = 1.0f / sqrtf(squares / (float)n + eps);
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = (x[i] - mean) * factor;
    if (weight) {
#pragma omp simd
        for (size_t i = 0; i < n; i++) y[i] *= weight[i];
    }
    if (bias) {
#pragma omp simd
        for (size_t i = 0; i < n; i++) y[i] += bias[i];
    }
}
