/* attribution.h - whose doing a speed-up and a saving are: the share of each stage where the whole lattice of sixteen
 * settings was measured, and what each stage earns alone and last where it was not. */
#ifndef CIUIC_ATTRIBUTION_H
#define CIUIC_ATTRIBUTION_H

#include "harness/judge/results.h"

/* The array `attribution` of results.json: an entry for each group and each variant with everything on. blocks[].noise_floor
 * and `stages` must be set. Intervals resample the rounds of each block (bootstrap.h): a share is a sum of medians, which
 * no order statistics bound. Bytes are counted, and have none. */
ciuic_status attribution_make(const result_set *r, cJSON **attribution);

#endif
