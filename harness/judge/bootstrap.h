/* bootstrap.h - resampling rounds with replacement, from a seed (B. Efron, Bootstrap methods: another look at the
 * jackknife, Annals of Statistics 7, 1979).
 *
 * For a median the percentile interval of a small sample is a little too narrow: with 10 rounds it holds the truth about
 * nine times in ten. So it is printed for comparison and decides nothing; verdicts use the order statistics of
 * statistics.h, whose coverage is exact. What has no order statistics, such as a sum of medians, has this one alone. */
#ifndef CIUIC_BOOTSTRAP_H
#define CIUIC_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

enum { BOOTSTRAP_RESAMPLES = 1000 };

/* How often each of n rounds is in the next resample: n draws with replacement, n below
 * 2^32. *state starts as any seed. */
void bootstrap_draw(uint64_t *state, size_t n, unsigned *counts);

/* The percentile interval of the median of n sorted values. NaN for n == 0 or when memory is lacking. */
void bootstrap_median(const double *sorted, size_t n, double confidence, uint64_t seed, double *low, double *high);

/* The interval that holds the middle `confidence` of n resampled values, which it sorts; NaN for n == 0. */
void bootstrap_percentiles(double *values, size_t n, double confidence, double *low, double *high);

/* The median of values given in ascending order, the i-th of them counts[i] times; NaN when all counts are 0. */
double bootstrap_weighted_median(const double *sorted, const unsigned *counts, size_t n);

#endif
