/* stages.c - see stages.h. */
#include "optimizer/quantize/stages.h"

#include <cblas.h>
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

/* Whether value `v` is the sum of others. */
static const graph_op *sum_of(const graph *g, int v, int *other)
{
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (op->kind != GRAPH_ADD || (op->in[0].value != v && op->in[1].value != v)) continue;
        *other = op->in[0].value == v ? op->in[1].value : op->in[0].value;
        return op;
    }
    return NULL;
}

/* The residual that the output of operation `i` is added to, perhaps after other sums: of those on the way the last one. */
static int find_residual(const graph *g, int i)
{
    int residual = GRAPH_NONE, other = GRAPH_NONE;
    if (g->ops[i].kind != GRAPH_MATMUL) return GRAPH_NONE;
    for (const graph_op *add = sum_of(g, g->ops[i].out.value, &other); add != NULL;
         add = add->out.value != g->output ? sum_of(g, add->out.value, &other) : NULL) {
        residual = other;
        /* The residual of attention goes on into the next sum, where what is added is another matmul's. */
        const int producer = graph_producer(g, other);
        if (producer != GRAPH_NONE && (g->ops[producer].kind == GRAPH_INPUT || g->ops[producer].kind == GRAPH_ADD))
            break;
    }
    return residual;
}

ciuic_status stage_inputs_find(const graph *g, const layer_stages *stages, int stage, stage_inputs *inputs)
{
    stage_inputs all = {0};
    ciuic_status status = CIUIC_OK;
    for (int i = 0; i < g->op_count && status == CIUIC_OK; i++) {
        const graph_op *op = &g->ops[i];
        if (stages->stage[i] != stage || known(g, &all, op)) continue;
        const graph_weight *w = &g->weights[op->weight];
        stage_input input = {.value = op->in[0].value,
                             .offset = op->in[0].offset,
                             .width = w->columns,
                             .expert = INPUT_DENSE,
                             .residual = find_residual(g, i),
                             .reader = i};
        if (input.residual != GRAPH_NONE) input.rows = g->values[input.residual].width;
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

ciuic_status stage_input_prepare(stage_input *input, bool beside)
{
    const size_t n = input->width;
    CIUIC_TRY(second_moments_create(&input->moments, n));
    if (!beside || input->expert == INPUT_POOLED) return CIUIC_OK;
    input->drift = calloc(n * n, sizeof *input->drift);
    if (input->residual != GRAPH_NONE) input->behind = calloc(input->rows * n, sizeof *input->behind);
    if (input->drift != NULL && (input->residual == GRAPH_NONE || input->behind != NULL)) return CIUIC_OK;
    return ciuic_fail_memory("the drift of a matrix's inputs", (n + input->rows) * n * sizeof *input->drift);
}

void stage_input_release(stage_input *input)
{
    second_moments_free(&input->moments);
    free(input->drift);
    free(input->behind);
    input->drift = input->behind = NULL;
}

void stage_inputs_free(stage_inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++) stage_input_release(&inputs->inputs[i]);
    free(inputs->inputs);
    *inputs = (stage_inputs){0};
}

/* to [width][columns] += (a - b)^T x over `rows` rows; strides in floats. */
static ciuic_status add_product(size_t rows, size_t width, size_t columns, const float *a, const float *b,
                                size_t stride, const float *x, size_t ldx, float *to)
{
    float *difference = malloc((rows * width + 1) * sizeof *difference);
    if (difference == NULL) return ciuic_fail_memory("the drift of a matrix's inputs", rows * width * sizeof *a);
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < width; k++) difference[i * width + k] = a[i * stride + k] - b[i * stride + k];
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)width, (blasint)columns, (blasint)rows, 1.0F,
                difference, (blasint)width, x, (blasint)ldx, 1.0F, to, (blasint)columns);
    free(difference);
    return CIUIC_OK;
}

ciuic_status stage_input_collect(const layer_pass *pass, const layer_pass *beside, size_t tokens, stage_input *input)
{
    const graph *g = layer_pass_graph(pass);
    const size_t stride = g->values[input->value].width;
    size_t first = 0, count = tokens;
    if (input->expert == INPUT_POOLED) {
        count = layer_pass_routing(pass)->first[layer_pass_routing(pass)->experts];
    } else if (input->expert != INPUT_DENSE) {
        first = layer_pass_routing(pass)->first[input->expert];
        count = layer_pass_routing(pass)->first[input->expert + 1] - first;
    }
    const size_t at = input->offset + first * stride;
    const float *x = layer_pass_value(pass, input->value) + at;
    second_moments_add(&input->moments, count, x, stride);
    if (beside == NULL || input->drift == NULL || count == 0) return CIUIC_OK;
    CIUIC_TRY(add_product(count, input->width, input->width, layer_pass_value(beside, input->value) + at, x, stride, x,
                          stride, input->drift));
    if (input->behind == NULL) return CIUIC_OK;
    return add_product(count, input->rows, input->width, layer_pass_value(beside, input->residual),
                       layer_pass_value(pass, input->residual), input->rows, x, stride, input->behind);
}
