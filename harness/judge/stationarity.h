/* stationarity.h - whether the rounds of a series are alike: a beginning that is unlike the rest (warm-up), and a trend
 * (drift). Both are reported; no value is dropped for either. */
#ifndef CIUIC_STATIONARITY_H
#define CIUIC_STATIONARITY_H

#include "optimizer/ciuic.h"

/* The fewest values that a series is judged from: Kendall's normal approximation is for no fewer. A series longer than
 * SERIES_MOST is judged by means of consecutive values, so many that no more than SERIES_MOST are left: every pair of
 * them is looked at. */
enum { SERIES_LEAST = 8, SERIES_MOST = 256 };

typedef struct series_check {
    size_t n;
    size_t outliers; /* outliers.h */
    size_t warm_up;  /* values at the beginning that are outliers among what MSER keeps, and beyond all of it */
    double drift;    /* Sen's slope times n - 1, over the median: relative change from the first value to the last */
    double drift_p;  /* of no trend at all: Mann-Kendall, two-sided */
} series_check;

/* n positive values in the order in which they were measured. With fewer than SERIES_LEAST: no warm-up, drift NaN. */
ciuic_status series_check_make(const double *values, size_t n, series_check *out);

/* How many values to leave out at the beginning for the mean of the rest to have the least standard error, at most half:
 * MSER (K. P. White, An effective truncation heuristic for bias reduction in simulation output, Simulation 69, 1997),
 * argmin over d of sum over i >= d of (x[i] - mean)^2 / (n - d)^2. A minimum alone is no finding: noise has one too. */
size_t mser_truncation(const double *values, size_t n);

/* Two-sided p of "no trend" (H. B. Mann, Nonparametric tests against trend, Econometrica 13, 1945; M. G. Kendall, Rank
 * correlation methods, 1975): S = sum over i < j of sign(x[j] - x[i]); its variance is (n (n - 1) (2n + 5) - sum over
 * ties of t (t - 1) (2t + 5)) / 18; normal, with continuity correction. *s may be NULL. */
double mann_kendall(const double *values, size_t n, double *s);

/* The median of all slopes (x[j] - x[i]) / (j - i) (P. K. Sen, Journal of the American Statistical Association 63,
 * 1968). */
ciuic_status sen_slope(const double *values, size_t n, double *slope);

#endif
