/* pass_swiglu_epilogue.c - the matmul of gate and up writes silu(gate) * up itself, and what lay between, twice as wide as
 * the result, is no value any more: a thread computes some columns of gate and the same ones of up, and combines them
 * while both are in its own cache (ops_matmul.c). For dense MLPs, shared experts and routed experts.
 *
 * A pass of its own behind fuse-gate-up and fuse-swiglu, which make what it looks for, and not more of fuse-swiglu: that one
 * saves a sweep over memory and may change a rounding, this one saves the memory and changes none, and a report can say
 * what each of them earns. Without those two it finds nothing.
 *
 * Why it preserves the function: outputs of a matmul are independent dot products, shared out in the same runs of columns
 * for both parts, and the same kernel combines the same two numbers. Nobody else reads what lay between. No rounding
 * differs, unless a kernel sums a row of weights in another order among few of them than among many. */
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

/* The matmul of two equal parts, gate and up, all of which `swiglu` alone reads; GRAPH_NONE when there is none. */
static int gate_up_of(const graph *g, const graph_op *swiglu)
{
    const int between = swiglu->in[0].value;
    const int index = graph_producer(g, between);
    if (index == GRAPH_NONE || swiglu->in[1].value != between || graph_uses(g, between) != 1) return GRAPH_NONE;
    const graph_op *matmul = &g->ops[index];
    if ((matmul->kind != GRAPH_MATMUL && matmul->kind != GRAPH_EXPERT_MATMUL) || matmul->last != swiglu->last)
        return GRAPH_NONE;
    const graph_weight *w = &g->weights[matmul->weight];
    const graph_value *from = &g->values[between], *to = &g->values[swiglu->out.value];
    const bool parts = w->parts == 2 && w->rows[0] == w->rows[1] && swiglu->heads == 1 &&
                       swiglu->head_width == w->rows[0] && matmul->out.offset == 0 && swiglu->in[0].offset == 0 &&
                       swiglu->in[1].offset == w->rows[0];
    return parts && from->rows == to->rows && from->last == to->last ? index : GRAPH_NONE;
}

ciuic_status graph_pass_swiglu_epilogue(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    bool *dead = calloc((size_t)g->op_count + 1, sizeof *dead);
    if (dead == NULL) return ciuic_fail_memory("a graph pass", (size_t)g->op_count);
    for (int i = 0; i < g->op_count; i++) {
        const int index = g->ops[i].kind == GRAPH_SWIGLU ? gate_up_of(g, &g->ops[i]) : GRAPH_NONE;
        if (index == GRAPH_NONE) continue;
        graph_op *matmul = &g->ops[index];
        matmul->kind = matmul->kind == GRAPH_MATMUL ? GRAPH_MATMUL_SWIGLU : GRAPH_EXPERT_SWIGLU;
        matmul->out = g->ops[i].out;
        dead[i] = true;
        *changed = true;
    }
    graph_remove_ops(g, dead);
    free(dead);
    return CIUIC_OK;
}
