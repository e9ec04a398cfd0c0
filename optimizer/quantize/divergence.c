/* divergence.c - see divergence.h. */
#include "optimizer/quantize/divergence.h"

#include <math.h>

static double log_sum_exp(size_t n, const float *x)
{
    float largest = x[0];
    for (size_t i = 1; i < n; i++) largest = fmaxf(largest, x[i]);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)expf(x[i] - largest);
    return (double)largest + log(sum);
}

/* sum of p (exp(t) - 1 - t) with t = log q - log p: the terms that sum q - sum p = 0 adds keep each of them from being
 * negative, so that small divergences do not drown in cancellation. */
static double of_row(size_t n, const float *reference, const float *logits)
{
    const double shift = log_sum_exp(n, reference), other = log_sum_exp(n, logits);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double log_p = (double)reference[i] - shift, t = (double)logits[i] - other - log_p;
        const double p = (double)expf((float)log_p);
        sum += fabs(t) < 1 ? p * (expm1(t) - t) : exp(log_p + t) - p - p * t;
    }
    return sum;
}

void divergence_add(divergence *d, size_t rows, size_t vocabulary, const float *reference, const float *logits)
{
    double sum = 0, squares = 0;
#pragma omp parallel for schedule(static) reduction(+ : sum, squares)
    for (size_t row = 0; row < rows; row++) {
        const double kl = of_row(vocabulary, reference + row * vocabulary, logits + row * vocabulary);
        sum += kl;
        squares += kl * kl;
    }
    if (rows == 0) return;
    /* Two groups of values put together (Chan, Golub & LeVeque 1983). */
    const double n = (double)rows, mean = sum / n, m2 = fmax(squares - n * mean * mean, 0), before = (double)d->n;
    const double delta = mean - d->mean, all = before + n;
    d->m2 += m2 + delta * delta * before * n / all;
    d->mean += delta * n / all;
    d->n += rows;
}

double divergence_error(const divergence *d)
{
    return d->n > 1 ? sqrt(d->m2 / (double)(d->n - 1) / (double)d->n) : NAN;
}
