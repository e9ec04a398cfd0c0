/* computed_work.h - operations and bytes of one repetition by class of operation, computed from the plan: for every case, on
 * every machine. What a processor or a simulator counts is something else, and stands in "counters". */
#ifndef CIUIC_COMPUTED_WORK_H
#define CIUIC_COMPUTED_WORK_H

#include <cjson/cJSON.h>

#include "harness/measure/operation_class.h"
#include "optimizer/runtime/session_cost.h"

/* The class that counts of an operation of this kind belong to. */
operation_class operation_class_of_kind(graph_op_kind kind);

/* {"source": "computed", "operations":, "weight_bytes":, "cache_bytes":, "activation_bytes":, "read_bytes":,
 * "written_bytes":, "bytes_read_per_weight_byte":, "by_class": {"matmul": {the first six}, ...}} of these costs; classes without
 * any are left out. The caller's; NULL when out of memory. */
cJSON *computed_work_json(const kind_cost costs[GRAPH_OP_KINDS]);

/* Bytes that counters brought in from beyond a level of caches, and what they are to be held against. */
typedef struct measured_bytes {
    const char *source; /* "simulated", "perf_event", "likwid"; NULL: these counters say nothing of bytes */
    char what[64];      /* "beyond the first-level cache" */
    double bytes;       /* of one repetition */
} measured_bytes;

/* Of a case's "counters". */
measured_bytes measured_bytes_of(const cJSON *counters);
/* Of one class; only simulated counts know classes. */
measured_bytes measured_bytes_of_class(const cJSON *counters, const char *class_name);

#endif
