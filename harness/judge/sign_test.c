/* sign_test.c - exact binomial tails. */
#include "harness/judge/sign_test.h"

#include <math.h>

double binomial_half(size_t n, size_t k)
{
    int sign; /* lgamma_r rather than lgamma: no hidden global */
    const double log_choose =
        lgamma_r((double)n + 1.0, &sign) - lgamma_r((double)k + 1.0, &sign) - lgamma_r((double)(n - k) + 1.0, &sign);
    return exp(log_choose - (double)n * log(2.0));
}

double sign_test_tail(size_t n, size_t k)
{
    if (k == 0) return 1.0;
    if (k > n) return 0.0;
    /* The shorter tail is summed, from its far end on: the small terms first. */
    double sum = 0.0;
    if (2 * k >= n) {
        for (size_t i = n + 1; i-- > k;) sum += binomial_half(n, i);
        return sum;
    }
    for (size_t i = 0; i < k; i++) sum += binomial_half(n, i);
    return 1.0 - sum;
}

double sign_test_beyond(const double *values, size_t n, double margin, int *direction)
{
    size_t above = 0, below = 0;
    *direction = 0;
    if (n == 0 || isnan(margin)) return NAN;
    for (size_t i = 0; i < n; i++) {
        above += values[i] > margin;
        below += values[i] < -margin;
    }
    *direction = (above > below) - (above < below);
    return fmin(1.0, 2.0 * sign_test_tail(n, above > below ? above : below));
}
