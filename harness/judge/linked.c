/* linked.c - see linked.h. */
#include "harness/judge/linked.h"

#include <math.h>

ciuic_status linked_speedup(const result_set *r, const result_case *base, const result_case *c, interval *out,
                            double *floor)
{
    const result_case *tuned = r->groups[c->group].tuned;
    paired_logs with = {.noise_floor = NAN}, without = {.noise_floor = NAN};
    ciuic_status status = CIUIC_OK;
    if (tuned != NULL) status = find_pairs(r, tuned->id, c->id, &with);
    if (tuned != NULL && status == CIUIC_OK) status = find_pairs(r, tuned->id, base->id, &without);
    const double confidence = 1.0 - (1.0 - CONFIDENCE) / 2.0;
    *out = interval_exp(interval_minus(median_interval(with.logs, with.n, confidence),
                                       median_interval(without.logs, without.n, confidence)));
    *floor = fmax(with.noise_floor, without.noise_floor);
    paired_logs_free(&with);
    paired_logs_free(&without);
    return status;
}
