/* bench.h - a suite measured: blocks of workers, rounds, the journal, and results.json at the end. */
#ifndef CIUIC_BENCH_H
#define CIUIC_BENCH_H

#include "harness/suite/matrix.h"

typedef struct bench_options {
    const char *suite_path;
    const char *directory; /* NULL: build/bench-<name of the suite> */
    bool resume;
    matrix_filter filter;
    bool seed_given;
    uint64_t seed;
    size_t rounds;          /* at most that many; 0: the suite's own number */
    double precision;       /* instead of the suite's own; 0: that one */
    const char *claims;     /* file of claims instead of the suite's own; NULL: those */
    const char *counters;   /* "hardware", "simulated" or "likwid:GROUP" instead of the suite's own; NULL: that one */
    bool keep_packed;       /* the folders of packed variants stay in the directory when all is measured */
    const char *gbench_out; /* file for Google Benchmark's JSON as well, when all is measured; NULL: none */
    int argc;               /* the command line, for the results */
    char **argv;
    const char *fault_only; /* tests: slots whose id contains this get `fault`; NULL: none */
    const char *fault;
    const cJSON *machine; /* tests: the machine's record, which is then not measured; NULL: it is */
} bench_options;

/* Measures, writes DIR/results.json, and prints what came out in a few lines on stdout. CIUIC_ERROR_INTERRUPTED when a
 * signal stopped it: results.json then holds what there is, and --resume goes on. CIUIC_ERROR_UNSUPPORTED when not one
 * case could be measured; a checkpoint that is not sound is refused before anything is written. */
ciuic_status bench_run(const bench_options *options);

#endif
