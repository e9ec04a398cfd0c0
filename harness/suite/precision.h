/* precision.h - how narrow the intervals of a block are: what `bench --precision` adds rounds for.
 *
 * A case's precision is half the relative width of the 95% interval of its speed over tuned, sqrt(high / low) - 1: 1%
 * means that the ratio is known within 1% either way. Stopping by width and not by the ratio itself favours no answer, but
 * costs coverage: an interval is narrow by chance, too, and the more often it is looked at the likelier. So it is looked at
 * seldom, when the rounds planned have doubled, and made at PRECISION_CONFIDENCE (harness/judge/statistics.h has the
 * simulation). */
#ifndef CIUIC_PRECISION_H
#define CIUIC_PRECISION_H

#include "harness/suite/record.h"

/* Whether a slot has a speed over tuned to know: it is not tuned itself, and neither of the two has failed. The A/A twin
 * has one too: the noise floor is to be known as well as the rest. */
bool precision_applies(const bench_record *r, size_t block, size_t slot);

/* Of one slot, from the rounds in which both it and tuned were measured. NaN with too few of them, or where
 * it does not apply. */
ciuic_status precision_of_slot(const bench_record *r, size_t block, size_t slot, double *precision);

/* Whether a block is looked at after so many complete rounds: 1, 2, 4 ... times those planned. */
bool precision_looks(size_t planned, size_t complete);

/* Whether every slot of a block that it applies to has at most `wanted`. True when it applies to none: more rounds would
 * change nothing. */
ciuic_status precision_reached(const bench_record *r, size_t block, double wanted, bool *reached);

#endif
