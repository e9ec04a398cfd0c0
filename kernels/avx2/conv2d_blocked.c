/* conv2d_blocked.c - convolution into blocks of channels. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/simd/conv2d_blocked.h"

void conv2d_blocked_avx2(const kernel_conv2d *c, kernel_layout layout, const float *x, const kernel_conv2d_part *part,
                         float *y)
{
    conv2d_blocked(c, layout, x, part, y);
}
