/* run_limit.c - see run_limit.h. */
#include "harness/run_limit.h"

#include <errno.h>
#include <malloc.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "harness/measure/memory_account.h"
#include "harness/process_limit.h"
#include "harness/worker/openblas.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static size_t addresses_before;

/* The first thread's stack is mapped as it grows, all others' at once: 2 MiB, which is what kernels.h asks for. Under a limit a
 * kernel that makes it grow would be ended by a signal. */
__attribute__((noinline)) static void grow_stack(void)
{
    enum { BYTES = 2 << 20, STEP = 4096 };
    volatile char stack[BYTES];
    for (size_t i = BYTES; i >= STEP; i -= STEP) stack[i - 1] = 0;
    (void)stack[0];
}

void run_limit_begin(int threads)
{
    process_memory now;
    const int team = threads > 0 ? threads : omp_get_num_procs();
    /* One arena, and blocks above 128 KiB mapped one by one and given back when they are freed: addresses are then those of
     * what is used. */
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    openblas_end_threads();
    grow_stack();
#pragma omp parallel num_threads(team)
    {
        (void)omp_get_thread_num(); /* the team is made, and its stacks with it */
    }
    addresses_before = memory_read(&now) ? now.addresses : 0;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* For what malloc rounds up to pages, and small things of the program's own. */
static size_t allowance_of(size_t total)
{
    return ((size_t)4 << 20) + total / 64;
}

/* The most that leaves room for its allowance within the limit. */
static size_t without_allowance(size_t limit)
{
    if (limit <= allowance_of(0)) return 0;
    size_t total = (limit - allowance_of(0)) / 65 * 64; /* total + total / 64 has 65 parts of it */
    while (total + 1 + allowance_of(total + 1) <= limit) total++;
    return total;
}

ciuic_status run_limit_plan(const ciuic_model *plain, const ciuic_options *options,
                            const ciuic_session_options *session, const ciuic_work *work, size_t caller, size_t limit,
                            run_need *need)
{
    run_need n = {.caller = caller};
    CIUIC_TRY(ciuic_plan_memory(plain, options, session, work, &n.use));
    const ciuic_memory_use *u = &n.use;
    /* A weight is loaded before there is a session. */
    const size_t session_bytes = u->kv_cache + u->activations + u->workspace + caller;
    const size_t total = u->weights + u->files + u->other + larger(session_bytes, u->loading);
    n.allowance = allowance_of(total);
    n.total = total + n.allowance;
    /* What the session's own account leaves out, and does not depend on the context. */
    const size_t ids = work->position_bytes * session->context;
    const size_t outside = caller - (ids < caller ? ids : caller) + u->files - u->mapped;
    const size_t most = without_allowance(limit > 0 ? limit : memory_physical());
    if (most > outside && most >= u->weights + u->files + u->other + u->loading)
        CIUIC_TRY(ciuic_longest_context(plain, options, session, work, most - outside, &n.longest_context));
    *need = n;
    return CIUIC_OK;
}

ciuic_status run_limit_check(const char *who, run_need *need, size_t limit)
{
    const double mib = 1048576.0;
    const ciuic_memory_use *u = &need->use;
    if (limit == 0 || need->total <= limit) return CIUIC_OK;
    need->refused = limit;
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED,
                      "%s: needs %.1f MiB (weights %.1f, checkpoint's files %.1f, cache %.1f, activations %.1f, "
                      "workspace %.1f, other %.1f), and the limit is %.1f MiB; the longest context that fits is %zu",
                      who, (double)need->total / mib, (double)u->weights / mib, (double)u->files / mib,
                      (double)u->kv_cache / mib, (double)u->activations / mib, (double)u->workspace / mib,
                      (double)(u->other + need->caller + need->allowance) / mib, (double)limit / mib,
                      need->longest_context);
}

cJSON *run_refusal_json(const run_need *need)
{
    cJSON *refusal = need->refused > 0 ? cJSON_CreateObject() : NULL;
    if (refusal == NULL ||
        (json_add_size(refusal, "needed_bytes", need->total) && json_add_size(refusal, "limit_bytes", need->refused)))
        return refusal;
    cJSON_Delete(refusal);
    return NULL;
}

ciuic_status run_limit_set(size_t limit)
{
    if (limit == 0) return CIUIC_OK;
    if (addresses_before > 0 && process_limit_set(RLIMIT_AS, addresses_before + limit)) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "the limit of %zu bytes cannot be set: %s", limit,
                      addresses_before > 0 ? strerror(errno) : "/proc/self/status does not give VmSize");
}

void run_limit_lift(void)
{
    (void)process_limit_lift(RLIMIT_AS);
}

static ciuic_status check_variant(const char *checkpoint, const char *variant, run_need *need, size_t limit)
{
    char who[1024];
    snprintf(who, sizeof who, "%.400s: %.400s", checkpoint, variant);
    return run_limit_check(who, need, limit);
}

ciuic_status run_limit_hold(const char *checkpoint, const char *variant, run_need *need, size_t limit)
{
    CIUIC_TRY(check_variant(checkpoint, variant, need, limit));
    return run_limit_set(limit);
}

ciuic_status run_limit_answer(const char *checkpoint, const char *variant, const run_need *need, size_t limit)
{
    run_need asked = *need; /* nothing was refused */
    return check_variant(checkpoint, variant, &asked, limit) == CIUIC_OK ? CIUIC_OK : CIUIC_ERROR_LIMIT;
}

bool run_need_json(cJSON *object, const run_need *need)
{
    return memory_use_json(object, &need->use) && json_add_size(object, "files", need->use.files) &&
           json_add_size(object, "caller", need->caller) && json_add_size(object, "allowance", need->allowance) &&
           json_add_size(object, "needed", need->total) &&
           json_add_size(object, "longest_context", need->longest_context);
}

void run_need_print(const run_need *need, size_t limit)
{
    const memory_account account = {.use = need->use};
    memory_account_print(&account);
    printf("    %-22s %12.3f  MiB\n", "checkpoint's files", (double)need->use.files / 1048576.0);
    printf("    %-22s %12.3f  MiB\n", "token ids, logits", (double)need->caller / 1048576.0);
    printf("    %-22s %12.3f  MiB\n", "allowance", (double)need->allowance / 1048576.0);
    printf("  %-24s %12.3f  MiB\n", "needed", (double)need->total / 1048576.0);
    printf("  %-24s %12zu  positions%s\n", "longest context", need->longest_context,
           limit > 0 ? " within the limit" : " in this machine's memory");
    if (limit > 0)
        printf("  it %s into %.3f MiB\n", need->total <= limit ? "fits" : "does not fit", (double)limit / 1048576.0);
}
