/* view.c - see view.h. */
#include "optimizer/graph/view.h"

/* Whether readers can follow input `j` of `op` through strided heads: the operand's heads are the operation's own. */
static bool reads_by_head(const graph_op *op, int j, size_t heads)
{
    switch (op->kind) {
    case GRAPH_ROPE:
    case GRAPH_CONCAT:
    case GRAPH_ABSORB_QUERY:
    case GRAPH_CACHE_WRITE:
        return op->heads == heads;
    case GRAPH_ATTENTION:
        return j == 0 ? op->heads == heads : op->kv_heads == heads;
    default:
        return false;
    }
}

/* Whether input j of `op`, which reads value `copy`, can read it where `from` (heads segments of `width`) has it. */
static bool can_view(const graph_op *op, int j, size_t heads, size_t width)
{
    return op->in[j].offset == 0 && op->in[j].stride == width && reads_by_head(op, j, heads);
}

bool graph_view_instead(graph *g, int index, size_t heads, size_t width)
{
    const int copy = g->ops[index].out.value;
    const graph_operand original = g->ops[index].in[0];
    if (g->output == copy) return false;
    /* Both lie without gaps: an offset is all that readers need to follow. */
    const bool alike = heads == 1 || original.stride == width;
    for (int i = 0; i < g->op_count; i++) {
        if (i != index && graph_writes(&g->ops[i], copy)) return false;          /* the original must stay as it is, */
        if (i > index && graph_writes(&g->ops[i], original.value)) return false; /* and the copy, too */
    }
    for (int i = 0; i < g->op_count; i++)
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++)
            if (g->ops[i].in[j].value == copy && !alike && !can_view(&g->ops[i], j, heads, width)) return false;
    for (int i = 0; i < g->op_count; i++)
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++) {
            graph_operand *in = &g->ops[i].in[j];
            if (in->value != copy) continue;
            in->value = original.value;
            in->offset += original.offset;
            if (!alike) in->stride = original.stride;
        }
    return true;
}
