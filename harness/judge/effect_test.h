/* effect_test.h - how likely a stage's effect would look as it does if there were none: what Holm's correction of all
 * effects of a run needs, beside their intervals. */
#ifndef CIUIC_EFFECT_TEST_H
#define CIUIC_EFFECT_TEST_H

#include "harness/judge/results.h"

/* Two-sided p of "`with` is as fast as `without`, within the noise `floor`". Paired: the sign test of their common rounds.
 * Otherwise by way of tuned, from rounds that each had with it: the smallest error at which the interval of the one over the
 * other, each of the two with half of the error, lies beyond the floor. NaN where there are no rounds or no floor. */
ciuic_status effect_p(const result_set *r, const result_case *without, const result_case *with, bool paired,
                      double floor, double *p);

#endif
