/* second_moments.h - what calibration remembers of a matrix's inputs: H = sum over tokens of x x^T, from which the error of
 * any change of the weights follows: sum over tokens of |D x|^2 = sum over rows d of D of d H d^T. */
#ifndef CIUIC_QUANTIZE_SECOND_MOMENTS_H
#define CIUIC_QUANTIZE_SECOND_MOMENTS_H

#include "optimizer/ciuic.h"

typedef struct second_moments {
    size_t n;      /* columns */
    size_t tokens; /* that were added */
    float *h;      /* [n][n], the lower triangle (column <= row) */
} second_moments;

/* All zero. Free with second_moments_free. */
ciuic_status second_moments_create(second_moments *m, size_t n);
void second_moments_free(second_moments *m); /* all zero is allowed */
/* H += X^T X for `rows` rows of n floats, ldx apart. */
void second_moments_add(second_moments *m, size_t rows, const float *x, size_t ldx);
/* h[i][i] / tokens; 0 before any token. */
float second_moments_mean_square(const second_moments *m, size_t i);

#endif
