/* graph_trace.c - builds a graph and runs its passes one by one, noting what each changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/inspect/graph_print.h"
#include "optimizer/error.h"
#include "optimizer/runtime/activation_need.h"
#include "optimizer/runtime/session_shape.h"

static bool all_equal(const void *context, const char *name, size_t elements, float number)
{
    const graph_request *request = context;
    return request->checkpoint != NULL && checkpoint_all_equal(request->checkpoint, name, elements, number);
}

/* What the matmuls of the weight read when the checkpoint runs. */
static graph_q8_need need_by_name(const void *context, const char *name)
{
    const graph_request *request = context;
    if (request->checkpoint == NULL) return (graph_q8_need){0};
    const ciuic_activations read = activations_of(request->checkpoint, request->options.activations);
    return activation_need_by_name(checkpoint_recipe(request->checkpoint), read, name);
}

static int count_values(const graph *g)
{
    int count = 0;
    for (int v = 0; v < g->value_count; v++) {
        bool touched = false;
        for (int i = 0; i < g->op_count && !touched; i++)
            touched = graph_reads(&g->ops[i], v) || graph_writes(&g->ops[i], v);
        count += touched ? 1 : 0;
    }
    return count;
}

static void count_kinds(const graph *g, int kinds[GRAPH_OP_KINDS])
{
    memset(kinds, 0, GRAPH_OP_KINDS * sizeof *kinds);
    for (int i = 0; i < g->op_count; i++) kinds[g->ops[i].kind]++;
}

/* "-6 matmul, +6 add_norm", what went first; where only attributes changed, how many operations have others. */
static void describe_change(const graph *g, const graph_op *old, int old_count, const int *before, char *text,
                            size_t size)
{
    int after[GRAPH_OP_KINDS], others = 0;
    size_t used = 0;
    count_kinds(g, after);
    for (int sign = -1; sign <= 1; sign += 2)
        for (int k = 0; k < GRAPH_OP_KINDS; k++) {
            const int change = after[k] - before[k];
            if (change * sign <= 0 || used >= size) continue;
            used += (size_t)snprintf(text + used, size - used, "%s%+d %s", used > 0 ? ", " : "", change,
                                     graph_op_name((graph_op_kind)k));
        }
    if (used > 0) return;
    for (int i = 0; i < g->op_count && i < old_count; i++)
        others += memcmp(&g->ops[i], &old[i], sizeof *old) != 0 ? 1 : 0;
    snprintf(text, size, others > 0 ? "%d operations rewritten" : "weights rewritten", others);
}

static void note(graph_trace *t, graph_step *step, const char *name, bool ran, bool changed)
{
    step->name = name;
    step->ran = ran;
    step->changed = changed;
    step->ops = t->g->op_count;
    step->values = count_values(t->g);
    step->cost = graph_total_cost(t->g, &t->storage);
}

typedef ciuic_status step_fn(graph_trace *t, int pass, bool *changed);

/* Makes one step, and notes what it did to the graph. */
static ciuic_status take_step(graph_trace *t, graph_step *step, const char *name, bool runs, step_fn *take, int pass)
{
    int before[GRAPH_OP_KINDS];
    bool changed = false;
    const int old_count = t->g->op_count;
    graph_op *old = malloc((size_t)old_count * sizeof *old);
    if (old == NULL) return ciuic_fail_memory("a graph", (size_t)old_count * sizeof *old);
    memcpy(old, t->g->ops, (size_t)old_count * sizeof *old);
    count_kinds(t->g, before);
    ciuic_status status = runs ? take(t, pass, &changed) : CIUIC_OK;
    if (status == CIUIC_OK) status = graph_validate(t->g);
    if (status == CIUIC_OK) {
        note(t, step, name, runs, changed);
        if (changed) describe_change(t->g, old, old_count, before, step->did, sizeof step->did);
    }
    free(old);
    return status;
}

static ciuic_status run_pass(graph_trace *t, int pass, bool *changed)
{
    const graph_pass_options options = {.need = need_by_name, .all_equal = all_equal, .context = t->request};
    return graph_passes[pass].run(t->g, &options, changed);
}

/* What lowering puts in, by the names of weights. */
static ciuic_status lower(graph_trace *t, int pass, bool *changed)
{
    (void)pass;
    graph *g = t->g;
    graph_q8_need *needs = calloc((size_t)g->weight_count + 1, sizeof *needs);
    if (needs == NULL) return ciuic_fail_memory("a graph", (size_t)g->weight_count * sizeof *needs);
    for (int i = 0; i < g->weight_count; i++)
        if (!g->weights[i].exact) needs[i] = need_by_name(t->request, g->weights[i].name[0]);
    const int before = g->op_count;
    const ciuic_status status =
        graph_insert_quantize(g, needs, graph_pass_selected(&t->request->options, CIUIC_PASS_MERGE_EQUAL));
    *changed = g->op_count > before;
    free(needs);
    return status;
}

static bool is_quantised(const graph_request *request)
{
    return request->checkpoint != NULL && checkpoint_quantized(request->checkpoint) != NULL;
}

/* Bytes of a cached value, its share of scales included. */
static double cache_bytes(const graph_trace *t)
{
    const graph *g = t->g;
    const size_t width = g->cache_width[0] + g->cache_width[1];
    if (t->request->stem != NULL || width == 0) return 0;
    const kv_cache_shape shape = session_cache_shape(g, t->request->options.memory, graph_trace_context(t));
    return (double)kv_cache_row_bytes(&shape) / (double)width;
}

static ciuic_status build(graph_trace *trace)
{
    const graph_request *request = trace->request;
    if (request->stem != NULL) return graph_build_stem(request->stem, &trace->g);
    const bool memory = request->options.memory != CIUIC_MEMORY_OFF;
    const bool latent = memory && model_type_has_mla(request->config->type);
    /* A prefill is shown as the cost model would have it run. */
    const graph_mla mla = graph_mla_of(request->config);
    const bool absorbed = latent && graph_pass_selected(&request->options, CIUIC_PASS_ABSORB_MLA) &&
                          graph_mla_choose(&mla, request->tokens, graph_trace_context(trace)) == GRAPH_MLA_ABSORBED;
    const graph_phase prefill = absorbed ? GRAPH_PREFILL_ABSORBED : GRAPH_PREFILL;
    return graph_build(request->config, request->decode ? GRAPH_DECODE : prefill,
                       latent ? GRAPH_CACHE_LATENT : GRAPH_CACHE_EXPANDED, &trace->g);
}

ciuic_status graph_trace_make(const graph_request *request, graph_trace *trace)
{
    *trace = (graph_trace){.request = request};
    CIUIC_TRY(build(trace));
    trace->storage = (graph_storage){.weight = request->weight_bytes, .cache = cache_bytes(trace)};
    note(trace, &trace->steps[0], "as built", true, false);
    for (int i = 0; i < CIUIC_PASSES; i++) {
        const bool runs = graph_pass_selected(&request->options, (ciuic_pass)i);
        CIUIC_TRY(take_step(trace, &trace->steps[i + 1], graph_passes[i].name, runs, run_pass, i));
    }
    return is_quantised(request) ? take_step(trace, &trace->lowered, "lowering", true, lower, 0) : CIUIC_OK;
}

const graph_cost *graph_trace_cost(const graph_trace *trace)
{
    return trace->lowered.name != NULL ? &trace->lowered.cost : &trace->steps[CIUIC_PASSES].cost;
}

graph_cost_text graph_trace_cost_text(const graph_trace *t, const graph_cost *cost)
{
    graph_cost_text text;
    const size_t tokens = t->request->tokens, context = graph_trace_context(t);
    graph_number_text(graph_amount_at(&cost->flops, t->g, tokens, context), text.flops);
    graph_number_text(graph_amount_at(&cost->weight_bytes, t->g, tokens, context), text.weights);
    graph_number_text(graph_amount_at(&cost->activation_bytes, t->g, tokens, context), text.others);
    return text;
}

void graph_trace_free(graph_trace *trace)
{
    graph_free(trace->g);
    trace->g = NULL;
}

const char *graph_request_phase(const graph_request *request)
{
    if (request->stem != NULL) return "stem";
    return request->decode ? "decode" : "prefill";
}

size_t graph_trace_context(const graph_trace *trace)
{
    return trace->request->depth + trace->request->tokens;
}

void graph_shape_text(const graph *g, int value, char text[GRAPH_SHAPE_SIZE])
{
    const graph_value *v = &g->values[value];
    const bool one = v->last || g->phase == GRAPH_DECODE;
    char rows[24] = "S";
    if (v->rows == GRAPH_TOKENS) snprintf(rows, sizeof rows, "%s", one ? "1" : "T");
    if (v->rows == GRAPH_ROUTED) snprintf(rows, sizeof rows, "%zu%s", g->experts_per_token, one ? "" : "T");
    if (v->dtype == GRAPH_ROUTING)
        snprintf(text, GRAPH_SHAPE_SIZE, "[%s -> experts]", one ? "1" : "T");
    else
        snprintf(text, GRAPH_SHAPE_SIZE, "[%s, %zu]", rows, v->width);
}

void graph_short_name(const graph *g, const graph_op *op, int value, char text[GRAPH_SHORT_SIZE])
{
    char prefix[16];
    size_t used = 0;
    const size_t length = (size_t)snprintf(prefix, sizeof prefix, "%d.", op->layer);
    text[0] = '\0';
    if (value == GRAPH_NONE) return;
    /* The parts of a fused value are "3.q|3.k". */
    for (const char *part = g->values[value].name; part != NULL && used < GRAPH_SHORT_SIZE;) {
        const char *bar = strchr(part, '|');
        const int whole = bar != NULL ? (int)(bar - part) : (int)strlen(part);
        int cut = op->layer != GRAPH_NONE && strncmp(part, prefix, length) == 0 ? (int)length : 0;
        for (int i = cut; cut > 0 && i < whole; i++)
            if (part[i] == '.') cut = i + 1; /* of the layer's own, the last component */
        used += (size_t)snprintf(text + used, GRAPH_SHORT_SIZE - used, "%s%.*s", used > 0 ? "|" : "", whole - cut,
                                 part + cut);
        part = bar != NULL ? bar + 1 : NULL;
    }
}
