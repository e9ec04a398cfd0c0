/* group_scale.h - the scale, and where there is one the minimum, of one group of INT8 to INT3 weights. */
#ifndef CIUIC_QUANTIZE_GROUP_SCALE_H
#define CIUIC_QUANTIZE_GROUP_SCALE_H

#include "kernels/kernels.h"
#include "optimizer/ciuic.h"

/* In binary16, as kernels read them; minimum 0 in a symmetric group. */
typedef struct group_scale {
    uint16_t scale, minimum;
} group_scale;

/* Round to nearest: of INT8 max|x| / 127; of INT4 and INT3 -(the value of largest magnitude) / 8 or 4, so that the extreme
 * is hit exactly and all codes are used (ggml's Q4_0 rule). Asymmetric: (max - min) over the number of steps, and the
 * value of code 0, which is min, or of INT8 the middle. A group whose scale underflows binary16 gets scale 0. False: the
 * scale or the minimum does not fit binary16. The n values are finite. */
bool group_scale_rtn(kernel_format format, bool asymmetric, size_t n, const float *x, group_scale *s);

/* The pair with the smallest sum over i of weight[i] * (x[i] - decoded nearest code)^2 among those tried: round to
 * nearest's, shrunk and grown by up to so much (both signs where the codes are lopsided), each refitted to its codes by
 * least squares twice. Never worse than round to nearest by that measure. weight NULL: all 1; otherwise none negative. */
bool group_scale_search(kernel_format format, bool asymmetric, size_t n, const float *x, const float *weight,
                        group_scale *s);

/* Index of the value of largest magnitude, the first of equals; n > 0. */
size_t group_extreme(size_t n, const float *x);

#endif
