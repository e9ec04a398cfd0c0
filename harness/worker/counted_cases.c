/* counted_cases.c - see counted_cases.h. */
#include "harness/worker/counted_cases.h"

#include <stdio.h>

#include "harness/commands.h"
#include "harness/measure/counters_simulated.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

/* Room for simulation, where an instruction costs tens: a deadline is stretched by this, and no figure. */
static const double slower = 50;

/* The same load as the case's own, of one thread, and without what is about neither arithmetic nor memory traffic. */
static cJSON *count_request(const bench *b, const bench_block *plan, const bench_case *c)
{
    cJSON *request = block_load_request(b, plan, &c->variant, c->packing);
    static const char *const none[] = {"windows", "memory_limit", "total_limit"};
    bool ok = request != NULL && cJSON_ReplaceItemInObjectCaseSensitive(request, "threads", json_size(1)) &&
              cJSON_ReplaceItemInObjectCaseSensitive(request, "cold_start", cJSON_CreateFalse());
    for (size_t i = 0; i < sizeof none / sizeof none[0] && ok; i++)
        ok = cJSON_ReplaceItemInObjectCaseSensitive(request, none[i], json_size(0));
    if (ok) return request;
    cJSON_Delete(request);
    return NULL;
}

static ciuic_status count_case(bench *b, const bench_block *plan, size_t index)
{
    const bench_case *c = &b->matrix->cases[index];
    const bool library = variant_is_library(&c->variant);
    const char *refusal = counters_simulated_refusal(kernel_isa_name(c->variant.isa), library);
    char what[VARIANT_NAME_SIZE + 16];
    cJSON *counted = NULL;
    ciuic_status status = CIUIC_OK;
    if (refusal != NULL) {
        counted = counters_absent(refusal);
    } else {
        cJSON *request = count_request(b, plan, c);
        snprintf(what, sizeof what, "counting %s", c->variant.name);
        progress_step(b->progress, what, bench_elapsed_s(b));
        status = request != NULL
                     ? counters_simulated(&b->simulated, request, b->directory, slower * b->suite->timeout_s, &counted)
                     : ciuic_fail_memory("a request", 0);
        cJSON_Delete(request);
    }
    CIUIC_TRY(status);
    cJSON *entry = bench_entry("counted");
    json_add_size(entry, "case", index);
    cJSON_AddItemToObject(entry, "counters", counted);
    return bench_note(b, entry);
}

ciuic_status counted_cases(bench *b, size_t index)
{
    const bench_block *plan = &b->matrix->blocks[index];
    if (b->suite->counters != SUITE_COUNTERS_SIMULATED) return CIUIC_OK;
    for (size_t i = 0; i < plan->slot_count; i++) {
        const size_t of_case = plan->slots[i].index;
        if (b->record->blocks[index].slots[i].failed != NULL || b->record->cases[of_case].counters != NULL) continue;
        if (command_interrupted()) return ciuic_fail(CIUIC_ERROR_INTERRUPTED, "interrupted");
        CIUIC_TRY(count_case(b, plan, of_case));
    }
    return CIUIC_OK;
}
