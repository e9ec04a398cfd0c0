/* effect_test.c - see effect_test.h. */
#include "harness/judge/effect_test.h"

#include <math.h>

#include "harness/judge/linked.h"
#include "harness/judge/sign_test.h"

/* Whether an interval of logarithms lies beyond the margin; false for NaN: too few rounds for so small an error. */
static bool beyond(double low, double high, const void *margin)
{
    return low > *(const double *)margin || high < -*(const double *)margin;
}

ciuic_status effect_p(const result_set *r, const result_case *without, const result_case *with, bool paired,
                      double floor, double *p)
{
    int direction = 0;
    const double margin = log1p(floor);
    paired_logs pairs = {.noise_floor = NAN};
    *p = NAN;
    if (isnan(margin)) return CIUIC_OK;
    if (!paired) return linked_p(r, without, with, beyond, &margin, p);
    const ciuic_status status = find_pairs(r, without->id, with->id, &pairs);
    if (status == CIUIC_OK) *p = results_p(r, sign_test_beyond(pairs.logs, pairs.n, margin, &direction));
    paired_logs_free(&pairs);
    return status;
}
