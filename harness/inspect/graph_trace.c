/* graph_trace.c - builds a graph and runs its passes one by one, noting what each changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/inspect/graph_print.h"
#include "optimizer/error.h"

static bool all_equal(const void *context, const char *name, size_t elements, float number)
{
    const graph_request *request = context;
    return request->checkpoint != NULL && checkpoint_all_equal(request->checkpoint, name, elements, number);
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

static ciuic_status run_pass(graph_trace *t, const graph_pass_options *options, int pass)
{
    const bool runs = graph_pass_selected(&t->request->options, (ciuic_pass)pass);
    graph_step *step = &t->steps[pass + 1];
    int before[GRAPH_OP_KINDS];
    bool changed = false;
    const int old_count = t->g->op_count;
    graph_op *old = malloc((size_t)old_count * sizeof *old);
    if (old == NULL) return ciuic_fail_memory("a graph", (size_t)old_count * sizeof *old);
    memcpy(old, t->g->ops, (size_t)old_count * sizeof *old);
    count_kinds(t->g, before);
    ciuic_status status = runs ? graph_passes[pass].run(t->g, options, &changed) : CIUIC_OK;
    if (status == CIUIC_OK) status = graph_validate(t->g);
    if (status == CIUIC_OK) {
        note(t, step, graph_passes[pass].name, runs, changed);
        if (changed) describe_change(t->g, old, old_count, before, step->did, sizeof step->did);
    }
    free(old);
    return status;
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
    const graph_pass_options options = {.all_equal = all_equal, .context = request};
    trace->storage =
        (graph_storage){.weight = request->weight_bytes, .cache = request->options.memory != CIUIC_MEMORY_OFF ? 2 : 4};
    CIUIC_TRY(build(trace));
    note(trace, &trace->steps[0], "as built", true, false);
    for (int i = 0; i < CIUIC_PASSES; i++) CIUIC_TRY(run_pass(trace, &options, i));
    return CIUIC_OK;
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
