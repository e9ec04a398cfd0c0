/* statistics.c - order-statistic intervals with their exact binomial coverage. */
#include "harness/judge/statistics.h"

#include <math.h>
#include <stdlib.h>

#include "harness/judge/order.h"
#include "harness/judge/sign_test.h"

/* The largest rank k (1 = the extremes) whose interval still covers `confidence`; 0 when not even the extremes do. */
static size_t interval_rank(size_t n, double confidence, double *coverage)
{
    size_t rank = 0;
    double tail = 0.0; /* P(Binomial < k) */
    *coverage = 0.0;
    for (size_t k = 1; 2 * k <= n + 1; k++) {
        tail += binomial_half(n, k - 1);
        const double covered = 1.0 - 2.0 * tail;
        if (k == 1) *coverage = covered > 0.0 ? covered : 0.0;
        if (covered < confidence) break;
        rank = k;
        *coverage = covered;
    }
    return rank;
}

interval median_interval(double *values, size_t n, double confidence)
{
    interval result = {.n = n, .median = NAN, .low = NAN, .high = NAN};
    if (n == 0) return result;
    order_sort(values, n);
    const double lower = values[(n - 1) / 2], upper = values[n / 2];
    result.median = lower + (upper - lower) / 2.0;
    const size_t rank = interval_rank(n, confidence, &result.coverage);
    if (rank > 0) {
        result.low = values[rank - 1];
        result.high = values[n - rank];
    }
    return result;
}

size_t interval_least_values(double confidence)
{
    /* The extremes of n values cover 1 - 2 * 2^-n. */
    size_t n = 2;
    while (1.0 - ldexp(2.0, -(int)n) < confidence && n < 60) n++;
    return n;
}

interval interval_exp(interval logs)
{
    logs.median = exp(logs.median);
    logs.low = exp(logs.low);
    logs.high = exp(logs.high);
    return logs;
}

interval interval_minus(interval a, interval b)
{
    const double coverage = a.coverage + b.coverage - 1.0;
    return (interval){.n = a.n < b.n ? a.n : b.n,
                      .median = a.median - b.median,
                      .low = a.low - b.high,
                      .high = a.high - b.low,
                      .coverage = coverage > 0.0 ? coverage : 0.0};
}

double noise_floor(double *logs, size_t n)
{
    if (n == 0) return NAN;
    const interval aa = median_interval(logs, n, CONFIDENCE);
    const double low = isnan(aa.low) ? logs[0] : aa.low, high = isnan(aa.high) ? logs[n - 1] : aa.high;
    return expm1(fmax(fabs(low), fabs(high)));
}
