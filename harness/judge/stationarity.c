/* stationarity.c - see stationarity.h. */
#include "harness/judge/stationarity.h"

#include <math.h>
#include <stdlib.h>

#include "harness/judge/order.h"
#include "harness/judge/outliers.h"
#include "optimizer/error.h"

size_t mser_truncation(const double *values, size_t n)
{
    /* From the end on, so that every tail's mean and squares are those of the shorter one and a value (Welford). */
    double mean = 0.0, squares = 0.0, least = INFINITY;
    size_t best = 0;
    for (size_t i = n; i-- > 0;) {
        const double count = (double)(n - i), off = values[i] - mean;
        mean += off / count;
        squares += off * (values[i] - mean);
        if (i > n / 2) continue;
        const double error = squares / (count * count);
        if (error <= least) { /* of equal ones the longer tail */
            least = error;
            best = i;
        }
    }
    return best;
}

double mann_kendall(const double *values, size_t n, double *s)
{
    double sum = 0.0, tied = 0.0;
    for (size_t i = 0; i < n; i++) {
        size_t same = 1;
        bool first = true; /* of its tie: each tie counts once */
        for (size_t j = 0; j < i; j++) first = first && values[j] != values[i];
        for (size_t j = i + 1; j < n; j++) {
            sum += (values[j] > values[i]) - (values[j] < values[i]);
            same += values[j] == values[i];
        }
        if (first) tied += (double)(same * (same - 1) * (2 * same + 5));
    }
    if (s != NULL) *s = sum;
    const double variance = ((double)(n * (n > 0 ? n - 1 : 0) * (2 * n + 5)) - tied) / 18.0;
    if (n < 2) return NAN;
    if (!(variance > 0.0)) return 1.0; /* all values are the same */
    const double z = fmax(0.0, fabs(sum) - 1.0) / sqrt(variance);
    return erfc(z / sqrt(2.0));
}

ciuic_status sen_slope(const double *values, size_t n, double *slope)
{
    *slope = NAN;
    if (n < 2) return CIUIC_OK;
    const size_t pairs = n * (n - 1) / 2;
    double *slopes = malloc(pairs * sizeof *slopes);
    if (slopes == NULL) return ciuic_fail_memory("slopes", pairs * sizeof *slopes);
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) slopes[k++] = (values[j] - values[i]) / (double)(j - i);
    *slope = order_median(slopes, pairs);
    free(slopes);
    return CIUIC_OK;
}

/* Of what MSER would leave out, the values at the very beginning that are outliers among the rest and beyond every one of
 * them: among equals, w values are the w largest with a chance of one in n over w. */
static ciuic_status find_warm_up(const double *values, size_t n, size_t *warm_up)
{
    const size_t cut = mser_truncation(values, n);
    double median = NAN, spread = NAN, least = INFINITY, most = -INFINITY;
    *warm_up = 0;
    CIUIC_TRY(outliers_scale(values + cut, n - cut, &median, &spread));
    for (size_t i = cut; i < n; i++) {
        least = fmin(least, values[i]);
        most = fmax(most, values[i]);
    }
    for (size_t i = 0; i < cut && i == *warm_up; i++)
        *warm_up += outliers_is(values[i], median, spread) && (values[i] > most || values[i] < least);
    return CIUIC_OK;
}

/* Means of `size` values each, a shorter rest left out; returns how many. */
static size_t batch_means(const double *values, size_t n, size_t size, double *means)
{
    size_t batches = 0;
    for (; (batches + 1) * size <= n; batches++) {
        double sum = 0.0;
        for (size_t i = 0; i < size; i++) sum += values[batches * size + i];
        means[batches] = sum / (double)size;
    }
    return batches;
}

ciuic_status series_check_make(const double *values, size_t n, series_check *out)
{
    double median = NAN, spread = NAN, slope = NAN, means[SERIES_MOST];
    *out = (series_check){.n = n, .drift = NAN, .drift_p = NAN};
    CIUIC_TRY(outliers_scale(values, n, &median, &spread));
    for (size_t i = 0; i < n; i++) out->outliers += outliers_is(values[i], median, spread);
    if (n < SERIES_LEAST) return CIUIC_OK;
    const size_t size = (n + SERIES_MOST - 1) / SERIES_MOST;
    const size_t batches = batch_means(values, n, size, means);
    CIUIC_TRY(find_warm_up(means, batches, &out->warm_up));
    out->warm_up *= size;
    CIUIC_TRY(sen_slope(means, batches, &slope));
    out->drift = slope * (double)(batches - 1) / median;
    out->drift_p = mann_kendall(means, batches, NULL);
    return CIUIC_OK;
}
