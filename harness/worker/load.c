/* load.c - see load.h. */
#include "harness/worker/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "harness/graph_setting.h"
#include "harness/process_limit.h"
#include "harness/variant_json.h"
#include "harness/worker/onednn.h"
#include "harness/worker/openblas.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static const char where[] = "load";

static ciuic_status read_variant(const cJSON *request, load_request *r)
{
    const char *quantize = NULL, *memory = NULL, *matmul = NULL;
    CIUIC_TRY(json_get_string(request, where, "quantize", &quantize));
    CIUIC_TRY(graph_setting_read(request, where, &r->options));
    CIUIC_TRY(json_get_string(request, where, "memory", &memory));
    CIUIC_TRY(json_get_string(request, where, "isa", &r->options.isa));
    CIUIC_TRY(json_get_string(request, where, "matmul", &matmul));
    r->openblas = strcmp(matmul, "openblas") == 0;
    r->onednn = strcmp(matmul, "onednn") == 0;
    if (!ciuic_quantize_parse(quantize, &r->options.quantize) || !ciuic_memory_parse(memory, &r->options.memory))
        return ciuic_fail(CIUIC_ERROR_USAGE, "load: unknown setting \"%s\" or \"%s\"", quantize, memory);
    return variant_json_read(request, where, &r->options);
}

static ciuic_status read_counters(const cJSON *request, counter_support *support)
{
    const char *source = NULL, *reason = NULL;
    CIUIC_TRY(json_get_string(request, where, "counters", &source));
    CIUIC_TRY(json_get_string(request, where, "counters_reason", &reason));
    *support = (counter_support){.source = COUNTERS_NONE};
    for (counter_source s = COUNTERS_NONE; s <= COUNTERS_LIKWID; s++)
        if (strcmp(counter_source_name(s), source) == 0) support->source = s;
    snprintf(support->group, sizeof support->group, "%s", json_text(request, "counters_group"));
    snprintf(support->reason, sizeof support->reason, "%s", reason);
    return CIUIC_OK;
}

ciuic_status load_request_read(const cJSON *request, load_request *r)
{
    const char *phase = NULL;
    size_t threads = 0, seed = 0;
    const size_t most = (size_t)1 << 53;
    *r = (load_request){0};
    CIUIC_TRY(json_get_string(request, where, "checkpoint", &r->spec.checkpoint));
    CIUIC_TRY(json_get_string(request, where, "phase", &phase));
    r->spec.phase = strcmp(phase, "decode") == 0 ? PHASE_DECODE : PHASE_PREFILL;
    CIUIC_TRY(json_get_size(request, where, "tokens", 1, most, &r->spec.tokens));
    CIUIC_TRY(json_get_size(request, where, "depth", 0, most, &r->spec.depth));
    if (json_find(request, "prefix_cache") != NULL) {
        CIUIC_TRY(json_get_size(request, where, "prefix", 0, r->spec.tokens - 1, &r->spec.prefix));
        CIUIC_TRY(json_get_size(request, where, "prefix_cache", 1, most, &r->spec.prefix_cache));
    }
    CIUIC_TRY(json_get_size(request, where, "windows", 0, most, &r->spec.windows));
    CIUIC_TRY(json_get_size(request, where, "window_tokens", 1, most, &r->spec.window_tokens));
    CIUIC_TRY(json_get_size(request, where, "seed", 0, most, &seed));
    CIUIC_TRY(json_get_size(request, where, "threads", 1, 1024, &threads));
    CIUIC_TRY(json_get_size(request, where, "memory_limit", 0, most, &r->memory_limit));
    CIUIC_TRY(json_get_size(request, where, "total_limit", 0, most, &r->total_limit));
    CIUIC_TRY(json_get_bool(request, where, "cold_start", &r->cold_start));
    r->spec.seed = seed;
    r->spec.threads = (int)threads;
    CIUIC_TRY(read_counters(request, &r->support));
    CIUIC_TRY(fit_read(request, &r->fit));
    return read_variant(request, r);
}

/* Private writable memory, which is what a process can run a machine out of; mapped weights do not count. */
ciuic_status load_limit_memory(const load_request *r)
{
    const size_t bytes = r->memory_limit;
    if (bytes == 0 || process_limit_set(RLIMIT_DATA, bytes)) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "the memory limit of %zu bytes cannot be set: %s", bytes,
                      strerror(errno));
}

/* What the workload needs on this variant, and whether it may have that. A library's packed copies are not known before. */
static ciuic_status plan_run(const load_request *r, const ciuic_model *plain, const ciuic_options *options,
                             run_need *need)
{
    const workload_spec *spec = &r->spec;
    const bool decode = spec->phase == PHASE_DECODE;
    ciuic_model_info info;
    ciuic_model_describe(plain, &info);
    const fit_request *fit = &r->fit;
    const ciuic_session_options session = {.context = fit->asked ? fit->context : spec->depth + spec->tokens,
                                           .threads = spec->threads};
    const ciuic_work work = {.prefill = fit->asked ? fit->prompt
                                        : decode   ? spec->depth
                                                   : spec->tokens,
                             .decode = decode,
                             .position_bytes = fit->asked ? 0 : sizeof(int32_t)};
    const size_t ids = fit->asked ? fit->prompt : spec->depth + spec->tokens + spec->windows * spec->window_tokens;
    const size_t caller = ids * sizeof(int32_t) + info.vocabulary * sizeof(float) + spec->prefix_cache;
    CIUIC_TRY(run_limit_plan(plain, options, &session, &work, caller, r->total_limit, need));
    if (fit->asked) return run_limit_set(fit->limit); /* what the plan says is what is being tried */
    CIUIC_TRY(run_limit_check(spec->checkpoint, need, r->total_limit));
    return run_limit_set(r->total_limit);
}

ciuic_status load_model(const load_request *r, ciuic_progress_fn *progress, void *context, run_need *need,
                        ciuic_model **model)
{
    kernel_table table;
    ciuic_model *reference = NULL;
    ciuic_options options = r->options;
    if (r->openblas || r->onednn) {
        kernel_isa isa;
        if (!kernel_isa_parse(options.isa, &isa))
            return ciuic_fail(CIUIC_ERROR_USAGE, "no kernels \"%s\"", options.isa);
        kernel_table_fill(&table, isa);
        if (r->openblas) openblas_install(&table);
        if (r->onednn) CIUIC_TRY(onednn_install(&table));
        options.kernels = &table;
        options.weights_f32 = r->openblas;
    }
    options.threads = r->spec.threads;
    options.progress = progress;
    options.progress_context = context;
    CIUIC_TRY(ciuic_model_load(r->spec.checkpoint, &reference));
    ciuic_status status = plan_run(r, reference, &options, need);
    if (status == CIUIC_OK && !r->fit.plan_only) status = ciuic_optimize(reference, &options, model, NULL);
    ciuic_model_free(reference);
    return status;
}
