/* softmax.c - exponentials over their sum. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/simd/softmax.h"

void softmax_avx2(size_t n, const float *x, float *y)
{
    softmax_row(n, x, y);
}
