/* injected_failures.h - allocations that fail when a test says so. test-optimizer is linked with malloc and its like wrapped
 * (Makefile), so that every allocation that the library makes itself, cJSON's included, goes through here. */
#ifndef CIUIC_TESTS_INJECTED_FAILURES_H
#define CIUIC_TESTS_INJECTED_FAILURES_H

#include <stdbool.h>
#include <stddef.h>

/* From now on this thread's allocations are counted and remembered, and the one of that number (from 1) fails; 0: none. */
void injected_begin(size_t failing);

typedef struct injected_result {
    size_t allocations; /* that were asked for since */
    size_t live;        /* of them not freed: blocks and mappings */
    bool failed;        /* the one that was to fail has been asked for */
} injected_result;
injected_result injected_end(void);
size_t injected_live(void); /* the same before the end */

#endif
