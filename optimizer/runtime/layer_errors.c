/* layer_errors.c - where a variant's error enters: every part of a model on its own weights and on the reference's,
 * once with the reference's input and once with its own (ciuic.h, ciuic_layer_errors).
 *
 * Parts come one after the other, so that two of them are in memory, whatever the size of the model. The variant's are
 * read back from where the model runs on them: nothing has to be kept or quantised once more, and what is measured is
 * what runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/quantize/stage_walk.h"
#include "optimizer/row_errors.h"
#include "optimizer/runtime/layer_pass.h"
#include "optimizer/runtime/model.h"

/* Hidden states of the variant and of the reference that are held at once; a window is held whole all the same. */
static const size_t states_bytes = (size_t)256 << 20;
/* Rows of logits at once: they are wide. */
enum { HEAD_ROWS = 128 };
enum { OWN, ACCUMULATED, WAYS };

typedef struct measuring {
    const ciuic_model *model;
    const model_config *config;
    weight_source reference;
    const ciuic_layer_errors_options *options;
    const ciuic_window *windows; /* of the present batch, the next two as well */
    size_t count, longest;
    float *plain, *variant; /* [ids][hidden]: what goes into the present part, of the reference and of the variant */
    size_t done, total;     /* ids times parts */
    row_errors (*errors)[WAYS]; /* [layers + 2] */
} measuring;

/* ---- the variant's weights -------------------------------------------------------------------------------------- */

/* A matrix or vector of a model. */
typedef struct found_weight {
    const graph_weight *weight;
    const bound_weight *bound;
    int part;
} found_weight;

static ciuic_status find_weight(const ciuic_model *model, const char *name, found_weight *found)
{
    for (int phase = 0; phase < GRAPH_PHASES; phase++) {
        const plan *p = &model->plans[phase];
        for (int i = 0; p->g != NULL && i < p->g->weight_count; i++)
            for (int part = 0; part < p->g->weights[i].parts; part++) {
                const bound_weight *bound = &p->weights[i];
                if (bound->parts == NULL && bound->vector == NULL) continue; /* of an operation that is gone */
                if (strcmp(p->g->weights[i].name[part], name) != 0) continue;
                *found = (found_weight){.weight = &p->g->weights[i], .bound = bound, .part = part};
                return CIUIC_OK;
            }
    }
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: the model does not run on it", name);
}

static ciuic_status add_vector(quantized_set *set, const char *name, const float *values, size_t n)
{
    const kernel_matrix like = {.format = KERNEL_F32, .rows = 1, .columns = n};
    void *to;
    uint16_t *scales, *minimums;
    kernel_matrix *added;
    CIUIC_TRY(quantized_set_add(set, name, &like, &to, &scales, &minimums, &added));
    memcpy(to, values, n * sizeof *values);
    return CIUIC_OK;
}

/* Rows as they lie. */
static ciuic_status add_matrix(quantized_set *set, const char *name, const kernel_matrix *m)
{
    kernel_matrix like = *m, *added;
    like.interleave = 0;
    like.bias = NULL;
    void *values;
    uint16_t *scales, *minimums;
    CIUIC_TRY(quantized_set_add(set, name, &like, &values, &scales, &minimums, &added));
    if (m->interleave > 0) {
        kernel_deinterleave(m, values, scales, minimums);
        return CIUIC_OK;
    }
    const size_t scale_bytes = m->rows * kernel_row_scales(m) * sizeof *scales;
    memcpy(values, m->values, m->rows * kernel_row_bytes(m->format, m->columns));
    if (scale_bytes > 0) memcpy(scales, m->scales, scale_bytes);
    if (scale_bytes > 0 && m->minimums != NULL) memcpy(minimums, m->minimums, scale_bytes);
    return CIUIC_OK;
}

/* Whether the checkpoint's own tensor, as a pass loads it, is something else than this. */
static bool is_changed(const graph_weight *w, const kernel_matrix *m)
{
    switch (m->format) {
    case KERNEL_F32:
        return w->exact; /* may be scaled to suit a scaled norm; others were widened */
    case KERNEL_F16:
    case KERNEL_BF16:
    case KERNEL_F8:
        return false;
    default:
        return true;
    }
}

/* Of one part of a weight of the layer's graph: its matrix, its experts' matrices, or the vector. */
static ciuic_status take_part(const ciuic_model *model, const graph_weight *w, int part, quantized_set *set)
{
    found_weight found;
    CIUIC_TRY(find_weight(model, w->name[part], &found));
    if (w->kind == GRAPH_VECTOR) return add_vector(set, w->name[part], found.bound->vector, w->columns);
    const size_t experts = w->kind == GRAPH_EXPERTS ? w->experts : 1, stride = (size_t)found.weight->parts;
    for (size_t i = 0; i < experts; i++) {
        const kernel_matrix *m = &found.bound->parts[i * stride + (size_t)found.part];
        char name[QUANTIZE_UNIT_NAME], bias[QUANTIZE_UNIT_NAME + 8];
        stage_tensor_name(w->name[part], (int)i, name);
        if (is_changed(w, m)) CIUIC_TRY(add_matrix(set, name, m));
        if (m->bias == NULL) continue;
        snprintf(bias, sizeof bias, "%s.bias", name);
        CIUIC_TRY(add_vector(set, bias, m->bias, m->rows));
    }
    return CIUIC_OK;
}

/* Puts the weights of a part that differ from the checkpoint's into the set. */
static ciuic_status take_weights(const measuring *m, size_t layer, quantized_set *set)
{
    graph *g = NULL;
    CIUIC_TRY(graph_build_layer(m->config, layer, &g));
    ciuic_status status = CIUIC_OK;
    for (int i = 0; i < g->weight_count; i++)
        for (int part = 0; part < g->weights[i].parts && status == CIUIC_OK; part++)
            status = take_part(m->model, &g->weights[i], part, set);
    graph_free(g);
    return status;
}

/* ---- one part --------------------------------------------------------------------------------------------------- */

static ciuic_status tell(const measuring *m)
{
    const ciuic_layer_errors_options *o = m->options;
    return o->progress != NULL ? o->progress(o->progress_context, "measuring errors by layer", m->done, m->total)
                               : CIUIC_OK;
}

/* The two passes of a part. */
typedef struct passes {
    quantized_set *set; /* what the variant's pass runs on */
    layer_pass *reference, *variant;
    size_t rows; /* at once */
} passes;

static void passes_close(passes *p)
{
    layer_pass_free(p->reference);
    layer_pass_free(p->variant);
    quantized_set_free(p->set);
}

static ciuic_status passes_open(const measuring *m, size_t layer, passes *p)
{
    const bool head = layer == m->config->layers;
    const recipe nothing = {.count = 0};
    p->rows = head && m->longest > HEAD_ROWS ? HEAD_ROWS : m->longest;
    p->set = quantized_set_create();
    if (p->set == NULL) return ciuic_fail_memory("a layer's weights", 1);
    CIUIC_TRY(take_weights(m, layer, p->set));
    const weight_source variant = {.checkpoint = m->model->source, .recipe = &nothing, .set = p->set};
    weight_source reference = m->reference;
    reference.recipe = &nothing;
    CIUIC_TRY(layer_pass_create(&reference, layer, p->rows, m->options->threads, &p->reference));
    return layer_pass_create(&variant, layer, p->rows, m->options->threads, &p->variant);
}

/* Some rows of one window from row `first` of the batch on; hidden states move on to the part's output. */
static ciuic_status run_rows(const measuring *m, const passes *p, size_t layer, size_t first, size_t rows)
{
    const bool head = layer == m->config->layers;
    const size_t hidden = m->config->hidden_size, width = head ? m->config->vocabulary : hidden;
    float *plain = m->plain + first * hidden, *variant = m->variant + first * hidden;
    row_errors *errors = m->errors[layer + 1];
    const int output = layer_pass_graph(p->reference)->output;
    CIUIC_TRY(layer_pass_run(p->reference, plain, rows, INT32_MAX, NULL));
    CIUIC_TRY(layer_pass_run(p->variant, plain, rows, INT32_MAX, NULL));
    const float *expected = layer_pass_value(p->reference, output);
    const float *own = layer_pass_value(p->variant, output);
    for (size_t i = 0; i < rows; i++) row_errors_add(&errors[OWN], width, own + i * width, expected + i * width);
    CIUIC_TRY(layer_pass_run(p->variant, variant, rows, INT32_MAX, NULL));
    const float *all = layer_pass_value(p->variant, output);
    for (size_t i = 0; i < rows; i++)
        row_errors_add(&errors[ACCUMULATED], width, all + i * width, expected + i * width);
    if (head) return CIUIC_OK;
    memcpy(plain, expected, rows * width * sizeof *plain);
    memcpy(variant, all, rows * width * sizeof *variant);
    return CIUIC_OK;
}

static ciuic_status run_part(measuring *m, size_t layer)
{
    passes p = {0};
    ciuic_status status = passes_open(m, layer, &p);
    size_t first = 0;
    for (size_t i = 0; i < m->count && status == CIUIC_OK; i++) {
        const size_t n = m->windows[i].n;
        for (size_t done = 0; done < n && status == CIUIC_OK; done += p.rows)
            status = run_rows(m, &p, layer, first + done, n - done < p.rows ? n - done : p.rows);
        first += n;
        m->done += n;
        if (status == CIUIC_OK) status = tell(m);
    }
    passes_close(&p);
    return status;
}

/* The embedding: the input of the first layer. It comes after nothing, so that its own error is all there is. */
static ciuic_status embed(const measuring *m)
{
    const size_t hidden = m->config->hidden_size;
    const ciuic_model *model = m->model;
    found_weight table;
    CIUIC_TRY(find_weight(model, "model.embed_tokens", &table));
    size_t row = 0;
    for (size_t i = 0; i < m->count; i++) {
        const ciuic_window *w = &m->windows[i];
        CIUIC_TRY(layer_pass_embed(&m->reference, w->ids, w->n, m->plain + row * hidden));
        for (size_t k = 0; k < w->n; k++, row++) {
            float *plain = m->plain + row * hidden, *variant = m->variant + row * hidden;
            model->kernels.dequantize_row(table.bound->parts, (size_t)w->ids[k], variant);
            for (int way = 0; way < WAYS; way++) row_errors_add(&m->errors[0][way], hidden, variant, plain);
        }
    }
    return CIUIC_OK;
}

static ciuic_status run_batch(measuring *m)
{
    CIUIC_TRY(embed(m));
    for (size_t layer = 0; layer <= m->config->layers; layer++) CIUIC_TRY(run_part(m, layer));
    return CIUIC_OK;
}

/* ---- all windows ------------------------------------------------------------------------------------------------ */

static ciuic_status check_window(const ciuic_model *model, const ciuic_window *w)
{
    const model_config *c = model->config;
    if (w->n == 0 || w->n > c->max_position)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: a window of %zu ids; expected 1 to %zu",
                          checkpoint_path(model->source), w->n, c->max_position);
    for (size_t i = 0; i < w->n; i++)
        if (w->ids[i] < 0 || (size_t)w->ids[i] >= c->vocabulary)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: id %d; the vocabulary has ids 0 to %zu",
                              checkpoint_path(model->source), w->ids[i], c->vocabulary - 1);
    return CIUIC_OK;
}

static ciuic_status check_models(const ciuic_model *model, const ciuic_model *reference)
{
    const model_config *a = model->config, *b = reference->config;
    if (model->options.weights_f32)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: errors by layer of a model widened to FP32; its norms are gone",
                          checkpoint_path(model->source));
    if (checkpoint_quantized(reference->source) != NULL)
        return ciuic_fail(
            CIUIC_ERROR_USAGE,
            "%s: is quantised already; errors by layer are measured against the checkpoint it was made of",
            checkpoint_path(reference->source));
    if (a->type == b->type && a->layers == b->layers && a->hidden_size == b->hidden_size &&
        a->vocabulary == b->vocabulary)
        return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_USAGE, "%s and %s are models of different shape; expected one model and its variant",
                      checkpoint_path(model->source), checkpoint_path(reference->source));
}

/* How many of the windows are run together: as many as the hidden states may take memory. */
static size_t batch_of(const measuring *m, const ciuic_window *windows, size_t count, size_t *ids)
{
    const size_t fitting = states_bytes / (2 * m->config->hidden_size * sizeof(float));
    size_t n = 1;
    for (*ids = windows[0].n; n < count && *ids + windows[n].n <= fitting; n++) *ids += windows[n].n;
    return n;
}

static ciuic_status measure(measuring *m, const ciuic_window *windows, size_t count)
{
    ciuic_status status = CIUIC_OK;
    for (size_t done = 0; done < count && status == CIUIC_OK; done += m->count) {
        size_t ids;
        m->windows = windows + done;
        m->count = batch_of(m, m->windows, count - done, &ids);
        m->plain = reallocarray(NULL, ids * m->config->hidden_size, sizeof *m->plain);
        m->variant = reallocarray(NULL, ids * m->config->hidden_size, sizeof *m->variant);
        status = m->plain && m->variant
                     ? run_batch(m)
                     : ciuic_fail_memory("hidden states", 2 * ids * m->config->hidden_size * sizeof *m->plain);
        free(m->plain);
        free(m->variant);
    }
    return status;
}

ciuic_status ciuic_layer_errors(ciuic_model *model, const ciuic_model *reference, const ciuic_window *windows,
                                size_t count, const ciuic_layer_errors_options *options, ciuic_layer_error *errors)
{
    static const ciuic_layer_errors_options defaults = {0};
    measuring m = {.model = model,
                   .config = model->config,
                   .reference = {.checkpoint = reference->source},
                   .options = options != NULL ? options : &defaults};
    CIUIC_TRY(check_models(model, reference));
    if (count == 0) return ciuic_fail(CIUIC_ERROR_USAGE, "no windows were given; at least one is needed");
    for (size_t i = 0; i < count; i++) {
        CIUIC_TRY(check_window(model, &windows[i]));
        m.longest = windows[i].n > m.longest ? windows[i].n : m.longest;
        m.total += windows[i].n * (m.config->layers + 1);
    }
    CIUIC_TRY(model_prepare(model));
    const size_t parts = m.config->layers + 2;
    m.errors = calloc(parts, sizeof *m.errors);
    if (m.errors == NULL) return ciuic_fail_memory("errors by layer", parts * sizeof *m.errors);
    const ciuic_status status = measure(&m, windows, count);
    for (size_t i = 0; i < parts && status == CIUIC_OK; i++) {
        row_errors_finish(&m.errors[i][OWN], &errors[i].own);
        row_errors_finish(&m.errors[i][ACCUMULATED], &errors[i].accumulated);
    }
    free(m.errors);
    return status;
}
