/* precision.h - how narrow the intervals of a block are: what `bench --precision` adds rounds for.
 *
 * A case's precision is half the relative width of the 95% interval of its speed over tuned, sqrt(high / low) - 1: 1%
 * means that the ratio is known within 1% either way. Stopping by width and not by the ratio itself does not favour any
 * answer: how wide an interval of order statistics is says next to nothing about where it lies. */
#ifndef CIUIC_PRECISION_H
#define CIUIC_PRECISION_H

#include "harness/suite/record.h"

/* Whether a slot has a speed over tuned to know: it is not tuned itself, and neither of the two has failed. The A/A twin
 * has one too: the noise floor is to be known as well as the rest. */
bool precision_applies(const bench_record *r, size_t block, size_t slot);

/* Of one slot, from the rounds in which both it and tuned were measured. NaN with too few of them, or where
 * it does not apply. */
ciuic_status precision_of_slot(const bench_record *r, size_t block, size_t slot, double *precision);

/* Whether every slot of a block that it applies to has at most `wanted`. True when it applies to none: more rounds would
 * change nothing. */
ciuic_status precision_reached(const bench_record *r, size_t block, double wanted, bool *reached);

#endif
