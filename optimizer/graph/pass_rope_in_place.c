/* pass_rope_in_place.c - queries and keys are rotated where the projection, or a slice, has left them: rotation becomes
 * the last step of what wrote them, and attention and cache read them there.
 *
 * Why it preserves the function: the same kernel rotates the same numbers; only where it writes them changes. In place is
 * allowed only where no other operation reads the columns that are rotated. No rounding differs.
 *
 * Why rotation stays an operation, and is no epilogue of the projection: there is little to save, and it would have to be paid
 * for. In the shape of R1-Distill-Qwen-1.5B it reads and writes 1536 + 256 columns a token and layer, 14 kB and 5.4
 * thousand operations. One decoded token reads 28 MB of the layer's weights at 4.8 bits: 14 kB are 0.05% of that, and lie
 * in a near cache. In a prefill of 512 tokens it is 7.3 MB beside 48 GFLOP; where cost.h counts eight operations as a
 * byte, 0.12%. No meeting of threads would go either: before attention all wait for all of the projection in any case, and
 * rotation has its rows, or thread 0, in common with the write to the cache that follows it. In return a thread would have
 * to take whole heads of the projection, 16 runs of 128 outputs there and not 128 runs of 16: 12 threads would wait for
 * those that have two heads, half as long again as with equal shares. Rotation at attention's load would rotate a query
 * once for each part of the cache, where threads share out positions. */
#include "optimizer/graph/view.h"

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
    case GRAPH_MATMUL_SWIGLU:
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
    if (!graph_view_instead(g, index, rope->heads, rope->head_width)) return;
    rope->out = original;
    *changed = true;
}

ciuic_status graph_pass_rope_in_place(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    for (int i = 0; i < g->op_count; i++)
        if (g->ops[i].kind == GRAPH_ROPE) rotate_in_place(g, i, changed);
    return CIUIC_OK;
}
