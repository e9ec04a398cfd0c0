/* pass_rope_in_place.c - queries and keys are rotated where the projection, or a slice, has left them: rotation becomes
 * the last step of what wrote them, and attention and cache read them there.
 *
 * Why it preserves the function: the same kernel rotates the same numbers; only where it writes them changes. In place is
 * allowed only where no other operation reads the columns that are rotated. No rounding differs.
 *
 * pass_rope_at_load.c goes on from here, where it pays, and says why rotation is no epilogue of the projection. */
#include "optimizer/graph/view.h"

/* Whether another operation may read a column that `rope` rotates. */
static bool rotated_columns_shared(const graph *g, int index)
{
    const graph_op *rope = &g->ops[index];
    const graph_columns rotated = {.at = rope->in[0], .heads = rope->heads, .width = rope->head_width};
    if (g->output == rope->in[0].value) return true;
    for (int i = 0; i < g->op_count; i++)
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++)
            if (i != index && graph_reads_columns(g, &g->ops[i], j, &rotated)) return true;
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
