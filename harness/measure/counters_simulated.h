/* counters_simulated.h - instructions and cache misses of one repetition, counted by valgrind's cachegrind, which executes
 * the program in software: the same figures in every run and on every machine that runs the same program with the same
 * libraries, however noisy it is. Not those of a real processor: in-order, one thread, no prefetching, two levels of cache
 * of fixed sizes.
 *
 * Valgrind 3.19 knows AVX2 and no AVX-512: cases of kernels c and avx2 can be counted. Libraries that choose their kernels by
 * CPUID would run others than were timed: their cases are not counted. */
#ifndef CIUIC_COUNTERS_SIMULATED_H
#define CIUIC_COUNTERS_SIMULATED_H

#include <cjson/cJSON.h>

#include "harness/measure/counters.h"

/* The caches that are simulated, whatever this machine has; bytes. */
enum { SIMULATED_LINE = 64, SIMULATED_L1 = 32 * 1024, SIMULATED_LL = 8 * 1024 * 1024 };

/* Processes whose counts come down to those of one repetition: worker/count.h says how. */
enum { COUNT_CHILDREN = 4 };

typedef struct simulated_support {
    bool works;
    char tool[64];                   /* "valgrind-3.19.0" */
    char reason[COUNTER_REASON_MAX]; /* why it does not; "" where it does */
} simulated_support;

/* Asks valgrind who it is. */
void counters_simulated_probe(simulated_support *support);

/* Why a variant with these kernels, or whose matmuls are the library's, cannot be counted; NULL where it can. */
const char *counters_simulated_refusal(const char *isa, bool library);

/* Counts the workload of a "load" request (process.h), which asks for one thread. Files are made in `directory` and taken away.
 * *out becomes {"source": "simulated", "tool":, "threads": 1, "caches":, "instructions":, ..., "by_class":,
 * "output_sha256":}, or {"source": null, "reason":} where valgrind or the program under it fails. Only an interruption and
 * lack of memory are failures. */
ciuic_status counters_simulated(const simulated_support *support, const cJSON *request, const char *directory,
                                double timeout_s, cJSON **out);

/* {"source": null, "reason": reason}; NULL when out of memory. */
cJSON *counters_absent(const char *reason);

#endif
