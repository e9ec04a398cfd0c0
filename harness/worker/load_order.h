/* load_order.h - the request that makes a worker one variant on one workload, from whoever asks: bench or audit. */
#ifndef CIUIC_LOAD_ORDER_H
#define CIUIC_LOAD_ORDER_H

#include "harness/measure/counters.h"
#include "harness/suite/matrix.h"

typedef struct load_order {
    const char *checkpoint; /* folder; of a packed variant the packed one */
    suite_phase phase;
    size_t tokens, depth, windows, window_tokens;
    size_t prefix; /* tokens that prompts share: of variants that keep beginnings in a cache */
    uint64_t seed;
    int threads;
    size_t memory_limit, total_limit; /* bytes; 0: none */
    bool cold_start;
    const counter_support *support; /* NULL: nothing is counted */
} load_order;

/* {"do": what}; NULL when out of memory. */
cJSON *worker_request(const char *what);
/* {"do": "load", ...} as process.h describes it, for `v`; NULL when out of memory. */
cJSON *load_order_request(const load_order *order, const bench_variant *v);

#endif
