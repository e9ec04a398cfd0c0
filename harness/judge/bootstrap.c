/* bootstrap.c - see bootstrap.h. */
#include "harness/judge/bootstrap.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/order.h"
#include "harness/split_mix.h"

void bootstrap_draw(uint64_t *state, size_t n, unsigned *counts)
{
    memset(counts, 0, n * sizeof *counts);
    /* The upper half of a random number, scaled to n: no division, and a bias below n / 2^32. */
    for (size_t i = 0; i < n; i++) counts[(split_mix_next(state) >> 32) * n >> 32]++;
}

double bootstrap_weighted_median(const double *sorted, const unsigned *counts, size_t n)
{
    size_t total = 0, passed = 0, i = 0;
    for (size_t k = 0; k < n; k++) total += counts[k];
    if (total == 0) return NAN;
    const size_t lower = (total - 1) / 2, upper = total / 2; /* positions of the two middle values, counted from 0 */
    while (passed + counts[i] <= lower) passed += counts[i++];
    const double below = sorted[i];
    while (passed + counts[i] <= upper) passed += counts[i++];
    return below + (sorted[i] - below) / 2.0;
}

void bootstrap_percentiles(double *values, size_t n, double confidence, double *low, double *high)
{
    *low = *high = NAN;
    if (n == 0) return;
    /* As many left out at either end, rounded down: never narrower than asked for. */
    const size_t out = (size_t)((1.0 - confidence) / 2.0 * (double)n);
    *low = order_select(values, n, out);
    *high = order_select(values, n, n - 1 - out);
}

void bootstrap_median(const double *sorted, size_t n, double confidence, uint64_t seed, double *low, double *high)
{
    double *medians = malloc(BOOTSTRAP_RESAMPLES * sizeof *medians);
    unsigned *counts = calloc(n > 0 ? n : 1, sizeof *counts);
    size_t made = 0;
    for (uint64_t state = seed; medians != NULL && counts != NULL && n > 0 && made < BOOTSTRAP_RESAMPLES; made++) {
        bootstrap_draw(&state, n, counts);
        medians[made] = bootstrap_weighted_median(sorted, counts, n);
    }
    bootstrap_percentiles(medians, made, confidence, low, high);
    free(counts);
    free(medians);
}
