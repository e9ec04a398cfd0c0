/* suite.h - a suite file, read strictly: what is to be measured, before the machine has had its say.
 *
 * The format is described by suites/suite.schema.json. Paths in a suite (checkpoints, claims) are relative to the folder
 * of the suite file, so that a suite means the same wherever it is run from. */
#ifndef CIUIC_SUITE_H
#define CIUIC_SUITE_H

#include <cjson/cJSON.h>

#include "harness/sha256.h"
#include "optimizer/ciuic.h"

enum { SUITE_LIST_MAX = 16, SUITE_EXTRA_MAX = 64, SUITE_NAME_MAX = 63 };

typedef enum suite_phase { PHASE_PREFILL, PHASE_DECODE } suite_phase;

enum { SUITE_GROUP_MAX = 31 }; /* of a likwid group's name */

/* Whose counters a case has. */
typedef enum suite_counters {
    SUITE_COUNTERS_HARDWARE, /* of the processor, while the workload is timed: likwid's or perf_event's, where they work */
    SUITE_COUNTERS_SIMULATED, /* of cachegrind, one repetition after all timing */
    SUITE_COUNTERS_COUNT,
    SUITE_COUNTERS_GROUP = SUITE_COUNTERS_COUNT /* one of likwid's groups, written "likwid:NAME" */
} suite_counters;

/* What may be asked for as a precision: no clock and no machine is as steady as less, and more is no precision. */
#define SUITE_PRECISION_LEAST 1e-4
#define SUITE_PRECISION_MOST 0.5

/* What users compare with. NAIVE = all stages off; TUNED = graph, memory and the best kernels, FP16 weights;
 * OPENBLAS = as TUNED with FP32 weights and every matmul by OpenBLAS; ONEDNN = as TUNED with every matmul by oneDNN, in
 * bfloat16 where the CPU multiplies that, else in FP32. */
typedef enum suite_baseline {
    BASELINE_NAIVE,
    BASELINE_TUNED,
    BASELINE_OPENBLAS,
    BASELINE_ONEDNN,
    BASELINE_COUNT,
    BASELINE_NONE = BASELINE_COUNT
} suite_baseline;

/* The search for the longest context under total_limit and the smallest limit of each case: not made; every position is
 * computed; or the first prompt and the end of the context, positions between them taking their memory and no time. */
typedef enum suite_search { SEARCH_NONE, SEARCH_WHOLE, SEARCH_ENDS } suite_search;

typedef struct suite_checkpoint {
    char name[SUITE_NAME_MAX + 1]; /* last part of the path; how workloads and results call it */
    char *path;                    /* relative to the working folder, or absolute */
    size_t max_context;            /* positions that its config allows */
} suite_checkpoint;

typedef struct suite_workload {
    size_t checkpoint; /* index into suite.checkpoints */
    suite_phase phase;
    size_t tokens; /* prefilled in one call, or decoded one by one */
    size_t depth;  /* decode: positions already there */
    /* prefill: tokens that an earlier prompt began with, too; what has no cache computes them again. 0: none */
    size_t prefix;
} suite_workload;

/* A setting of the four stages as written; `kernels` is a rung's name or "best", and options.isa is not set yet. */
typedef struct suite_variant {
    ciuic_options options;
    const char *kernels;
    size_t prefix_cache; /* bytes of a cache of prompts' beginnings; 0: none */
    bool packed;         /* run from a quantised folder that was made before, instead of quantising while it loads */
} suite_variant;

typedef struct suite {
    cJSON *json; /* owns the strings below that are const */
    char *file;
    sha256_hex sha256;
    const char *name, *description;
    uint64_t seed;
    suite_checkpoint checkpoints[SUITE_LIST_MAX];
    size_t checkpoint_count;
    suite_workload workloads[SUITE_LIST_MAX];
    size_t workload_count;
    ciuic_options *product; /* variants.product: every combination of its lists but `kernels`, quantize outermost */
    size_t product_count;
    const char *kernels[SUITE_LIST_MAX]; /* each of those with each of these */
    size_t kernels_count;
    suite_variant extra[SUITE_EXTRA_MAX]; /* variants.extra: besides the product */
    size_t extra_count;
    bool baselines[BASELINE_COUNT];
    size_t threads[SUITE_LIST_MAX]; /* 0: all cores this process may use */
    size_t thread_count;
    size_t rounds; /* at most; fewer when the time budget is short. 0: nothing is timed, only errors and bytes count */
    size_t min_rounds; /* at least, whatever the time budget says */
    double precision;  /* rounds are added until every ratio is known so well, relatively; 0: off */
    double min_time_s; /* a repetition repeats its workload until it lasts about this long */
    size_t accuracy_windows, accuracy_tokens; /* compared with the reference besides the timed workload itself */
    bool no_reference;                        /* errors are not measured: the reference would not end here */
    double time_budget_s;                     /* for the whole suite; it sets the number of rounds */
    size_t worker_limit;                      /* processes alive at a time */
    size_t memory_limit;                      /* bytes of private memory of one worker; 0: no limit */
    size_t total_limit;                       /* bytes that a worker may take, mapped weights included; 0: no limit */
    suite_search search;                      /* whether limits are searched for, and how */
    bool limit_by_cgroup; /* the search's limits are a cgroup's where that can be had, else RLIMIT_AS */
    bool cold_start;      /* a worker's checkpoint is not in the page cache when it loads it */
    double timeout_s;     /* for one answer of a worker */
    suite_counters counters;
    char counters_group[SUITE_GROUP_MAX + 1]; /* SUITE_COUNTERS_GROUP: its name; otherwise "" */
    char *claims;                             /* path of what is to be judged */
} suite;

/* Reads and checks `path`: known keys only, possible values only, checkpoints that exist and are long enough. */
ciuic_status suite_read(const char *path, suite **out);
void suite_free(suite *s); /* NULL is allowed */

/* Sets counters and counters_group of `s` by what is written: "hardware", "simulated" or "likwid:NAME", NAME being 1 to
 * SUITE_GROUP_MAX capital letters, digits and '_'. CIUIC_ERROR_INPUT with a message that begins "where: key: ". */
ciuic_status suite_set_counters(suite *s, const char *where, const char *key, const char *written);
void suite_counters_text(const suite *s, char text[SUITE_GROUP_MAX + 8]); /* as it is written */
const char *suite_phase_name(suite_phase phase);                          /* "prefill", "decode" */
const char *suite_baseline_name(suite_baseline baseline); /* "naive", "tuned", "openblas", "onednn"; NULL for none */

#endif
