/* limit_evidence.h - "it runs under a limit of memory that FP16 exceeds": what a case needs, what the baseline needs, and
 * whether the limit was a real one. */
#ifndef CIUIC_LIMIT_EVIDENCE_H
#define CIUIC_LIMIT_EVIDENCE_H

#include "harness/judge/claims.h"

typedef struct limit_evidence {
    double share;               /* of the limit that the case needs; NaN: not known */
    char words[SENTENCE / 2];   /* a sentence that says what it amounts to, without the stop */
    char problem[SENTENCE / 2]; /* why nothing can be said; "" when something can */
} limit_evidence;

/* The need of a case is what was planned before it was loaded, with the files that are mapped meanwhile, or, where that is more, what it had; of one that was refused,
 * what it was refused for. `base` may be NULL. A limit that the baseline keeps within as well tells nothing: that is a
 * problem, as is a case or a baseline that failed otherwise. But where the run has searched for the smallest limits of both
 * (limits.search), the largest that the baseline did not run under is one that it exceeds, and the need of the case is what it
 * was found to run under. */
void limit_evidence_gather(const result_set *r, const claim *about, const result_case *base, const char *baseline,
                           const result_case *c, limit_evidence *e);

/* The limit that the share is of: the claim's, the run's, or one that was searched for. NaN when there is none. */
double limit_evidence_limit(const result_set *r, const claim *about, const result_case *base, const result_case *c);

#endif
