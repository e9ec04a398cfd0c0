/* matrix.h - a suite expanded on this machine: every case with its id, and the blocks of workers that live together.
 *
 * Case id: <checkpoint>/<phase><tokens>@<depth>/b<batch>/t<threads>/<variant>, for instance
 * deepseek-v3-tiny/decode64@256/b1/t2/int4+graph+memory+avx512. "best" kernels become the rung they stand for, so that an
 * id means the same everywhere; settings that come out the same are one case. */
#ifndef CIUIC_MATRIX_H
#define CIUIC_MATRIX_H

#include "harness/stage_flags.h"
#include "harness/suite/suite.h"
#include "kernels/kernels.h"

enum { CASE_ID_MAX = 512, SLOT_ID_MAX = CASE_ID_MAX + 8, CASE_REASON_MAX = 96 };

typedef struct bench_variant {
    char name[VARIANT_NAME_SIZE]; /* as variant_name spells it; "openblas", "onednn" */
    ciuic_options options;        /* options.isa is the name of `isa` */
    kernel_isa isa;
    size_t prefix_cache;     /* bytes of a cache of prompts' beginnings; 0: none */
    bool packed;             /* loaded from a folder that was quantised before (packing.h) */
    suite_baseline baseline; /* which baseline these settings are; BASELINE_NONE */
} bench_variant;

/* Spells v->name from all else. */
void variant_set_name(bench_variant *v);
/* Whether both quantise in the same way, whatever the other stages do. */
bool variant_same_weights(const bench_variant *a, const bench_variant *b);

/* Somebody else's matmuls (openblas, onednn): no setting of the four stages gives them. */
bool variant_is_library(const bench_variant *v);

typedef struct bench_case {
    char id[CASE_ID_MAX];
    bench_variant variant;
    size_t workload; /* index into suite.workloads */
    int threads;
    char skip[CASE_REASON_MAX]; /* why this machine cannot run it; "" when it can */
    size_t packing;             /* into matrix.packings; NO_PACKING: it is loaded from the checkpoint itself */
} bench_case;

#define NO_PACKING SIZE_MAX

/* A place in a block: one worker process. */
typedef struct bench_slot {
    size_t index; /* into matrix.cases */
    bool again;   /* the A/A twin: a second process of the tuned baseline */
} bench_slot;

typedef struct bench_block {
    size_t workload;
    int threads;
    bench_slot *slots; /* baselines first; all cases of a workload where nothing is timed, and no twin */
    size_t slot_count;
} bench_block;

typedef struct bench_matrix {
    bench_case *cases;
    size_t case_count;
    struct bench_packing *packings; /* packing.h */
    size_t packing_count;
    bench_block *blocks;
    size_t block_count;
    sha256_hex sha256; /* of all ids in order: two matrices with the same one are the same */
} bench_matrix;

/* What the command line changes about a suite. */
typedef struct matrix_filter {
    const char *only;                    /* ids that contain it; *, ? and [] as in a shell's patterns; NULL: all */
    const char *kernels[SUITE_LIST_MAX]; /* instead of variants.product.kernels */
    size_t kernels_count;                /* 0: the suite's own */
    size_t threads[SUITE_LIST_MAX];      /* instead of threads; 0 stands for all cores */
    size_t thread_count;                 /* 0: the suite's own */
} matrix_filter;

/* CIUIC_ERROR_USAGE when no case matches `only`. Baselines stay whatever `only` says. */
ciuic_status matrix_expand(const suite *s, const matrix_filter *filter, bench_matrix **out);
void matrix_free(bench_matrix *m); /* NULL is allowed */

/* Whether `id` contains the pattern, or holds a match of it where it has *, ? or [; NULL matches all. */
bool case_id_matches(const char *id, const char *only);

/* The slot's id: its case's, with "#again" for the twin. */
void matrix_slot_id(const bench_matrix *m, const bench_slot *slot, char id[SLOT_ID_MAX]);
/* Cores this process may use. */
int machine_threads(void);

#endif
