/* pass_last_row.c - a prefill that asks for the last token's logits computes only what they need: from the end backwards,
 * every row-wise operation whose result is needed for the last token only runs for the last token only. That is the head,
 * the final norm, and the last layer's feed-forward and attention queries; keys and values are needed for all tokens.
 *
 * Why it preserves the function: the operations concerned compute each row from the same row of their inputs (attention:
 * from its own query row and the cache), so the row that remains is computed from the same operands in the same order. No
 * rounding differs, unless a kernel sums a single row in another order than a row among many. */
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

/* Whether the operation must run for all rows: someone needs all of what it writes, or it writes the cache. */
static bool runs_for_all(const graph *g, const graph_op *op, const bool *all)
{
    const int out = op->out.value;
    return out == GRAPH_NONE || all[out] || g->values[out].rows == GRAPH_CONTEXT ||
           (op->kind == GRAPH_ADD_NORM && all[op->in[0].value]);
}

/* Marks the values of which every row is needed, to a fixed point: an operation in place is reader and writer at once. */
static void find_needs(const graph *g, int selector, bool *all)
{
    const int logits = g->ops[selector].in[0].value;
    for (int i = 0; i < g->op_count; i++)
        if (i != selector && graph_reads(&g->ops[i], logits)) all[logits] = true;
    for (bool again = true; again;) {
        again = false;
        for (int i = selector - 1; i >= 0; i--) {
            const graph_op *op = &g->ops[i];
            if (!runs_for_all(g, op, all)) continue;
            for (int j = 0; j < GRAPH_MAX_INPUTS; j++) {
                if (op->in[j].value == GRAPH_NONE || all[op->in[j].value]) continue;
                all[op->in[j].value] = again = true;
            }
        }
    }
}

ciuic_status graph_pass_last_row(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    const int selector = graph_producer(g, g->output);
    if (selector == GRAPH_NONE || g->ops[selector].kind != GRAPH_LAST_ROW || graph_uses(g, g->output) != 1)
        return CIUIC_OK;
    /* The output is a value, not part of one: columns of a fused matmul are copied out by the selector. */
    const graph_operand *read = &g->ops[selector].in[0];
    if (read->offset != 0 || g->ops[selector].head_width != g->values[read->value].width) return CIUIC_OK;
    bool *all = calloc((size_t)g->value_count, sizeof *all);
    bool *dead = calloc((size_t)g->op_count, sizeof *dead);
    if (all == NULL || dead == NULL) {
        free(all);
        free(dead);
        return ciuic_fail_memory("a graph pass", (size_t)g->value_count);
    }
    find_needs(g, selector, all);
    const int logits = g->ops[selector].in[0].value;
    if (!all[logits]) {
        for (int i = 0; i < selector; i++) {
            graph_op *op = &g->ops[i];
            op->last = !runs_for_all(g, op, all);
            if (op->last) g->values[op->out.value].last = true;
        }
        dead[selector] = true;
        g->output = logits;
        graph_remove_ops(g, dead);
        *changed = true;
    }
    free(all);
    free(dead);
    return CIUIC_OK;
}
