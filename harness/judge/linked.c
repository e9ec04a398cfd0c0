/* linked.c - see linked.h. */
#include "harness/judge/linked.h"

#include <math.h>

#include "optimizer/error.h"

/* What both have with tuned; freed by the caller, also after a failure. */
static ciuic_status find_links(const result_set *r, const result_case *base, const result_case *c, paired_logs *with,
                               paired_logs *without)
{
    const result_case *tuned = r->groups[c->group].tuned;
    *with = *without = (paired_logs){.noise_floor = NAN};
    if (tuned == NULL) return CIUIC_OK;
    CIUIC_TRY(find_pairs(r, tuned->id, c->id, with));
    return find_pairs(r, tuned->id, base->id, without);
}

static interval difference(const paired_logs *with, const paired_logs *without, double error)
{
    return interval_minus(median_interval(with->logs, with->n, 1.0 - error / 2.0),
                          median_interval(without->logs, without->n, 1.0 - error / 2.0));
}

ciuic_status linked_speedup(const result_set *r, const result_case *base, const result_case *c, interval *out,
                            double *floor)
{
    paired_logs with, without;
    const ciuic_status status = find_links(r, base, c, &with, &without);
    *out = interval_exp(difference(&with, &without, 1.0 - results_confidence(r)));
    *floor = fmax(with.noise_floor, without.noise_floor);
    paired_logs_free(&with);
    paired_logs_free(&without);
    return status;
}

static bool decided(const paired_logs *with, const paired_logs *without, double error, linked_question decides,
                    const void *about)
{
    const interval d = difference(with, without, error);
    return decides(d.low, d.high, about);
}

/* By halving on a scale of logarithms; 2^-50 is less than any number of rounds that is measured can show. */
static double least_error(const paired_logs *with, const paired_logs *without, linked_question decides,
                          const void *about)
{
    double none = -50, some = 0; /* log2 of errors: at `none` nothing is decided, at `some` it is */
    if (with->n == 0 || without->n == 0) return NAN;
    if (!decided(with, without, 1, decides, about)) return 1;
    for (int i = 0; i < 30; i++) {
        const double middle = (none + some) / 2;
        if (decided(with, without, exp2(middle), decides, about))
            some = middle;
        else
            none = middle;
    }
    return exp2(some);
}

ciuic_status linked_p(const result_set *r, const result_case *base, const result_case *c, linked_question decides,
                      const void *about, double *p)
{
    paired_logs with, without;
    const ciuic_status status = find_links(r, base, c, &with, &without);
    *p = status == CIUIC_OK ? results_p(r, least_error(&with, &without, decides, about)) : NAN;
    paired_logs_free(&with);
    paired_logs_free(&without);
    return status;
}
