/* softmax.c - exponentials over their sum, shifted by the largest so that none overflows. */
#include "kernels/c/exp.h"
#include "kernels/c/kernels_c.h"

#include <math.h>

void softmax_c(size_t n, const float *x, float *y)
{
    float largest = -INFINITY, sum = 0;
#pragma omp simd reduction(max : largest)
    for (size_t i = 0; i < n; i++) largest = x[i] > largest ? x[i] : largest; /* passes a NaN over: the sum shows it */
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        const float e = exp_f32(x[i] - largest);
        y[i] = e;
        sum += e;
    }
    const float factor = 1.0f / sum;
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] *= factor;
}
