/* pass_fuse_add_norm.c - a residual sum and the norm that reads it become one operation, which adds in place and writes the
 * normalised row beside it: the row is still in the nearest cache, threads meet once less, and the residual stream of the
 * whole model is one value, which the others fit around.
 *
 * Why it preserves the function: the same kernels add and normalise the same rows in the same order. In place is allowed
 * only where nobody reads the old sum any more. No rounding differs. */
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

static bool is_whole(const graph *g, const graph_operand *operand, size_t width)
{
    return operand->value != GRAPH_NONE && operand->offset == 0 && g->values[operand->value].width == width;
}

/* The norm that reads the whole of what `add` writes; GRAPH_NONE when there is none. */
static int norm_of(const graph *g, int add)
{
    const graph_op *a = &g->ops[add];
    for (int i = add + 1; i < g->op_count; i++) {
        const graph_op *n = &g->ops[i];
        if (n->kind == GRAPH_RMS_NORM && n->in[0].value == a->out.value && n->in[0].offset == 0 && n->heads == 1 &&
            n->head_width == a->head_width && n->last == a->last && n->out.value != a->out.value &&
            is_whole(g, &n->out, a->head_width))
            return i;
    }
    return GRAPH_NONE;
}

/* Whether the sum may be written over the first input: nobody reads that behind the sum, nobody rewrites the sum, and
 * where only the last row is summed, only that is read. */
static bool may_overwrite(const graph *g, int add)
{
    const graph_op *a = &g->ops[add];
    const int old = a->in[0].value, sum = a->out.value;
    if (!is_whole(g, &a->in[0], a->head_width) || !is_whole(g, &a->in[1], a->head_width) ||
        !is_whole(g, &a->out, a->head_width) || old == a->in[1].value || old == g->output || sum == g->output)
        return false;
    const bool narrower = g->values[sum].last && !g->values[old].last;
    if (g->values[old].rows != g->values[sum].rows || (g->values[old].last && !g->values[sum].last)) return false;
    for (int i = add + 1; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (graph_reads(op, old) || graph_writes(op, sum) || (narrower && graph_reads(op, sum) && !op->last))
            return false;
    }
    return true;
}

static void fuse(graph *g, int add, int norm)
{
    graph_op *a = &g->ops[add];
    const graph_op *n = &g->ops[norm];
    const int sum = a->out.value;
    a->kind = GRAPH_ADD_NORM;
    a->weight = n->weight;
    a->scale = n->scale;
    a->out = n->out;
    for (int i = 0; i < g->op_count; i++)
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++)
            if (g->ops[i].in[j].value == sum) g->ops[i].in[j].value = a->in[0].value;
}

ciuic_status graph_pass_fuse_add_norm(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    bool *dead = calloc((size_t)g->op_count + 1, sizeof *dead);
    if (dead == NULL) return ciuic_fail_memory("a graph pass", (size_t)g->op_count);
    for (int i = 0; i < g->op_count; i++) {
        const int norm = g->ops[i].kind == GRAPH_ADD ? norm_of(g, i) : GRAPH_NONE;
        if (norm == GRAPH_NONE || dead[norm] || !may_overwrite(g, i)) continue;
        fuse(g, i, norm);
        dead[norm] = true;
        *changed = true;
    }
    graph_remove_ops(g, dead);
    free(dead);
    return CIUIC_OK;
}
