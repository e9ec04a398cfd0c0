/* pass_fuse_swiglu.c - silu(gate) followed by a product with up becomes one operation.
 *
 * Why it preserves the function: the same two multiplications of the same operands in the same order; a rung may round
 * its fused exponential differently from its separate one, within the kernel's stated tolerance. Saves one pass over the
 * row and one value in the arena; the gate is read later than before, and is not rewritten until then. swiglu-epilogue then looks for what this leaves behind a matmul. */
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

/* The silu that the product alone reads, all of it, and whose input is still there; GRAPH_NONE when there is none. */
static int silu_of(const graph *g, int index)
{
    const graph_op *mul = &g->ops[index];
    if (mul->kind != GRAPH_MUL || mul->in[1].value == mul->in[0].value) return GRAPH_NONE; /* read once only */
    const int s = graph_producer(g, mul->in[0].value);
    if (s == GRAPH_NONE || g->ops[s].kind != GRAPH_SILU || graph_uses(g, mul->in[0].value) != 1) return GRAPH_NONE;
    const graph_op *silu = &g->ops[s];
    const bool whole = silu->out.offset == mul->in[0].offset && silu->head_width == mul->head_width &&
                       silu->heads == 1 && mul->heads == 1 && silu->last == mul->last;
    return whole && !graph_written_between(g, silu->in[0].value, s, index) ? s : GRAPH_NONE;
}

ciuic_status graph_pass_fuse_swiglu(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    bool *dead = calloc((size_t)g->op_count + 1, sizeof *dead);
    if (dead == NULL) return ciuic_fail_memory("a graph pass", (size_t)g->op_count);
    for (int i = 0; i < g->op_count; i++) {
        const int s = silu_of(g, i);
        if (s == GRAPH_NONE) continue;
        g->ops[i].kind = GRAPH_SWIGLU;
        g->ops[i].in[0] = g->ops[s].in[0];
        dead[s] = true;
        *changed = true;
    }
    graph_remove_ops(g, dead);
    free(dead);
    return CIUIC_OK;
}
