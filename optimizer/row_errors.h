/* row_errors.h - how far rows of values are from other rows of values, and how well that is known.
 *
 * Standard errors take rows for independent. Tokens of one text are not quite: neighbours err alike, and what is
 * printed is then somewhat too small. */
#ifndef CIUIC_ROW_ERRORS_H
#define CIUIC_ROW_ERRORS_H

#include "optimizer/ciuic.h"

/* Mean and sum of squared deviations by Welford's recurrence: no cancellation, however long the text. Zero: empty. */
typedef struct moments {
    size_t n;
    double mean, m2;
} moments;
void moments_add(moments *m, double value);
double moments_mean(const moments *m);           /* NaN without values */
double moments_standard_error(const moments *m); /* of the mean; NaN for fewer than two values */

/* All zero: empty. */
typedef struct row_errors {
    moments abs_error; /* mean over a row of |row - reference| */
    moments cosine;
    moments error_square, reference_square; /* sums over a row of (row - reference)^2 and reference^2 */
    double covariance;                      /* of the two: sum of the products of their deviations */
    double largest;                         /* |row - reference|; NaN does not count */
} row_errors;

void row_errors_add(row_errors *e, size_t n, const float *row, const float *reference);
/* A NaN among the values makes everything NaN; so does having no rows. */
void row_errors_finish(const row_errors *e, ciuic_distance *distance);

#endif
