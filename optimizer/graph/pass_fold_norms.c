/* pass_fold_norms.c - the weight vector g of an RMSNorm moves into the columns of the matrices that read its output:
 * W (g * x) = (W diag(g)) x.
 *
 * Why it preserves the function: a diagonal matrix is associated differently. Rounding: W[n][k] * g[k] is formed in FP32
 * and rounded to the storage format. With FP32 weights that is half an ulp, and the pass runs (options->fold_norms). With
 * 16-bit weights it would be a second rounding of 2^-9 (BF16), and would copy weights that can be used where they are
 * mapped. With quantised weights g spreads the values of a group and its scale grows with the largest: over the
 * 32768 ids of eval_ids, KL rises from 0.0019 to 0.0020 in int8 and from 0.0752 to 0.0776 in int4 on deepseek-v3-tiny,
 * from 0.00057 to 0.00064 and from 0.0634 to 0.0681 on qwen2-tiny. (BF16: from 3e-5 to 17e-5.) All of these would pay
 * accuracy for one multiplication in a loop that is no bottleneck, so there the pass finds nothing. The latent norms of
 * MLA stay: their output is cached, and what the cache means should not depend on a pass. So do norms per
 * head (no matrix follows) and a tied head (the embedding needs the matrix as it is). */
#include <stdio.h>
#include <string.h>

#include "optimizer/graph/graph.h"

/* Whether some embedding reads the tensor. */
static bool is_embedding(const graph *g, const char *name)
{
    for (int i = 0; i < g->op_count; i++)
        if (g->ops[i].kind == GRAPH_EMBED && strcmp(g->weights[g->ops[i].weight].name[0], name) == 0) return true;
    return false;
}

/* Visits every matmul that reads `value`, through gathers; false when somebody else reads it. With `fold`, notes the norm. */
static bool visit_readers(graph *g, int value, size_t columns, const char *fold)
{
    if (g->output == value) return false;
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (!graph_reads(op, value)) continue;
        if (op->kind == GRAPH_GATHER) {
            if (!visit_readers(g, op->out.value, columns, fold)) return false;
            continue;
        }
        if (!graph_is_matmul(op->kind)) return false;
        graph_weight *w = &g->weights[op->weight];
        if (w->fold[0] != '\0' && fold == NULL) return false;
        if (op->in[0].offset != 0 || w->columns != columns || is_embedding(g, w->name[0])) return false;
        if (fold != NULL) snprintf(w->fold, sizeof w->fold, "%s", fold);
    }
    return true;
}

ciuic_status graph_pass_fold_norms(graph *g, const graph_pass_options *options, bool *changed)
{
    if (!options->fold_norms) return CIUIC_OK;
    for (int i = 0; i < g->op_count; i++) {
        graph_op *norm = &g->ops[i];
        if (norm->kind != GRAPH_RMS_NORM || norm->weight == GRAPH_NONE || norm->heads != 1) continue;
        if (norm->out.offset != 0 || norm->head_width != g->values[norm->out.value].width) continue;
        if (!visit_readers(g, norm->out.value, norm->head_width, NULL)) continue;
        visit_readers(g, norm->out.value, norm->head_width, g->weights[norm->weight].name[0]);
        norm->weight = GRAPH_NONE;
        *changed = true;
    }
    return CIUIC_OK;
}
