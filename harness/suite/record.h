/* record.h - what a bench knows so far: the journal's entries, added up.
 *
 * Every measurement becomes an entry, and record_apply() is the only way in, for a fresh entry as for one read back. So a
 * resumed run knows exactly what the killed one knew.
 *
 * Entries, by "kind"; each has "t", seconds of work since the bench began:
 *   run        the first: what this bench is (digests of suite, matrix, program and checkpoints, seed, rounds, cpu),
 *              command, started
 *   resume     the run went on: command, at
 *   machine    the machine record
 *   packed     packing, "answer" to pack: a folder that packed variants are loaded from; or "failed", why there is none
 *   reference  workload, sha256 of the file of the reference's logits; or "failed"
 *   start      block: its workers are about to be loaded (again); a round cut before is lost from here on
 *   loaded     block, slot, "answer" to load
 *   accuracy   case, "accuracy", output_sha256 of the logits that were scored last in the timed workload; or "failed"
 *   weights    case, "answer": how many weights were made once more, and in what time
 *   plan       block, rounds, iterations of each slot
 *   sample     block, slot, round, seconds, cpu_seconds, output_sha256 of the logits it ended with
 *   round      block, round: all slots that live have been asked
 *   stop       block, why: no round is added to those planned any more: "precision", "time" or "rounds"
 *   failed     block, slot, reason; "refused" {needed_bytes, limit_bytes} where it needs more than it may have
 *   finished   block, slot, "answer"
 *   counted    case, "counters": what cachegrind counted, or why it did not
 *   bandwidth  threads, bytes, bytes_per_s: measured over a buffer of that size
 *   search     case, found: what limit_search.h found
 *   done       block, stolen_s: CPU time that the hypervisor gave to others meanwhile */
#ifndef CIUIC_RECORD_H
#define CIUIC_RECORD_H

#include <cjson/cJSON.h>

#include "harness/suite/matrix.h"

enum { RECORD_ROUNDS_MAX = 1000000 };

typedef struct slot_record {
    cJSON *loaded, *finished; /* answers of the worker; NULL: not yet */
    char *failed;             /* why this slot is out; NULL: it is not */
    cJSON *refused;           /* what it needs of which limit, when that is why; NULL: it is not */
    double *seconds;          /* [rounds begun], NaN where there is none */
    double *cpu_seconds;
    size_t iterations; /* of one repetition; 0: not planned yet */
    size_t samples;
    char output[65];   /* sha256 of the logits that the first sample ended with; "" before it */
    bool other_output; /* a later sample ended with others */
} slot_record;

typedef struct asked_slot {
    size_t round, slot;
} asked_slot;

typedef struct block_record {
    slot_record *slots; /* [matrix.blocks[b].slot_count] */
    size_t planned;     /* rounds wanted; 0: not planned yet */
    char stopped
        [16];     /* why no round was added any more: "precision", "time", "rounds"; "" before, or without precision */
    size_t begun; /* rounds with a sample */
    size_t complete;   /* rounds whose every living slot was asked */
    size_t starts;     /* 1, and one more each time it was cut */
    asked_slot *asked; /* every sample's place, in the order of asking */
    size_t asked_count;
    double stolen_s;
    bool done;
} block_record;

typedef struct case_record {
    cJSON *accuracy;       /* NULL: not yet, or failed */
    char *accuracy_failed; /* why there is none */
    cJSON *weight_check;   /* the answer to "weights"; NULL: not yet */
    cJSON *search;         /* the longest context and the smallest limit; NULL: not searched for, or not yet */
    char output[65];       /* sha256 of the timed workload's last logits, as scored; "" when accuracy is NULL */
    cJSON *counters;       /* simulated; NULL: not yet, or not asked for */
} case_record;

typedef struct packing_record {
    cJSON *made;  /* the worker's answer; NULL: not yet, or failed */
    char *failed; /* why there is none */
    size_t times; /* it was made: again where it was gone */
} packing_record;

typedef struct bench_record {
    const bench_matrix *matrix; /* borrowed */
    const suite *suite;         /* borrowed */
    cJSON *run, *machine;       /* the entries; NULL: not yet */
    size_t machines;            /* how often it was measured: before and after the blocks */
    cJSON *resumed;             /* array: resume entries */
    cJSON *bandwidths;          /* array: bandwidth entries */
    block_record *blocks;       /* [matrix.block_count] */
    case_record *cases;         /* [matrix.case_count] */
    packing_record *packings;   /* [matrix.packing_count] */
    char (*references)[65];     /* [suite.workload_count] sha256; "" before */
    double elapsed_s;           /* "t" of the last entry */
} bench_record;

ciuic_status record_create(const suite *s, const bench_matrix *m, bench_record **out);
void record_free(bench_record *r); /* NULL is allowed */
/* Adds one entry; CIUIC_ERROR_INPUT when it does not fit this matrix. */
ciuic_status record_apply(bench_record *r, const cJSON *entry);

/* The highest bytes per second measured over a buffer of this size or a larger one; NaN when there is none. */
double record_bandwidth(const bench_record *r, int threads, size_t bytes);
/* The longest that making a weight once more has taken, over the cases so far; NaN before the first. */
double record_weight_seconds(const bench_record *r);

#endif
