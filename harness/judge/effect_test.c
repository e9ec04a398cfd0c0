/* effect_test.c - see effect_test.h. */
#include "harness/judge/effect_test.h"

#include <math.h>

#include "harness/judge/sign_test.h"

/* Whether the interval of a - b, at that error in all, lies beyond the margin. Such intervals only widen as the error
 * shrinks. */
static bool beyond(const paired_logs *a, const paired_logs *b, double error, double margin)
{
    const interval d =
        interval_minus(median_interval(a->logs, a->n, 1 - error / 2), median_interval(b->logs, b->n, 1 - error / 2));
    return d.low > margin || d.high < -margin; /* false for NaN: too few rounds for so small an error */
}

/* By halving on a scale of logarithms; 2^-50 is less than any number of rounds that is measured can show. */
static double linked_p(const paired_logs *a, const paired_logs *b, double margin)
{
    double none = -50, some = 0; /* log2 of errors: at `none` nothing is shown, at `some` it is */
    if (a->n == 0 || b->n == 0 || isnan(margin)) return NAN;
    if (!beyond(a, b, 1, margin)) return 1;
    for (int i = 0; i < 30; i++) {
        const double middle = (none + some) / 2;
        if (beyond(a, b, exp2(middle), margin))
            some = middle;
        else
            none = middle;
    }
    return exp2(some);
}

ciuic_status effect_p(const result_set *r, const result_case *without, const result_case *with, bool paired,
                      double floor, double *p)
{
    int direction = 0;
    const double margin = log1p(floor);
    const result_case *tuned = r->groups[with->group].tuned;
    const char *first = paired ? without->id : tuned != NULL ? tuned->id : NULL;
    paired_logs one = {.noise_floor = NAN}, other = {.noise_floor = NAN};
    ciuic_status status = CIUIC_OK;
    *p = NAN;
    if (first != NULL) status = find_pairs(r, first, with->id, &one);
    if (status == CIUIC_OK && first != NULL && !paired) status = find_pairs(r, first, without->id, &other);
    if (status == CIUIC_OK)
        *p = paired ? sign_test_beyond(one.logs, one.n, margin, &direction) : linked_p(&one, &other, margin);
    paired_logs_free(&one);
    paired_logs_free(&other);
    return status;
}
