/* limits.h - limits as data: which cases, which figure of them, how bad it may get, and what it was when it was recorded.
 *
 * One file holds limits and recorded values (ci/gate.json; reports/gate.schema.json is its form). A bound is absolute
 * (`max`, `min`) or relative to the recorded value r: worse than r by at most |r| * worse + worse_by. */
#ifndef CIUIC_GATE_LIMITS_H
#define CIUIC_GATE_LIMITS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "optimizer/ciuic.h"

typedef enum gate_kind {
    GATE_ACCURACY,
    GATE_MEMORY,
    GATE_SPEED,   /* a ratio of paired times; the only kind that noise excuses */
    GATE_COUNTER, /* of one source; simulated ones are exact */
} gate_kind;

typedef struct gate_metric {
    char name[64];  /* as in the file: "accuracy.kl" */
    char outer[24]; /* member of a case: "accuracy"; */
    char inner[40]; /* and of that: "kl"; "" when there is none */
    gate_kind kind;
    bool small_is_worse;
    bool whole; /* bytes and counts: printed without a fraction */
} gate_metric;

typedef struct gate_bounds {
    bool given;
    double max, min;        /* NaN when absent */
    double worse, worse_by; /* 0 when absent; */
    bool relative;          /* one of them is there */
} gate_bounds;

typedef struct gate_limit {
    cJSON *json;
    const char *id, *cases; /* a pattern as bench --only takes it */
    const char *reason;     /* where its bounds come from; NULL when nobody says */
    gate_metric metric;
    const char *baseline; /* speed: "naive", "tuned", "openblas", "onednn" */
    const char *source;   /* counters: "simulated", "likwid", "perf_event" */
    gate_bounds hard, soft;
    const cJSON *recorded; /* {"case id or glob": value}; NULL when absent */
    const char *waiver_reason,
        *waiver_expires; /* NULL when there is no waiver; "YYYY-MM-DD", the last day that it holds */
} gate_limit;

/* Strings are borrowed from root. */
typedef struct gate_file {
    cJSON *root;
    const cJSON *checkpoints; /* {"name": "sha256"}: what was recorded was measured on these; NULL when absent */
    const char *compiler;     /* "gcc 12.2.0": simulated counts were recorded of what it makes; NULL when absent */
    gate_limit *limits;
    size_t count;
} gate_file;

/* Reads and checks all of it; a failure names file and place. Free with gate_file_free, also after a failure. */
ciuic_status gate_file_read(const char *path, gate_file *file);
/* The same of a parsed object that came from `name`; takes `root` in any case. */
ciuic_status gate_file_take(cJSON *root, const char *name, gate_file *file);
void gate_file_free(gate_file *file);

/* Whether a bound of it needs a recorded value. */
bool gate_limit_recorded(const gate_limit *limit);

/* "2026-11-30": a day of the calendar, so that days compare as text. */
bool gate_date_valid(const char *text);

#endif
