/* test_comparisons.c - what many comparisons and many rounds need: exact tails, Holm's correction, resampling, outliers,
 * warm-up and drift. Expected numbers are counted exactly or enumerated, not taken from the code that is tested. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/bootstrap.h"
#include "harness/judge/holm.h"
#include "harness/judge/outliers.h"
#include "harness/judge/sign_test.h"
#include "harness/judge/stationarity.h"
#include "harness/judge/statistics.h"
#include "optimizer/tests/runner.h"

static uint64_t random_state;

static double uniform(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (double)((random_state * 0x2545F4914F6CDD1DULL) >> 11) * 0x1p-53;
}

static void seed_random(void)
{
    random_state = test_seed() | 1;
    for (int i = 0; i < 8; i++) (void)uniform();
}

/* As skewed as timings are: an exponential tail above a floor. */
static double noisy_log(double scale)
{
    return -scale * log1p(-uniform());
}

/* ---- the sign test ---------------------------------------------------------------------------------------------- */

static void tails_are_exact(void)
{
    /* sum over i >= k of C(n, i), counted in integers. */
    static const struct {
        size_t n, k;
        double count;
    } known[] = {{8, 8, 1},
                 {9, 7, 46},
                 {12, 10, 79},
                 {20, 15, 21700},
                 {20, 6, 1026876},
                 {31, 20, 160645504},
                 {60, 45, 77542088287444}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const double exact = ldexp(known[i].count, -(int)known[i].n), found = sign_test_tail(known[i].n, known[i].k);
        /* lgamma is good to a few units in the last place of log(n!) < 200, and so is its exponential, relatively. */
        CHECK(fabs(found / exact - 1) < 2e-13, "P(B(%zu) >= %zu) = %.15g, exactly %.15g", known[i].n, known[i].k, found,
              exact);
    }
    CU_ASSERT_EQUAL(sign_test_tail(5, 0), 1.0);
    CU_ASSERT_EQUAL(sign_test_tail(5, 6), 0.0);
}

static void beyond_a_margin(void)
{
    const double values[] = {0.2, 0.3, 0.1, 0.25, 0.05, 0.4, -0.3, 0.21};
    int direction = 0;
    /* Six of eight above 0.1 strictly; 2 * (C(8,6) + C(8,7) + C(8,8)) / 256 = 74/256 counts five: 0.1 itself is not
     * beyond, so 0.2, 0.3, 0.25, 0.4, 0.21: 2 * (56 + 28 + 8 + 1) / 256. */
    CHECK(fabs(sign_test_beyond(values, 8, 0.1, &direction) - 186.0 / 256) < 1e-12, "p %.15g",
          sign_test_beyond(values, 8, 0.1, &direction));
    CU_ASSERT_EQUAL(direction, 1);
    /* Seven of eight above 0: 2 * (8 + 1) / 256. */
    CHECK(fabs(sign_test_beyond(values, 8, 0, &direction) - 18.0 / 256) < 1e-12, "p %.15g",
          sign_test_beyond(values, 8, 0, &direction));
    CU_ASSERT_EQUAL(sign_test_beyond(values, 8, 1, &direction), 1.0);
    CU_ASSERT_EQUAL(direction, 0);
    CU_ASSERT_TRUE(isnan(sign_test_beyond(values, 0, 0, &direction)));
    CU_ASSERT_TRUE(isnan(sign_test_beyond(values, 8, NAN, &direction)));
    CU_ASSERT_EQUAL(direction, 0);
}

/* The interval leaves the margin exactly when the test rejects: one is the other turned round. */
static void the_test_agrees_with_the_interval(void)
{
    seed_random();
    size_t rejected = 0;
    for (int repeat = 0; repeat < 2000; repeat++) {
        const size_t n = 6 + (size_t)(uniform() * 30);
        const double shift = 0.8 * uniform();
        double values[36];
        int direction = 0;
        for (size_t i = 0; i < n; i++) values[i] = uniform() - 0.5 + shift;
        const double p = sign_test_beyond(values, n, 0.1, &direction);
        const interval found = median_interval(values, n, CONFIDENCE);
        const bool outside = found.low > 0.1 || found.high < -0.1;
        rejected += outside;
        CHECK((p <= 1 - CONFIDENCE) == outside, "n %zu: p %g, interval %g to %g", n, p, found.low, found.high);
    }
    CHECK(rejected > 200 && rejected < 1800, "%zu of 2000 rejected: the table tests one side only", rejected);
}

/* ---- Holm ------------------------------------------------------------------------------------------------------- */

static void holm_by_hand(void)
{
    /* By hand: 4 * 0.005, 3 * 0.01, 2 * 0.03, then 0.04 which may not be less than the one before; NaN does not count. */
    const double p[] = {0.01, 0.04, NAN, 0.03, 0.005}, expected[] = {0.03, 0.06, NAN, 0.06, 0.02};
    double adjusted[5];
    CU_ASSERT_EQUAL(holm_adjust(p, 5, adjusted), CIUIC_OK);
    for (size_t i = 0; i < 5; i++)
        CHECK(isnan(expected[i]) ? isnan(adjusted[i]) : fabs(adjusted[i] - expected[i]) < 1e-15, "[%zu] %.17g", i,
              adjusted[i]);
    double large[] = {0.6, 0.7, 0.6};
    CU_ASSERT_EQUAL(holm_adjust(large, 3, large), CIUIC_OK); /* in place, and no more than 1 */
    CU_ASSERT_TRUE(large[0] == 1 && large[1] == 1 && large[2] == 1);
    CU_ASSERT_EQUAL(holm_adjust(NULL, 0, NULL), CIUIC_OK);
}

static void holm_keeps_the_order_and_never_helps(void)
{
    seed_random();
    for (int repeat = 0; repeat < 500; repeat++) {
        double p[40], adjusted[40];
        const size_t n = 1 + (size_t)(uniform() * 40);
        for (size_t i = 0; i < n; i++) p[i] = uniform() < 0.1 ? 0.25 : pow(uniform(), 4); /* ties too */
        CU_ASSERT_EQUAL(holm_adjust(p, n, adjusted), CIUIC_OK);
        double least = 2;
        for (size_t i = 0; i < n; i++) {
            least = fmin(least, p[i]);
            CHECK(adjusted[i] >= p[i] && adjusted[i] <= 1 && adjusted[i] <= (double)n * p[i] + 1e-15,
                  "%g became %g of %zu", p[i], adjusted[i], n);
            for (size_t j = 0; j < n; j++)
                CHECK(!(p[i] < p[j]) || adjusted[i] <= adjusted[j], "%g before %g, but %g and %g", p[i], p[j],
                      adjusted[i], adjusted[j]);
        }
        for (size_t i = 0; i < n; i++)
            if (p[i] == least) CHECK(fabs(adjusted[i] - fmin(1, (double)n * least)) < 1e-15, "least: %g", adjusted[i]);
    }
}

/* Twenty comparisons of a thing with itself: the chance of even one false call is at most the level. */
static void a_suite_of_equals_is_rarely_called_different(void)
{
    enum { SUITES = 400, CASES = 20, ROUNDS = 20 };
    seed_random();
    size_t wrong = 0, wrong_uncorrected = 0;
    for (int repeat = 0; repeat < SUITES; repeat++) {
        double p[CASES], adjusted[CASES];
        bool any = false, any_uncorrected = false;
        for (size_t c = 0; c < CASES; c++) {
            double logs[ROUNDS];
            int direction = 0;
            for (size_t i = 0; i < ROUNDS; i++) logs[i] = noisy_log(0.02) - noisy_log(0.02);
            p[c] = sign_test_beyond(logs, ROUNDS, 0, &direction);
            any_uncorrected = any_uncorrected || p[c] <= 0.05;
        }
        CU_ASSERT_EQUAL(holm_adjust(p, CASES, adjusted), CIUIC_OK);
        for (size_t c = 0; c < CASES; c++) any = any || adjusted[c] <= 0.05;
        wrong += any;
        wrong_uncorrected += any_uncorrected;
    }
    /* Binomial(400, at most 0.05): 20, and five standard deviations of 4.36 more. Uncorrected, each comparison errs with
     * 4.14% (20 rounds: 2 * 21700 / 2^20), a suite with 1 - 0.9586^20 = 57%: 228, less five deviations of 9.9. */
    CHECK(wrong <= 41, "%zu of %d suites of equals had a difference", wrong, SUITES);
    CHECK(wrong_uncorrected >= 178, "uncorrected only %zu", wrong_uncorrected);
}

/* A thing slowed by 3% is seen among 20 cases in 20 rounds. Holm wants 18 of the 20 pairs beyond the floor (40 * 211 / 2^20
 * is below 0.05, 40 * 1351 / 2^20 is not). The log of a ratio of two times with exponential tails of scale b is Laplace's;
 * with b = 0.006 the floor, an order statistic of 20, hardly exceeds 1.5 b, and 3% lies another 3.4 b beyond: a pair does
 * with 1 - exp(-3.4)/2 = 0.983, and 18 of 20 with 0.995. */
static void three_percent_are_seen(void)
{
    enum { SUITES = 100, CASES = 20, ROUNDS = 20 };
    seed_random();
    size_t seen = 0;
    for (int repeat = 0; repeat < SUITES; repeat++) {
        double aa[ROUNDS], slow[ROUNDS];
        int direction = 0;
        for (size_t i = 0; i < ROUNDS; i++) {
            const double tuned = noisy_log(0.006);
            aa[i] = tuned - noisy_log(0.006);
            slow[i] = tuned - noisy_log(0.006) - log(1.03);
        }
        const double floor = noise_floor(aa, ROUNDS);
        seen += CASES * sign_test_beyond(slow, ROUNDS, log1p(floor), &direction) <= 0.05 && direction < 0;
    }
    CHECK(seen >= 95, "seen in %zu of %d suites", seen, SUITES);
}

/* ---- bootstrap -------------------------------------------------------------------------------------------------- */

/* P(median of a resample of 9 <= k-th value) = P(Binomial(9, k/9) >= 5), over 9^9: Efron's closed form. */
static void resampled_medians_have_their_exact_distribution(void)
{
    static const double exact[9] = {561481.0 / 387420489,    11767232.0 / 387420489,  2851.0 / 19683,
                                    141604864.0 / 387420489, 245815625.0 / 387420489, 16832.0 / 19683,
                                    375653257.0 / 387420489, 386859008.0 / 387420489, 1};
    enum { DRAWS = 20000 };
    const double sorted[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    size_t at_most[9] = {0};
    uint64_t state = test_seed();
    for (int i = 0; i < DRAWS; i++) {
        unsigned counts[9], total = 0;
        bootstrap_draw(&state, 9, counts);
        for (size_t k = 0; k < 9; k++) total += counts[k];
        CU_ASSERT_EQUAL_FATAL(total, 9);
        const double median = bootstrap_weighted_median(sorted, counts, 9);
        for (size_t k = 0; k < 9; k++) at_most[k] += median <= sorted[k];
    }
    for (size_t k = 0; k < 9; k++) {
        const double deviation = sqrt(exact[k] * (1 - exact[k]) / DRAWS);
        CHECK(fabs((double)at_most[k] / DRAWS - exact[k]) <= 5 * deviation, "P(<= %zu) = %g, exactly %g", k + 1,
              (double)at_most[k] / DRAWS, exact[k]);
    }
}

static void bootstrap_intervals(void)
{
    const double sorted[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    double low = 0, high = 0, again_low = 0, again_high = 0;
    bootstrap_median(sorted, 9, 0.95, 7, &low, &high);
    bootstrap_median(sorted, 9, 0.95, 7, &again_low, &again_high);
    CU_ASSERT_TRUE(low == again_low && high == again_high); /* a seed is a result */
    /* P(<= 1) = 0.14% and P(<= 2) = 3.04% of the medians: the 2.5th percentile is 2, unless 1000 draws of the latter
     * fall below 25, one standard deviation off; then it is 3. By symmetry 8 or 7 at the other end. */
    CHECK((low == 2 || low == 3) && (high == 8 || high == 7), "%g to %g", low, high);
    bootstrap_median(sorted, 0, 0.95, 7, &low, &high);
    CU_ASSERT_TRUE(isnan(low) && isnan(high));
    bootstrap_median(sorted, 1, 0.95, 7, &low, &high);
    CU_ASSERT_TRUE(low == 1 && high == 1);
    const unsigned even[4] = {1, 1, 0, 2}, none[4] = {0};
    CU_ASSERT_EQUAL(bootstrap_weighted_median(sorted, even, 4), 3.0); /* of 1, 2, 4, 4 */
    CU_ASSERT_TRUE(isnan(bootstrap_weighted_median(sorted, none, 4)));
    double hundred[100];
    for (int i = 0; i < 100; i++) hundred[i] = (i * 37) % 100;
    bootstrap_percentiles(hundred, 100, 0.95, &low, &high);
    CU_ASSERT_TRUE(low == 2 && high == 97); /* two left out at either end */
}

/* The reason why verdicts do not use it: it is narrower than it says, and the order statistics are not. */
static void which_interval_keeps_its_word(void)
{
    enum { REPEATS = 2000, ROUNDS = 10 };
    seed_random();
    size_t bootstrap = 0, order = 0;
    double coverage = 0;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        double values[ROUNDS], low = 0, high = 0;
        for (size_t i = 0; i < ROUNDS; i++) values[i] = noisy_log(1);
        const interval found = median_interval(values, ROUNDS, 0.95);
        bootstrap_median(values, ROUNDS, 0.95, (uint64_t)repeat, &low, &high);
        order += found.low <= log(2.0) && log(2.0) <= found.high;
        bootstrap += low <= log(2.0) && log(2.0) <= high;
        coverage = found.coverage;
    }
    /* 2 to 9 of 10 cover 1 - 2 * 11 / 1024 = 0.9785. Five standard deviations either way. */
    CHECK(fabs(coverage - 1002.0 / 1024) < 1e-12, "coverage %.15g", coverage);
    const double deviation = sqrt(coverage * (1 - coverage) / REPEATS);
    CHECK(fabs((double)order / REPEATS - coverage) < 5 * deviation, "order statistics: %zu of %d", order, REPEATS);
    CHECK(bootstrap < order, "bootstrap: %zu of %d, order statistics %zu", bootstrap, REPEATS, order);
}

/* ---- outliers, warm-up, drift ----------------------------------------------------------------------------------- */

static void outliers_by_hand(void)
{
    /* Median 5, distances 4 3 2 1 0 1 2 3 95: MAD 2, scaled 2.9652; 3.5 of them reach to 15.378. */
    const double values[] = {1, 2, 3, 4, 5, 6, 7, 8, 100};
    double median = 0, spread = 0;
    CU_ASSERT_EQUAL(outliers_scale(values, 9, &median, &spread), CIUIC_OK);
    CU_ASSERT_EQUAL(median, 5.0);
    CHECK(fabs(spread - 2.9652) < 1e-12, "spread %.15g", spread);
    CU_ASSERT_TRUE(outliers_is(15.4, median, spread) && !outliers_is(15.3, median, spread));
    CU_ASSERT_TRUE(outliers_is(-5.4, median, spread) && !outliers_is(-5.3, median, spread));
    /* Most are the same: the mean distance, 1.2533 * 10 / 10, decides. */
    const double same[] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 12};
    CU_ASSERT_EQUAL(outliers_scale(same, 10, &median, &spread), CIUIC_OK);
    CHECK(fabs(spread - 1.2533) < 1e-12, "spread %.15g", spread);
    CU_ASSERT_TRUE(outliers_is(12, median, spread) && !outliers_is(2, median, spread));
    const double equal[] = {3, 3, 3};
    CU_ASSERT_EQUAL(outliers_scale(equal, 3, &median, &spread), CIUIC_OK);
    CU_ASSERT_TRUE(!outliers_is(3, median, spread)); /* a spread of 0 makes no outlier of the value itself */
    CU_ASSERT_EQUAL(outliers_scale(NULL, 0, &median, &spread), CIUIC_OK);
    CU_ASSERT_TRUE(isnan(median) && isnan(spread));
}

static void trends_by_hand(void)
{
    const double rising[] = {1, 2, 3, 4, 5, 6, 7, 8}, tied[] = {1, 1, 2, 2, 3, 3, 4, 4}, same[] = {4, 4, 4, 4};
    double s = 0;
    /* S = 28, variance 8 * 7 * 21 / 18 = 196/3, z = 27 / 8.0829: erfc(z / sqrt 2). */
    double p = mann_kendall(rising, 8, &s);
    CHECK(s == 28 && fabs(p - 0.0008366271311193047) < 1e-15, "S %g, p %.17g", s, p);
    /* S = 24; four ties of two take 4 * 2 * 1 * 9 from 1176: variance 1104/18, z = 23 / 7.8316. */
    p = mann_kendall(tied, 8, &s);
    CHECK(s == 24 && fabs(p - 0.003315804401574488) < 1e-15, "S %g, p %.17g", s, p);
    CU_ASSERT_EQUAL(mann_kendall(same, 4, &s), 1.0);
    CU_ASSERT_TRUE(isnan(mann_kendall(same, 1, NULL)));
    double slope = 0;
    const double line[] = {5, 7, 9, 11, 900, 15, 17}; /* one wild value moves no median of 21 slopes */
    CU_ASSERT_EQUAL(sen_slope(line, 7, &slope), CIUIC_OK);
    CU_ASSERT_EQUAL(slope, 2.0);
    CU_ASSERT_EQUAL(sen_slope(line, 1, &slope), CIUIC_OK);
    CU_ASSERT_TRUE(isnan(slope));
}

/* All 8! orders: the number with i inversions, from the product of (1 + x + ... + x^(m-1)) for m = 1 to 8. */
static void trend_probabilities_are_near_the_enumerated_ones(void)
{
    static const unsigned orders[29] = {1,    7,    27,   76,   174,  343,  602,  961,  1415, 1940,
                                        2493, 3017, 3450, 3736, 3836, 3736, 3450, 3017, 2493, 1940,
                                        1415, 961,  602,  343,  174,  76,   27,   7,    1};
    for (int inversions = 0; inversions <= 28; inversions++) {
        double values[8], s = 0;
        /* A permutation of 1..8 with so many inversions, by its Lehmer code taken greedily. */
        int left = inversions;
        bool used[8] = {false};
        for (int i = 0; i < 8; i++) {
            int skip = left < 7 - i ? left : 7 - i, value = 0;
            left -= skip;
            for (value = 0; used[value] || skip > 0; value++) skip -= !used[value];
            used[value] = true;
            values[i] = value + 1;
        }
        const double p = mann_kendall(values, 8, &s);
        CHECK(s == 28 - 2 * inversions, "S %g with %d inversions", s, inversions);
        double extreme = 0;
        for (int i = 0; i <= 28; i++)
            if (abs(28 - 2 * i) >= abs(28 - 2 * inversions)) extreme += orders[i] / 40320.0;
        /* The worst of the 15 values of |S| is off by 0.0123, found by enumeration; at the tail by far less. */
        CHECK(fabs(p - extreme) < 0.0125, "S %g: p %g, enumerated %g", s, p, extreme);
    }
}

static void warm_up_is_found_and_noise_is_not(void)
{
    const double cold[] = {20, 18, 16, 10.1, 10, 9.9, 10.1, 10, 9.9, 10, 10.1, 9.9};
    CU_ASSERT_EQUAL(mser_truncation(cold, 12), 3);
    series_check found;
    CU_ASSERT_EQUAL(series_check_make(cold, 12, &found), CIUIC_OK);
    CHECK(found.warm_up == 3 && found.outliers == 3 && found.n == 12, "warm-up %zu, outliers %zu", found.warm_up,
          found.outliers);
    const double flat[] = {5, 5, 5, 5, 5, 5, 5, 5};
    CU_ASSERT_EQUAL(series_check_make(flat, 8, &found), CIUIC_OK);
    CU_ASSERT_TRUE(found.warm_up == 0 && found.outliers == 0 && found.drift == 0 && found.drift_p == 1);
    CU_ASSERT_EQUAL(series_check_make(cold, 7, &found), CIUIC_OK); /* too few to judge from */
    CU_ASSERT_TRUE(found.warm_up == 0 && isnan(found.drift) && isnan(found.drift_p));
    CU_ASSERT_EQUAL(mser_truncation(NULL, 0), 0);
    /* Of 1000 series without one, few are said to have a warm-up: among equals the first value is the largest of 20 with
     * one chance in 20 (more values at once with less), and only some of those are outliers. 50, and five standard
     * deviations of 6.9 more. */
    seed_random();
    size_t wrong = 0;
    for (int repeat = 0; repeat < 1000; repeat++) {
        double values[20];
        for (size_t i = 0; i < 20; i++) values[i] = 1 + noisy_log(0.02);
        CU_ASSERT_EQUAL(series_check_make(values, 20, &found), CIUIC_OK);
        wrong += found.warm_up > 0;
    }
    CHECK(wrong <= 85, "%zu of 1000 had a warm-up that was not there", wrong);
}

static void drift_is_measured(void)
{
    double values[20];
    series_check found;
    seed_random();
    for (size_t i = 0; i < 20; i++) values[i] = (1 + 0.1 * (double)i / 19) * (1 + 0.01 * (uniform() - 0.5));
    CU_ASSERT_EQUAL(series_check_make(values, 20, &found), CIUIC_OK);
    /* 10% over a median of 1.05; each value within half a percent: the slope's error is below 1.05% over the series. */
    CHECK(fabs(found.drift - 0.1 / 1.05) < 0.0105 && found.drift_p < 1e-6, "drift %g, p %g", found.drift,
          found.drift_p);
    /* A long series is looked at in batches: the same trend, and its cost stays small. */
    enum { LONG = 100000 };
    double *many = malloc(LONG * sizeof *many);
    for (size_t i = 0; many != NULL && i < LONG; i++) many[i] = 1 + 0.1 * (double)i / (LONG - 1);
    CU_ASSERT_EQUAL(series_check_make(many, LONG, &found), CIUIC_OK);
    CHECK(fabs(found.drift - 0.1 / 1.05) < 1e-3, "drift %g", found.drift); /* half a batch at either end is cut off */
    free(many);
}

static const test_case cases[] = {
    {"binomial tails are exact", tails_are_exact},
    {"beyond a margin", beyond_a_margin},
    {"the sign test agrees with its interval", the_test_agrees_with_the_interval},
    {"Holm's correction by hand", holm_by_hand},
    {"Holm's correction keeps the order and never helps", holm_keeps_the_order_and_never_helps},
    {"a suite of equals is rarely called different", a_suite_of_equals_is_rarely_called_different},
    {"three percent are seen", three_percent_are_seen},
    {"resampled medians have their exact distribution", resampled_medians_have_their_exact_distribution},
    {"bootstrap intervals", bootstrap_intervals},
    {"which interval keeps its word", which_interval_keeps_its_word},
    {"outliers by hand", outliers_by_hand},
    {"trends by hand", trends_by_hand},
    {"trend probabilities are near the enumerated ones", trend_probabilities_are_near_the_enumerated_ones},
    {"warm-up is found, and noise is not", warm_up_is_found_and_noise_is_not},
    {"drift is measured", drift_is_measured},
};

TEST_SUITE(comparisons, cases);
