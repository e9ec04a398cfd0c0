/* activation_scaling.c - see activation_scaling.h. */
#include "optimizer/quantize/activation_scaling.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/quantize/quantize_tensor.h"
#include "optimizer/quantize/scales.h"

enum { EXPONENTS = 20 };

/* One norm, and what reads it. */
typedef struct norm {
    const layer_work *w;
    const recipe *recipe;
    int stage, op;      /* of the norm */
    float *mean_square; /* [columns] */
    size_t columns;
} norm;

static bool reads_norm(const graph *g, const graph_op *op, int value)
{
    if (op->in[0].value == value) return true;
    const int from = op->in[0].value != GRAPH_NONE ? graph_producer(g, op->in[0].value) : GRAPH_NONE;
    return from != GRAPH_NONE && g->ops[from].kind == GRAPH_GATHER && g->ops[from].in[0].value == value;
}

/* Whether everybody who reads the norm's output is a matmul of whole rows that this stage quantises, or exact. */
static bool can_scale(const layer_work *w, const recipe *r, int stage, const graph_op *op)
{
    const graph *g = w->g;
    const bool tied = checkpoint_config(w->source)->tie_word_embeddings;
    bool any = false;
    if (op->kind != GRAPH_RMS_NORM || op->weight == GRAPH_NONE || op->heads != 1 || g->output == op->out.value)
        return false;
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *reader = &g->ops[i];
        if (reader->kind == GRAPH_GATHER || !reads_norm(g, reader, op->out.value)) {
            for (int j = 1; j < GRAPH_MAX_INPUTS; j++)
                if (reader->in[j].value == op->out.value) return false;
            continue;
        }
        if (reader->kind != GRAPH_MATMUL && reader->kind != GRAPH_EXPERT_MATMUL) return false;
        const graph_weight *weight = &g->weights[reader->weight];
        if (reader->in[0].offset != 0 || weight->columns != op->head_width) return false;
        if (weight->exact) continue;
        const quantize_setting s = recipe_find(r, weight->name[0]);
        if (!quantize_setting_by_groups(&s) || w->stages->stage[i] != stage) return false;
        if (tied && strcmp(weight->name[0], "model.embed_tokens") == 0) return false;
        any = true;
    }
    return any;
}

static ciuic_status find_mean_squares(norm *n)
{
    const layer_work *w = n->w;
    layer_pass *pass = NULL;
    CIUIC_TRY(layer_work_open(w, w->set, &pass));
    ciuic_status status = CIUIC_OK;
    for (size_t first = 0, rows = 0; first < w->ids && status == CIUIC_OK; first += rows) {
        status = layer_work_run(w, pass, w->hidden, w->ids, first, n->op + 1, &rows);
        const float *x = layer_pass_value(pass, w->g->ops[n->op].out.value);
        for (size_t i = 0; i < rows && status == CIUIC_OK; i++)
            for (size_t k = 0; k < n->columns; k++) n->mean_square[k] += x[i * n->columns + k] * x[i * n->columns + k];
    }
    for (size_t k = 0; k < n->columns; k++) n->mean_square[k] /= (float)w->ids;
    layer_pass_free(pass);
    return status;
}

/* s for exponent a: of geometric mean 1, and within what binary16 scales can follow. */
static void scales_for(const norm *n, double a, float *s)
{
    double sum = 0;
    for (size_t k = 0; k < n->columns; k++) sum += log(fmax((double)n->mean_square[k], 1e-12));
    const double centre = sum / (double)n->columns;
    for (size_t k = 0; k < n->columns; k++) {
        const double log_s = 0.5 * a * (log(fmax((double)n->mean_square[k], 1e-12)) - centre);
        s[k] = (float)exp(fmax(-4, fmin(4, log_s)));
    }
}

/* What rounding one matrix costs under s, by the norm's mean squares. */
static ciuic_status cost_of(const norm *n, const char *name, quantize_setting setting, const float *s, double *cost)
{
    const quantize_task task = {.source = n->w->source, .tensor = name, .setting = setting, .column_scale = s};
    const quantize_task plain = {.source = n->w->source, .tensor = name, .setting = setting};
    size_t rows = 0, columns = 0;
    CIUIC_TRY(quantize_shape(&task, &rows, &columns));
    float *scaled = malloc((rows * columns + 1) * sizeof *scaled);
    float *original = malloc((rows * columns + 1) * sizeof *original);
    quantized_set *scratch = quantized_set_create();
    quantized_memory to = {0};
    const uint16_t asymmetric = 0;
    ciuic_status status =
        scratch && scaled && original ? CIUIC_OK : ciuic_fail_memory(name, 2 * rows * columns * sizeof *scaled);
    if (status == CIUIC_OK) status = quantize_read(&task, 0, rows, scaled);
    if (status == CIUIC_OK) status = quantize_read(&plain, 0, rows, original);
    const kernel_matrix m = {.format = setting.format,
                             .rows = rows,
                             .columns = columns,
                             .group = setting.group,
                             .minimums = setting.minimums ? &asymmetric : NULL};
    if (status == CIUIC_OK) status = quantized_set_add(scratch, name, &m, &to.values, &to.scales, &to.minimums, NULL);
    if (!setting.minimums) to.minimums = NULL;
    if (status == CIUIC_OK) status = scales_choose(&m, to, scaled, false, NULL, 0);
    if (status == CIUIC_OK) {
        scales_encode(&m, to, scaled);
        double sum = 0;
#pragma omp parallel for reduction(+ : sum) schedule(static)
        for (size_t i = 0; i < rows; i++)
            for (size_t k = 0; k < columns; k++) {
                const double e = (double)original[i * columns + k] - (double)scaled[i * columns + k] / (double)s[k];
                sum += (double)n->mean_square[k] * e * e;
            }
        *cost += sum;
    }
    free(scaled);
    free(original);
    quantized_set_free(scratch);
    return status;
}

/* The cost of all that reads the norm and is quantised. */
static ciuic_status cost_of_all(const norm *n, const float *s, double *cost)
{
    const graph *g = n->w->g;
    *cost = 0;
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (n->w->stages->stage[i] != n->stage || !reads_norm(g, op, g->ops[n->op].out.value)) continue;
        const graph_weight *weight = &g->weights[op->weight];
        const size_t experts = weight->kind == GRAPH_EXPERTS ? weight->experts : 1;
        for (size_t e = 0; e < experts; e++) {
            char name[QUANTIZE_UNIT_NAME];
            stage_tensor_name(weight->name[0], (int)e, name);
            CIUIC_TRY(cost_of(n, name, recipe_find(n->recipe, weight->name[0]), s, cost));
        }
    }
    return CIUIC_OK;
}

/* Puts `rows` rows of the tensor, times `factor` or its inverse, into the set in FP32. */
static ciuic_status replace(const norm *n, const char *stem, size_t rows, const float *factor, bool inverse,
                            quantized_set *set)
{
    const kernel_matrix m = {.format = KERNEL_F32, .rows = rows, .columns = n->columns};
    char name[QUANTIZE_UNIT_NAME + 16];
    void *values = NULL;
    CIUIC_TRY(quantized_set_add(set, stem, &m, &values, NULL, NULL, NULL));
    snprintf(name, sizeof name, "%s.weight", stem);
    /* A vector counts as one column a row. */
    CIUIC_TRY(checkpoint_read_f32(n->w->source, name, 0, rows == 1 ? n->columns : rows, values));
    float *x = values;
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < n->columns; k++) x[i * n->columns + k] *= inverse ? 1 / factor[k] : factor[k];
    return CIUIC_OK;
}

static ciuic_status note(scaled_values *scaled, int value, float *s, bool owner)
{
    scaled_value *grown = realloc(scaled->values, (scaled->count + 1) * sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("scaled values", (scaled->count + 1) * sizeof *grown);
    scaled->values = grown;
    grown[scaled->count++] = (scaled_value){.value = value, .scale = s, .owner = owner};
    return CIUIC_OK;
}

/* The norm's own weights, the exact readers', and the values that others read. */
static ciuic_status install(const norm *n, float *s, quantized_set *set, scaled_values *scaled)
{
    const graph *g = n->w->g;
    const int value = g->ops[n->op].out.value;
    CIUIC_TRY(note(scaled, value, s, true));
    CIUIC_TRY(replace(n, g->weights[g->ops[n->op].weight].name[0], 1, s, true, set));
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (op->kind == GRAPH_GATHER && op->in[0].value == value) CIUIC_TRY(note(scaled, op->out.value, s, false));
        if (op->kind == GRAPH_MATMUL && op->in[0].value == value && g->weights[op->weight].exact)
            CIUIC_TRY(replace(n, g->weights[op->weight].name[0], g->weights[op->weight].rows[0], s, false, set));
    }
    return CIUIC_OK;
}

static ciuic_status scale_norm(norm *n, quantized_set *set, scaled_values *scaled)
{
    float *s = malloc(n->columns * sizeof *s), *best = malloc(n->columns * sizeof *best);
    double least = INFINITY;
    n->mean_square = calloc(n->columns, sizeof *n->mean_square);
    ciuic_status status = s && best && n->mean_square ? find_mean_squares(n)
                                                      : ciuic_fail_memory("scaling a norm", n->columns * 3 * sizeof *s);
    for (int i = 0; i <= EXPONENTS && status == CIUIC_OK; i++) {
        double cost;
        scales_for(n, (double)i / EXPONENTS, s);
        status = cost_of_all(n, s, &cost);
        if (status != CIUIC_OK || !(cost < least)) continue;
        least = cost;
        memcpy(best, s, n->columns * sizeof *best);
    }
    free(s);
    free(n->mean_square);
    const size_t before = scaled->count;
    if (status == CIUIC_OK) status = install(n, best, set, scaled);
    if (scaled->count == before) free(best); /* nobody took it over */
    return status;
}

ciuic_status scaling_choose(const layer_work *w, const recipe *r, int stage, quantized_set *set, scaled_values *scaled)
{
    for (int i = 0; i < w->g->op_count; i++) {
        if (!can_scale(w, r, stage, &w->g->ops[i])) continue;
        norm n = {.w = w, .recipe = r, .stage = stage, .op = i, .columns = w->g->ops[i].head_width};
        CIUIC_TRY(scale_norm(&n, set, scaled));
    }
    return CIUIC_OK;
}

const float *scaling_of(const scaled_values *scaled, int value)
{
    for (size_t i = 0; i < scaled->count; i++)
        if (scaled->values[i].value == value) return scaled->values[i].scale;
    return NULL;
}

void scaled_values_free(scaled_values *scaled)
{
    for (size_t i = 0; i < scaled->count; i++)
        if (scaled->values[i].owner) free(scaled->values[i].scale);
    free(scaled->values);
    *scaled = (scaled_values){0};
}
