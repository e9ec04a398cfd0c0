/* pass_drop_copies.c - slices become views of what they copied, rotation happens in place, and a concatenation of two
 * neighbouring views is the value they already stand in.
 *
 * Why it preserves the function: no arithmetic changes, only where operands are read from. In place is allowed only where
 * no other operation reads the rotated columns. No rounding differs. */
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

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
    if (heads == 1) return true;
    return op->in[j].offset == 0 && op->in[j].stride == width && reads_by_head(op, j, heads);
}

/* Every reader of `copy` reads the original operand instead; false, and nothing changes, when one of them cannot. */
static bool view_instead(graph *g, int copy, graph_operand original, size_t heads, size_t width)
{
    if (g->output == copy) return false;
    for (int i = 0; i < g->op_count; i++)
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++)
            if (g->ops[i].in[j].value == copy && !can_view(&g->ops[i], j, heads, width)) return false;
    for (int i = 0; i < g->op_count; i++)
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++) {
            graph_operand *in = &g->ops[i].in[j];
            if (in->value != copy) continue;
            in->value = original.value;
            in->offset += original.offset;
            if (heads > 1) in->stride = original.stride;
        }
    return true;
}

/* Columns that the operation reads of `value` through input j: heads segments of `width`. */
static size_t read_width(const graph *g, const graph_op *op, int j)
{
    switch (op->kind) {
    case GRAPH_CONCAT:
    case GRAPH_ABSORB_QUERY:
        return j == 0 ? op->head_width : op->tail_width;
    case GRAPH_ATTENTION:
        return j == 2 ? op->value_width : op->key_width;
    case GRAPH_MATMUL:
        return g->weights[op->weight].columns;
    case GRAPH_CACHE_WRITE:
        return g->cache_width[j] / op->heads;
    default:
        return op->head_width;
    }
}

/* Whether another operation may read a column that `rope` rotates. Conservative: unequal layouts count as overlapping
 * where their spans do. */
static bool rotated_columns_shared(const graph *g, int rope_index)
{
    const graph_op *rope = &g->ops[rope_index];
    const graph_operand *mine = &rope->in[0];
    const size_t span = (rope->heads - 1) * mine->stride + rope->head_width;
    if (g->output == mine->value) return true;
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (i == rope_index) continue;
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++) {
            const graph_operand *in = &op->in[j];
            if (in->value != mine->value) continue;
            const size_t width = read_width(g, op, j),
                         heads = j > 0 && op->kind == GRAPH_ATTENTION ? op->kv_heads : op->heads;
            const bool same_layout = heads == rope->heads && in->stride == mine->stride && heads > 1;
            const size_t end = in->offset + (same_layout ? width : (heads - 1) * in->stride + width);
            const size_t my_end = mine->offset + (same_layout ? rope->head_width : span);
            if (in->offset < my_end && mine->offset < end) return true;
        }
    }
    return false;
}

static void rotate_in_place(graph *g, int index, bool *changed)
{
    graph_op *rope = &g->ops[index];
    if (rope->in[0].value == rope->out.value || rotated_columns_shared(g, index)) return;
    const graph_operand original = rope->in[0];
    if (!view_instead(g, rope->out.value, original, rope->heads, rope->head_width)) return;
    rope->out = original;
    *changed = true;
}

/* The two inputs stand side by side, head by head, in one value. */
static bool is_in_place(const graph_op *concat)
{
    const graph_operand *a = &concat->in[0], *b = &concat->in[1];
    return a->value == b->value && a->stride == b->stride && b->offset == a->offset + concat->head_width &&
           (concat->heads == 1 || a->stride >= concat->head_width + concat->tail_width);
}

ciuic_status graph_pass_drop_copies(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    bool *dead = calloc((size_t)g->op_count + 1, sizeof *dead);
    if (dead == NULL) return ciuic_fail_memory("a graph pass", (size_t)g->op_count);
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (op->kind == GRAPH_SLICE) dead[i] = view_instead(g, op->out.value, op->in[0], op->heads, op->head_width);
        *changed |= dead[i];
    }
    graph_remove_ops(g, dead);
    for (int i = 0; i < g->op_count; i++) {
        dead[i] = false;
        if (g->ops[i].kind == GRAPH_ROPE) rotate_in_place(g, i, changed);
    }
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (op->kind == GRAPH_CONCAT && is_in_place(op))
            dead[i] = view_instead(g, op->out.value, op->in[0], op->heads, op->head_width + op->tail_width);
        *changed |= dead[i];
    }
    graph_remove_ops(g, dead);
    free(dead);
    return CIUIC_OK;
}
