/* pass_fold_constants.c - what is the same in every call is worked out when the plan is made. In a decoder graph no value is
 * constant, since all come from token ids and the cache; what can be constant is a weight that changes nothing: norm
 * weights of ones, and a bias of zeros that only selects experts. Trained checkpoints hardly have any, and then the graph
 * stays as it is. In a stem, a batch normalisation's scale, shift, mean and variance come down to a factor and a term.
 *
 * Why it preserves the function: x * 1 and x + 0 are x. A batch normalisation is y = (x - mean) * scale / sqrt(variance +
 * eps) + shift = x * factor + term. Rounding: none differs for the first two. Factor and term are computed in double and
 * rounded once, which differs from normalising step by step by at most 4 * 2^-24 of the magnitudes |x| factor, |mean|
 * factor and |shift|. */
#include "optimizer/graph/graph.h"

static bool changes_nothing(const graph *g, const graph_pass_options *options, const graph_op *op)
{
    const bool norm = op->kind == GRAPH_RMS_NORM || op->kind == GRAPH_ADD_NORM;
    if (op->weight == GRAPH_NONE || options->all_equal == NULL || !(norm || op->kind == GRAPH_ROUTE)) return false;
    const graph_weight *w = &g->weights[op->weight];
    return options->all_equal(options->context, w->name[0], w->columns, norm ? 1.0f : 0.0f);
}

ciuic_status graph_pass_fold_constants(graph *g, const graph_pass_options *options, bool *changed)
{
    for (int i = 0; i < g->op_count; i++) {
        graph_op *op = &g->ops[i];
        if (changes_nothing(g, options, op)) {
            op->weight = GRAPH_NONE;
            *changed = true;
        } else if (op->kind == GRAPH_BATCH_NORM && !g->weights[op->weight].computed) {
            g->weights[op->weight].computed = true;
            *changed = true;
        }
    }
    return CIUIC_OK;
}
