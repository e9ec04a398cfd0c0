/* passes.c - the order in which the passes run, and the check after each. */
#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

const graph_pass graph_passes[] = {
    {"fuse-matmuls", "matmuls of one input become one: q, k, v; q_a, kv_a; gate, up", graph_pass_fuse_matmuls},
    {"fuse-swiglu", "silu and product in one operation", graph_pass_fuse_swiglu},
    {"absorb-mla", "decode attends to the cached latent itself; kv_b moves to query and output", graph_pass_absorb_mla},
    {"drop-copies", "slices and concatenations become views, rotation happens in place", graph_pass_drop_copies},
    {"fold-norms", "norm weights are multiplied into the matrices that follow", graph_pass_fold_norms},
    {"last-row", "what only the last token's logits need is computed for the last token only", graph_pass_last_row},
    {"drop-dead", "operations whose result nobody reads are removed", graph_pass_drop_dead},
};
const size_t graph_pass_count = sizeof graph_passes / sizeof graph_passes[0];

ciuic_status graph_optimize(graph *g, const graph_pass_options *options)
{
    for (size_t i = 0; i < graph_pass_count; i++) {
        bool changed = false;
        CIUIC_TRY(graph_passes[i].run(g, options, &changed));
        if (graph_validate(g) != CIUIC_OK) {
            const char *why = ciuic_last_error();
            return ciuic_fail(CIUIC_ERROR_INPUT, "graph pass %s: %s", graph_passes[i].name, why);
        }
    }
    return CIUIC_OK;
}
