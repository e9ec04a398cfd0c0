/* results.h - results.json as records: cases by group, baselines, and samples taken pair by pair within a round. */
#ifndef CIUIC_RESULTS_H
#define CIUIC_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "harness/judge/statistics.h"
#include "optimizer/ciuic.h"

/* One entry of cases[]. Strings are borrowed from it. */
typedef struct result_case {
    cJSON *json;
    const char *id;
    const char *status;                      /* "ok", "failed", "skipped" */
    const char *reason;                      /* one line; "" when ok */
    const char *quantize, *memory, *kernels; /* quantize "none" is the checkpoint's own weights */
    const char *weights;                     /* how they are quantised: "int4-g64-gptq" of "int4-g64-gptq+graph+c" */
    size_t weights_length;                   /* `weights` is that many characters of the id */
    const char *baseline;                    /* "naive", "tuned", "openblas", "onednn" or NULL */
    bool graph;
    const char *passes;   /* those of the graph stage that ran, "fuse-qkv,absorb-mla"; NULL: all, or the stage is off */
    double prefix_cache;  /* bytes of a cache of prompts' beginnings, which spares tokens; 0: none */
    double prefix_tokens; /* that it spares of the workload's prompt */
    bool packed;          /* loaded from a folder that was quantised before */
    bool twin;            /* the A/A twin of `tuned`: nothing but a measure of noise */
    size_t group;         /* index into results.groups */
    const struct result_case *next; /* of the same group, in the order of the results; NULL after the last */
} result_case;

/* All cases of one workload and thread count: what may be compared with each other. */
typedef struct result_group {
    const cJSON *workload;
    const char *phase, *checkpoint;
    const char *id;   /* of its first case; */
    size_t id_length; /* the group is the first id_length characters of it */
    size_t tokens, depth, batch, threads;
    const result_case *naive, *tuned, *openblas, *onednn; /* NULL when absent */
    const result_case *cases;                             /* its first; the others by `next` */
    size_t blocks;                                        /* index of its first; the others by `next`. NO_BLOCK */
} result_group;

/* One entry of blocks[]: what ran together. */
typedef struct result_block {
    cJSON *json;
    size_t group;       /* index into results.groups; NO_GROUP when none of its cases is known */
    size_t next;        /* index of the next block of that group; NO_BLOCK after the last */
    double noise_floor; /* relative; NaN when there was no A/A pair, here or anywhere. Set by judge_results. */
} result_block;

#define NO_GROUP SIZE_MAX
#define NO_BLOCK SIZE_MAX

typedef struct result_set {
    cJSON *root;
    result_block *blocks;
    size_t block_count;
    result_case *cases;
    size_t case_count;
    result_group *groups;
    size_t group_count;
    const result_case **by_id; /* [case_count], in order of their ids, of which no two are the same */
} result_set;

/* `root` must outlive `r`. Checks what it reads, and refuses an id of two cases and a block's samples that
 * are more or fewer than its rounds; free with results_free, also after a failure. */
ciuic_status results_index(cJSON *root, result_set *r);
void results_free(result_set *r);

/* The case of that id, or NULL: in as many steps as the logarithm of the number of cases. */
const result_case *results_case(const result_set *r, const char *id);
bool case_ok(const result_case *c); /* false for NULL */
/* The baseline called `name` of a group; NULL when the group has none or the name is none. */
const result_case *group_baseline(const result_group *group, const char *name);
/* The case of the group of `like`, made from the checkpoint as it was loaded, with these settings (`graph`: with all passes, or off), its weights quantised as those of `like`, or not at all; or NULL. */
const result_case *find_variant(const result_set *r, const result_case *like, bool quantize, bool graph,
                                const char *memory, const char *kernels);
/* Whether the weights are quantised in the same way: quantize alone does not tell int4-g64-gptq from int4. */
bool same_weights(const result_case *a, const result_case *b);
/* Whether both compute all tokens of their prompts, or both keep beginnings in caches of one size: otherwise their speeds and bytes
 * are of different work, and are not compared. */
bool same_prefix_cache(const result_case *a, const result_case *b);
/* Whether times were asked for; false: the suite is about errors and bytes. */
bool results_timed(const cJSON *root);
/* All four stages on, the graph's with all passes, kernels being the rung that `tuned` uses, and made from the checkpoint as it
 * was loaded: what stages earn is told beside variants that have them off, of which none is packed. */
bool is_all_on(const result_set *r, const result_case *c);

/* Whether an entry of a list of samples is a time: null stands for a lost round. */
bool sample_usable(const cJSON *sample);

/* log(first / second) of the seconds of two case ids, for each round in which both were measured. */
typedef struct paired_logs {
    double *logs; /* NULL when there is none; paired_logs_free */
    size_t n;
    double noise_floor; /* the worst of the blocks that the rounds are from; NaN when it is not known */
} paired_logs;

/* Adds the rounds of one block, or those of all blocks in which the first case ran; *pairs is {.noise_floor = NAN} at first. */
ciuic_status add_block_pairs(const result_block *block, const char *first, const char *second, paired_logs *pairs);
ciuic_status find_pairs(const result_set *r, const char *first, const char *second, paired_logs *pairs);
void paired_logs_free(paired_logs *pairs);

/* Whether rounds were added until intervals were narrow (bench --precision): their coverage is then not exact but simulated. */
bool results_precise(const result_set *r);
/* The confidence at which intervals of speed are made, so that CONFIDENCE of them hold what they are of: that itself, or
 * PRECISION_CONFIDENCE. */
double results_confidence(const result_set *r);
/* What may be said of how many hold it: the interval's own coverage, or what was simulated. */
double results_coverage(const result_set *r, const interval *speed);
/* p of a test that is such an interval turned round: at most 1 - CONFIDENCE exactly when the interval decides. */
double results_p(const result_set *r, double p);

/* Speed of `c` over `base`, from pairs: the interval of base's seconds over c's. `floor` may be NULL. */
ciuic_status paired_speedup(const result_set *r, const result_case *base, const result_case *c, interval *out,
                            double *floor);

/* "deepseek-v3-tiny decode64@256, 2 threads"; checkpoint and threads only where results have several of them. */
void group_label(const result_set *r, size_t group, char *text, size_t size);
/* "int4+graph+memory+avx512": the last part of the id. */
const char *case_variant_name(const result_case *c);

/* Puts `item` in the place of the member `key`, at the end. Takes `item` in any case; false when out of memory. */
bool set_member(cJSON *object, const char *key, cJSON *item);

/* A JSON string of a sentence that may quote names from files, cut anywhere: what is not UTF-8 becomes '?'. */
cJSON *sentence_json(const char *text);

/* Numbers of a case by path, e.g. {"memory_bytes", "total"}; NaN when absent or null. `inner` may be NULL. */
double case_number(const result_case *c, const char *outer, const char *inner);

/* Bytes of a buffer for one sentence of a verdict. */
enum { SENTENCE = 640 };

#endif
