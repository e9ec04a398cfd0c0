/* case_counters.h - the member "counters" of a case in results.json, from whoever counted. */
#ifndef CIUIC_CASE_COUNTERS_H
#define CIUIC_CASE_COUNTERS_H

#include <cjson/cJSON.h>

#include "harness/suite/suite.h"

/* `counted`: what was simulated; `read`: what the case's worker read while it was timed; either may be NULL. `loaded`: the
 * worker's answer to "load". Simulated counts of a decode get weight_bytes, what the matmuls of the repetition have to read,
 * and bytes_per_weight_byte, what they brought in from beyond the first-level cache for each of these; energy gets joules_per_token. The object is the
 * caller's; NULL when out of memory. */
cJSON *case_counters(const cJSON *counted, const cJSON *read, const cJSON *loaded, const suite_workload *w);

#endif
