/* passes.c - the order in which the passes run, and the check after each. */
#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

const graph_pass graph_passes[] = {
    {"fuse-matmuls", graph_pass_fuse_matmuls},
    {"fuse-swiglu", graph_pass_fuse_swiglu},
    {"absorb-mla", graph_pass_absorb_mla}, /* looks for the slices and concatenations that drop-copies removes */
    {"drop-copies", graph_pass_drop_copies},
    {"fold-norms", graph_pass_fold_norms},
    {"last-row", graph_pass_last_row},
    {"drop-dead", graph_pass_drop_dead}, /* last: removes what the others left behind */
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
