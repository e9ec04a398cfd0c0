/* gbench_json.h - results as Google Benchmark's own JSON, for its tools/compare.py and for dashboards that read it.
 *
 * A case that was measured is a benchmark called by its id; each of its repetitions a row of run_type "iteration", then a row
 * each for mean, median, stddev and cv of run_type "aggregate". Times are those of one run of the workload, in
 * nanoseconds; cpu_time is that of all threads together. What compare.py says of two such files compares times, not
 * ratios within rounds: machine drift between the two is in it. */
#ifndef CIUIC_GBENCH_JSON_H
#define CIUIC_GBENCH_JSON_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

/* `results` as they are in results.json. The caller owns *out. */
ciuic_status gbench_json_make(const cJSON *results, cJSON **out);

#endif
