/* plan_cost.c - see plan_cost.h. */
#include "optimizer/runtime/plan_cost.h"

#include "optimizer/graph/cost.h"

/* Bytes that a value of this weight takes, codes and scales together; biases are counted by the operation. Experts are of one
 * shape and format. */
static double bytes_a_value(const graph_weight *w, const bound_weight *bound)
{
    double bytes = 0, values = 0;
    if (bound->parts == NULL) return sizeof(float);
    for (int i = 0; i < w->parts; i++) {
        const kernel_matrix *m = &bound->parts[i];
        bytes += (double)weight_matrix_bytes(m) - (m->bias != NULL ? (double)(m->rows * sizeof *m->bias) : 0);
        values += (double)m->rows * (double)m->columns;
    }
    return values > 0 ? bytes / values : 0;
}

void plan_cost_add(const plan *p, double cached, size_t tokens, size_t context, double times,
                   kind_cost costs[GRAPH_OP_KINDS])
{
    const graph *g = p->g;
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        graph_storage storage = {.cache = cached};
        if (op->weight != GRAPH_NONE) storage.weight = bytes_a_value(&g->weights[op->weight], &p->weights[op->weight]);
        const graph_cost cost = graph_op_cost(g, op, &storage);
        const double in_cache = graph_amount_at(&cost.cache_bytes, g, tokens, context);
        kind_cost *sum = &costs[op->kind];
        sum->flops += times * graph_amount_at(&cost.flops, g, tokens, context);
        sum->weight_bytes += times * graph_amount_at(&cost.weight_bytes, g, tokens, context);
        sum->cache_bytes += times * in_cache;
        sum->activation_bytes += times * (graph_amount_at(&cost.activation_bytes, g, tokens, context) - in_cache);
        sum->written_bytes += times * graph_amount_at(&cost.written_bytes, g, tokens, context);
    }
}
