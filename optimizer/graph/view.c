/* view.c - see view.h. */
#include "optimizer/graph/view.h"

static bool overlap(const graph_columns *a, const graph_columns *b)
{
    if (a->at.value != b->at.value) return false;
    const size_t from = a->at.offset < b->at.offset ? a->at.offset : b->at.offset;
    const size_t apart = a->at.offset < b->at.offset ? b->at.offset - from + b->width : a->at.offset - from + a->width;
    /* Head h of one can then only meet head h of the other. */
    const bool same_layout =
        a->heads == b->heads && a->at.stride == b->at.stride && a->heads > 1 && apart <= a->at.stride;
    const size_t a_end = a->at.offset + (same_layout ? 0 : (a->heads - 1) * a->at.stride) + a->width;
    const size_t b_end = b->at.offset + (same_layout ? 0 : (b->heads - 1) * b->at.stride) + b->width;
    return a->at.offset < b_end && b->at.offset < a_end;
}

/* Columns that the operation reads of each head of input j. */
static size_t read_width(const graph *g, const graph_op *op, int j)
{
    switch (op->kind) {
    case GRAPH_CONCAT:
    case GRAPH_ABSORB_QUERY:
        return j == 0 ? op->head_width : op->tail_width;
    case GRAPH_ATTENTION:
        return j == 2 ? op->value_width : op->key_width;
    case GRAPH_MATMUL:
    case GRAPH_EXPERT_MATMUL:
    case GRAPH_MATMUL_SWIGLU:
    case GRAPH_EXPERT_SWIGLU:
        return g->weights[op->weight].columns;
    case GRAPH_CACHE_WRITE:
        return g->cache_width[j] / op->heads;
    default:
        return op->head_width;
    }
}

bool graph_reads_columns(const graph *g, const graph_op *op, int j, const graph_columns *columns)
{
    if (op->in[j].value == GRAPH_NONE) return false;
    const graph_columns read = {.at = op->in[j],
                                .heads = j > 0 && op->kind == GRAPH_ATTENTION ? op->kv_heads : op->heads,
                                .width = read_width(g, op, j)};
    return overlap(&read, columns);
}

/* Whether the operation may change one of the columns. */
static bool writes_columns(const graph_op *op, const graph_columns *columns)
{
    const graph_columns written = {.at = op->out, .heads = op->heads, .width = op->head_width};
    if (op->kind == GRAPH_ROPE || op->kind == GRAPH_RMS_NORM) return overlap(&written, columns);
    return graph_writes(op, columns->at.value);
}

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
    const graph_columns copied = {.at = original, .heads = heads, .width = width};
    for (int i = 0; i < g->op_count; i++) {
        if (i != index && graph_writes(&g->ops[i], copy)) return false;     /* the copy must stay as it is, */
        if (i > index && writes_columns(&g->ops[i], &copied)) return false; /* and the original, too */
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
