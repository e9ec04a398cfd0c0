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

/* Where a matrix's codes, scales and minimums are written: those of a kernel_matrix are const. */
typedef struct quantized_memory {
    void *values;
    uint16_t *scales, *minimums; /* NULL where the format has none */
} quantized_memory;

/* Stores `count` rows of w->columns floats from row `first` on into `to`, which the caller owns. F32, F16 and BF16 round to
 * nearest even; AFFINE* use w->scale and w->minimum; INT8 to INT3 take group_scale_rtn's scales, with minimums
 * where to.minimums is given, and the nearest codes. A NaN, an infinity, or a value too large for FP16 fails and names row
 * and column. */
ciuic_status quantize_rows(const kernel_matrix *w, quantized_memory to, size_t first, size_t count, const float *rows);

#endif
