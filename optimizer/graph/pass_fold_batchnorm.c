/* pass_fold_batchnorm.c - a batch normalisation moves into the filters and biases of the convolution before it, whatever the
 * convolution's stride, padding, dilation and groups, and with or without bias.
 *
 * Why it preserves the function: in evaluation a batch normalisation is y = factor (x - mean) + shift for each channel, with
 * factor = scale / sqrt(variance + eps); of x = w * u + b that is (factor w) * u + (factor (b - mean) + shift). Padding is
 * of zeros before the convolution, which it leaves as they are. Rounding: filters and biases are computed in double and
 * rounded once, by 2^-24 of each: a result moves by at most 2^-24 of the sum of magnitudes |factor w u| and of the bias,
 * and is spared the roundings of normalising. It is taken only where nobody else reads what the convolution wrote. */
#include <stdio.h>
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

static bool fold(graph *g, int index, bool *failed)
{
    const graph_op *norm = &g->ops[index];
    const int conv = norm->kind == GRAPH_BATCH_NORM ? graph_producer(g, norm->in[0].value) : GRAPH_NONE;
    if (conv == GRAPH_NONE || g->ops[conv].kind != GRAPH_CONV2D || graph_uses(g, norm->in[0].value) != 1) return false;
    graph_weight filters = g->weights[g->ops[conv].weight];
    if (filters.fold[0] != '\0') return false; /* one normaliser is in them already */
    snprintf(filters.fold, sizeof filters.fold, "%s", g->weights[norm->weight].name[0]);
    filters.eps = g->weights[norm->weight].eps;
    const int weight = graph_add_weight(g, &filters); /* another convolution may read the plain ones */
    *failed = weight == GRAPH_NONE;
    if (*failed) return false;
    g->ops[conv].weight = weight;
    g->ops[conv].out = norm->out;
    return true;
}

ciuic_status graph_pass_fold_batchnorm(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    bool failed = false;
    bool *dead = calloc((size_t)g->op_count + 1, sizeof *dead);
    if (dead == NULL) return ciuic_fail_memory("a graph pass", (size_t)g->op_count);
    for (int i = 0; i < g->op_count && !failed; i++) {
        dead[i] = fold(g, i, &failed);
        *changed |= dead[i];
    }
    if (!failed) graph_remove_ops(g, dead);
    free(dead);
    return failed ? ciuic_fail_memory("a graph pass", sizeof(graph_weight)) : CIUIC_OK;
}
