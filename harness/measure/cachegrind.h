/* cachegrind.h - the file that `valgrind --tool=cachegrind` leaves, read as counts by class of operation.
 *
 * Its form (cg_main.c of valgrind 3.19; the same since 3.0): lines "desc: ...", "cmd: ...", "events: Ir I1mr ...", then
 * "fl=FILE", "fn=FUNCTION" and "LINE COUNT COUNT ...", and at the end "summary: COUNT ...", the sums of all. */
#ifndef CIUIC_CACHEGRIND_H
#define CIUIC_CACHEGRIND_H

#include <stdint.h>

#include "harness/measure/operation_class.h"
#include "optimizer/ciuic.h"

typedef enum cachegrind_event {
    CACHEGRIND_INSTRUCTIONS,
    CACHEGRIND_DATA_READS,
    CACHEGRIND_DATA_WRITES,
    CACHEGRIND_D1_READ_MISSES,
    CACHEGRIND_D1_WRITE_MISSES,
    CACHEGRIND_LL_READ_MISSES,
    CACHEGRIND_LL_WRITE_MISSES,
    CACHEGRIND_EVENTS
} cachegrind_event;

/* "instructions", "data_reads", "data_writes", "d1_read_misses", ...: keys of results.json. */
const char *cachegrind_event_name(cachegrind_event e);

/* Signed, since profiles are subtracted. */
typedef struct cachegrind_profile {
    int64_t counts[OPERATION_CLASSES][CACHEGRIND_EVENTS];
} cachegrind_profile;

/* Reads the file's text of `length` bytes, which came from `name`. CIUIC_ERROR_INPUT: it is cut (no summary, or one that is
 * not the sum of the lines), lacks an event, or holds what is no count, or one above 2^53. */
ciuic_status cachegrind_parse(const char *text, size_t length, const char *name, cachegrind_profile *profile);
ciuic_status cachegrind_read(const char *path, cachegrind_profile *profile);

/* sum += factor * other */
void cachegrind_add(cachegrind_profile *sum, const cachegrind_profile *other, int64_t factor);
int64_t cachegrind_total(const cachegrind_profile *profile, cachegrind_event e);

#endif
