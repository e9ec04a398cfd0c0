/* rms_norm.c - root-mean-square normalisation (Zhang and Sennrich 2019, equation 4). */
#include "kernels/c/kernels_c.h"

#include <math.h>

void rms_norm_c(size_t n, const float *x, const float *weight, float eps, float *y)
{
    if (n == 0) return;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    const float factor = 1.0f / sqrtf(sum / (float)n + eps);
    if (weight) {
#pragma omp simd
        for (size_t i = 0; i < n; i++) y[i] = x[i] * factor * weight[i];
    } else {
#pragma omp simd
        for (size_t i = 0; i < n; i++) y[i] = x[i] * factor;
    }
}
