/* passes.c - the order in which the passes run, their names, and the check after each. */
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

const graph_pass graph_passes[CIUIC_PASSES] = {
    [CIUIC_PASS_FOLD_CONSTANTS] = {"fold-constants", graph_pass_fold_constants},
    [CIUIC_PASS_MERGE_EQUAL] = {"merge-equal", graph_pass_merge_equal},
    [CIUIC_PASS_FUSE_QKV] = {"fuse-qkv", graph_pass_fuse_qkv},
    [CIUIC_PASS_FUSE_LATENT] = {"fuse-latent", graph_pass_fuse_latent},
    [CIUIC_PASS_FUSE_GATE_UP] = {"fuse-gate-up", graph_pass_fuse_gate_up},
    [CIUIC_PASS_FUSE_SWIGLU] = {"fuse-swiglu", graph_pass_fuse_swiglu},
    [CIUIC_PASS_SWIGLU_EPILOGUE] = {"swiglu-epilogue", graph_pass_swiglu_epilogue},
    /* Looks for the slices and concatenations that the next three remove. */
    [CIUIC_PASS_ABSORB_MLA] = {"absorb-mla", graph_pass_absorb_mla},
    [CIUIC_PASS_DROP_SLICES] = {"drop-slices", graph_pass_drop_slices},
    [CIUIC_PASS_ROPE_IN_PLACE] = {"rope-in-place", graph_pass_rope_in_place},
    [CIUIC_PASS_DROP_CONCATS] = {"drop-concats", graph_pass_drop_concats},
    [CIUIC_PASS_GROUP_EXPERTS] = {"group-experts", graph_pass_group_experts},
    [CIUIC_PASS_FOLD_NORMS] = {"fold-norms", graph_pass_fold_norms},
    [CIUIC_PASS_LAST_ROW] = {"last-row", graph_pass_last_row},
    /* Hides norms from fold-norms, and rewrites values that last-row reasons about: after both. */
    [CIUIC_PASS_FUSE_ADD_NORM] = {"fuse-add-norm", graph_pass_fuse_add_norm},
    [CIUIC_PASS_FOLD_BATCHNORM] = {"fold-batchnorm", graph_pass_fold_batchnorm},
    [CIUIC_PASS_DROP_LAYOUT] = {"drop-layout", graph_pass_drop_layout},
    [CIUIC_PASS_DROP_DEAD] = {"drop-dead", graph_pass_drop_dead},
};

const char *ciuic_pass_name(ciuic_pass pass)
{
    return (unsigned)pass < CIUIC_PASSES ? graph_passes[pass].name : NULL;
}

bool ciuic_pass_parse(const char *name, ciuic_pass *pass)
{
    for (int i = 0; i < CIUIC_PASSES; i++)
        if (strcmp(graph_passes[i].name, name) == 0) {
            *pass = (ciuic_pass)i;
            return true;
        }
    return false;
}

/* "All" leaves out the epilogue of gate and up: on Zen 4 it costs 1 to 5% of quantised prefill and decode for the memory that it
 * saves, so it is for whoever names it. */
static bool is_set(uint32_t passes, int pass)
{
    return passes == 0 ? pass != CIUIC_PASS_SWIGLU_EPILOGUE : (passes >> pass & 1) != 0;
}

bool graph_pass_selected(const ciuic_options *options, ciuic_pass pass)
{
    return options->graph && is_set(options->passes, (int)pass);
}

ciuic_status graph_optimize(graph *g, const graph_pass_options *options, uint32_t passes)
{
    for (int i = 0; i < CIUIC_PASSES; i++) {
        bool changed = false;
        if (!is_set(passes, i)) continue;
        CIUIC_TRY(graph_passes[i].run(g, options, &changed));
        if (graph_validate(g) != CIUIC_OK) {
            const char *why = ciuic_last_error();
            return ciuic_fail(CIUIC_ERROR_INPUT, "graph pass %s: %s", graph_passes[i].name, why);
        }
    }
    return CIUIC_OK;
}
