/* test_statistics.c - intervals against exact counts, simulation and symmetry. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/order.h"
#include "harness/judge/statistics.h"
#include "optimizer/tests/runner.h"

static unsigned long long random_state;

static double uniform(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (double)((random_state * 0x2545F4914F6CDD1DULL) >> 11) * 0x1p-53;
}

/* 1..n in a shuffled order: ranks are values. n is below 101, a prime that 37 is no multiple of. */
static void ranks(double *values, size_t n)
{
    size_t filled = 0;
    for (size_t i = 1; i <= 100; i++)
        if (i * 37 % 101 <= n) values[filled++] = (double)(i * 37 % 101);
}

static void known_intervals(void)
{
    /* From the sign-test tables of any textbook: n, rank of the lower end, coverage as a count over 2^n. */
    const struct {
        size_t n, rank;
        double coverage;
    } known[] = {
        {6, 1, 62.0 / 64},            /* 1 - 2 * 1 / 64 */
        {8, 1, 254.0 / 256},          /* rank 2 would cover 238/256 = 0.930 */
        {9, 2, 492.0 / 512},          /* 1 - 2 * (1 + 9) / 512 */
        {15, 4, 31616.0 / 32768},     /* 1 - 2 * (1 + 15 + 105 + 455) / 32768 */
        {20, 6, 1005176.0 / 1048576}, /* 1 - 2 * (1 + 20 + 190 + 1140 + 4845 + 15504) / 2^20 */
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        double values[100];
        ranks(values, known[i].n);
        const interval found = median_interval(values, known[i].n, 0.95);
        CU_ASSERT_EQUAL(found.low, (double)known[i].rank);
        CU_ASSERT_EQUAL(found.high, (double)(known[i].n + 1 - known[i].rank));
        CU_ASSERT_EQUAL(found.median, (double)(known[i].n + 1) / 2);
        CHECK(fabs(found.coverage - known[i].coverage) < 1e-12, "n %zu: coverage %.15g, expected %.15g", known[i].n,
              found.coverage, known[i].coverage);
    }
}

/* Against sorting: shuffled values, sorted ones, and many that are the same. */
static void ranks_are_those_of_sorted_values(void)
{
    random_state = test_seed() * 2 + 1; /* never 0, from which it would not move */
    for (size_t trial = 0; trial < 600; trial++) {
        double values[300], sorted[300], copy[300];
        const size_t n = 1 + (size_t)(uniform() * 299), kinds = trial % 3 == 0 ? 3 : 1000;
        for (size_t i = 0; i < n; i++) sorted[i] = values[i] = floor(uniform() * (double)kinds) - 2;
        order_sort(sorted, n);
        for (size_t i = 1; i < n; i++) CU_ASSERT_TRUE(sorted[i - 1] <= sorted[i]);
        if (trial % 5 == 0) memcpy(values, sorted, n * sizeof *values);
        const size_t rank = (size_t)(uniform() * (double)n);
        memcpy(copy, values, n * sizeof *values);
        CHECK(order_select(copy, n, rank) == sorted[rank], "trial %zu: rank %zu of %zu", trial, rank, n);
        for (size_t i = 0; i < n; i++) CU_ASSERT_TRUE(i < rank ? copy[i] <= copy[rank] : copy[i] >= copy[rank]);
        memcpy(copy, values, n * sizeof *values);
        const double median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
        CHECK(fabs(order_median(copy, n) - median) < 1e-12, "trial %zu: the median of %zu", trial, n);
        order_sort(copy, n);
        CU_ASSERT_EQUAL(memcmp(copy, sorted, n * sizeof *copy), 0); /* rearranged, and nothing else */
    }
    CU_ASSERT_TRUE(isnan(order_median(NULL, 0)));
}

static void every_coverage_is_exact_and_every_rank_the_largest(void)
{
    /* Pascal's triangle in integers, exact up to 2^60. */
    for (size_t n = 1; n <= 60; n++) {
        uint64_t row[61] = {1};
        for (size_t i = 1; i <= n; i++)
            for (size_t k = i; k > 0; k--) row[k] += row[k - 1];
        double values[100];
        ranks(values, n);
        const interval found = median_interval(values, n, 0.95);
        if (isnan(found.low)) {
            CHECK(n < 6, "no interval for %zu values", n);
            CHECK(fabs(found.coverage - (1.0 - 2.0 * ldexp(1.0, -(int)n))) < 1e-12, "n %zu: at best %.15g", n,
                  found.coverage);
            continue;
        }
        const size_t rank = (size_t)found.low;
        uint64_t below = 0;
        for (size_t k = 0; k < rank; k++) below += row[k];
        const double coverage = 1.0 - 2.0 * ldexp((double)below, -(int)n);
        const double narrower = 1.0 - 2.0 * ldexp((double)(below + row[rank]), -(int)n);
        /* lgamma is good to a few units in the last place of log(n!) < 200: 200 * 2^-52 relative, summed over 30
         * terms. */
        CHECK(fabs(found.coverage - coverage) < 2e-12, "n %zu: coverage %.15g, exactly %.15g", n, found.coverage,
              coverage);
        CHECK(coverage >= 0.95 && narrower < 0.95, "n %zu: rank %zu covers %g, the next one %g", n, rank, coverage,
              narrower);
    }
}

static void simulated_coverage(void)
{
    /* Exponential times, as skewed as timings are: median ln 2. The share of intervals that hold it is binomial around
     * the exact coverage; five standard deviations are exceeded once in two million runs. */
    enum { ROUNDS = 15, REPEATS = 20000 };
    random_state = test_seed();
    size_t held = 0;
    double coverage = 0.0;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        double values[ROUNDS];
        for (size_t i = 0; i < ROUNDS; i++) values[i] = -log1p(-uniform());
        const interval found = median_interval(values, ROUNDS, 0.95);
        held += found.low <= log(2.0) && log(2.0) <= found.high;
        coverage = found.coverage;
    }
    const double deviation = sqrt(coverage * (1.0 - coverage) / REPEATS);
    CHECK(fabs((double)held / REPEATS - coverage) < 5.0 * deviation, "%zu of %d intervals held the median; expected %g",
          held, REPEATS, coverage);
}

static void too_few_values(void)
{
    CU_ASSERT_EQUAL(interval_least_values(0.95), 6);
    CU_ASSERT_EQUAL(interval_least_values(0.975), 7);
    CU_ASSERT_EQUAL(interval_least_values(0.5), 2);
    double values[] = {3, 1, 2};
    const interval three = median_interval(values, 3, 0.95);
    CU_ASSERT_EQUAL(three.median, 2.0);
    CU_ASSERT_TRUE(isnan(three.low) && isnan(three.high));
    CU_ASSERT_EQUAL(three.coverage, 0.75);
    const interval none = median_interval(values, 0, 0.95);
    CU_ASSERT_TRUE(isnan(none.median) && isnan(none.low) && none.n == 0);
    double one[] = {7};
    CU_ASSERT_EQUAL(median_interval(one, 1, 0.95).median, 7.0);
    CU_ASSERT_EQUAL(median_interval(one, 1, 0.95).coverage, 0.0);
    double pair[] = {7, 8};
    CU_ASSERT_EQUAL(median_interval(pair, 2, 0.95).median, 7.5);
}

static void intervals_in_ratios_and_differences(void)
{
    double logs[] = {log(2.0), log(0.5), log(4.0), log(1.0), log(8.0), log(3.0), log(0.25)};
    const interval ratio = interval_exp(median_interval(logs, 7, 0.95));
    const double step = 1e-15; /* exp(log(x)) is off by a few units in the last place */
    CHECK(fabs(ratio.median - 2.0) < 4 * step && fabs(ratio.low - 0.25) < step && fabs(ratio.high - 8.0) < 16 * step,
          "%.17g, %.17g to %.17g", ratio.median, ratio.low, ratio.high);
    const interval a = {.n = 9, .median = 5, .low = 4, .high = 7, .coverage = 0.98};
    const interval b = {.n = 8, .median = 1, .low = -1, .high = 2, .coverage = 0.99};
    const interval difference = interval_minus(a, b);
    CU_ASSERT_EQUAL(difference.median, 4.0);
    CU_ASSERT_EQUAL(difference.low, 2.0);
    CU_ASSERT_EQUAL(difference.high, 8.0);
    CU_ASSERT_EQUAL(difference.n, 8);
    CHECK(fabs(difference.coverage - 0.97) < step, "coverage %.17g", difference.coverage);
}

static void floors(void)
{
    /* Twelve pairs have rank 3: the interval is from the third smallest to the third largest. */
    double logs[] = {-0.5, -0.02, -0.01, 0, 0, 0, 0, 0, 0.01, 0.03, 0.04, 0.9}, mirrored[12];
    for (size_t i = 0; i < 12; i++) mirrored[i] = -logs[i];
    CHECK(fabs(noise_floor(logs, 12) - expm1(0.03)) < 1e-15, "floor %.17g", noise_floor(logs, 12));
    CU_ASSERT_EQUAL(noise_floor(logs, 12), noise_floor(mirrored, 12)); /* it does not matter which twin came first */
    double few[] = {0.1, -0.2, 0.0};
    CHECK(fabs(noise_floor(few, 3) - expm1(0.2)) < 1e-15, "floor %.17g", noise_floor(few, 3));
    CU_ASSERT_TRUE(isnan(noise_floor(NULL, 0)));
    double same[] = {0, 0, 0, 0, 0, 0};
    CU_ASSERT_EQUAL(noise_floor(same, 6), 0.0);
}

static const test_case cases[] = {
    {"intervals of the sign-test tables", known_intervals},
    {"ranks are those of sorted values", ranks_are_those_of_sorted_values},
    {"every coverage is exact, every rank the largest", every_coverage_is_exact_and_every_rank_the_largest},
    {"simulated intervals hold the median as often as they say", simulated_coverage},
    {"too few values", too_few_values},
    {"ratios and differences of intervals", intervals_in_ratios_and_differences},
    {"the noise floor", floors},
};

TEST_SUITE(statistics, cases);
