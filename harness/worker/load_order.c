/* load_order.c - see load_order.h. */
#include "harness/worker/load_order.h"

#include "harness/graph_setting.h"
#include "harness/variant_json.h"
#include "optimizer/json.h"

cJSON *worker_request(const char *what)
{
    cJSON *request = cJSON_CreateObject();
    if (request != NULL) cJSON_AddStringToObject(request, "do", what);
    return request;
}

static void add_workload(cJSON *r, const load_order *o)
{
    cJSON_AddStringToObject(r, "checkpoint", o->checkpoint);
    cJSON_AddStringToObject(r, "phase", suite_phase_name(o->phase));
    json_add_size(r, "tokens", o->tokens);
    json_add_size(r, "depth", o->depth);
    json_add_size(r, "windows", o->windows);
    json_add_size(r, "window_tokens", o->window_tokens);
    json_add_size(r, "seed", o->seed);
    json_add_size(r, "threads", (size_t)o->threads);
}

static void add_variant(cJSON *r, const bench_variant *v)
{
    /* Of a packed variant the folder says how its weights are quantised. */
    const ciuic_options of_folder = {.activations = v->options.activations};
    const ciuic_options *weights = v->packed ? &of_folder : &v->options;
    cJSON_AddStringToObject(r, "quantize", ciuic_quantize_name(weights->quantize));
    variant_json_add(r, weights);
    graph_setting_add(r, &v->options);
    cJSON_AddStringToObject(r, "memory", ciuic_memory_name(v->options.memory));
    cJSON_AddStringToObject(r, "isa", kernel_isa_name(v->isa));
    const bool library = variant_is_library(v);
    cJSON_AddStringToObject(r, "matmul", library ? suite_baseline_name(v->baseline) : "own");
}

cJSON *load_order_request(const load_order *order, const bench_variant *v)
{
    static const counter_support none = {.source = COUNTERS_NONE, .reason = "not asked for"};
    const counter_support *support = order->support != NULL ? order->support : &none;
    cJSON *r = worker_request("load");
    if (r == NULL) return NULL;
    add_workload(r, order);
    add_variant(r, v);
    if (v->prefix_cache > 0) { /* without a cache what prompts share is computed like the rest */
        json_add_size(r, "prefix", order->prefix);
        json_add_size(r, "prefix_cache", v->prefix_cache);
    }
    json_add_size(r, "memory_limit", order->memory_limit);
    json_add_size(r, "total_limit", order->total_limit);
    cJSON_AddBoolToObject(r, "cold_start", order->cold_start);
    cJSON_AddStringToObject(r, "counters", counter_source_name(support->source));
    if (support->group[0] != '\0') cJSON_AddStringToObject(r, "counters_group", support->group);
    cJSON_AddStringToObject(r, "counters_reason", support->reason);
    return r;
}
