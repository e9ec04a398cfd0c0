/* check_norms.c - layer normalisation and softmax: what sees a whole row. Each also in place. */
#include "kernels/tests/check.h"

static const size_t lengths[] = {0,  1,  2,  3,  5,  7,   8,   9,   15,  16,  17,   24,   31,   32,  33,
                                 47, 63, 64, 65, 95, 100, 127, 128, 160, 257, 1000, 1536, 7168, 7177};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

typedef struct moments {
    double mean, variance, magnitude; /* the last: mean of |x| */
} moments;

static moments moments_of(size_t n, const float *x)
{
    moments m = {0};
    for (size_t i = 0; i < n; i++) {
        m.mean += (double)x[i] / (double)n;
        m.magnitude += fabs((double)x[i]) / (double)n;
    }
    for (size_t i = 0; i < n; i++) m.variance += pow((double)x[i] - m.mean, 2) / (double)n;
    return m;
}

/* The mean is n - 1 sums and a quotient: off by e <= gamma_n mean |x|. The squares of differences to such a mean average to
 * variance + e^2 exactly; a difference, squared, rounds three times, their sum n - 1 times, the quotient and eps once each:
 * the denominator's square is off by a share r = (e^2 + gamma_(n+4) (variance + e^2)) / (variance + eps), the factor, while
 * r < 1/2, by no more than r, and by the root and the reciprocal. y is (d + e) times factor and weight, with r below 1/2
 * at most twice e factor weight; d, factor (2), weight and bias (with fma in one) round at most five times, and once more
 * the bias. Where r is larger (no digit of the variance is left) only that y is a number is asked. */
static void check_layer_norm_row(check *c, size_t n, const float *x, const float *weight, const float *bias, double eps,
                                 const float *y)
{
    const moments m = moments_of(n, x);
    const double e = gamma_of((double)n) * m.magnitude + SMALLEST, factor = 1 / sqrt(m.variance + eps);
    const double r = (e * e + gamma_of((double)n + 4) * (m.variance + e * e)) / (m.variance + eps);
    for (size_t i = 0; i < n; i++) {
        const double w = weight ? (double)weight[i] : 1, b = bias ? (double)bias[i] : 0;
        const double product = ((double)x[i] - m.mean) * factor * w;
        if (r >= 0.5) {
            if (!isfinite(y[i])) check_fail(c, "y[%zu] is %g", i, (double)y[i]);
            continue;
        }
        const double tolerance = 2 * e * factor * fabs(w) + (r + (1 + r) * gamma_of(6)) * fabs(product) +
                                 gamma_of(1) * fabs(b) + SMALLEST * (2 + fabs(w));
        check_value(c, "y", i, (double)y[i], product + b, tolerance);
    }
}

static void check_layer_norm(check *c)
{
    for (size_t s = 0; s < LENGTHS * 4; s++) {
        const size_t n = lengths[s / 4];
        const bool weighted = s % 4 / 2, in_place = s % 2, biased = s % 3 != 0, wild = s % 7 == 6;
        const float offset = s % 5 == 4 ? 100.0f : 0.0f, eps = 1e-5f;
        check_shape(c, "n=%zu%s%s%s%s", n, weighted ? ", weight" : "", biased ? ", bias" : "",
                    offset != 0 ? ", large mean" : "", in_place ? ", in place" : "");
        float *x = check_floats(c, n, wild);
        if (offset != 0)
            for (size_t i = 0; i < n; i++) x[i] = offset + check_normal(c);
        const float *weight = weighted ? check_floats(c, n, false) : NULL;
        const float *bias = biased ? check_floats(c, n, false) : NULL;
        check_freeze(c);
        float *y = check_copy(c, n, in_place ? x : NULL);
        CHECK_CALL(c->table->layer_norm(n, in_place ? y : x, weight, bias, eps, y));
        check_layer_norm_row(c, n, x, weight, bias, (double)eps, y);
    }
}

/* A difference d = x - max rounds once, which changes e^d by a share of u |d|; the exponential itself is within 4 u (2 ulp,
 * kernels/c/exp.h). The sum of n such terms carries the average of their shares, weighted by the terms, and gamma_(n-1);
 * reciprocal and product round twice more; one further u is more than the products of these shares, all below 2^-15 here.
 * e^d is nothing in float from |d| = 104 on. A subnormal e^d or y is off by a smallest float. */
static void check_softmax_row(check *c, size_t n, const float *x, const float *y)
{
    double largest = -INFINITY, sum = 0, average = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, (double)x[i]); /* fmax passes a NaN over */
    for (size_t i = 0; i < n; i++) {
        const double d = (double)x[i] - largest, e = exp(d);
        sum += e;
        average += e * (fmin(fabs(d), 104) + 4);
    }
    average /= sum;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)x[i] - largest, want = exp(d) / sum;
        /* One NaN is everyone's. */
        const double roundings = fmin(fabs(d), 104) + 4 + average + (double)n + 2;
        check_value(c, "y", i, (double)y[i], isnan(sum) ? (double)NAN : want,
                    gamma_of(roundings) * want + 3 * SMALLEST);
    }
}

typedef enum softmax_kind {
    SCORES,
    FAR_BELOW_ZERO,
    WIDE,
    WILD,
    ALL_MINUS_INFINITY,
    ONE_NAN,
    SOFTMAX_KINDS
} softmax_kind;

static float softmax_input(check *c, softmax_kind kind)
{
    switch (kind) {
    case FAR_BELOW_ZERO: /* where a zero taken for an element would be the largest */
        return -1000.0f + 3 * check_normal(c);
    case WIDE: /* exponentials from 1 to subnormal and nothing */
        return 120 * (float)check_uniform(c);
    case WILD:
        return check_awkward(c, true);
    case ALL_MINUS_INFINITY:
        return -INFINITY;
    default:
        return 3 * check_normal(c);
    }
}

static void check_softmax(check *c)
{
    for (size_t s = 0; s < LENGTHS * SOFTMAX_KINDS * 2; s++) {
        static const char *const names[SOFTMAX_KINDS] = {"scores", "far below zero",     "wide",
                                                         "wild",   "all minus infinity", "one NaN"};
        const size_t n = lengths[s / 2 / SOFTMAX_KINDS];
        const softmax_kind kind = (softmax_kind)(s / 2 % SOFTMAX_KINDS);
        const bool in_place = s % 2;
        check_shape(c, "n=%zu, %s%s", n, names[kind], in_place ? ", in place" : "");
        float *x = check_alloc(c, n * sizeof *x);
        for (size_t i = 0; i < n; i++) x[i] = softmax_input(c, kind);
        if (kind == ONE_NAN && n > 0) x[check_random(c) % n] = NAN;
        check_freeze(c);
        float *y = check_copy(c, n, in_place ? x : NULL);
        CHECK_CALL(c->table->softmax(n, in_place ? y : x, y));
        check_softmax_row(c, n, x, y);
    }
}

const check_entry norm_checks[] = {
    {"layer_norm", check_layer_norm},
    {"softmax", check_softmax},
    {NULL, NULL},
};
