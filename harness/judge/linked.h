/* linked.h - the speed of a case over another that never ran in the same round: by way of tuned, which ran with both. */
#ifndef CIUIC_LINKED_H
#define CIUIC_LINKED_H

#include "harness/judge/results.h"

/* Speed of `c` over `base`. Each of the two intervals against tuned gets half of the error, so that their difference keeps the
 * confidence (Bonferroni). *floor: the worse of the two noise floors. Without a tuned, or rounds with it, all is NaN and n 0. */
ciuic_status linked_speedup(const result_set *r, const result_case *base, const result_case *c, interval *out,
                            double *floor);

/* Whether an interval of log speeds decides a question. One that lies within another must decide whatever that decides; one of
 * NaN decides nothing. */
typedef bool (*linked_question)(double low, double high, const void *about);

/* p of a question: the smallest error at which the interval that linked_speedup makes, in logarithms, still decides it, so
 * that p is at most 1 - CONFIDENCE exactly when that one does. 1 where not even the medians decide it, NaN without rounds. */
ciuic_status linked_p(const result_set *r, const result_case *base, const result_case *c, linked_question decides,
                      const void *about, double *p);

#endif
