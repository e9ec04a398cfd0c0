/* softmax.c - exponentials over their sum. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/simd/softmax.h"

void softmax_avx512(size_t n, const float *x, float *y)
{
    softmax_row(n, x, y);
}
