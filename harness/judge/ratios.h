/* ratios.h - how many times as fast as each baseline every case is: the interval that verdicts use, a bootstrap interval
 * beside it, whether that is a difference at all once all cases of the suite are taken together, and whether the rounds
 * were alike. */
#ifndef CIUIC_RATIOS_H
#define CIUIC_RATIOS_H

#include "harness/judge/results.h"

/* The chance that a suite may have of calling any case different from any baseline that is not: Holm-corrected p-values are
 * held against it. */
#define FAMILY_LEVEL 0.05

/* Writes cases[].ratios. blocks[].noise_floor and cases[].tokens_per_s must be set. */
ciuic_status ratios_make(const result_set *r);

/* Writes blocks[].series: outliers, warm-up and drift of each slot's own times. Drift is flagged after Holm's correction
 * over all series of the results. */
ciuic_status series_make(const result_set *r);

#endif
