/* passes.c - the order in which the passes run, their names, and the check after each. */
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

const graph_pass graph_passes[CIUIC_PASSES] = {
    [CIUIC_PASS_FOLD_CONSTANTS] = {.name = "fold-constants", .run = graph_pass_fold_constants},
    [CIUIC_PASS_MERGE_EQUAL] = {.name = "merge-equal", .run = graph_pass_merge_equal},
    [CIUIC_PASS_FUSE_QKV] = {.name = "fuse-qkv", .run = graph_pass_fuse_qkv},
    [CIUIC_PASS_FUSE_LATENT] = {.name = "fuse-latent", .run = graph_pass_fuse_latent},
    [CIUIC_PASS_FUSE_GATE_UP] = {.name = "fuse-gate-up", .run = graph_pass_fuse_gate_up},
    [CIUIC_PASS_FUSE_SWIGLU] = {.name = "fuse-swiglu", .run = graph_pass_fuse_swiglu},
    /* Saves memory, and was measured to cost up to 5% of the time where weights are quantised (Zen 4, the models of datasets/). */
    [CIUIC_PASS_SWIGLU_EPILOGUE] = {.name = "swiglu-epilogue", .run = graph_pass_swiglu_epilogue, .only_named = true},
    /* Looks for the slices and concatenations that the next three remove. */
    [CIUIC_PASS_ABSORB_MLA] = {.name = "absorb-mla", .run = graph_pass_absorb_mla},
    [CIUIC_PASS_DROP_SLICES] = {.name = "drop-slices", .run = graph_pass_drop_slices},
    [CIUIC_PASS_ROPE_IN_PLACE] = {.name = "rope-in-place", .run = graph_pass_rope_in_place},
    [CIUIC_PASS_DROP_CONCATS] = {.name = "drop-concats", .run = graph_pass_drop_concats},
    [CIUIC_PASS_GROUP_EXPERTS] = {.name = "group-experts", .run = graph_pass_group_experts},
    [CIUIC_PASS_FOLD_NORMS] = {.name = "fold-norms", .run = graph_pass_fold_norms},
    [CIUIC_PASS_LAST_ROW] = {.name = "last-row", .run = graph_pass_last_row},
    /* Hides norms from fold-norms, and rewrites values that last-row reasons about: after both. */
    [CIUIC_PASS_FUSE_ADD_NORM] = {.name = "fuse-add-norm", .run = graph_pass_fuse_add_norm},
    [CIUIC_PASS_ROPE_AT_LOAD] = {.name = "rope-at-load", .run = graph_pass_rope_at_load},
    [CIUIC_PASS_FOLD_BATCHNORM] = {.name = "fold-batchnorm", .run = graph_pass_fold_batchnorm},
    [CIUIC_PASS_DROP_LAYOUT] = {.name = "drop-layout", .run = graph_pass_drop_layout},
    /* Normalisations that are folded need no form in blocks, and conversions that undo each other no reader of blocks. */
    [CIUIC_PASS_BLOCK_CHANNELS] = {.name = "block-channels", .run = graph_pass_block_channels},
    [CIUIC_PASS_DROP_DEAD] = {.name = "drop-dead", .run = graph_pass_drop_dead},
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

static bool is_set(uint32_t passes, int pass)
{
    return passes == 0 ? !graph_passes[pass].only_named : (passes >> pass & 1) != 0;
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
