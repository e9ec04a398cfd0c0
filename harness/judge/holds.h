/* holds.h - what the verdicts of each claim add up to: where it holds, where it does not, and what it would take. */
#ifndef CIUIC_HOLDS_H
#define CIUIC_HOLDS_H

#include "harness/judge/claims.h"

/* The array summary.claims of results.json: for each claim that is about anything here, {claim, supported, refuted,
 * inconclusive (against tuned or the reference), holds, fails, open, others (sentences, or null), takes (sentences)}.
 * verdicts and the summary must be there. */
ciuic_status holds_make(const result_set *r, const cJSON *claims, cJSON **array);

/* What it takes for `about` to hold for `c` against `base` (NULL: the reference), from its verdict; "" where that cannot be
 * said. */
void takes_write(const result_set *r, const claim *about, const cJSON *verdict_json, const result_case *base,
                 const result_case *c, char *text, size_t size);

#endif
