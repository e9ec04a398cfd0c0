/* scales.h - the scales of a whole matrix of INT8 to INT3, and codes for scales that are given. */
#ifndef CIUIC_QUANTIZE_SCALES_H
#define CIUIC_QUANTIZE_SCALES_H

#include "optimizer/quantize/quantize.h"

/* Chooses scale, and minimum where to.minimums is given, of every group of w [m->rows][m->columns]: by group_scale_search
 * with `importance` [columns] (NULL: all alike) as weights, or by group_scale_rtn without `search`. CIUIC_ERROR_INPUT names the first weight that is not finite or does
 * not fit, its rows counted from first_row on. On all threads of OpenMP. */
ciuic_status scales_choose(const kernel_matrix *m, quantized_memory to, const float *w, bool search,
                           const float *importance, size_t first_row);

/* Packs the codes nearest to w under the scales in `to`, and replaces w by what they decode to. */
void scales_encode(const kernel_matrix *m, quantized_memory to, float *w);

#endif
