/* precision.c - see precision.h. */
#include "harness/suite/precision.h"

#include <math.h>
#include <stdlib.h>

#include "harness/judge/statistics.h"
#include "optimizer/error.h"

/* The slot that others are compared with; slot_count when there is none or it has failed. */
static size_t tuned_slot(const bench_record *r, size_t block)
{
    const bench_block *plan = &r->matrix->blocks[block];
    for (size_t i = 0; i < plan->slot_count; i++) {
        const bench_slot *s = &plan->slots[i];
        if (s->again || r->matrix->cases[s->index].variant.baseline != BASELINE_TUNED) continue;
        return r->blocks[block].slots[i].failed == NULL ? i : plan->slot_count;
    }
    return plan->slot_count;
}

bool precision_applies(const bench_record *r, size_t block, size_t slot)
{
    const size_t tuned = tuned_slot(r, block);
    return tuned < r->matrix->blocks[block].slot_count && slot != tuned && r->blocks[block].slots[slot].failed == NULL;
}

ciuic_status precision_of_slot(const bench_record *r, size_t block, size_t slot, double *precision)
{
    const block_record *b = &r->blocks[block];
    *precision = NAN;
    if (!precision_applies(r, block, slot) || b->begun == 0) return CIUIC_OK;
    const double *ours = b->slots[slot].seconds, *theirs = b->slots[tuned_slot(r, block)].seconds;
    double *logs = malloc(b->begun * sizeof *logs);
    if (logs == NULL) return ciuic_fail_memory("paired samples", b->begun * sizeof *logs);
    size_t n = 0;
    for (size_t k = 0; k < b->begun; k++)
        if (ours[k] > 0 && theirs[k] > 0) logs[n++] = log(theirs[k] / ours[k]); /* NaN: not measured in this round */
    const interval found = median_interval(logs, n, PRECISION_CONFIDENCE);
    free(logs);
    *precision = expm1((found.high - found.low) / 2);
    return CIUIC_OK;
}

bool precision_looks(size_t planned, size_t complete)
{
    while (planned > 0 && planned < complete) planned *= 2;
    return planned == complete;
}

ciuic_status precision_reached(const bench_record *r, size_t block, double wanted, bool *reached)
{
    *reached = true;
    for (size_t i = 0; i < r->matrix->blocks[block].slot_count && *reached; i++) {
        double precision = NAN;
        if (!precision_applies(r, block, i)) continue;
        CIUIC_TRY(precision_of_slot(r, block, i, &precision));
        *reached = precision <= wanted; /* false for NaN: too few rounds yet */
    }
    return CIUIC_OK;
}
