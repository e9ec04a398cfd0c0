/* imported.h - timings of other programs, as those programs wrote them down. They are declared, not measured: nothing here
 * checked outputs, interleaved runs or knows what else the machine did. So they never become cases of results, no claim is
 * judged on them, and whatever shows them calls them imported.
 *
 * Read are: the JSON of llama-bench (-o json), that of Google Benchmark (--benchmark_out), and CSV of three columns,
 * name,tokens,seconds, one line for each repetition. */
#ifndef CIUIC_IMPORTED_H
#define CIUIC_IMPORTED_H

#include <stddef.h>

#include "optimizer/ciuic.h"

typedef struct imported_timing {
    char *name;               /* what it calls itself; any text */
    const char *phase;        /* "prefill", "decode", or NULL where it is neither alone or not said */
    size_t tokens;            /* of one repetition; 0: not said */
    size_t depth;             /* positions that were there before */
    size_t threads;           /* 0: not said */
    double *seconds;          /* of one repetition each */
    size_t n;                 /* at least 1 */
    double median, low, high; /* low and high are NaN below 6 repetitions */
    double tokens_per_s;      /* NaN: not said */
} imported_timing;

typedef struct imported_set {
    char *path;
    const char *format; /* "llama-bench", "Google Benchmark", "CSV" */
    imported_timing *list;
    size_t count;
} imported_set;

/* CIUIC_ERROR_INPUT names file and place. Free with imported_free, also after a failure. */
ciuic_status imported_read(const char *path, imported_set *out);
/* The same of `length` bytes that came from `path`. */
ciuic_status imported_parse(const char *text, size_t length, const char *path, imported_set *out);
void imported_free(imported_set *set);

#endif
