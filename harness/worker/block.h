/* block.h - one block of a bench: its workers loaded, verified, measured round by round, and let go. */
#ifndef CIUIC_BLOCK_H
#define CIUIC_BLOCK_H

#include "harness/measure/counters.h"
#include "harness/measure/counters_simulated.h"
#include "harness/measure/machine_state.h"
#include "harness/suite/journal.h"
#include "harness/suite/record.h"
#include "harness/worker/bench.h"
#include "harness/worker/progress.h"

/* A running bench, as blocks see it. */
typedef struct bench {
    const bench_options *options;
    const char *directory;
    suite *suite;
    bench_matrix *matrix;
    bench_record *record;
    journal *journal;
    counter_support support;
    simulated_support simulated; /* where the suite wants simulated counters */
    background_load load;        /* at the start of this process's part of the bench */
    cJSON *machine;              /* described, not measured */
    cJSON *checkpoints;          /* digests */
    bool *packings_seen;         /* [matrix.packing_count] those whose folder this process made, or found as it was */
    progress *progress;
    bool disk_full;   /* that ended it: ciuic_last_error() says where */
    double started_s; /* monotonic clock at the start, minus the seconds of work done before a resume */
} bench;

/* Seconds of work since the bench began, interruptions not counted. */
double bench_elapsed_s(const bench *b);
/* A new entry {"kind": kind}; NULL when out of memory. */
cJSON *bench_entry(const char *kind);
/* Journals the entry, adds it to the record, and frees it; NULL is out of memory. */
ciuic_status bench_note(bench *b, cJSON *entry);

/* The request to load a variant into a worker of the block, from a packed folder or, by NO_PACKING, from the checkpoint;
 * NULL when out of memory. */
cJSON *block_load_request(const bench *b, const bench_block *plan, const bench_variant *v, size_t packing);

/* Runs block `index` to its end, from wherever the record says that it stands. A worker that fails is noted and costs its
 * slot; only a journal that cannot be written, lack of memory and an interruption end the block early. */
ciuic_status block_run(bench *b, size_t index);

#endif
