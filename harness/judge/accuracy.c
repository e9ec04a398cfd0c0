/* accuracy.c - NLL, KL divergence and logit errors, accumulated in double, in one pass over each position. */
#include "harness/judge/accuracy.h"

#include <math.h>
#include <stdlib.h>

#include "optimizer/json.h"

/* Mean and sum of squared deviations by Welford's recurrence: no cancellation, however long the text. */
typedef struct moments {
    size_t n;
    double mean, m2;
} moments;

struct accuracy {
    size_t vocabulary;
    moments nll, reference_nll, rise, kl, cosine;
    double *kls; /* [kl.n], for the percentile; sorted by accuracy_finish */
    size_t capacity;
    double abs_sum, abs_max; /* of logits - reference */
    double error_square, reference_square;
    size_t same_top1;
    bool finite;
};

static void moments_add(moments *m, double value)
{
    m->n++;
    const double delta = value - m->mean;
    m->mean += delta / (double)m->n;
    m->m2 += delta * (value - m->mean);
}

static double mean_of(const moments *m)
{
    return m->n > 0 ? m->mean : NAN;
}

static double standard_error(const moments *m)
{
    return m->n > 1 ? sqrt(m->m2 / (double)(m->n - 1) / (double)m->n) : NAN;
}

accuracy *accuracy_create(size_t vocabulary)
{
    accuracy *a = calloc(1, sizeof *a);
    if (a == NULL) return NULL;
    a->vocabulary = vocabulary;
    a->finite = true;
    return a;
}

void accuracy_free(accuracy *a)
{
    if (a == NULL) return;
    free(a->kls);
    free(a);
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

static size_t argmax(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* log(sum(exp(x))), shifted by the maximum so that nothing overflows and the largest term is 1. */
static double log_sum_exp(const float *x, size_t n, size_t largest)
{
    const double maximum = (double)x[largest];
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += exp((double)x[i] - maximum);
    return maximum + log(sum);
}

/* KL(p || q) = sum p log(p/q). Since p and q both sum to 1, adding sum (q - p) = 0 changes nothing, and with
 * d = log(q/p) each term becomes p (exp(d) - 1 - d), which is never negative: no cancellation between terms, and no
 * negative divergence from two almost equal distributions. Far from 0 it is q - p - p d, where exp(d) might overflow
 * (p underflows first, so the product would be 0 * infinity). */
static double kl_divergence(const float *reference, double reference_lse, const float *logits, double lse, size_t n)
{
    double kl = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double log_p = (double)reference[i] - reference_lse, log_q = (double)logits[i] - lse;
        const double d = log_q - log_p, p = exp(log_p);
        const double term = fabs(d) < 1.0 ? p * (expm1(d) - d) : exp(log_q) - p - p * d;
        kl += fmax(term, 0.0);
    }
    return kl;
}

static void add_errors(accuracy *a, const float *logits, const float *reference)
{
    double dot = 0.0, square = 0.0, reference_square = 0.0;
    for (size_t i = 0; i < a->vocabulary; i++) {
        const double x = (double)logits[i], r = (double)reference[i], error = x - r;
        a->abs_sum += fabs(error);
        a->abs_max = fmax(a->abs_max, fabs(error));
        a->error_square += error * error;
        dot += x * r;
        square += x * x;
        reference_square += r * r;
    }
    a->reference_square += reference_square;
    /* Two zero vectors agree; a zero vector has no direction in common with any other. */
    const double norms = sqrt(square) * sqrt(reference_square);
    moments_add(&a->cosine, norms > 0.0 ? dot / norms : (square == reference_square ? 1.0 : 0.0));
}

static bool reserve_kl(accuracy *a)
{
    if (a->kl.n < a->capacity) return true;
    const size_t capacity = a->capacity > 0 ? 2 * a->capacity : 1024;
    double *grown = reallocarray(a->kls, capacity, sizeof *grown);
    if (grown == NULL) return false;
    a->kls = grown;
    a->capacity = capacity;
    return true;
}

bool accuracy_add(accuracy *a, const float *logits, const float *reference, int32_t next)
{
    const size_t n = a->vocabulary;
    if (n == 0) return true;
    if (!all_finite(logits, n) || (reference != NULL && !all_finite(reference, n))) {
        a->finite = false;
        return true;
    }
    if (reference != NULL && !reserve_kl(a)) return false;

    const bool known = next >= 0 && (size_t)next < n;
    const size_t top = argmax(logits, n);
    const double lse = log_sum_exp(logits, n, top);
    const double nll = known ? lse - (double)logits[next] : 0.0;
    if (known) moments_add(&a->nll, nll);
    if (reference == NULL) return true;

    const size_t reference_top = argmax(reference, n);
    const double reference_lse = log_sum_exp(reference, n, reference_top);
    if (known) {
        const double reference_nll = reference_lse - (double)reference[next];
        moments_add(&a->reference_nll, reference_nll);
        moments_add(&a->rise, nll - reference_nll);
    }
    const double kl = kl_divergence(reference, reference_lse, logits, lse, n);
    a->kls[a->kl.n] = kl;
    moments_add(&a->kl, kl);
    a->same_top1 += top == reference_top;
    add_errors(a, logits, reference);
    return true;
}

static int compare_doubles(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Nearest rank: the smallest value that at least 99% of the values do not exceed. */
static double percentile99(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_doubles);
    const size_t rank = n - n / 100; /* ceil(0.99 n) */
    return values[rank - 1];
}

static void finish_reference(const accuracy *a, accuracy_result *r)
{
    const double positions = (double)a->kl.n, values = positions * (double)a->vocabulary;
    r->positions = a->kl.n;
    r->mean_abs_error = a->abs_sum / values;
    r->max_abs_error = a->abs_max;
    /* 0/0 is two all-zero outputs: no error. x/0 is an error without a scale: infinite, which JSON holds as null. */
    r->relative_l2 = a->error_square > 0.0 ? sqrt(a->error_square / a->reference_square) : 0.0;
    r->cosine = mean_of(&a->cosine);
    r->kl = mean_of(&a->kl);
    r->kl_error = standard_error(&a->kl);
    r->kl_p99 = percentile99(a->kls, a->kl.n);
    r->kl_max = a->kls[a->kl.n - 1];
    r->top1_agreement = (double)a->same_top1 / positions;
}

void accuracy_finish(const accuracy *a, accuracy_result *result)
{
    *result = (accuracy_result){.nll = NAN,
                                .nll_error = NAN,
                                .perplexity = NAN,
                                .reference_nll = NAN,
                                .nll_rise = NAN,
                                .nll_rise_error = NAN,
                                .mean_abs_error = NAN,
                                .max_abs_error = NAN,
                                .relative_l2 = NAN,
                                .cosine = NAN,
                                .kl = NAN,
                                .kl_error = NAN,
                                .kl_p99 = NAN,
                                .kl_max = NAN,
                                .top1_agreement = NAN,
                                .finite = a->finite};
    if (!a->finite) return;
    result->tokens = a->nll.n;
    result->nll = mean_of(&a->nll);
    result->nll_error = standard_error(&a->nll);
    result->perplexity = exp(result->nll);
    if (a->reference_nll.n == a->nll.n) {
        result->reference_nll = mean_of(&a->reference_nll);
        result->nll_rise = mean_of(&a->rise);
        result->nll_rise_error = standard_error(&a->rise);
    }
    if (a->kl.n > 0) finish_reference(a, result);
}

cJSON *accuracy_json(const accuracy_result *r)
{
    cJSON *object = cJSON_CreateObject();
    const struct {
        const char *key;
        double value;
    } metrics[] = {
        {"nll", r->nll},
        {"nll_error", r->nll_error},
        {"perplexity", r->perplexity},
        {"reference_nll", r->reference_nll},
        {"nll_rise", r->nll_rise},
        {"nll_rise_error", r->nll_rise_error},
        {"mean_abs_error", r->mean_abs_error},
        {"max_abs_error", r->max_abs_error},
        {"relative_l2", r->relative_l2},
        {"cosine", r->cosine},
        {"kl", r->kl},
        {"kl_error", r->kl_error},
        {"kl_p99", r->kl_p99},
        {"kl_max", r->kl_max},
        {"top1_agreement", r->top1_agreement},
    };
    bool ok = object != NULL && json_add_size(object, "tokens", r->tokens) &&
              json_add_size(object, "positions", r->positions);
    for (size_t i = 0; ok && i < sizeof metrics / sizeof metrics[0]; i++)
        ok = json_add_double(object, metrics[i].key, metrics[i].value);
    ok = ok && cJSON_AddBoolToObject(object, "finite", r->finite) != NULL;
    if (ok) return object;
    cJSON_Delete(object);
    return NULL;
}
