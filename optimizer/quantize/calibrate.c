/* calibrate.c - see calibrate.h: the loop over layers and their stages. */
#include "optimizer/quantize/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/array_room.h"
#include "optimizer/error.h"
#include "optimizer/quantize/activation_scaling.h"
#include "optimizer/quantize/quantize_tensor.h"
#include "optimizer/quantize/stage_walk.h"

typedef struct work {
    const quantize_request *request;
    const model_config *config;
    quantized_set *set;
    quantize_log *log;
    float *plain, *quantised; /* [ids][hidden]: hidden states before the present layer, unquantised and quantised */
    layer_work layer;
    layer_frontiers kept;
    int stage;            /* of the present layer */
    scaled_values scaled; /* of the present stage, by AWQ */
} work;

/* ---- telling ---------------------------------------------------------------------------------------------------- */

/* Layers count alike, and the stages and the run after them are equal parts of one. */
static ciuic_status tell(const work *w)
{
    enum { PARTS = 1000 };
    const quantize_request *r = w->request;
    if (r->progress == NULL) return CIUIC_OK;
    const size_t within = (size_t)w->stage * PARTS / (size_t)(w->layer.stages->count + 1);
    return r->progress(r->progress_context, "quantising", w->layer.layer * PARTS + within,
                       (w->config->layers + 1) * PARTS);
}

static ciuic_status note(quantize_log *log, const quantize_record *record)
{
    quantize_record *grown = array_with_room(log->records, log->count, &log->capacity, sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("the log of quantising", log->count * sizeof *grown);
    log->records = grown;
    log->records[log->count++] = *record;
    return CIUIC_OK;
}

void quantize_log_free(quantize_log *log)
{
    free(log->records);
    free(log->layer_error);
    *log = (quantize_log){0};
}

/* ---- one layer -------------------------------------------------------------------------------------------------- */

/* Quantises every tensor that reads the input. */
static ciuic_status quantise_readers(void *context, const stage_input *input, size_t tokens, const gptq_factor *factor)
{
    const work *w = context;
    const graph *g = w->layer.g;
    for (int i = 0; i < g->op_count; i++) {
        if (w->layer.stages->stage[i] != w->stage || !stage_input_feeds(g, input, &g->ops[i])) continue;
        const char *unit = g->weights[g->ops[i].weight].name[0];
        char name[QUANTIZE_UNIT_NAME];
        stage_tensor_name(unit, input->expert, name);
        const quantize_task task = {.source = w->request->source,
                                    .tensor = name,
                                    .setting = recipe_find(w->request->recipe, unit),
                                    .quantizer = w->request->quantizer,
                                    .factor = factor,
                                    .column_scale = scaling_of(&w->scaled, input->value),
                                    .drift = input->drift,
                                    .behind = i == input->reader ? input->behind : NULL};
        quantize_record record;
        CIUIC_TRY(quantize_tensor(&task, w->set, &record));
        record.tokens = tokens;
        record.pooled = input->expert >= 0 && tokens < STAGE_POOL_TOKENS;
        CIUIC_TRY(note(w->log, &record));
    }
    return CIUIC_OK;
}

/* Runs the finished layer on both hidden states, and notes how far they are apart now. */
static ciuic_status advance(const work *w)
{
    layer_pass *plain = NULL, *quantised = NULL;
    const bool head = w->layer.layer == w->config->layers;
    const size_t hidden = w->config->hidden_size, width = head ? w->config->vocabulary : hidden, ids = w->layer.ids;
    double error = 0, length = 0;
    ciuic_status status = layer_work_open(&w->layer, NULL, &plain);
    if (status == CIUIC_OK) status = layer_work_open(&w->layer, w->set, &quantised);
    for (size_t first = 0, rows = 0; first < ids && status == CIUIC_OK; first += rows) {
        status = layer_work_run(&w->layer, plain, w->plain, ids, first, INT32_MAX, &rows);
        if (status == CIUIC_OK) status = layer_work_finish(&w->layer, quantised, first, &rows);
        if (status != CIUIC_OK) break;
        const int output = layer_pass_graph(plain)->output;
        const float *a = layer_pass_value(plain, output), *b = layer_pass_value(quantised, output);
        for (size_t i = 0; i < rows * width; i++) {
            const double d = (double)a[i] - (double)b[i];
            error += d * d;
            length += (double)a[i] * (double)a[i];
        }
        if (head) continue;
        memcpy(w->plain + first * hidden, a, rows * hidden * sizeof *a);
        memcpy(w->quantised + first * hidden, b, rows * hidden * sizeof *b);
    }
    layer_pass_free(plain);
    layer_pass_free(quantised);
    w->log->layer_error[w->layer.layer] = error > 0 ? sqrt(error / length) : 0;
    return status;
}

static ciuic_status run_layer(work *w)
{
    graph *g = NULL;
    layer_stages stages = {0};
    CIUIC_TRY(graph_build_layer(w->config, w->layer.layer, &g));
    ciuic_status status = layer_stages_find(g, w->request->recipe, &stages);
    w->layer.g = g;
    w->layer.stages = &stages;
    for (w->stage = 0; w->stage < stages.count && status == CIUIC_OK; w->stage++) {
        status = tell(w);
        if (status == CIUIC_OK && w->request->quantizer == CIUIC_QUANTIZER_AWQ)
            status = scaling_choose(&w->layer, w->request->recipe, w->stage, w->set, &w->scaled);
        if (status == CIUIC_OK) status = stage_walk(&w->layer, w->stage, quantise_readers, w);
        scaled_values_free(&w->scaled);
    }
    if (status == CIUIC_OK) status = tell(w);
    if (status == CIUIC_OK) status = advance(w);
    layer_frontiers_free(&w->kept);
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
    CIUIC_TRY(layer_pass_embed(&(const weight_source){.checkpoint = r->source}, r->ids->ids, w->layer.ids, w->plain));
    if (quantize_setting_by_groups(&setting) && !w->config->tie_word_embeddings) {
        const quantize_task task = {.source = r->source, .tensor = name, .setting = setting, .quantizer = r->quantizer};
        quantize_record record;
        CIUIC_TRY(quantize_tensor(&task, w->set, &record));
        CIUIC_TRY(note(w->log, &record));
    }
    return layer_pass_embed(&from, r->ids->ids, w->layer.ids, w->quantised);
}

ciuic_status quantize_calibrate(const quantize_request *request, quantized_set *set, quantize_log *log)
{
    const model_config *config = checkpoint_config(request->source);
    if (config->quantised)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: is quantised already; give its source",
                          checkpoint_path(request->source));
    const size_t ids = request->ids->rows * request->ids->length, floats = ids * config->hidden_size;
    work w = {.request = request, .config = config, .set = set, .log = log};
    *log = (quantize_log){.layers = config->layers, .layer_error = calloc(config->layers + 1, sizeof(double))};
    w.plain = malloc(floats * sizeof *w.plain);
    w.quantised = malloc(floats * sizeof *w.quantised);
    ciuic_status status = log->layer_error && w.plain && w.quantised
                              ? CIUIC_OK
                              : ciuic_fail_memory("hidden states of the calibration ids", 2 * floats * sizeof *w.plain);
    w.layer = (layer_work){.source = request->source,
                           .set = set,
                           .hidden = w.quantised,
                           .plain = request->quantizer == CIUIC_QUANTIZER_GPTQ ? w.plain : NULL,
                           .ids = ids,
                           .window = request->ids->length,
                           .threads = request->threads,
                           .kept = &w.kept};
    if (status == CIUIC_OK) status = embed(&w);
    for (size_t i = 0; i <= config->layers && status == CIUIC_OK; i++) {
        w.layer.layer = i;
        status = run_layer(&w);
    }
    free(w.plain);
    free(w.quantised);
    return status;
}
