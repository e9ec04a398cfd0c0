/* pass_drop_slices.c - parts of a row are read where they are, and not copied out first.
 *
 * Why it preserves the function: no arithmetic changes, only where operands are read from; a slice that an operation
 * rewrites in place, or whose reader cannot follow heads that lie apart, stays. No rounding differs. */
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/view.h"

ciuic_status graph_pass_drop_slices(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    bool *dead = calloc((size_t)g->op_count + 1, sizeof *dead);
    if (dead == NULL) return ciuic_fail_memory("a graph pass", (size_t)g->op_count);
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (op->kind == GRAPH_SLICE) dead[i] = graph_view_instead(g, i, op->heads, op->head_width);
        *changed |= dead[i];
    }
    graph_remove_ops(g, dead);
    free(dead);
    return CIUIC_OK;
}
