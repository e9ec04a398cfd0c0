/* pass_drop_dead.c - removes operations whose result nobody reads. Graphs come from the builders without any, and passes
 * call graph_sweep themselves where they leave some behind; what is left to the pass is what a graph brings along.
 *
 * Why it preserves the function: an operation's only effects are its output value, for add_norm its first input, and for
 * cache_write the cache; without a reader the first two do not matter, and cache_write is kept. */
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

ciuic_status graph_sweep(graph *g, bool *changed)
{
    bool *needed = calloc((size_t)g->value_count + 1, sizeof *needed);
    bool *dead = calloc((size_t)g->op_count + 1, sizeof *dead);
    if (needed == NULL || dead == NULL) {
        free(needed);
        free(dead);
        return ciuic_fail_memory("a graph pass", (size_t)g->value_count);
    }
    needed[g->output] = true;
    for (int i = g->op_count - 1; i >= 0; i--) { /* readers come after writers: one backward sweep sees every need */
        const graph_op *op = &g->ops[i];
        const bool sum_needed = op->kind == GRAPH_ADD_NORM && needed[op->in[0].value];
        dead[i] = op->kind != GRAPH_CACHE_WRITE && !needed[op->out.value] && !sum_needed;
        *changed |= dead[i];
        for (int j = 0; j < GRAPH_MAX_INPUTS && !dead[i]; j++)
            if (op->in[j].value != GRAPH_NONE) needed[op->in[j].value] = true;
    }
    graph_remove_ops(g, dead);
    free(needed);
    free(dead);
    return CIUIC_OK;
}

ciuic_status graph_pass_drop_dead(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    return graph_sweep(g, changed);
}
