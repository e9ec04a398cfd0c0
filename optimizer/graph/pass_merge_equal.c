/* pass_merge_equal.c - common subexpressions: an operation that computes what an earlier one has computed goes, and its
 * readers read the earlier one's result. Lowering does the same, under this pass's name, with activations that several
 * matmuls need quantised in the same groups (insert_quantize.c); the builders emit no other duplicates.
 *
 * Why it preserves the function: kind, attributes, inputs and weights are equal, and nothing rewrites inputs or result in
 * place between the two or behind them, so the two results are the same numbers. No rounding differs. */
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

static bool same_weight(const graph *g, int a, int b)
{
    if (a == b || a == GRAPH_NONE || b == GRAPH_NONE) return a == b;
    const graph_weight *x = &g->weights[a], *y = &g->weights[b];
    if (x->kind != y->kind || x->parts != y->parts || x->columns != y->columns || x->experts != y->experts ||
        x->exact != y->exact || x->slice != y->slice || x->eps != y->eps || x->computed != y->computed ||
        x->blocked != y->blocked || strcmp(x->fold, y->fold) != 0)
        return false;
    for (int i = 0; i < x->parts; i++)
        if (strcmp(x->name[i], y->name[i]) != 0 || x->bias[i] != y->bias[i] || x->rows[i] != y->rows[i]) return false;
    return true;
}

static bool same_image(const graph_image *a, const graph_image *b)
{
    bool same = a->channels == b->channels && a->height == b->height && a->width == b->width &&
                a->out_channels == b->out_channels && a->groups == b->groups && a->reads == b->reads &&
                a->writes == b->writes;
    for (int i = 0; i < 2; i++)
        same = same && a->kernel[i] == b->kernel[i] && a->stride[i] == b->stride[i] && a->padding[i] == b->padding[i] &&
               a->dilation[i] == b->dilation[i];
    return same;
}

static bool same_operand(const graph_operand *a, const graph_operand *b)
{
    return a->value == b->value && a->offset == b->offset && a->stride == b->stride;
}

static bool same_rotation(const graph_rotation *a, const graph_rotation *b)
{
    return a->heads == b->heads &&
           (a->heads == 0 || (a->first == b->first && a->width == b->width && a->input == b->input));
}

static bool same_work(const graph *g, const graph_op *a, const graph_op *b)
{
    if (a->kind != b->kind || a->layer != b->layer || a->last != b->last || a->heads != b->heads ||
        a->head_width != b->head_width || a->tail_width != b->tail_width || a->kv_heads != b->kv_heads ||
        a->key_width != b->key_width || a->value_width != b->value_width || a->group != b->group ||
        a->half != b->half || a->grouped != b->grouped || !same_rotation(&a->rotation, &b->rotation))
        return false;
    for (int i = 0; i < GRAPH_MAX_INPUTS; i++)
        if (!same_operand(&a->in[i], &b->in[i])) return false;
    /* scale is compared as it is written: equal numbers are equal bits here, and NaN is none of ours. */
    return memcmp(&a->scale, &b->scale, sizeof a->scale) == 0 && a->out.offset == b->out.offset &&
           a->out.stride == b->out.stride && same_image(&a->image, &b->image) && same_weight(g, a->weight, b->weight);
}

static bool rewritten_between(const graph *g, const graph_op *reader, int a, int b)
{
    for (int j = 0; j < GRAPH_MAX_INPUTS; j++)
        if (reader->in[j].value != GRAPH_NONE && graph_written_between(g, reader->in[j].value, a, b)) return true;
    return false;
}

static bool mergeable(const graph *g, int a, int b)
{
    const graph_op *x = &g->ops[a], *y = &g->ops[b];
    /* Cache operations have effects and causes beside their operands; all routings are one object. */
    if (x->kind == GRAPH_CACHE_WRITE || x->kind == GRAPH_CACHE_READ || x->kind == GRAPH_ROUTE ||
        (x->kind == GRAPH_ATTENTION && x->in[1].value == GRAPH_NONE) || !same_work(g, x, y))
        return false;
    const graph_value *p = &g->values[x->out.value], *q = &g->values[y->out.value];
    return p->dtype == q->dtype && p->rows == q->rows && p->last == q->last && p->width == q->width &&
           graph_written_once(g, x->out.value) && graph_written_once(g, y->out.value) && !rewritten_between(g, x, a, b);
}

static void read_instead(graph *g, int from, int to)
{
    for (int i = 0; i < g->op_count; i++)
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++)
            if (g->ops[i].in[j].value == from) g->ops[i].in[j].value = to;
    if (g->output == from) g->output = to;
}

ciuic_status graph_pass_merge_equal(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    bool *dead = calloc((size_t)g->op_count + 1, sizeof *dead);
    if (dead == NULL) return ciuic_fail_memory("a graph pass", (size_t)g->op_count);
    for (int a = 0; a < g->op_count; a++)
        for (int b = a + 1; b < g->op_count; b++) {
            if (dead[a] || dead[b] || !mergeable(g, a, b)) continue;
            read_instead(g, g->ops[b].out.value, g->ops[a].out.value);
            dead[b] = true;
            *changed = true;
        }
    graph_remove_ops(g, dead);
    free(dead);
    return CIUIC_OK;
}
