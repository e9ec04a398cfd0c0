/* test_accuracy.c - the metrics against values worked out by hand, and against properties that hold for any logits. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/accuracy.h"
#include "optimizer/tests/runner.h"

enum { VOCABULARY = 301 };

/* Inputs are floats: half a unit in the last place of a value near 1 is 2^-24, and every quantity below is a sum of a
 * few of them with derivatives of at most 1. */
#define FLOAT_STEPS (4.0 * FLT_EPSILON)
/* Sums of 301 doubles of size at most 16, each rounded to 2^-53 of its size: 301 * 16 * 2^-53 < 6e-13. */
#define SUM_STEPS 1e-12

static bool near(double value, double expected, double tolerance)
{
    return fabs(value - expected) <= tolerance; /* false for NaN */
}

static accuracy_result one_position(size_t vocabulary, const float *logits, const float *reference, int32_t next)
{
    accuracy_result result;
    accuracy *a = accuracy_create(vocabulary);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    CU_ASSERT_TRUE(accuracy_add(a, logits, reference, next));
    accuracy_finish(a, &result);
    accuracy_free(a);
    return result;
}

/* xorshift64*; seeded so that a failure can be repeated. */
static unsigned long long random_state;

static double uniform(double low, double high)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    const double unit = (double)((random_state * 0x2545F4914F6CDD1DULL) >> 11) * 0x1p-53;
    return low + (high - low) * unit;
}

/* Multiples of 2^-10 in -8..8: adding any of them to any other is exact in a float. */
static void random_logits(float *x)
{
    for (size_t i = 0; i < VOCABULARY; i++) x[i] = (float)(floor(uniform(-8192, 8192)) * 0x1p-10);
}

/* The definition, in long double, term by term: no shift, no rearrangement. */
static void softmax(const float *x, long double *p)
{
    long double sum = 0;
    for (size_t i = 0; i < VOCABULARY; i++) sum += p[i] = expl((long double)x[i]);
    for (size_t i = 0; i < VOCABULARY; i++) p[i] /= sum;
}

static void two_words(void)
{
    /* p = (3/4, 1/4), q = (1/2, 1/2). */
    const float reference[] = {logf(3.0F), 0.0F}, logits[] = {0.0F, 0.0F};
    const accuracy_result r = one_position(2, logits, reference, 1);
    CHECK(near(r.nll, log(2.0), FLOAT_STEPS), "nll %.17g", r.nll);
    CHECK(near(r.perplexity, 2.0, 2 * FLOAT_STEPS), "perplexity %.17g", r.perplexity);
    CHECK(near(r.reference_nll, log(4.0), FLOAT_STEPS), "reference nll %.17g", r.reference_nll);
    CHECK(near(r.nll_rise, -log(2.0), FLOAT_STEPS), "rise %.17g", r.nll_rise);
    CHECK(near(r.kl, 0.75 * log(1.5) + 0.25 * log(0.5), FLOAT_STEPS), "kl %.17g", r.kl);
    CHECK(near(r.mean_abs_error, log(3.0) / 2, FLOAT_STEPS), "mean error %.17g", r.mean_abs_error);
    CHECK(near(r.max_abs_error, log(3.0), FLOAT_STEPS), "max error %.17g", r.max_abs_error);
    CU_ASSERT_EQUAL(r.relative_l2, 1.0);    /* |(-ln 3, 0)| / |(ln 3, 0)| */
    CU_ASSERT_EQUAL(r.cosine, 0.0);         /* a zero vector has no direction */
    CU_ASSERT_EQUAL(r.top1_agreement, 1.0); /* equal logits: the lowest id */
    CU_ASSERT_EQUAL(r.tokens, 1);
    CU_ASSERT_EQUAL(r.positions, 1);
    CU_ASSERT_EQUAL(r.kl_p99, r.kl);
    CU_ASSERT_EQUAL(r.kl_max, r.kl);
    CU_ASSERT_TRUE(isnan(r.nll_error) && isnan(r.kl_error) && isnan(r.nll_rise_error)); /* one value has no spread */
}

static void standard_errors_and_percentile(void)
{
    /* NLL of token 0 under (0, log(e^x - 1)) is exactly x. Values 1..200 in shuffled order: mean 100.5, and the mean's
     * variance is (n^2 - 1) / 12 * n / (n - 1) / n = (n + 1) / 12. Float inputs up to 200 are off by at most 2^-17. */
    enum { N = 200 };
    accuracy *a = accuracy_create(2);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    const float certain[] = {0.0F, -1000.0F}; /* p = (1, 0): NLL 0, and KL(p || q) is the NLL under q */
    for (size_t i = 0; i < N; i++) {
        const double x = (double)(i * 77 % N) + 1.0; /* 77 and 200 share no factor: each of 1..200 once */
        const float logits[] = {0.0F, (float)(x + log1p(-exp(-x)))};
        CU_ASSERT_TRUE(accuracy_add(a, logits, certain, 0));
    }
    accuracy_result r;
    accuracy_finish(a, &r);
    const double step = 0x1p-16;
    CHECK(near(r.nll, 100.5, step), "nll %.17g", r.nll);
    CHECK(near(r.nll_error, sqrt(201.0 / 12.0), step), "nll error %.17g", r.nll_error);
    CHECK(near(r.nll_rise, 100.5, step) && near(r.nll_rise_error, sqrt(201.0 / 12.0), step), "rise %.17g +- %.17g",
          r.nll_rise, r.nll_rise_error);
    CHECK(near(r.kl, 100.5, step) && near(r.kl_error, sqrt(201.0 / 12.0), step), "kl %.17g +- %.17g", r.kl, r.kl_error);
    CHECK(near(r.kl_p99, 198.0, step), "99th percentile of 1..200 is %.17g", r.kl_p99);
    CHECK(near(r.kl_max, 200.0, step), "largest %.17g", r.kl_max);
    /* Ranks are values here: 198 +- sqrt(200 0.99 0.01). */
    CHECK(near(r.kl_p99_error, sqrt(1.98), step), "99th percentile +- %.17g", r.kl_p99_error);
    CHECK(near(r.reference_nll, 0.0, step), "reference %.17g", r.reference_nll);
    accuracy_result again;
    accuracy_finish(a, &again); /* finishing changes nothing that counts */
    CU_ASSERT_EQUAL(memcmp(&r, &again, sizeof r), 0);
    accuracy_free(a);
}

/* A position whose logits are `x` against `reference`; two words. */
static void add_two(accuracy *a, float x0, float x1, float reference0, float reference1)
{
    const float x[] = {x0, x1}, reference[] = {reference0, reference1};
    CU_ASSERT_TRUE(accuracy_add(a, x, reference, 0));
}

static void standard_errors_by_hand(void)
{
    /* Four positions with references (3, 4), (3, 4), (6, 8), (3, 4) and errors (0, 0), (1, -1), (0, 2), (2, 0):
     * squares of the errors a = 0, 2, 4, 4 (mean 5/2), of the references b = 25, 25, 100, 25 (mean 175/4); q = 2/35;
     * a - q b = -10/7, 4/7, -12/7, 18/7, sum of squares 584/49; var(q) = 584/49 / (3 * 4) / (175/4)^2. Mean absolute
     * errors 0, 1, 1, 1: mean 3/4, variance 1/4, standard error 1/4. The second position's tokens are equal, (4, 3)
     * against (3, 4): another top token, cosine 24/25; third (6, 10): cosine 116 / (10 sqrt(136)); fourth (5, 4):
     * cosine 31 / (5 sqrt(41)) and another top token: a share of 1/2, whose error is sqrt(1/4 / 3). */
    accuracy *a = accuracy_create(2);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    add_two(a, 3, 4, 3, 4);
    add_two(a, 4, 3, 3, 4);
    add_two(a, 6, 10, 6, 8);
    add_two(a, 5, 4, 3, 4);
    accuracy_result r;
    accuracy_finish(a, &r);
    accuracy_free(a);
    const double q = 2.0 / 35, q_error = sqrt(584.0 / 49 / 12) / (175.0 / 4), step = 1e-13;
    CHECK(near(r.relative_l2, sqrt(q), step), "relative L2 %.17g", r.relative_l2);
    CHECK(near(r.relative_l2_error, q_error / (2 * sqrt(q)), step), "+- %.17g", r.relative_l2_error);
    CHECK(near(r.mean_abs_error, 0.75, step) && near(r.mean_abs_error_error, 0.25, step), "mean error %.17g +- %.17g",
          r.mean_abs_error, r.mean_abs_error_error);
    CHECK(r.top1_agreement == 0.5 && near(r.top1_agreement_error, sqrt(0.25 / 3), step), "same top token +- %.17g",
          r.top1_agreement_error);
    const double cosines[] = {1, 24.0 / 25, 116 / (10 * sqrt(136)), 31 / (5 * sqrt(41))};
    double mean = 0, squares = 0;
    for (size_t i = 0; i < 4; i++) mean += cosines[i] / 4;
    for (size_t i = 0; i < 4; i++) squares += (cosines[i] - mean) * (cosines[i] - mean);
    CHECK(near(r.cosine, mean, step) && near(r.cosine_error, sqrt(squares / 12), step), "cosine %.17g +- %.17g",
          r.cosine, r.cosine_error);
    CHECK(near(r.perplexity_error, exp(r.nll) * r.nll_error, step * r.perplexity), "perplexity +- %.17g",
          r.perplexity_error);
    CU_ASSERT_TRUE(isnan(r.kl_p99_error)); /* the 99th of 4 is the largest */
}

/* Reported by one sample: the metric, and what it says of its own spread. */
typedef struct sampled {
    double value[5], error[5];
} sampled;

enum { SPREAD_METRICS = 5, SPREAD_POSITIONS = 200, SPREAD_REPEATS = 1600, SPREAD_WORDS = 6 };

static sampled sample_once(void)
{
    accuracy *a = accuracy_create(SPREAD_WORDS);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    for (size_t i = 0; i < SPREAD_POSITIONS; i++) {
        float x[SPREAD_WORDS], reference[SPREAD_WORDS];
        const double length = uniform(1, 2), noise = uniform(0, 1); /* so that both sums of relative L2 vary */
        for (size_t k = 0; k < SPREAD_WORDS; k++) {
            reference[k] = (float)(length * uniform(-1, 1));
            x[k] = reference[k] + (float)(noise * uniform(-1, 1));
        }
        CU_ASSERT_TRUE(accuracy_add(a, x, reference, (int32_t)uniform(0, SPREAD_WORDS)));
    }
    accuracy_result r;
    accuracy_finish(a, &r);
    accuracy_free(a);
    return (sampled){.value = {r.nll_rise, r.mean_abs_error, r.relative_l2, r.cosine, r.top1_agreement},
                     .error = {r.nll_rise_error, r.mean_abs_error_error, r.relative_l2_error, r.cosine_error,
                               r.top1_agreement_error}};
}

static void standard_errors_match_the_spread(void)
{
    /* The variance of 1600 samples' values over the mean of their squared standard errors. Means of 200 positions are
     * all but normal, so that the former is the true variance times chi^2 / k, k = 1599, for which Chernoff's bound
     * gives P(> 1 + t) <= exp(-k/2 (t - ln(1 + t))), 5e-10 for t = 0.25, and less below 1 - t. The latter is a mean of
     * 320,000 positions: its own spread, and the delta method's bias of order 1/200, are given 0.05. */
    static const char *const names[SPREAD_METRICS] = {"NLL rise", "mean error", "relative L2", "cosine", "top token"};
    random_state = test_seed();
    double mean[SPREAD_METRICS] = {0}, squares[SPREAD_METRICS] = {0}, claimed[SPREAD_METRICS] = {0};
    for (size_t repeat = 1; repeat <= SPREAD_REPEATS; repeat++) {
        const sampled s = sample_once();
        for (size_t i = 0; i < SPREAD_METRICS; i++) {
            const double delta = s.value[i] - mean[i];
            mean[i] += delta / (double)repeat;
            squares[i] += delta * (s.value[i] - mean[i]);
            claimed[i] += s.error[i] * s.error[i] / SPREAD_REPEATS;
        }
    }
    for (size_t i = 0; i < SPREAD_METRICS; i++) {
        const double ratio = squares[i] / (SPREAD_REPEATS - 1) / claimed[i];
        CHECK(ratio > 0.7 && ratio < 1.3, "%s: variance of samples over what they say: %.3f", names[i], ratio);
    }
}

static void percentile_error_is_that_of_order_statistics(void)
{
    /* Divergences uniform in 1..2 (as above: KL is x). The i-th of n is at i / (n + 1) in the mean, so that half the
     * distance of ranks r + d and r - d, d = sqrt(n 0.99 0.01), is d / (n + 1) in the mean whatever lies between, with
     * a relative deviation of 1 / sqrt(2 d) (that of a Beta(2 d, n) variable): for n = 1000, d = 3.15, the mean of 200
     * samples deviates by 0.028, and 6 of these are allowed. The true deviation of the r-th of n, of Beta(r, n + 1 -
     * r), is 1.05 times that. */
    enum { N = 1000, REPEATS = 200 };
    random_state = test_seed();
    const float certain[] = {0.0F, -1000.0F};
    const double d = sqrt(N * 0.99 * 0.01), expected = d / (N + 1);
    double sum = 0;
    for (size_t repeat = 0; repeat < REPEATS; repeat++) {
        accuracy *a = accuracy_create(2);
        CU_ASSERT_PTR_NOT_NULL_FATAL(a);
        for (size_t i = 0; i < N; i++) {
            const double x = uniform(1, 2);
            const float logits[] = {0.0F, (float)(x + log1p(-exp(-x)))};
            CU_ASSERT_TRUE(accuracy_add(a, logits, certain, 0));
        }
        accuracy_result r;
        accuracy_finish(a, &r);
        accuracy_free(a);
        sum += r.kl_p99_error / REPEATS;
    }
    CHECK(near(sum / expected, 1, 6 / sqrt(2 * d * REPEATS)), "%.4f of what was expected", sum / expected);
    const double r = N - N / 100, truth = sqrt(r * (N + 1 - r) / ((N + 1.0) * (N + 1.0) * (N + 2.0)));
    CHECK(near(truth / expected, 1.05, 0.01), "%.4f of the true deviation", truth / expected);
}

static void equal_logits_have_no_error(void)
{
    random_state = test_seed();
    float x[VOCABULARY];
    for (int repeat = 0; repeat < 50; repeat++) {
        random_logits(x);
        const accuracy_result r = one_position(VOCABULARY, x, x, (int32_t)uniform(0, VOCABULARY));
        CU_ASSERT_EQUAL(r.kl, 0.0);
        CU_ASSERT_EQUAL(r.mean_abs_error, 0.0);
        CU_ASSERT_EQUAL(r.max_abs_error, 0.0);
        CU_ASSERT_EQUAL(r.relative_l2, 0.0);
        CU_ASSERT_EQUAL(r.nll_rise, 0.0);
        CU_ASSERT_EQUAL(r.top1_agreement, 1.0);
        CHECK(near(r.cosine, 1.0, SUM_STEPS), "cosine %.17g", r.cosine);
        CU_ASSERT_TRUE(isnan(r.relative_l2_error) && isnan(r.cosine_error) && isnan(r.mean_abs_error_error));
        CU_ASSERT_TRUE(isnan(r.top1_agreement_error) && isnan(r.kl_p99_error)); /* one position has no spread */
    }
}

static void against_the_definition(void)
{
    random_state = test_seed();
    float x[VOCABULARY], reference[VOCABULARY];
    long double p[VOCABULARY], q[VOCABULARY];
    for (int repeat = 0; repeat < 50; repeat++) {
        random_logits(reference);
        random_logits(x);
        /* From far apart to almost the same. */
        const float weight = ldexpf(1.0F, -repeat / 2);
        for (size_t i = 0; i < VOCABULARY; i++) x[i] = reference[i] + weight * (x[i] - reference[i]);
        softmax(reference, p);
        softmax(x, q);
        long double kl = 0, distance = 0;
        for (size_t i = 0; i < VOCABULARY; i++) {
            kl += p[i] * logl(p[i] / q[i]);
            distance += fabsl(p[i] - q[i]) / 2;
        }
        const int32_t next = (int32_t)uniform(0, VOCABULARY);
        const accuracy_result r = one_position(VOCABULARY, x, reference, next);
        CHECK(near(r.kl, (double)kl, SUM_STEPS), "kl %.17g, by definition %.17g", r.kl, (double)kl);
        CHECK(r.kl >= 0.0, "kl %.17g is negative", r.kl);
        CHECK(r.kl + SUM_STEPS >= (double)(2 * distance * distance), "Pinsker: kl %.17g, total variation %.17g", r.kl,
              (double)distance);
        CHECK(near(r.nll, (double)-logl(q[next]), SUM_STEPS), "nll %.17g", r.nll);
        CHECK(near(r.reference_nll, (double)-logl(p[next]), SUM_STEPS), "reference nll %.17g", r.reference_nll);
    }
}

static void tiny_divergences_keep_their_digits(void)
{
    /* q_i ~ p_i (1 + e s_i), s = +1, -1: KL = e^2/2 + O(e^4) for p = (1/2, 1/2). With e = 2^-20 the plain formula,
     * whose terms are +-e/2, would have lost all but 13 bits; the remainder e^4 is far below the tolerance. */
    const double e = 0x1p-20;
    const float reference[] = {0.0F, 0.0F}, logits[] = {(float)e, (float)-e};
    const accuracy_result r = one_position(2, logits, reference, -1);
    CHECK(near(r.kl, e * e / 2, e * e * 1e-9), "kl %.17g, expected %.17g", r.kl, e * e / 2);
    CU_ASSERT_EQUAL(r.tokens, 0);
    CU_ASSERT_TRUE(isnan(r.nll) && isnan(r.perplexity) && isnan(r.nll_rise));
}

static void shift_and_permutation(void)
{
    random_state = test_seed();
    float x[VOCABULARY], reference[VOCABULARY], shifted[VOCABULARY], turned[VOCABULARY], turned_reference[VOCABULARY];
    for (int repeat = 0; repeat < 50; repeat++) {
        random_logits(x);
        random_logits(reference);
        const int32_t next = (int32_t)uniform(0, VOCABULARY);
        const size_t by = (size_t)uniform(1, VOCABULARY);
        for (size_t i = 0; i < VOCABULARY; i++) {
            shifted[i] = x[i] + 64.0F; /* exact: multiples of 2^-10 below 2^7 */
            turned[(i + by) % VOCABULARY] = x[i];
            turned_reference[(i + by) % VOCABULARY] = reference[i];
        }
        const accuracy_result plain = one_position(VOCABULARY, x, reference, next);
        const accuracy_result moved = one_position(VOCABULARY, shifted, reference, next);
        /* The sums now hold terms up to 64 + 8, rounded to 2^-53 of that: 72 * 301 * 2^-53 < 3e-12. */
        CHECK(near(moved.nll, plain.nll, 3e-12), "shifted nll %.17g, was %.17g", moved.nll, plain.nll);
        CHECK(near(moved.kl, plain.kl, 3e-12), "shifted kl %.17g, was %.17g", moved.kl, plain.kl);
        CU_ASSERT_EQUAL(moved.top1_agreement, plain.top1_agreement);
        const accuracy_result rotated =
            one_position(VOCABULARY, turned, turned_reference, (int32_t)(((size_t)next + by) % VOCABULARY));
        CHECK(near(rotated.nll, plain.nll, SUM_STEPS) && near(rotated.kl, plain.kl, SUM_STEPS) &&
                  near(rotated.mean_abs_error, plain.mean_abs_error, SUM_STEPS) &&
                  near(rotated.relative_l2, plain.relative_l2, SUM_STEPS) &&
                  near(rotated.cosine, plain.cosine, SUM_STEPS),
              "the order of the vocabulary changed a metric: nll %.17g kl %.17g", rotated.nll, rotated.kl);
        CU_ASSERT_EQUAL(rotated.max_abs_error, plain.max_abs_error);
    }
}

static void enormous_logits(void)
{
    /* q gives p's certain word a log-probability of -2 M, so KL is 2 M; nothing overflows on the way. */
    const float m = FLT_MAX / 2, reference[] = {m, -m}, logits[] = {-m, m};
    const accuracy_result r = one_position(2, logits, reference, 0);
    CU_ASSERT_TRUE(r.finite);
    CHECK(near(r.kl / (2.0 * (double)m), 1.0, 4 * DBL_EPSILON), "kl %.17g", r.kl);
    CHECK(near(r.nll / (2.0 * (double)m), 1.0, 4 * DBL_EPSILON), "nll %.17g", r.nll);
    CU_ASSERT_EQUAL(r.top1_agreement, 0.0);
    CHECK(near(r.cosine, -1.0, 4 * DBL_EPSILON), "cosine %.17g", r.cosine);
}

static void one_bad_logit_spoils_everything(void)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 6; i++) {
        accuracy *a = accuracy_create(3);
        CU_ASSERT_PTR_NOT_NULL_FATAL(a);
        const float good[] = {1, 2, 3};
        float faulty[] = {1, 2, 3};
        faulty[i % 3] = bad[i / 2];
        CU_ASSERT_TRUE(accuracy_add(a, good, good, 0));
        CU_ASSERT_TRUE(i % 2 ? accuracy_add(a, faulty, good, 1) : accuracy_add(a, good, faulty, 1));
        accuracy_result r;
        accuracy_finish(a, &r);
        accuracy_free(a);
        CU_ASSERT_FALSE(r.finite);
        CU_ASSERT_TRUE(isnan(r.nll) && isnan(r.nll_error) && isnan(r.perplexity) && isnan(r.reference_nll));
        CU_ASSERT_TRUE(isnan(r.nll_rise) && isnan(r.nll_rise_error) && isnan(r.mean_abs_error));
        CU_ASSERT_TRUE(isnan(r.max_abs_error) && isnan(r.relative_l2) && isnan(r.cosine) && isnan(r.kl));
        CU_ASSERT_TRUE(isnan(r.kl_error) && isnan(r.kl_p99) && isnan(r.kl_max) && isnan(r.top1_agreement));
        CU_ASSERT_TRUE(isnan(r.perplexity_error) && isnan(r.reference_nll_error) && isnan(r.mean_abs_error_error));
        CU_ASSERT_TRUE(isnan(r.relative_l2_error) && isnan(r.cosine_error) && isnan(r.kl_p99_error));
        CU_ASSERT_TRUE(isnan(r.top1_agreement_error));
        cJSON *json = accuracy_json(&r);
        CU_ASSERT_PTR_NOT_NULL_FATAL(json);
        CU_ASSERT_TRUE(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "mean_abs_error")));
        CU_ASSERT_TRUE(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(json, "finite")));
        cJSON_Delete(json);
    }
}

static void without_a_reference(void)
{
    const float logits[] = {0, 0, 0, 0};
    const accuracy_result r = one_position(4, logits, NULL, 3);
    CHECK(near(r.nll, log(4.0), 4 * DBL_EPSILON), "nll %.17g", r.nll);
    CU_ASSERT_EQUAL(r.positions, 0);
    CU_ASSERT_TRUE(r.finite && isnan(r.reference_nll) && isnan(r.kl) && isnan(r.mean_abs_error));
    /* An id outside the vocabulary is no token to predict. */
    CU_ASSERT_EQUAL(one_position(4, logits, logits, 4).tokens, 0);
    CU_ASSERT_EQUAL(one_position(4, logits, logits, -7).tokens, 0);
    /* A reference for some tokens only says nothing about all of them. */
    accuracy *a = accuracy_create(4);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    CU_ASSERT_TRUE(accuracy_add(a, logits, logits, 1) && accuracy_add(a, logits, NULL, 2));
    accuracy_result mixed;
    accuracy_finish(a, &mixed);
    accuracy_free(a);
    CU_ASSERT_EQUAL(mixed.tokens, 2);
    CU_ASSERT_EQUAL(mixed.positions, 1);
    CU_ASSERT_TRUE(isnan(mixed.reference_nll) && isnan(mixed.nll_rise));
    CU_ASSERT_EQUAL(mixed.kl, 0.0);
}

static const test_case cases[] = {
    {"two words by hand", two_words},
    {"standard errors and the 99th percentile of 1..200", standard_errors_and_percentile},
    {"standard errors of four positions by hand", standard_errors_by_hand},
    {"standard errors match the spread over repeated samples", standard_errors_match_the_spread},
    {"the percentile's standard error is that of order statistics", percentile_error_is_that_of_order_statistics},
    {"equal logits have no error", equal_logits_have_no_error},
    {"NLL and KL are what the definition says; Pinsker's inequality", against_the_definition},
    {"tiny divergences keep their digits", tiny_divergences_keep_their_digits},
    {"shifting or permuting the vocabulary changes nothing", shift_and_permutation},
    {"enormous logits do not overflow", enormous_logits},
    {"one NaN or infinity spoils every metric", one_bad_logit_spoils_everything},
    {"without a reference", without_a_reference},
};

TEST_SUITE(accuracy, cases);
