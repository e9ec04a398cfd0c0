/* load.h - "load" as a worker is asked for it (process.h), and the model that it asks for. */
#ifndef CIUIC_WORKER_LOAD_H
#define CIUIC_WORKER_LOAD_H

#include <cjson/cJSON.h>

#include "harness/measure/counters.h"
#include "harness/run_limit.h"
#include "harness/worker/fit.h"
#include "harness/worker/workload.h"

/* Strings are borrowed from the request. */
typedef struct load_request {
    workload_spec spec;
    ciuic_options options;
    bool openblas, onednn; /* whose matmuls; neither: the kernels' own */
    size_t memory_limit, total_limit;
    bool cold_start;
    counter_support support;
    fit_request fit;
} load_request;

ciuic_status load_request_read(const cJSON *request, load_request *r);
/* Holds this process to the request's limit of private memory. */
ciuic_status load_limit_memory(const load_request *r);
/* The variant's model, after what it needs was planned and allowed; NULL where only the plan is asked for. `progress` may be
 * NULL. */
ciuic_status load_model(const load_request *r, ciuic_progress_fn *progress, void *context, run_need *need,
                        ciuic_model **model);

#endif
