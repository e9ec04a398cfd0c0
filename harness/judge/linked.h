/* linked.h - the speed of a case over another that never ran in the same round: by way of tuned, which ran with both. */
#ifndef CIUIC_LINKED_H
#define CIUIC_LINKED_H

#include "harness/judge/results.h"

/* Speed of `c` over `base`. Each of the two intervals against tuned gets half of the error, so that their difference keeps the
 * confidence (Bonferroni). *floor: the worse of the two noise floors. Without a tuned, or rounds with it, all is NaN and n 0. */
ciuic_status linked_speedup(const result_set *r, const result_case *base, const result_case *c, interval *out,
                            double *floor);

#endif
