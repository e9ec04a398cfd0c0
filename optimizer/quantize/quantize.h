/* quantize.h - from float rows to the storage formats of kernels.h. */
#ifndef CIUIC_QUANTIZE_H
#define CIUIC_QUANTIZE_H

#include "kernels/kernels.h"
#include "optimizer/ciuic.h"

/* Per-tensor range of the affine formats. */
typedef struct affine_range {
    float minimum, maximum;
} affine_range;

/* Widens `range` by n values; start from affine_range_empty(). NaN and infinity are found: false, range unchanged. */
affine_range affine_range_empty(void);
bool affine_range_add(affine_range *range, size_t n, const float *values);
/* The article's formula: scale = (maximum - minimum) / (2^bits - 1), q = round((w - minimum) / scale),
 * w' = q * scale + minimum. A constant tensor has scale 0 and is reproduced exactly: every q is 0. */
void affine_parameters(affine_range range, int bits, float *scale, float *minimum);

/* Stores `count` rows of w->columns floats from row `first` on into w->values (and scales), which the caller owns and
 * passes again as writable. F32, F16 and BF16 round to nearest even; AFFINE* use w->scale and w->minimum; INT8: scale =
 * max|w| / 127 of the group in FP16, q rounded with that FP16 scale; INT4: scale = -(the value of largest magnitude) /
 * 8 in FP16, q = clamp(round(w / scale) + 8, 0, 15), so that the extreme value is hit exactly and 16 levels are used;
 * INT3, INT5 and INT6 likewise with 4, 16 and 32 for 8, and 7, 31 and 63 for 15. A NaN, an infinity, or a value too large for FP16 fails and names row and
 * column. */
ciuic_status quantize_rows(const kernel_matrix *w, void *values, uint16_t *scales, size_t first, size_t count,
                           const float *rows);

#endif
