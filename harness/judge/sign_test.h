/* sign_test.h - how likely so many of n values would fall on one side of a bound if each side were as likely as the
 * other. It assumes nothing of the values' distribution but that they are independent; it is the interval of
 * statistics.h turned round: that interval lies beyond a bound exactly when twice this probability is at most 1 -
 * confidence. */
#ifndef CIUIC_SIGN_TEST_H
#define CIUIC_SIGN_TEST_H

#include <stddef.h>

/* P(Binomial(n, 1/2) = k), k <= n. */
double binomial_half(size_t n, size_t k);
/* P(Binomial(n, 1/2) >= k): 1 for k == 0, 0 for k > n. */
double sign_test_tail(size_t n, size_t k);

/* Two-sided p of "the median lies within [-margin, margin]", from n values; at most 1, NaN for n == 0 or a NaN margin.
 * Values on the margin speak for it. *direction: 1 when more lie above than below, -1 when more below, 0 otherwise. */
double sign_test_beyond(const double *values, size_t n, double margin, int *direction);

#endif
