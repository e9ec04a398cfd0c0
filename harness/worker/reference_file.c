/* reference_file.c - see reference_file.h. */
#include "harness/worker/reference_file.h"

#include "harness/worker/load_order.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

ciuic_status reference_write(const bench *b, const bench_block *plan, const char *path, char reason[WORKER_REASON_MAX])
{
    const bench_variant off = {.isa = KERNEL_ISA_C, .baseline = BASELINE_NAIVE};
    worker_process *w = NULL;
    cJSON *answer = NULL, *load = block_load_request(b, plan, &off, NO_PACKING), *write = worker_request("reference");
    ciuic_status status = load != NULL && write != NULL ? worker_start(NULL, &w) : ciuic_fail_memory("a request", 0);
    if (status == CIUIC_OK) {
        cJSON_AddStringToObject(write, "file", path);
        /* What errors are measured against has to be there, whether or not it would fit as a variant. */
        cJSON_ReplaceItemInObjectCaseSensitive(load, "total_limit", json_size(0));
        worker_outcome outcome = worker_ask(w, load, b->suite->timeout_s, &answer, reason);
        cJSON_Delete(answer);
        answer = NULL;
        if (outcome == WORKER_ANSWERED) outcome = worker_ask(w, write, b->suite->timeout_s, &answer, reason);
        cJSON_Delete(answer);
        if (outcome == WORKER_INTERRUPTED) status = ciuic_fail(CIUIC_ERROR_INTERRUPTED, "interrupted");
        if (outcome == WORKER_ANSWERED) reason[0] = '\0';
    }
    cJSON_Delete(load);
    cJSON_Delete(write);
    worker_stop(w);
    return status;
}
