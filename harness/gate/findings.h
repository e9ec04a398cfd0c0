/* findings.h - what each limit says of a set of results: passed, warned, waived or failed, by the case that is worst. */
#ifndef CIUIC_GATE_FINDINGS_H
#define CIUIC_GATE_FINDINGS_H

#include "harness/gate/limits.h"
#include "harness/judge/results.h"

typedef enum gate_outcome {
    GATE_PASSED,
    GATE_WARNED, /* beyond a soft bound, or beyond a hard one by less than the noise of its measurement */
    GATE_WAIVED, /* failed, and a waiver that has not expired says why that may be */
    GATE_FAILED,
} gate_outcome;

/* "passed", "warned", "waived", "failed". */
const char *gate_outcome_name(gate_outcome outcome);

/* What could make a failure green, if it is meant; the later one is the harder. */
typedef enum gate_remedy {
    GATE_REMEDY_RECORD, /* --update: it is held against what was recorded, or nothing was */
    GATE_REMEDY_BOUND,  /* another bound, or a waiver: --update does not move an absolute one */
    GATE_REMEDY_REPAIR, /* it could not be judged: whatever the bounds are, something else is to be corrected */
} gate_remedy;

typedef struct gate_finding {
    const char *id;      /* of the limit; borrowed */
    const char *metric;  /* its name; "checkpoints" for that check */
    const char *reason;  /* where the limit's bounds come from; NULL when the file does not say */
    const char *case_id; /* the case that `value` is of; NULL when there is none */
    gate_outcome outcome;
    gate_remedy remedy;      /* of a failure: what all its cases need */
    bool broken;             /* the case has failed, or its logits hold NaN or infinity */
    size_t cases;            /* that were measured and looked at */
    size_t bad_cases;        /* of those, how many are beyond a bound or could not be judged */
    double value, low, high; /* of the worst case; low and high differ for speed only */
    double noise_floor;      /* relative, speed only; NaN otherwise */
    double allowed;          /* the bound that it is held against; NaN when there is none */
    double recorded;         /* NaN when none is needed */
    double excess;           /* how far beyond `allowed`, as a share of it; below 0: what is left */
    char message[SENTENCE];  /* one line without control characters */
} gate_finding;

typedef struct gate_findings {
    gate_finding *list; /* in the order of the file; that of the checkpoints first, where digests are recorded */
    size_t count;
    size_t outcomes[GATE_FAILED + 1]; /* how many of each */
    size_t cases;                     /* of the results, without A/A twins */
} gate_findings;

/* `today` is the date by which waivers expire. Blocks must have their noise floor. Free with gate_findings_free, also
 * after a failure. */
ciuic_status gate_judge(const gate_file *file, const result_set *r, const char *today, gate_findings *findings);
void gate_findings_free(gate_findings *findings);

/* ---- what recording shares with judging ------------------------------------------------------------------------- */

/* One figure of one case. */
typedef struct gate_reading {
    double value, low, high; /* speed: the interval of the median, widened by the noise floor */
    double noise_floor;
    char problem[SENTENCE / 2]; /* why there is none; "" when there is one */
    bool broken;                /* the case has failed, or its logits hold NaN or infinity */
} gate_reading;

/* Whether the limit is about the case; A/A twins are nobody's. */
bool gate_covers(const gate_limit *limit, const result_case *c);
/* The recorded value that the case is held against: that of its id, or else of the first glob that its id matches. */
const cJSON *gate_recorded(const gate_limit *limit, const char *id);
ciuic_status gate_read(const gate_limit *limit, const result_set *r, const result_case *c, gate_reading *reading);
/* "0.0123", "18048592", "1.63x": a value of this metric for a sentence. */
void gate_format(const gate_metric *metric, double value, char *text, size_t size);

#endif
