/* insert_quantize.c - makes the quantisation of activations, which int8 and int4 matmuls need, an operation of its own,
 * so that its buffer is planned like any other and several matmuls of one input can share it. Part of lowering. */
#include <stdlib.h>

#include "kernels/kernels.h"
#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

static bool reads_q8(const graph_op *op, const graph_q8_need *needs)
{
    return (graph_is_matmul(op->kind) || op->kind == GRAPH_ABSORB_VALUE) && needs[op->weight].quantised;
}

/* The quantised copy that an earlier operation made of the same operand, if nothing rewrote it since. */
static int find_shared(const graph *g, const graph_op *like)
{
    for (int i = g->op_count - 1; i >= 0; i--) {
        const graph_op *op = &g->ops[i];
        if (op->kind == GRAPH_QUANTIZE && op->in[0].value == like->in[0].value &&
            op->in[0].offset == like->in[0].offset && op->head_width == like->head_width && op->heads == like->heads &&
            op->group == like->group && op->last == like->last)
            return op->out.value;
        if (graph_writes(op, like->in[0].value)) return GRAPH_NONE;
    }
    return GRAPH_NONE;
}

/* Appends `op` to g, reading a quantised copy of its input. */
static int append_quantized(graph *g, const graph_op *op, size_t group, bool share)
{
    const bool absorb = op->kind == GRAPH_ABSORB_VALUE;
    const size_t heads = absorb ? op->heads : 1;
    const size_t width = absorb ? op->head_width : g->weights[op->weight].columns;
    graph_op quantize = {.kind = GRAPH_QUANTIZE,
                         .layer = op->layer,
                         .weight = GRAPH_NONE,
                         .last = op->last,
                         .heads = heads,
                         .head_width = width,
                         .group = group,
                         .in = {op->in[0], {.value = GRAPH_NONE}, {.value = GRAPH_NONE}},
                         .out = {.stride = width}};
    int q8 = share ? find_shared(g, &quantize) : GRAPH_NONE;
    if (q8 == GRAPH_NONE) {
        const graph_value from = g->values[op->in[0].value];
        q8 = graph_add_value(g, GRAPH_Q8, from.rows, heads * width, "%.80s.q8", from.name);
        if (q8 == GRAPH_NONE) return GRAPH_NONE;
        g->values[q8].last = from.last || op->last;
        quantize.out.value = q8;
        if (graph_add_op(g, &quantize) == GRAPH_NONE) return GRAPH_NONE;
    }
    graph_op reader = *op;
    reader.in[0] = (graph_operand){.value = q8, .stride = width};
    return graph_add_op(g, &reader);
}

/* What no kernel multiplies is refused here: kernels do not ask. */
static ciuic_status check_groups(const graph *g, const graph_q8_need *needs)
{
    for (int i = 0; i < g->op_count; i++) {
        if (!reads_q8(&g->ops[i], needs)) continue;
        const graph_weight *w = &g->weights[g->ops[i].weight];
        const size_t group = needs[g->ops[i].weight].group;
        if (kernel_group_supported(w->columns, group)) continue;
        if (group == 0)
            return ciuic_fail(
                CIUIC_ERROR_UNSUPPORTED,
                "%s: rows of %zu columns cannot be quantised as one group; expected at most %d columns, or "
                "groups of %d",
                w->name[0], w->columns, KERNEL_GROUP_COLUMNS, KERNEL_GROUP);
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED,
                          "%s: groups of %zu columns have no kernels; expected 32, 64, 128, or 0 for whole rows",
                          w->name[0], group);
    }
    return CIUIC_OK;
}

ciuic_status graph_insert_quantize(graph *g, const graph_q8_need *needs, bool share)
{
    CIUIC_TRY(check_groups(g, needs));
    graph_op *old = g->ops;
    const int count = g->op_count;
    g->ops = NULL;
    g->op_count = g->op_capacity = 0;
    ciuic_status status = CIUIC_OK;
    for (int i = 0; i < count && status == CIUIC_OK; i++) {
        const int index = reads_q8(&old[i], needs) ? append_quantized(g, &old[i], needs[old[i].weight].group, share)
                                                   : graph_add_op(g, &old[i]);
        if (index == GRAPH_NONE) status = ciuic_fail_memory("a graph", (size_t)count * sizeof *old);
    }
    free(old);
    return status == CIUIC_OK ? graph_validate(g) : status;
}
