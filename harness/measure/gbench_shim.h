/* gbench_shim.h - Google Benchmark as one C function: time `iterations` calls of a body, once. The only C++ behind C.
 *
 * One call is one repetition; statistics are the judge's, on raw repetitions. Not for more than one thread at a time:
 * Google Benchmark keeps its registry in globals. */
#ifndef CIUIC_GBENCH_SHIM_H
#define CIUIC_GBENCH_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Does the work once; false stops the repetition (the rest of the iterations is not run). */
typedef bool gbench_body(void *context);

typedef struct gbench_time {
    double real_s;     /* wall clock per iteration */
    double cpu_s;      /* CPU time of the whole process per iteration, all its threads together */
    size_t iterations; /* as Google Benchmark counted them */
} gbench_time;

/* False when the body failed, when Google Benchmark reported an error or nothing, or when it threw; *time is then as it
 * was. iterations >= 1. */
bool gbench_run(size_t iterations, gbench_body *body, void *context, gbench_time *time);

#ifdef __cplusplus
}
#endif
#endif
