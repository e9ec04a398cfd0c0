/* elementwise.c - the operations that see one element at a time. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/elementwise.h"

void silu_neon(size_t n, const float *x, float *y)
{
    each_silu(n, x, y);
}

void swiglu_neon(size_t n, const float *gate, const float *up, float *y)
{
    each_swiglu(n, gate, up, y);
}

void add_neon(size_t n, const float *a, const float *b, float *y)
{
    each_add(n, a, b, y);
}

void mul_neon(size_t n, const float *a, const float *b, float *y)
{
    each_mul(n, a, b, y);
}

void axpy_neon(size_t n, float a, const float *x, float *y)
{
    each_axpy(n, a, x, y);
}
