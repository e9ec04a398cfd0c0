/* failure_sweep.h - one piece of work again and again, each time with another of its allocations failing: it succeeds or says that
 * memory ran out, and nothing stays behind. Failures are CUnit failures. */
#ifndef CIUIC_TESTS_FAILURE_SWEEP_H
#define CIUIC_TESTS_FAILURE_SWEEP_H

#include <stddef.h>

#include "optimizer/ciuic.h"

/* The work, its result freed again; where it can be told how many threads to use, on one: other threads' allocations are not
 * counted. */
typedef ciuic_status sweep_fn(const void *context);

typedef struct sweep_result {
    size_t allocations;     /* of the work when nothing fails */
    size_t tried, survived; /* failures, and those that the work did without */
} sweep_result;

/* At most about `most` allocations fail, each so many after the one before it, from where test_seed() says; 0: every one. */
sweep_result failure_sweep(const char *name, sweep_fn *work, const void *context, size_t most);

#endif
