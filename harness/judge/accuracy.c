/* accuracy.c - NLL, KL divergence and logit errors, accumulated in double, in one pass over each position. */
#include "harness/judge/accuracy.h"

#include <math.h>
#include <stdlib.h>

#include "harness/judge/order.h"
#include "optimizer/array_room.h"
#include "optimizer/json.h"
#include "optimizer/row_errors.h"

struct accuracy {
    size_t vocabulary;
    moments nll, reference_nll, rise, kl;
    row_errors errors;
    double *kls; /* [kl.n], for the percentile; sorted by accuracy_finish */
    size_t capacity, same_top1;
    bool finite;
};

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

static bool reserve_kl(accuracy *a)
{
    double *grown = array_with_room(a->kls, a->kl.n, &a->capacity, sizeof *grown);
    if (grown == NULL) return false;
    a->kls = grown;
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
    row_errors_add(&a->errors, n, logits, reference);
    return true;
}

/* Nearest rank: the smallest value that at least 99% of the values do not exceed. */
static double percentile99(double *values, size_t n)
{
    order_sort(values, n);
    const size_t rank = n - n / 100; /* ceil(0.99 n) */
    return values[rank - 1];
}

/* Between the values of neighbouring ranks; 1 <= rank <= n. */
static double at_rank(const double *sorted, size_t n, double rank)
{
    const size_t below = (size_t)rank;
    const double part = rank - (double)below;
    return below < n ? sorted[below - 1] + part * (sorted[below] - sorted[below - 1]) : sorted[n - 1];
}

/* How many of n values lie below the true percentile is binomial, with a deviation of d = sqrt(n 0.99 0.01): half of
 * what lies between the ranks d to either side of the percentile's is its standard error (Woodruff 1952). A bootstrap
 * would resample the same few largest values, need a seed and say no more. Below 100 values there is no rank above to
 * look at. */
static double percentile99_error(const double *sorted, size_t n)
{
    const double rank = (double)(n - n / 100), d = sqrt((double)n * 0.99 * 0.01);
    if (n < 100) return NAN;
    return (at_rank(sorted, n, rank + d) - at_rank(sorted, n, rank - d)) / 2;
}

static void finish_reference(const accuracy *a, accuracy_result *r)
{
    const double n = (double)a->kl.n, p = (double)a->same_top1 / n;
    ciuic_distance distance;
    row_errors_finish(&a->errors, &distance);
    r->positions = a->kl.n;
    r->mean_abs_error = distance.mean_abs_error;
    r->mean_abs_error_error = distance.mean_abs_error_error;
    r->max_abs_error = a->errors.largest;
    r->relative_l2 = distance.relative_l2; /* infinite where only the reference is all zero, which JSON holds as null */
    r->relative_l2_error = distance.relative_l2_error;
    r->cosine = distance.cosine;
    r->cosine_error = distance.cosine_error;
    r->kl = moments_mean(&a->kl);
    r->kl_error = moments_standard_error(&a->kl);
    r->kl_p99 = percentile99(a->kls, a->kl.n);
    r->kl_p99_error = percentile99_error(a->kls, a->kl.n);
    r->kl_max = a->kls[a->kl.n - 1];
    r->top1_agreement = p;
    r->top1_agreement_error = n > 1 ? sqrt(p * (1 - p) / (n - 1)) : NAN;
}

void accuracy_finish(const accuracy *a, accuracy_result *result)
{
    *result = (accuracy_result){.nll = NAN,
                                .nll_error = NAN,
                                .perplexity = NAN,
                                .perplexity_error = NAN,
                                .reference_nll = NAN,
                                .reference_nll_error = NAN,
                                .nll_rise = NAN,
                                .nll_rise_error = NAN,
                                .mean_abs_error = NAN,
                                .mean_abs_error_error = NAN,
                                .max_abs_error = NAN,
                                .relative_l2 = NAN,
                                .relative_l2_error = NAN,
                                .cosine = NAN,
                                .cosine_error = NAN,
                                .kl = NAN,
                                .kl_error = NAN,
                                .kl_p99 = NAN,
                                .kl_p99_error = NAN,
                                .kl_max = NAN,
                                .top1_agreement = NAN,
                                .top1_agreement_error = NAN,
                                .finite = a->finite};
    if (!a->finite) return;
    result->tokens = a->nll.n;
    result->nll = moments_mean(&a->nll);
    result->nll_error = moments_standard_error(&a->nll);
    result->perplexity = exp(result->nll);
    result->perplexity_error = result->perplexity * result->nll_error;
    if (a->reference_nll.n == a->nll.n) {
        result->reference_nll = moments_mean(&a->reference_nll);
        result->reference_nll_error = moments_standard_error(&a->reference_nll);
        result->nll_rise = moments_mean(&a->rise);
        result->nll_rise_error = moments_standard_error(&a->rise);
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
        {"perplexity_error", r->perplexity_error},
        {"reference_nll", r->reference_nll},
        {"reference_nll_error", r->reference_nll_error},
        {"nll_rise", r->nll_rise},
        {"nll_rise_error", r->nll_rise_error},
        {"mean_abs_error", r->mean_abs_error},
        {"mean_abs_error_error", r->mean_abs_error_error},
        {"max_abs_error", r->max_abs_error},
        {"relative_l2", r->relative_l2},
        {"relative_l2_error", r->relative_l2_error},
        {"cosine", r->cosine},
        {"cosine_error", r->cosine_error},
        {"kl", r->kl},
        {"kl_error", r->kl_error},
        {"kl_p99", r->kl_p99},
        {"kl_p99_error", r->kl_p99_error},
        {"kl_max", r->kl_max},
        {"top1_agreement", r->top1_agreement},
        {"top1_agreement_error", r->top1_agreement_error},
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
