/* stages.c - see stages.h. */
#include "optimizer/quantize/stages.h"

#include <stdlib.h>

#include "optimizer/error.h"

/* ---- stages ----------------------------------------------------------------------------------------------------- */

static bool is_matmul(const graph_op *op)
{
    return op->kind == GRAPH_MATMUL || op->kind == GRAPH_EXPERT_MATMUL;
}

static bool quantised(const graph *g, const graph_op *op, const recipe *r)
{
    if (!is_matmul(op) || g->weights[op->weight].exact) return false;
    const quantize_setting s = recipe_find(r, g->weights[op->weight].name[0]);
    return quantize_setting_by_groups(&s);
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* How many quantised matmuls lie one after the other before each value, and so before each matmul. */
static void find_depths(const graph *g, const recipe *r, int *depth, layer_stages *s)
{
    int cache = 0;
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        int before = op->kind == GRAPH_ATTENTION || op->kind == GRAPH_CACHE_READ ? cache : 0;
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++)
            if (op->in[j].value != GRAPH_NONE) before = larger(before, depth[op->in[j].value]);
        s->stage[i] = quantised(g, op, r) ? before : STAGE_NONE;
        if (s->stage[i] != STAGE_NONE) s->count = larger(s->count, before + 1);
        if (op->kind == GRAPH_CACHE_WRITE)
            cache = larger(cache, before);
        else
            depth[op->out.value] = larger(depth[op->out.value], before + (s->stage[i] != STAGE_NONE ? 1 : 0));
    }
}

ciuic_status layer_stages_find(const graph *g, const recipe *r, layer_stages *stages)
{
    layer_stages s = {0};
    int *depth = calloc((size_t)g->value_count + 1, sizeof *depth);
    s.stage = calloc((size_t)g->op_count + 1, sizeof *s.stage);
    s.end = calloc((size_t)g->op_count + 1, sizeof *s.end);
    if (depth == NULL || s.stage == NULL || s.end == NULL) {
        free(depth);
        layer_stages_free(&s);
        return ciuic_fail_memory("a layer's stages", (size_t)g->op_count);
    }
    find_depths(g, r, depth, &s);
    for (int i = 0; i < g->op_count; i++)
        if (s.stage[i] != STAGE_NONE) s.end[s.stage[i]] = i;
    free(depth);
    *stages = s;
    return CIUIC_OK;
}

void layer_stages_free(layer_stages *stages)
{
    free(stages->stage);
    free(stages->end);
    *stages = (layer_stages){0};
}

/* ---- inputs ----------------------------------------------------------------------------------------------------- */

bool stage_input_feeds(const graph *g, const stage_input *input, const graph_op *op)
{
    return is_matmul(op) && op->in[0].value == input->value && op->in[0].offset == input->offset &&
           g->weights[op->weight].columns == input->width &&
           (op->kind == GRAPH_EXPERT_MATMUL) == (input->expert != INPUT_DENSE);
}

static bool known(const graph *g, const stage_inputs *all, const graph_op *op)
{
    for (size_t i = 0; i < all->count; i++)
        if (stage_input_feeds(g, &all->inputs[i], op)) return true;
    return false;
}

static ciuic_status add(stage_inputs *all, stage_input input)
{
    stage_input *grown = realloc(all->inputs, (all->count + 1) * sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("a stage's inputs", (all->count + 1) * sizeof *grown);
    all->inputs = grown;
    grown[all->count++] = input;
    return CIUIC_OK;
}

ciuic_status stage_inputs_find(const graph *g, const layer_stages *stages, int stage, stage_inputs *inputs)
{
    stage_inputs all = {0};
    ciuic_status status = CIUIC_OK;
    for (int i = 0; i < g->op_count && status == CIUIC_OK; i++) {
        const graph_op *op = &g->ops[i];
        if (stages->stage[i] != stage || known(g, &all, op)) continue;
        const graph_weight *w = &g->weights[op->weight];
        stage_input input = {
            .value = op->in[0].value, .offset = op->in[0].offset, .width = w->columns, .expert = INPUT_DENSE};
        if (op->kind == GRAPH_EXPERT_MATMUL) input.expert = INPUT_POOLED;
        status = add(&all, input);
        for (size_t e = 0; op->kind == GRAPH_EXPERT_MATMUL && e < w->experts && status == CIUIC_OK; e++) {
            input.expert = (int)e;
            status = add(&all, input);
        }
    }
    if (status != CIUIC_OK)
        stage_inputs_free(&all);
    else
        *inputs = all;
    return status;
}

void stage_inputs_free(stage_inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++) second_moments_free(&inputs->inputs[i].moments);
    free(inputs->inputs);
    *inputs = (stage_inputs){0};
}

void stage_input_collect(const layer_pass *pass, size_t tokens, stage_input *input)
{
    const graph *g = layer_pass_graph(pass);
    const size_t stride = g->values[input->value].width;
    const float *rows = layer_pass_value(pass, input->value) + input->offset;
    size_t first = 0, count = tokens;
    if (input->expert == INPUT_POOLED) {
        count = layer_pass_routing(pass)->first[layer_pass_routing(pass)->experts];
    } else if (input->expert != INPUT_DENSE) {
        first = layer_pass_routing(pass)->first[input->expert];
        count = layer_pass_routing(pass)->first[input->expert + 1] - first;
    }
    second_moments_add(&input->moments, count, rows + first * stride, stride);
}
