/* pass_group_experts.c - tokens are sorted by expert, so that each expert multiplies all its tokens at once.
 *
 * As the equations have it, and as the graph is built, every token is multiplied by the experts that it chose, one row after
 * the other, and each row reads its expert's matrices anew. Sorted, as in the authors' own DeepseekV2MoE.moe_infer, each
 * expert's matrices are read once for all its tokens. The shared expert needs no sorting: it is one MLP over all tokens
 * beside the routed ones. In decode there is one token, and nothing to gain or lose.
 *
 * Why it preserves the function: rows change places, and results are summed for each token in the order of its choice,
 * wherever its rows are. Rounding differs only where a kernel sums a single row in another order than a row among many, or
 * rounds activations for many rows only (bfloat16 products). */
#include "optimizer/graph/graph.h"

ciuic_status graph_pass_group_experts(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    for (int i = 0; i < g->op_count; i++) {
        graph_op *op = &g->ops[i];
        if (op->kind != GRAPH_ROUTE || op->grouped) continue;
        op->grouped = true;
        *changed = true;
    }
    return CIUIC_OK;
}
