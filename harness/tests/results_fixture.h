/* results_fixture.h - MADE-UP results for tests: a results object of the right shape from a model of a machine that
 * does not exist. No number in it was measured, and none may ever be shown as if it were. */
#ifndef CIUIC_RESULTS_FIXTURE_H
#define CIUIC_RESULTS_FIXTURE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* What the made-up machine is like. A stage's gain divides the time of every case that has it on. */
typedef struct fixture_machine {
    double int8_gain, int4_gain, graph_gain, memory_gain, kernels_gain;
    double openblas_gain; /* over naive */
    double noise;         /* relative, uniform, either way, independent for each sample */
    double drift;         /* relative, added round by round to all cases alike */
    double disturbed;     /* all cases of each workload's last block take so many times as long; 0 for none of it */
    size_t rounds;
    size_t blocks;      /* the variants of a workload are dealt out to so many blocks; each has the baselines */
    bool accuracy_null; /* every accuracy metric is null, as for logits that are NaN */
    double int4_error, int8_error; /* mean absolute error of the logits */
    double int4_rise, int8_rise;   /* of the NLL */
} fixture_machine;

extern const fixture_machine fixture_usual;
extern const fixture_machine fixture_equals; /* every program as fast as every other; rounds and noise are to be set */

/* 24 variants (none, int8, int4 x graph x memory x c, avx512), openblas and the A/A twin, for prefill128 and
 * decode64@256 on two threads. NULL when out of memory. Free with cJSON_Delete. */
cJSON *fixture_results(const fixture_machine *machine);
/* The same with the project's claims in them, as bench leaves them. */
cJSON *fixture_bench_results(const fixture_machine *machine);
/* Puts into results that are about to be written to a file the digest that bench puts into its own. */
void fixture_seal(cJSON *results);

/* The case with this id's ending, e.g. "decode64@256/b1/t2/openblas"; NULL when there is none. */
cJSON *fixture_case(cJSON *results, const char *ending);
/* The verdict of a claim for a case's id ending and a baseline; NULL when there is none. */
const cJSON *fixture_verdict(const cJSON *results, const char *claim_id, const char *ending, const char *baseline);

#endif
