/* conv2d.c - convolution of an image. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/conv2d.h"

void conv2d_neon(const kernel_conv2d *c, const float *x, size_t first, size_t count, float *y)
{
    conv2d(c, x, first, count, y);
}
