/* outliers.h - values far from the others: flagged, never removed. A median hardly moves for them, and a reader wants to
 * know that they were there.
 *
 * The rule is Iglewicz and Hoaglin's (How to detect and handle outliers, 1993): farther from the median than 3.5 scaled
 * MADs, the MAD being the median distance from the median, times 1.4826, which makes it the standard deviation of normal
 * values. Where the MAD is 0, more than half of the values being the same, it is 1.2533 times the mean distance. */
#ifndef CIUIC_OUTLIERS_H
#define CIUIC_OUTLIERS_H

#include <stdbool.h>

#include "optimizer/ciuic.h"

#define OUTLIER_MADS 3.5

/* The middle and the scaled spread of n values, in whatever order; both NaN for n == 0. */
ciuic_status outliers_scale(const double *values, size_t n, double *median, double *spread);
bool outliers_is(double value, double median, double spread);

#endif
