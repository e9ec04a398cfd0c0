/* pass_drop_layout.c - conversions between channels last and channels first that need not be: of images with one channel or
 * one pixel, whose numbers stand in the same order either way, and pairs that undo each other, with nothing but
 * element-wise functions between them. A conversion before a convolution stays: kernels read channels first.
 *
 * Why it preserves the function: a permutation of one place is the identity, a permutation and its inverse are, and a
 * function of each element commutes with both. No rounding differs. */
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

static bool is_layout(const graph_op *op)
{
    return op->kind == GRAPH_CHANNELS_FIRST || op->kind == GRAPH_CHANNELS_LAST;
}

static bool is_identity(const graph_op *op)
{
    return is_layout(op) && (op->image.channels == 1 || op->image.height * op->image.width == 1);
}

/* The conversion that operation `index` undoes, through element-wise functions; GRAPH_NONE when there is none. */
static int undone_by(const graph *g, int index)
{
    const graph_op *back = &g->ops[index];
    int value = is_layout(back) ? back->in[0].value : GRAPH_NONE;
    while (value != GRAPH_NONE && graph_uses(g, value) == 1) {
        const int from = graph_producer(g, value);
        if (from == GRAPH_NONE) break;
        const graph_op *op = &g->ops[from];
        if (is_layout(op)) {
            const graph_image *a = &op->image, *b = &back->image;
            const bool same = a->channels == b->channels && a->height == b->height && a->width == b->width;
            return op->kind != back->kind && same ? from : GRAPH_NONE;
        }
        value = op->kind == GRAPH_RELU || op->kind == GRAPH_SILU ? op->in[0].value : GRAPH_NONE;
    }
    return GRAPH_NONE;
}

/* Readers of what `op` writes read what it reads. */
static void bypass(graph *g, const graph_op *op)
{
    for (int i = 0; i < g->op_count; i++)
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++)
            if (g->ops[i].in[j].value == op->out.value) g->ops[i].in[j].value = op->in[0].value;
    if (g->output == op->out.value) g->output = op->in[0].value;
}

ciuic_status graph_pass_drop_layout(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    bool *dead = calloc((size_t)g->op_count + 1, sizeof *dead);
    if (dead == NULL) return ciuic_fail_memory("a graph pass", (size_t)g->op_count);
    for (int i = 0; i < g->op_count; i++) {
        const graph_op op = g->ops[i];
        if (is_identity(&op)) {
            bypass(g, &op);
            dead[i] = *changed = true;
            continue;
        }
        const int first = undone_by(g, i);
        if (first == GRAPH_NONE || dead[first]) continue;
        const graph_op there = g->ops[first];
        bypass(g, &op);
        bypass(g, &there);
        dead[i] = dead[first] = *changed = true;
    }
    graph_remove_ops(g, dead);
    free(dead);
    return CIUIC_OK;
}
