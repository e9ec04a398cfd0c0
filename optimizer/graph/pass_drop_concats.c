/* pass_drop_concats.c - a concatenation of two parts that stand side by side already, head by head, is the value that they
 * stand in. They do so once drop-slices has made them views of one row and rope-in-place rotates in it: without those two,
 * this finds nothing.
 *
 * Why it preserves the function: the columns read are those that would have been copied. No rounding differs. */
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/view.h"

/* The two inputs stand side by side, head by head, in one value. */
static bool is_in_place(const graph_op *concat)
{
    const graph_operand *a = &concat->in[0], *b = &concat->in[1];
    return a->value == b->value && a->stride == b->stride && b->offset == a->offset + concat->head_width &&
           (concat->heads == 1 || a->stride >= concat->head_width + concat->tail_width);
}

ciuic_status graph_pass_drop_concats(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    bool *dead = calloc((size_t)g->op_count + 1, sizeof *dead);
    if (dead == NULL) return ciuic_fail_memory("a graph pass", (size_t)g->op_count);
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (op->kind == GRAPH_CONCAT && is_in_place(op))
            dead[i] = graph_view_instead(g, i, op->heads, op->head_width + op->tail_width);
        *changed |= dead[i];
    }
    graph_remove_ops(g, dead);
    free(dead);
    return CIUIC_OK;
}
