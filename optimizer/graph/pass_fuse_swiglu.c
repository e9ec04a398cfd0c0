/* pass_fuse_swiglu.c - silu(gate) followed by a product with up becomes one operation.
 *
 * Why it preserves the function: the same two multiplications of the same operands in the same order; a rung may round
 * its fused exponential differently from its separate one, within the kernel's stated tolerance. Saves one pass over the
 * row and one value in the arena; swiglu-epilogue then looks for what this leaves behind a matmul. */
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

ciuic_status graph_pass_fuse_swiglu(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    bool *dead = calloc((size_t)g->op_count + 1, sizeof *dead);
    if (dead == NULL) return ciuic_fail_memory("a graph pass", (size_t)g->op_count);
    for (int i = 0; i < g->op_count; i++) {
        graph_op *mul = &g->ops[i];
        if (mul->kind != GRAPH_MUL || mul->in[1].value == mul->in[0].value) continue; /* the gate is read once only */
        const int s = graph_producer(g, mul->in[0].value);
        if (s == GRAPH_NONE || g->ops[s].kind != GRAPH_SILU || graph_uses(g, mul->in[0].value) != 1) continue;
        mul->kind = GRAPH_SWIGLU;
        mul->in[0] = g->ops[s].in[0];
        dead[s] = true;
        *changed = true;
    }
    graph_remove_ops(g, dead);
    free(dead);
    return CIUIC_OK;
}
