/* elementwise.c - the operations that see one element at a time. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/simd/elementwise.h"

void silu_avx2(size_t n, const float *x, float *y)
{
    each_silu(n, x, y);
}

void swiglu_avx2(size_t n, const float *gate, const float *up, float *y)
{
    each_swiglu(n, gate, up, y);
}

void add_avx2(size_t n, const float *a, const float *b, float *y)
{
    each_add(n, a, b, y);
}

void mul_avx2(size_t n, const float *a, const float *b, float *y)
{
    each_mul(n, a, b, y);
}

void axpy_avx2(size_t n, float a, const float *x, float *y)
{
    each_axpy(n, a, x, y);
}
