/* calibrate.c - see calibrate.h: the loop over layers, their stages, and the inputs of each stage. */
#include "optimizer/quantize/calibrate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/quantize/quantize_tensor.h"
#include "optimizer/quantize/stages.h"
#include "optimizer/runtime/layer_pass.h"

/* Added to the diagonal of second moments, in units of its mean: GPTQ's own choice. */
static const double damping = 0.01;
/* An expert's second moments are its own and those of all experts' rows, scaled down to so many tokens: who saw few is
 * calibrated on what the others read, too. */
enum { POOL_TOKENS = 64 };
/* Rows of hidden states that the head takes at once: logits are wide. */
enum { HEAD_ROWS = 128 };

typedef struct work {
    const quantize_request *request;
    const model_config *config;
    quantized_set *set;
    quantize_log *log;
    float *plain, *quantised; /* [ids][hidden]: hidden states before the present layer, unquantised and quantised */
    size_t ids;
    size_t layer;      /* config->layers: the head */
    int stage, stages; /* of the present layer; for progress */
} work;

/* ---- telling ---------------------------------------------------------------------------------------------------- */

/* Layers count alike, and the stages and the run after them are equal parts of one. */
static ciuic_status tell(const work *w)
{
    enum { PARTS = 1000 };
    const quantize_request *r = w->request;
    if (r->progress == NULL) return CIUIC_OK;
    const size_t within = (size_t)w->stage * PARTS / (size_t)(w->stages + 1);
    return r->progress(r->progress_context, "quantising", w->layer * PARTS + within, (w->config->layers + 1) * PARTS);
}

static ciuic_status note(quantize_log *log, const quantize_record *record)
{
    if (log->count == log->capacity) {
        const size_t capacity = log->capacity > 0 ? 2 * log->capacity : 64;
        quantize_record *grown = reallocarray(log->records, capacity, sizeof *grown);
        if (grown == NULL) return ciuic_fail_memory("the log of quantising", capacity * sizeof *grown);
        log->records = grown;
        log->capacity = capacity;
    }
    log->records[log->count++] = *record;
    return CIUIC_OK;
}

void quantize_log_free(quantize_log *log)
{
    free(log->records);
    free(log->layer_error);
    *log = (quantize_log){0};
}

/* ---- running the layer ------------------------------------------------------------------------------------------ */

static bool is_head(const work *w)
{
    return w->layer == w->config->layers;
}

static size_t window_of(const work *w)
{
    return is_head(w) ? HEAD_ROWS : w->request->ids->length;
}

static ciuic_status open_pass(const work *w, bool quantised, layer_pass **pass)
{
    const recipe nothing = {.count = 0};
    const weight_source from = {.checkpoint = w->request->source, .recipe = &nothing, .set = quantised ? w->set : NULL};
    return layer_pass_create(&from, w->layer, window_of(w), w->request->threads, pass);
}

/* Runs one window; `first` is its first row. */
static ciuic_status run_window(const work *w, layer_pass *pass, const float *hidden, size_t first, int end,
                               size_t *rows)
{
    const size_t left = w->ids - first, window = window_of(w);
    *rows = left < window ? left : window;
    return layer_pass_run(pass, hidden + first * w->config->hidden_size, *rows, end);
}

/* ---- one stage -------------------------------------------------------------------------------------------------- */

static ciuic_status collect(const work *w, int end, stage_input *inputs, size_t count)
{
    layer_pass *pass = NULL;
    CIUIC_TRY(open_pass(w, true, &pass));
    ciuic_status status = CIUIC_OK;
    for (size_t first = 0, rows = 0; first < w->ids && status == CIUIC_OK; first += rows) {
        status = run_window(w, pass, w->quantised, first, end, &rows);
        for (size_t i = 0; i < count && status == CIUIC_OK; i++) stage_input_collect(pass, rows, &inputs[i]);
    }
    layer_pass_free(pass);
    return status;
}

/* Mixes into an expert's moments those of all experts, as if they were POOL_TOKENS tokens more. */
static void mix(second_moments *own, const second_moments *pool)
{
    if (pool->tokens == 0) return;
    const float share = (float)POOL_TOKENS / (float)pool->tokens;
    for (size_t i = 0; i < own->n * own->n; i++) own->h[i] += share * pool->h[i];
}

/* Quantises every tensor that reads the input. */
static ciuic_status quantise_readers(const work *w, const graph *g, const layer_stages *stages, stage_input *input,
                                     const second_moments *pool)
{
    const size_t tokens = input->moments.tokens;
    gptq_factor factor = {0};
    if (input->expert >= 0) mix(&input->moments, pool);
    CIUIC_TRY(gptq_factorise(&input->moments, damping, &factor));
    ciuic_status status = CIUIC_OK;
    for (int i = 0; i < g->op_count && status == CIUIC_OK; i++) {
        if (stages->stage[i] != w->stage || !stage_input_feeds(g, input, &g->ops[i])) continue;
        const char *unit = g->weights[g->ops[i].weight].name[0], *star = strchr(unit, '*');
        char name[QUANTIZE_UNIT_NAME];
        if (star != NULL)
            snprintf(name, sizeof name, "%.*s%d%s", (int)(star - unit), unit, input->expert, star + 1);
        else
            snprintf(name, sizeof name, "%s", unit);
        const quantize_task task = {.source = w->request->source,
                                    .tensor = name,
                                    .setting = recipe_find(w->request->recipe, unit),
                                    .quantizer = w->request->quantizer,
                                    .factor = &factor};
        quantize_record record;
        status = quantize_tensor(&task, w->set, &record);
        record.tokens = tokens;
        record.pooled = input->expert >= 0 && tokens < POOL_TOKENS;
        if (status == CIUIC_OK) status = note(w->log, &record);
    }
    gptq_factor_free(&factor);
    return status;
}

/* The inputs of a stage, as many at a time as their moments may take memory: as much as the largest of them, or the
 * weights that read them, whichever is more. */
static size_t batch_end(const stage_inputs *all, size_t first, size_t allowed)
{
    size_t bytes = 0, end = first;
    for (; end < all->count; end++) {
        bytes += all->inputs[end].width * all->inputs[end].width * sizeof(float);
        if (bytes > allowed && end > first) break;
    }
    return end;
}

static size_t stage_weight_bytes(const graph *g, const layer_stages *stages, int stage)
{
    size_t bytes = 0;
    for (int i = 0; i < g->op_count; i++) {
        if (stages->stage[i] != stage) continue;
        const graph_weight *weight = &g->weights[g->ops[i].weight];
        const size_t matrices = weight->kind == GRAPH_EXPERTS ? weight->experts : 1;
        bytes += matrices * graph_weight_rows(weight) * weight->columns * sizeof(uint16_t);
    }
    return bytes;
}

static ciuic_status run_batch(const work *w, const graph *g, const layer_stages *stages, stage_inputs *all,
                              size_t first, size_t end, second_moments *pool)
{
    for (size_t i = first; i < end; i++)
        CIUIC_TRY(second_moments_create(&all->inputs[i].moments, all->inputs[i].width));
    CIUIC_TRY(collect(w, stages->end[w->stage], all->inputs + first, end - first));
    for (size_t i = first; i < end; i++) {
        stage_input *input = &all->inputs[i];
        if (input->expert == INPUT_POOLED) { /* stays until its experts, which follow, are done */
            second_moments_free(pool);
            *pool = input->moments;
            input->moments = (second_moments){0};
        } else {
            CIUIC_TRY(quantise_readers(w, g, stages, input, pool));
        }
    }
    return CIUIC_OK;
}

static ciuic_status run_stage(const work *w, const graph *g, const layer_stages *stages)
{
    stage_inputs all = {0};
    second_moments pool = {0};
    CIUIC_TRY(tell(w));
    CIUIC_TRY(stage_inputs_find(g, stages, w->stage, &all));
    const size_t allowed = stage_weight_bytes(g, stages, w->stage);
    ciuic_status status = CIUIC_OK;
    for (size_t first = 0, end; first < all.count && status == CIUIC_OK; first = end) {
        end = batch_end(&all, first, allowed);
        status = run_batch(w, g, stages, &all, first, end, &pool);
    }
    second_moments_free(&pool);
    stage_inputs_free(&all);
    return status;
}

/* ---- one layer -------------------------------------------------------------------------------------------------- */

/* Runs the finished layer on both hidden states, and notes how far they are apart now. */
static ciuic_status advance(const work *w)
{
    layer_pass *plain = NULL, *quantised = NULL;
    const size_t hidden = w->config->hidden_size, width = is_head(w) ? w->config->vocabulary : hidden;
    double error = 0, length = 0;
    ciuic_status status = open_pass(w, false, &plain);
    if (status == CIUIC_OK) status = open_pass(w, true, &quantised);
    for (size_t first = 0, rows = 0; first < w->ids && status == CIUIC_OK; first += rows) {
        status = run_window(w, plain, w->plain, first, INT32_MAX, &rows);
        if (status == CIUIC_OK) status = run_window(w, quantised, w->quantised, first, INT32_MAX, &rows);
        if (status != CIUIC_OK) break;
        const int output = layer_pass_graph(plain)->output;
        const float *a = layer_pass_value(plain, output), *b = layer_pass_value(quantised, output);
        for (size_t i = 0; i < rows * width; i++) {
            const double d = (double)a[i] - (double)b[i];
            error += d * d;
            length += (double)a[i] * (double)a[i];
        }
        if (is_head(w)) continue;
        memcpy(w->plain + first * hidden, a, rows * hidden * sizeof *a);
        memcpy(w->quantised + first * hidden, b, rows * hidden * sizeof *b);
    }
    layer_pass_free(plain);
    layer_pass_free(quantised);
    w->log->layer_error[w->layer] = error > 0 ? sqrt(error / length) : 0;
    return status;
}

static ciuic_status run_layer(work *w)
{
    graph *g = NULL;
    layer_stages stages = {0};
    CIUIC_TRY(graph_build_layer(w->config, w->layer, &g));
    ciuic_status status = layer_stages_find(g, w->request->recipe, &stages);
    w->stages = stages.count;
    for (w->stage = 0; w->stage < w->stages && status == CIUIC_OK; w->stage++) status = run_stage(w, g, &stages);
    if (status == CIUIC_OK) status = tell(w);
    if (status == CIUIC_OK) status = advance(w);
    layer_stages_free(&stages);
    graph_free(g);
    const quantize_request *r = w->request;
    if (status == CIUIC_OK && r->done != NULL) status = r->done(r->done_context, w->set, w->log);
    return status;
}

/* The embedding: there is no input to go by, and a tied one waits for the head, whose inputs count more. */
static ciuic_status embed(const work *w)
{
    static const char name[] = "model.embed_tokens";
    const quantize_request *r = w->request;
    const quantize_setting setting = recipe_find(r->recipe, name);
    const weight_source from = {.checkpoint = r->source, .set = w->set};
    CIUIC_TRY(layer_pass_embed(&(const weight_source){.checkpoint = r->source}, r->ids->ids, w->ids, w->plain));
    if (quantize_setting_by_groups(&setting) && !w->config->tie_word_embeddings) {
        const quantize_task task = {.source = r->source, .tensor = name, .setting = setting, .quantizer = r->quantizer};
        quantize_record record;
        CIUIC_TRY(quantize_tensor(&task, w->set, &record));
        CIUIC_TRY(note(w->log, &record));
    }
    return layer_pass_embed(&from, r->ids->ids, w->ids, w->quantised);
}

ciuic_status quantize_calibrate(const quantize_request *request, quantized_set *set, quantize_log *log)
{
    const model_config *config = checkpoint_config(request->source);
    work w = {.request = request, .config = config, .set = set, .log = log};
    w.ids = request->ids->rows * request->ids->length;
    const size_t floats = w.ids * config->hidden_size;
    *log = (quantize_log){.layers = config->layers, .layer_error = calloc(config->layers + 1, sizeof(double))};
    w.plain = malloc(floats * sizeof *w.plain);
    w.quantised = malloc(floats * sizeof *w.quantised);
    ciuic_status status = log->layer_error && w.plain && w.quantised
                              ? CIUIC_OK
                              : ciuic_fail_memory("hidden states of the calibration ids", 2 * floats * sizeof *w.plain);
    if (status == CIUIC_OK) status = embed(&w);
    for (w.layer = 0; w.layer <= config->layers && status == CIUIC_OK; w.layer++) status = run_layer(&w);
    free(w.plain);
    free(w.quantised);
    return status;
}
