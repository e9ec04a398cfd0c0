/* verdicts.h - every claim against every case it is about and every baseline it names. */
#ifndef CIUIC_VERDICTS_H
#define CIUIC_VERDICTS_H

#include "harness/judge/claims.h"
#include "harness/judge/results.h"

/* The array `verdicts` of results.json. blocks[].noise_floor must be set. */
ciuic_status verdicts_make(const result_set *r, const cJSON *claims, cJSON **verdicts);

/* "2.10x", "68.1%", "0.0123": a value of this metric for a sentence. */
void metric_format(const claim_metric *metric, double value, char *text, size_t size);

/* The ceiling of `c` over the measured speed of `base` (tokens_per_s must be set): what no program that reads the bytes
 * of `c` and does its operations can surpass here, over `base` as it is. NaN when either is unknown. */
double ceiling_ratio(const result_case *base, const result_case *c);
/* The ratio of the two ceilings: how much faster `c` would be if both were as good as bytes and operations allow. No
 * bound on what is measured, since `base` may be far below its own. */
double both_at_ceiling(const result_case *base, const result_case *c);

#endif
