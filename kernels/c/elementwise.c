/* elementwise.c - the operations that see one element at a time. An output may be one of its inputs, never shifted
 * against it, so the iterations are independent and `omp simd` may say so. */
#include "kernels/c/exp.h"
#include "kernels/c/kernels_c.h"

void silu_c(size_t n, const float *x, float *y)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = silu_f32(x[i]);
}

void swiglu_c(size_t n, const float *gate, const float *up, float *y)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = silu_f32(gate[i]) * up[i];
}

void add_c(size_t n, const float *a, const float *b, float *y)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

void mul_c(size_t n, const float *a, const float *b, float *y)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] = a[i] * b[i];
}

void axpy_c(size_t n, float a, const float *x, float *y)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}
