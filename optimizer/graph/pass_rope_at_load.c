/* pass_rope_at_load.c - queries are rotated by what loads them, attention or the absorbing of queries, and keys on their way
 * into the cache: rotation is no operation of its own any more.
 *
 * Why it preserves the function: the same kernel rotates the same numbers by the same position, only later, into a copy that
 * the reader needs in any case or a thread's own workspace. It is done only where no other operation reads the rotated
 * columns. No rounding differs.
 *
 * Where it pays: in decode there is one row, which one thread rotates while the others wait; attention and absorb_query
 * share out heads, so that each thread rotates its own, and absorb_query need not meet the thread that writes the cache at
 * all. A prefill shares out rows in any case, and attention would have to copy its block of queries: there it stays an
 * operation, while cache writes and absorb_query take it, which copy the row as they are.
 *
 * Not as an epilogue of the projection: a thread would have to take whole heads, 16 runs of 128 outputs in the shape of
 * R1-Distill-Qwen-1.5B and not 128 runs of 16, so that 12 threads would wait for those that have two. */
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/view.h"

/* The one input, of an operation behind it, that reads what `rope` rotates; false when there are none, or several. */
static bool only_reader(const graph *g, int rope, int *reader, int *input)
{
    const graph_op *r = &g->ops[rope];
    const graph_columns rotated = {.at = r->out, .heads = r->heads, .width = r->head_width};
    int found = 0;
    if (g->output == r->out.value) return false;
    for (int i = 0; i < g->op_count; i++)
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++) {
            if (i == rope || !graph_reads_columns(g, &g->ops[i], j, &rotated)) continue;
            if (i < rope) return false;
            found++;
            *reader = i, *input = j;
        }
    return found == 1;
}

/* Whether the heads of what `rope` wrote are those that the reader sees through its input. */
static bool same_heads(const graph_op *rope, const graph_op *reader, int input)
{
    return rope->heads == reader->heads && (rope->heads == 1 || rope->out.stride == reader->in[input].stride);
}

/* What the reader has to rotate; heads = 0 where it cannot. */
static graph_rotation rotation_of(const graph *g, const graph_op *rope, const graph_op *reader, int input)
{
    const graph_operand *in = &reader->in[input];
    const graph_rotation none = {0};
    graph_rotation r = {.heads = rope->heads, .width = rope->head_width, .input = input};
    if (reader->rotation.heads != 0 || reader->last != rope->last || rope->out.offset < in->offset) return none;
    r.first = rope->out.offset - in->offset;
    switch (reader->kind) {
    case GRAPH_ATTENTION:
        return g->phase == GRAPH_DECODE && input == 0 && same_heads(rope, reader, input) &&
                       r.first + r.width <= reader->key_width
                   ? r
                   : none;
    case GRAPH_ABSORB_QUERY:
        return input == 1 && same_heads(rope, reader, input) && r.first == 0 && r.width == reader->tail_width ? r
                                                                                                              : none;
    case GRAPH_CACHE_WRITE: {
        const bool close = reader->heads == 1 && (rope->heads == 1 || rope->out.stride == r.width);
        return r.first == 0 && r.heads * r.width == g->cache_width[input] && (close || same_heads(rope, reader, input))
                   ? r
                   : none;
    }
    default:
        return none;
    }
}

static bool move_to_reader(graph *g, int index)
{
    const graph_op *rope = &g->ops[index];
    int reader = GRAPH_NONE, input = GRAPH_NONE;
    if (!only_reader(g, index, &reader, &input)) return false;
    const graph_rotation rotation = rotation_of(g, rope, &g->ops[reader], input);
    if (rotation.heads == 0) return false;
    const bool in_place = rope->in[0].value == rope->out.value;
    if (in_place && (rope->in[0].offset != rope->out.offset || rope->in[0].stride != rope->out.stride)) return false;
    if (!in_place && !graph_view_instead(g, index, rope->heads, rope->head_width)) return false;
    g->ops[reader].rotation = rotation;
    return true;
}

ciuic_status graph_pass_rope_at_load(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    bool *dead = calloc((size_t)g->op_count + 1, sizeof *dead);
    if (dead == NULL) return ciuic_fail_memory("a graph pass", (size_t)g->op_count);
    for (int i = 0; i < g->op_count; i++)
        if (g->ops[i].kind == GRAPH_ROPE && move_to_reader(g, i)) dead[i] = *changed = true;
    graph_remove_ops(g, dead);
    free(dead);
    return CIUIC_OK;
}
