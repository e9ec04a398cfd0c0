/* conv2d.c - convolution of an image. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/simd/conv2d.h"

void conv2d_avx2(const kernel_conv2d *c, const float *x, size_t first, size_t count, float *y)
{
    conv2d(c, x, first, count, y);
}
