/* limit_search.c - see limit_search.h. Every trial is a process of its own: what one leaves behind could help the next. */
#include "harness/worker/limit_search.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/measure/cgroup_memory.h"
#include "harness/measure/memory.h"
#include "harness/process_limit.h"
#include "harness/worker/boundary.h"
#include "harness/worker/fit.h"
#include "harness/worker/packed_folders.h"
#include "harness/worker/process.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static const char group_name[] = "ciuic-limit-search";

typedef struct search {
    bench *b;
    const bench_case *c;
    const suite_workload *w;
    cgroup_memory group; /* available only where the suite asks for it */
    size_t prompt;
    size_t context, limit;                /* of the next trial, but for the one that is searched for */
    char reason[WORKER_REASON_MAX];       /* how the last trial that did not work ended */
    char undone[WORKER_REASON_MAX + 128]; /* why there is no search; "" otherwise */
} search;

/* ---- one trial -------------------------------------------------------------------------------------------------- */

static cJSON *trial_request(const search *s, bool plan_only)
{
    const suite *u = s->b->suite;
    const bench_block like = {.workload = s->c->workload, .threads = s->c->threads};
    const fit_request fit = {.context = s->context,
                             .prompt = s->prompt,
                             .limit = s->group.available ? 0 : s->limit,
                             .whole = u->search == SEARCH_WHOLE,
                             .plan_only = plan_only};
    cJSON *request = block_load_request(s->b, &like, &s->c->variant, s->c->packing), *item = fit_json(&fit);
    if (request != NULL && item != NULL && cJSON_AddItemToObject(request, "fit", item)) return request;
    cJSON_Delete(request);
    cJSON_Delete(item);
    return NULL;
}

/* Runs one worker under s->limit at s->context. *answer is NULL when it did not work, and s->reason says how it ended; one
 * that had to be given up is no answer to whether it fits: s->undone. */
static ciuic_status run_trial(search *s, bool plan_only, cJSON **answer)
{
    worker_process *w = NULL;
    cJSON *request = trial_request(s, plan_only);
    *answer = NULL;
    if (request == NULL) return ciuic_fail_memory("a request", 0);
    ciuic_status status = worker_start(NULL, &w);
    if (status == CIUIC_OK && s->group.available && !plan_only)
        status = cgroup_memory_hold(&s->group, group_name, worker_pid(w), s->limit);
    if (status == CIUIC_OK) {
        const worker_outcome outcome = worker_ask(w, request, s->b->suite->timeout_s, answer, s->reason);
        if (outcome == WORKER_INTERRUPTED) status = ciuic_fail(CIUIC_ERROR_INTERRUPTED, "interrupted");
        if (outcome == WORKER_FAILED && worker_given_up(w)) snprintf(s->undone, sizeof s->undone, "%s", s->reason);
    }
    cJSON_Delete(request);
    worker_stop(w);
    if (s->group.available) cgroup_memory_drop(&s->group, group_name);
    return status;
}

static ciuic_status run_boundary_trial(search *s, bool *works)
{
    cJSON *answer = NULL;
    char what[160];
    if (command_interrupted()) return ciuic_fail(CIUIC_ERROR_INTERRUPTED, "interrupted");
    snprintf(what, sizeof what, "trying %zu positions in %.1f MiB, %.80s", s->context, (double)s->limit / 1048576.0,
             s->c->variant.name);
    progress_step(s->b->progress, what, bench_elapsed_s(s->b));
    CIUIC_TRY(run_trial(s, false, &answer));
    *works = answer != NULL;
    cJSON_Delete(answer);
    return s->undone[0] == '\0' ? CIUIC_OK : ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s", s->undone);
}

static ciuic_status try_context(void *context, size_t value, bool *works)
{
    search *s = context;
    s->context = value;
    return run_boundary_trial(s, works);
}

static ciuic_status try_limit(void *context, size_t value, bool *works)
{
    search *s = context;
    s->limit = value;
    return run_boundary_trial(s, works);
}

/* ---- the two searches ------------------------------------------------------------------------------------------- */

static double member(const cJSON *answer, const char *key)
{
    const cJSON *item = json_find(answer, key);
    return json_is_number(item) ? item->valuedouble : 0;
}

static bool add_found(cJSON *into, const char *key, const boundary *b, const boundary_found *f, size_t planned,
                      const char *reason)
{
    cJSON *o = cJSON_AddObjectToObject(into, key);
    if (o == NULL) return false;
    bool ok = f->worked ? json_add_size(o, "found", f->found) : cJSON_AddNullToObject(o, "found") != NULL;
    ok = ok && json_add_size(o, "planned", planned) && json_add_size(o, "granularity", b->granularity) &&
         json_add_size(o, "most", b->most) && json_add_size(o, "trials", f->trials);
    ok = ok && (f->worked ? json_add_double(o, "difference", (double)planned / (double)f->found - 1)
                          : cJSON_AddNullToObject(o, "difference") != NULL);
    ok = ok &&
         (f->failed ? json_add_size(o, "failed_at", f->nearest_bad) : cJSON_AddNullToObject(o, "failed_at") != NULL);
    return ok &&
           (f->failed ? cJSON_AddStringToObject(o, "reason", reason) : cJSON_AddNullToObject(o, "reason")) != NULL;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Bytes come within 1% of the plan, but not finer than the 64 KiB below which allocators' own steps show. */
static ciuic_status search_limit(search *s, size_t planned, size_t most, cJSON *into)
{
    const boundary b = {.least = 65536, .most = most, .start = planned, .granularity = larger(planned / 128, 65536)};
    boundary_found found;
    CIUIC_TRY(boundary_search(&b, try_limit, s, &found));
    return add_found(into, "smallest_limit", &b, &found, planned, s->reason) ? CIUIC_OK
                                                                             : ciuic_fail_memory("a search", 0);
}

static ciuic_status search_context(search *s, size_t planned, cJSON *into)
{
    const suite *u = s->b->suite;
    const boundary b = {.least = 1,
                        .most = u->checkpoints[s->w->checkpoint].max_context,
                        .upwards = true,
                        .start = planned,
                        .granularity = larger(planned / 128, 1)};
    boundary_found found;
    s->limit = u->total_limit;
    CIUIC_TRY(boundary_search(&b, try_context, s, &found));
    return add_found(into, "longest_context", &b, &found, planned, s->reason) ? CIUIC_OK
                                                                              : ciuic_fail_memory("a search", 0);
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static void cannot_search(search *s, const char *why)
{
    snprintf(s->undone, sizeof s->undone, "%s", why);
}

/* What would be searched for is something else, or cannot be found here. */
static void check_case(search *s)
{
    const bench_variant *v = &s->c->variant;
    if (!process_limit_holds())
        cannot_search(s, "under AddressSanitizer no limit holds");
    else if (s->c->skip[0] != '\0')
        cannot_search(s, s->c->skip);
    else if (variant_is_library(v))
        cannot_search(s,
                      "what a library takes is its own affair: it is not planned, and OpenBLAS waits for ever where it "
                      "cannot have its buffers");
    else if (v->prefix_cache > 0)
        cannot_search(s, "its cache of prefixes is a bound of its own");
    else if (ciuic_options_calibrate(&v->options) && !v->packed)
        cannot_search(s, "it is calibrated when it is loaded: found would be what calibrating needs; a variant that is "
                         "\"packed\" is not");
}

/* All that a trial may take: twice the plan and room for a small model's surroundings, if this machine has that. */
static size_t most_bytes(size_t planned)
{
    const size_t wanted = 2 * planned + ((size_t)256 << 20), physical = memory_physical();
    return physical > 0 && wanted > physical / 10 * 9 ? physical / 10 * 9 : wanted;
}

/* The workload with as much memory as it could want: if that does not run, then it is not for a limit. */
static ciuic_status search_all(search *s, cJSON *into)
{
    cJSON *plan = NULL;
    char why[sizeof s->undone];
    bool works = false;
    const size_t context = s->context;
    CIUIC_TRY(run_trial(s, true, &plan));
    const size_t planned = (size_t)member(plan, "needed"), longest = (size_t)member(plan, "longest_context");
    cJSON_Delete(plan);
    if (planned == 0) cannot_search(s, s->reason);
    if (s->undone[0] != '\0') return CIUIC_OK;
    s->limit = most_bytes(planned);
    CIUIC_TRY(run_boundary_trial(s, &works));
    if (!works) {
        snprintf(why, sizeof why, "it does not run within %.1f MiB either: %.400s", (double)s->limit / 1048576.0,
                 s->reason);
        cannot_search(s, why);
        return CIUIC_OK;
    }
    CIUIC_TRY(search_limit(s, planned, s->limit, into));
    s->context = context;
    return search_context(s, longest, into);
}

static bool add_method(cJSON *into, const search *s)
{
    const suite *u = s->b->suite;
    cgroup_memory group;
    cgroup_memory_find_own(&group);
    const char *why = group.available ? "the suite does not ask for the cgroup that could be had" : group.reason;
    return cJSON_AddStringToObject(into, "how", s->group.available ? "cgroup" : "rlimit") != NULL &&
           (s->group.available ? cJSON_AddNullToObject(into, "how_reason")
                               : cJSON_AddStringToObject(into, "how_reason", why)) != NULL &&
           json_add_size(into, "limit_bytes", u->total_limit) &&
           cJSON_AddStringToObject(into, "computed", u->search == SEARCH_WHOLE ? "whole" : "ends") != NULL &&
           json_add_size(into, "context", s->context) && json_add_size(into, "prompt", s->prompt);
}

ciuic_status limit_search_run(bench *b, size_t index)
{
    const bench_case *c = &b->matrix->cases[index];
    const suite_workload *w = &b->suite->workloads[c->workload];
    const size_t given = w->phase == PHASE_DECODE ? w->depth : w->tokens;
    search s = {.b = b, .c = c, .w = w, .prompt = given > 0 ? given : 1, .context = w->depth + w->tokens};
    if (b->suite->limit_by_cgroup) cgroup_memory_find_own(&s.group);
    cJSON *entry = bench_entry("search"), *found = cJSON_CreateObject();
    ciuic_status status = entry != NULL && found != NULL && json_add_size(entry, "case", index) && add_method(found, &s)
                              ? CIUIC_OK
                              : ciuic_fail_memory("a search", 0);
    const char *unpacked = NULL;
    if (status == CIUIC_OK) check_case(&s);
    if (status == CIUIC_OK && s.undone[0] == '\0') status = packed_folder_need(b, index, &unpacked);
    if (unpacked != NULL) cannot_search(&s, unpacked);
    if (status == CIUIC_OK && s.undone[0] == '\0') status = search_all(&s, found);
    if (status != CIUIC_OK && s.undone[0] != '\0') status = CIUIC_OK; /* what a worker did not say is told below */
    if (status == CIUIC_OK && s.undone[0] != '\0' && cJSON_AddStringToObject(found, "undone", s.undone) == NULL)
        status = ciuic_fail_memory("a search", 0);
    if (status != CIUIC_OK || !cJSON_AddItemToObject(entry, "found", found)) {
        cJSON_Delete(found);
        cJSON_Delete(entry);
        return status != CIUIC_OK ? status : ciuic_fail_memory("a search", 0);
    }
    return bench_note(b, entry);
}
