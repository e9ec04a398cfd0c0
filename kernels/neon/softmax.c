/* softmax.c - exponentials over their sum. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/softmax.h"

void softmax_neon(size_t n, const float *x, float *y)
{
    softmax_row(n, x, y);
}
