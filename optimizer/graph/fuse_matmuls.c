/* fuse_matmuls.c - see fuse_matmuls.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/graph/fuse_matmuls.h"

/* The parts of a weight read one input in one form. */
static bool same_need(const graph_pass_options *options, const graph_weight *a, const graph_weight *b)
{
    if (options->need == NULL) return true;
    const graph_q8_need of_a = options->need(options->context, a->name[0]);
    const graph_q8_need of_b = options->need(options->context, b->name[0]);
    return of_a.quantised == of_b.quantised && of_a.group == of_b.group;
}

/* Whether each part of the weight is one of `names`, its last component or the last two. */
static bool all_named(const graph_weight *w, const char *const *names)
{
    for (int i = 0; i < w->parts; i++) {
        const size_t length = strlen(w->name[i]);
        bool found = false;
        for (size_t n = 0; names[n] != NULL && !found; n++) {
            const size_t end = strlen(names[n]);
            found =
                length > end && w->name[i][length - end - 1] == '.' && strcmp(w->name[i] + length - end, names[n]) == 0;
        }
        if (!found) return false;
    }
    return true;
}

static bool fusible(const graph *g, const graph_pass_options *options, const char *const *names, const graph_op *a,
                    const graph_op *b)
{
    if (a->kind != b->kind || (a->kind != GRAPH_MATMUL && a->kind != GRAPH_EXPERT_MATMUL)) return false;
    if (a->last != b->last || a->layer != b->layer) return false;
    if (a->out.value == g->output || b->out.value == g->output) return false; /* the output is a value of its own */
    for (int i = 0; i < 2; i++)
        if (a->in[i].value != b->in[i].value || a->in[i].offset != b->in[i].offset) return false;
    const graph_weight *wa = &g->weights[a->weight], *wb = &g->weights[b->weight];
    return wa->columns == wb->columns && !wa->exact && !wb->exact && wa->parts + wb->parts <= GRAPH_MAX_PARTS &&
           all_named(wa, names) && all_named(wb, names) && same_need(options, wa, wb);
}

/* Whether both can be columns of one value, written where `a` is: none is rewritten in place, and neither is what they read
 * before `b` has read it. */
static bool movable(const graph *g, int a, int b)
{
    const graph_op *x = &g->ops[a], *y = &g->ops[b];
    const graph_value *p = &g->values[x->out.value], *q = &g->values[y->out.value];
    if (p->dtype != q->dtype || p->rows != q->rows || p->last != q->last || x->out.offset != 0 || y->out.offset != 0)
        return false;
    return graph_written_once(g, x->out.value) && graph_written_once(g, y->out.value) &&
           !graph_written_between(g, x->in[0].value, a, b);
}

static int last_layer(const graph *g)
{
    int last = GRAPH_NONE;
    for (int i = 0; i < g->op_count; i++) last = g->ops[i].layer > last ? g->ops[i].layer : last;
    return last;
}

/* Whether one of the two is queries and the other is not, where that keeps them apart. */
static bool kept_apart(const graph *g, const char *const *queries, const graph_op *a, const graph_op *b)
{
    const bool of_last_token = g->phase == GRAPH_PREFILL || g->phase == GRAPH_PREFILL_ABSORBED;
    if (queries == NULL || !of_last_token || a->layer != last_layer(g)) return false;
    return all_named(&g->weights[a->weight], queries) != all_named(&g->weights[b->weight], queries);
}

/* Everyone who read `from` now reads `to`, `shift` columns further right. */
static void redirect(graph *g, int from, int to, size_t shift)
{
    for (int i = 0; i < g->op_count; i++)
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++)
            if (g->ops[i].in[j].value == from) {
                g->ops[i].in[j].value = to;
                g->ops[i].in[j].offset += shift;
            }
}

/* Makes op `a` compute what `b` computed too. */
static ciuic_status fuse(graph *g, int a, int b)
{
    graph_weight both = g->weights[g->ops[a].weight];
    const graph_weight *add = &g->weights[g->ops[b].weight];
    const size_t first_rows = graph_weight_rows(&both);
    for (int i = 0; i < add->parts; i++, both.parts++) {
        snprintf(both.name[both.parts], GRAPH_NAME, "%s", add->name[i]);
        both.rows[both.parts] = add->rows[i];
        both.bias[both.parts] = add->bias[i];
    }
    const int weight = graph_add_weight(g, &both);
    const int old_a = g->ops[a].out.value, old_b = g->ops[b].out.value;
    const graph_value like = g->values[old_a];
    const int value = graph_add_value(g, like.dtype, like.rows, graph_weight_rows(&both), "%.40s|%.40s", like.name,
                                      g->values[old_b].name);
    if (weight == GRAPH_NONE || value == GRAPH_NONE) return ciuic_fail_memory("a graph pass", sizeof both);
    g->values[value].last = like.last;
    redirect(g, old_a, value, 0);
    redirect(g, old_b, value, first_rows);
    g->ops[a].weight = weight;
    g->ops[a].out = graph_whole(value);
    return CIUIC_OK;
}

ciuic_status graph_fuse_matmuls(graph *g, const graph_pass_options *options, const char *const *names,
                                const char *const *queries, bool *changed)
{
    bool *dead = calloc((size_t)g->op_count + 1, sizeof *dead);
    if (dead == NULL) return ciuic_fail_memory("a graph pass", (size_t)g->op_count);
    ciuic_status status = CIUIC_OK;
    for (int a = 0; a < g->op_count && status == CIUIC_OK; a++) {
        for (int b = a + 1; b < g->op_count && status == CIUIC_OK; b++) {
            if (dead[a] || dead[b] || !fusible(g, options, names, &g->ops[a], &g->ops[b]) || !movable(g, a, b) ||
                kept_apart(g, queries, &g->ops[a], &g->ops[b]))
                continue;
            /* b moves up to a: its input is a's, written before a. */
            status = fuse(g, a, b);
            dead[b] = true;
            *changed = true;
        }
    }
    if (status == CIUIC_OK) graph_remove_ops(g, dead);
    free(dead);
    return status;
}
