/* statistics.h - medians and their confidence intervals, without assuming any distribution.
 *
 * The interval of a median is a pair of order statistics (the sign test turned round): with n independent values
 * from any continuous distribution the true median lies between the k-th smallest and the k-th largest with
 * probability 1 - 2 P(Binomial(n, 1/2) < k), exactly; ties and steps only add to that. Timings have heavy one-sided
 * tails, which means, normal intervals and small bootstraps get wrong. The price is that few values allow no
 * interval at all. */
#ifndef CIUIC_STATISTICS_H
#define CIUIC_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>

/* The confidence of every interval that is printed. */
#define CONFIDENCE 0.95

/* The confidence at which an interval is made whose rounds were added until it was narrow (harness/suite/precision.h), so that it
 * still covers as much as CONFIDENCE says. Stopping at a narrow interval costs coverage: rounds that are alike by chance stop, and
 * those tell least of where the median lies. Simulated, with looks at 1, 2, 4 ... times 8, 12, 15 or 20 rounds, for widths of
 * 0.25 to 2 standard deviations, 30 000 benches each: at 0.95 as few as 94.1% of the intervals held the median if noise is normal
 * and 94.4% if it is Laplace's; at 0.97, 96.2% and 96.6%; at this one 95.7% and 96.3%. A look after every round costs more:
 * 91.6% at 0.95. A wider interval for the decision alone, at 0.99 or 0.995, leaves 94.8%. test_precision.c repeats it. */
#define PRECISION_CONFIDENCE 0.965

typedef struct interval {
    size_t n;         /* values that it is made from */
    double median;    /* NaN for n == 0 */
    double low, high; /* NaN when n values cannot reach the confidence asked for */
    double coverage;  /* the exact probability, at least the confidence; when low is NaN: the most n values can reach */
} interval;

/* Sorts `values` (all finite) and takes the narrowest pair of order statistics that covers at least `confidence`. */
interval median_interval(double *values, size_t n, double confidence);

/* The fewest values that allow an interval: 6 for 95%. */
size_t interval_least_values(double confidence);

/* exp of the median and of both ends: from log-ratios to ratios. */
interval interval_exp(interval logs);

/* The interval of a - b for two that were not taken pair by pair: end against end. Covers at least
 * 1 - (1 - a's coverage) - (1 - b's). */
interval interval_minus(interval a, interval b);

/* How far from 1 the ratio of a thing to itself was measured, as a relative difference: from the interval of
 * log(first / second) of an A/A pair, the end that is farther from 0, in either direction, or the farthest single pair
 * where there are too few for an interval (then `logs` is searched). NaN for n == 0. */
double noise_floor(double *logs, size_t n);

#endif
