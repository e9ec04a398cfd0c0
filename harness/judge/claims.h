/* claims.h - claims as data: a sentence that can be false, the metric that decides it, its bounds, and whom it is
 * about. */
#ifndef CIUIC_CLAIMS_H
#define CIUIC_CLAIMS_H

#include <cjson/cJSON.h>

#include "harness/judge/results.h"

/* What a metric is measured on; says where its interval and its noise come from. */
typedef enum metric_kind {
    METRIC_SPEED,  /* ratio of paired times */
    METRIC_MEMORY, /* 1 - bytes of the case / bytes of the baseline */
    METRIC_ERROR,  /* against the reference; there is one value for all baselines */
    METRIC_LIMIT,  /* bytes needed / a limit of memory, which the baseline exceeds */
} metric_kind;

typedef struct claim_metric {
    const char *name;
    const char *label; /* what a person calls it */
    metric_kind kind;
    const char *field; /* member of memory_bytes or of accuracy; NULL where it is derived */
    bool percent;      /* printed as one */
} claim_metric;

typedef struct claim {
    const char *id, *question, *sentence, *source; /* borrowed from the JSON */
    const claim_metric *metric;
    double min, max; /* bounds, both inclusive; NaN where there is none */
    double limit;    /* METRIC_LIMIT: bytes; NaN: those that the run was held to */
    double band_top; /* the upper end of "3-5x": noted when reached, never required; NaN when there is none */
    const cJSON *phases, *variant, *baselines;
} claim;

/* Reads claims[position] of a parsed file called `name`: known keys only, possible values only. */
ciuic_status claim_parse(const cJSON *item, const char *name, size_t position, claim *out);
/* Reads and checks a claims file: an array of claims with ids of their own. Free with cJSON_Delete. */
ciuic_status claims_read(const char *path, cJSON **claims);
/* The check alone, of an array that came from `name`. */
ciuic_status claims_check(const cJSON *claims, const char *name);

/* The limit of memory that a METRIC_LIMIT claim is about: its own, or that of the run; NaN when there is neither. */
double claim_limit(const claim *about, const cJSON *results);

/* Is this claim about this case? One about a limit is about nothing where there is none. */
bool claim_covers(const claim *about, const result_set *r, const result_case *c);

typedef enum verdict { VERDICT_SUPPORTED, VERDICT_REFUTED, VERDICT_INCONCLUSIVE } verdict;
const char *verdict_name(verdict v);

/* Supported when [low, high] lies within the bounds, refuted when it lies outside one of them, inconclusive when it
 * straddles one or an end is NaN. */
verdict claim_judge(const claim *about, double low, double high);

/* How far beyond the bounds a value is, 0 on one of them and less than that between them; for a speed it is a logarithm. NaN when
 * the value is. */
double claim_distance(const claim *about, double value);
/* The bound that decides about a value: the one that it misses, else the nearer. */
double claim_bound(const claim *about, double value);

#endif
