/* sensitivity.c - see sensitivity.h. The unquantised model's hidden states go from layer to layer; at each, every unit is
 * quantised in every way, and what comes of it is pushed through the layers above, unquantised. */
#include "optimizer/quantize/sensitivity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/quantize/divergence.h"
#include "optimizer/quantize/quantize_tensor.h"
#include "optimizer/quantize/stage_walk.h"

/* Windows to measure on: 2048 ids give a divergence with a standard error of 5 to 10%, less than choices differ by. */
enum { USUAL_WINDOWS = 4 };
/* Sets of candidates are held together up to so many weights; beyond, settings are taken one after the other. */
enum { TOGETHER = 64 << 20 };

static const char embedding[] = "model.embed_tokens";

/* One unit under one setting. */
typedef struct candidate {
    quantized_set *set;
    float *hidden; /* [measured][hidden size] */
    size_t unit, choice;
} candidate;

typedef struct measuring {
    const sensitivity_request *request;
    const model_config *config;
    size_t hidden, ids, window, measured, windows; /* measured: ids of the measured windows */
    float *plain;                                  /* [ids][hidden] before the present layer */
    float *final;                                  /* [measured][hidden] before the head */
    allocation_unit *units;
    size_t count, done, total; /* done: candidates pushed through a layer, of `total` */
    /* Of the present stage */
    layer_work layer;
    int stage;
    candidate *candidates;
    size_t candidate_count, first_setting, end_setting;
} measuring;

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* The row of the ids at which measured window `i` begins. */
static size_t window_row(const measuring *m, size_t i)
{
    const size_t rows = m->request->ids->rows;
    return i * rows / m->windows;
}

static void copy_measured(const measuring *m, float *to)
{
    const size_t floats = m->window * m->hidden;
    for (size_t i = 0; i < m->windows; i++)
        memcpy(to + i * floats, m->plain + window_row(m, i) * floats, floats * sizeof *to);
}

/* Runs a layer on `rows` rows in place. */
static ciuic_status run_in_place(const layer_work *w, layer_pass *pass, float *hidden, size_t rows)
{
    const size_t width = checkpoint_config(w->source)->hidden_size;
    for (size_t first = 0, some = 0; first < rows; first += some) {
        CIUIC_TRY(layer_work_run(w, pass, hidden, rows, first, INT32_MAX, &some));
        memcpy(hidden + first * width, layer_pass_value(pass, layer_pass_graph(pass)->output),
               some * width * sizeof *hidden);
    }
    return CIUIC_OK;
}

static layer_work plain_layer(const measuring *m, size_t layer)
{
    layer_work w = m->layer;
    w.set = NULL;
    w.layer = layer;
    return w;
}

static ciuic_status advance(const measuring *m, size_t layer, float *hidden, size_t rows)
{
    const layer_work w = plain_layer(m, layer);
    layer_pass *pass = NULL;
    CIUIC_TRY(layer_work_open(&w, NULL, &pass));
    const ciuic_status status = run_in_place(&w, pass, hidden, rows);
    layer_pass_free(pass);
    return status;
}

/* ---- candidates ------------------------------------------------------------------------------------------------- */

static void free_candidates(measuring *m)
{
    for (size_t i = 0; i < m->candidate_count; i++) {
        quantized_set_free(m->candidates[i].set);
        free(m->candidates[i].hidden);
    }
    free(m->candidates);
    m->candidates = NULL;
    m->candidate_count = 0;
}

static candidate *find_candidate(const measuring *m, size_t unit, size_t choice)
{
    for (size_t i = 0; i < m->candidate_count; i++)
        if (m->candidates[i].unit == unit && m->candidates[i].choice == choice) return &m->candidates[i];
    return NULL;
}

static ciuic_status add_candidate(measuring *m, size_t unit, size_t choice, candidate **added)
{
    candidate *grown = reallocarray(m->candidates, m->candidate_count + 1, sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("candidates", (m->candidate_count + 1) * sizeof *grown);
    m->candidates = grown;
    candidate *c = &grown[m->candidate_count];
    *c = (candidate){.set = quantized_set_create(),
                     .hidden = malloc(m->measured * m->hidden * sizeof *c->hidden),
                     .unit = unit,
                     .choice = choice};
    m->candidate_count++;
    if (c->set == NULL || c->hidden == NULL)
        return ciuic_fail_memory("a candidate", m->measured * m->hidden * sizeof *c->hidden);
    *added = c;
    return CIUIC_OK;
}

static size_t find_unit(const measuring *m, const char *name)
{
    size_t i = 0;
    while (i < m->count && strcmp(m->units[i].unit, name) != 0) i++;
    return i;
}

/* One tensor of a unit under every setting of this round. */
static ciuic_status try_tensor(measuring *m, const char *unit, const char *name, const gptq_factor *factor)
{
    const size_t at = find_unit(m, unit);
    for (size_t choice = m->first_setting; choice < m->end_setting; choice++) {
        candidate *c = find_candidate(m, at, choice);
        if (c == NULL) CIUIC_TRY(add_candidate(m, at, choice, &c));
        const quantize_task task = {.source = m->request->source,
                                    .tensor = name,
                                    .setting = m->request->settings[choice],
                                    .quantizer = m->request->quantizer,
                                    .factor = factor};
        quantize_record record;
        CIUIC_TRY(quantize_tensor(&task, c->set, &record));
    }
    return CIUIC_OK;
}

static ciuic_status try_readers(void *context, const stage_input *input, size_t tokens, const gptq_factor *factor)
{
    measuring *m = context;
    const graph *g = m->layer.g;
    (void)tokens;
    for (int i = 0; i < g->op_count; i++) {
        if (m->layer.stages->stage[i] != m->stage || !stage_input_feeds(g, input, &g->ops[i])) continue;
        const char *unit = g->weights[g->ops[i].weight].name[0];
        char name[QUANTIZE_UNIT_NAME];
        stage_tensor_name(unit, input->expert, name);
        CIUIC_TRY(try_tensor(m, unit, name, factor));
    }
    return CIUIC_OK;
}

/* ---- what candidates come to ------------------------------------------------------------------------------------ */

static ciuic_status tell(measuring *m, size_t more)
{
    const sensitivity_request *r = m->request;
    m->done += more;
    if (r->progress == NULL) return CIUIC_OK;
    return r->progress(r->progress_context, "measuring sensitivity", m->done < m->total ? m->done : m->total, m->total);
}

/* The divergence of every candidate's logits; `own_head`: the head is what was quantised. */
static ciuic_status judge(measuring *m, bool own_head)
{
    const layer_work w = plain_layer(m, m->config->layers);
    const size_t vocabulary = m->config->vocabulary;
    layer_pass *plain = NULL, *head = NULL;
    ciuic_status status = layer_work_open(&w, NULL, &plain);
    for (size_t i = 0; i < m->candidate_count && status == CIUIC_OK; i++) {
        candidate *c = &m->candidates[i];
        divergence d = {0};
        status = layer_work_open(&w, own_head ? c->set : NULL, &head);
        for (size_t first = 0, rows = 0; first < m->measured && status == CIUIC_OK; first += rows) {
            status = layer_work_run(&w, plain, m->final, m->measured, first, INT32_MAX, &rows);
            if (status == CIUIC_OK) status = layer_work_run(&w, head, c->hidden, m->measured, first, INT32_MAX, &rows);
            const int output = layer_pass_graph(plain)->output;
            if (status == CIUIC_OK)
                divergence_add(&d, rows, vocabulary, layer_pass_value(plain, output), layer_pass_value(head, output));
        }
        layer_pass_free(head);
        head = NULL;
        allocation_choice *choice = &m->units[c->unit].choices[c->choice];
        choice->kl = d.mean;
        choice->kl_error = divergence_error(&d);
        if (status == CIUIC_OK) status = tell(m, 1);
    }
    layer_pass_free(plain);
    return status;
}

/* Pushes all candidates through the layers from `first` on, and judges them. */
static ciuic_status push(measuring *m, size_t first)
{
    for (size_t layer = first; layer < m->config->layers; layer++) {
        const layer_work w = plain_layer(m, layer);
        layer_pass *pass = NULL;
        CIUIC_TRY(layer_work_open(&w, NULL, &pass));
        ciuic_status status = CIUIC_OK;
        for (size_t i = 0; i < m->candidate_count && status == CIUIC_OK; i++) {
            status = run_in_place(&w, pass, m->candidates[i].hidden, m->measured);
            if (status == CIUIC_OK) status = tell(m, 1);
        }
        layer_pass_free(pass);
        CIUIC_TRY(status);
    }
    return judge(m, first > m->config->layers);
}

/* ---- the stages of a layer -------------------------------------------------------------------------------------- */

static ciuic_status embed_measured(const measuring *m, const quantized_set *set, float *hidden)
{
    const weight_source from = {.checkpoint = m->request->source, .set = set};
    for (size_t i = 0; i < m->windows; i++)
        CIUIC_TRY(layer_pass_embed(&from, m->request->ids->ids + window_row(m, i) * m->window, m->window,
                                   hidden + i * m->window * m->hidden));
    return CIUIC_OK;
}

/* What a candidate of this layer makes of the measured rows. A tied head changes what is embedded, too. */
static ciuic_status start(const measuring *m, candidate *c)
{
    const bool head = m->layer.layer == m->config->layers;
    if (!head || !m->config->tie_word_embeddings) copy_measured(m, c->hidden);
    if (head && m->config->tie_word_embeddings) {
        CIUIC_TRY(embed_measured(m, c->set, c->hidden));
        for (size_t layer = 0; layer < m->config->layers; layer++) CIUIC_TRY(advance(m, layer, c->hidden, m->measured));
    }
    if (head) return CIUIC_OK;
    layer_pass *pass = NULL;
    CIUIC_TRY(layer_work_open(&m->layer, c->set, &pass));
    const ciuic_status status = run_in_place(&m->layer, pass, c->hidden, m->measured);
    layer_pass_free(pass);
    return status;
}

static ciuic_status measure_stage(measuring *m)
{
    ciuic_status status = stage_walk(&m->layer, m->stage, try_readers, m);
    for (size_t i = 0; i < m->candidate_count && status == CIUIC_OK; i++) {
        status = start(m, &m->candidates[i]);
        if (status == CIUIC_OK) status = tell(m, 1);
    }
    if (status == CIUIC_OK) status = push(m, m->layer.layer + 1);
    free_candidates(m);
    return status;
}

/* All stages under all settings, as many at a time as may be held together. */
static ciuic_status measure_layer(measuring *m, const recipe *everything)
{
    graph *g = NULL;
    layer_stages stages = {0};
    CIUIC_TRY(graph_build_layer(m->config, m->layer.layer, &g));
    ciuic_status status = layer_stages_find(g, everything, &stages);
    m->layer.g = g;
    m->layer.stages = &stages;
    for (m->stage = 0; m->stage < stages.count && status == CIUIC_OK; m->stage++) {
        const size_t fitting = TOGETHER / (stage_parameters(g, &stages, m->stage) + 1), step = fitting > 0 ? fitting : 1;
        for (size_t s = 0; s < m->request->count && status == CIUIC_OK; s += step) {
            m->first_setting = s;
            m->end_setting = s + step < m->request->count ? s + step : m->request->count;
            status = measure_stage(m);
        }
    }
    layer_stages_free(&stages);
    graph_free(g);
    return status;
}

static ciuic_status measure_embedding(measuring *m)
{
    m->first_setting = 0;
    m->end_setting = m->request->count;
    ciuic_status status = try_tensor(m, embedding, embedding, NULL);
    for (size_t i = 0; i < m->candidate_count && status == CIUIC_OK; i++)
        status = embed_measured(m, m->candidates[i].set, m->candidates[i].hidden);
    if (status == CIUIC_OK) status = push(m, 0);
    free_candidates(m);
    return status;
}

/* ---- units ------------------------------------------------------------------------------------------------------ */

/* Bytes of one matrix as the checkpoint has it. */
static size_t source_bytes(const checkpoint *c, const char *matrix)
{
    char name[QUANTIZE_UNIT_NAME + 16];
    snprintf(name, sizeof name, "%s.weight", matrix);
    const tensor *t = checkpoint_find(c, name);
    return t != NULL ? t->bytes : 0;
}

static ciuic_status add_unit(measuring *m, const char *unit, size_t rows, size_t columns, size_t matrices)
{
    allocation_unit *grown = reallocarray(m->units, m->count + 1, sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("units", (m->count + 1) * sizeof *grown);
    m->units = grown;
    allocation_unit *u = &grown[m->count++];
    *u = (allocation_unit){.matrices = matrices, .parameters = matrices * rows * columns};
    snprintf(u->unit, sizeof u->unit, "%s", unit);
    for (size_t i = 0; i < m->request->count; i++)
        u->choices[i] = (allocation_choice){.setting = m->request->settings[i],
                                            .bytes = matrices * quantize_setting_bytes(&m->request->settings[i], rows, columns)};
    char first[QUANTIZE_UNIT_NAME];
    stage_tensor_name(unit, 0, first);
    u->choices[m->request->count] = (allocation_choice){.bytes = matrices * source_bytes(m->request->source, first)};
    u->count = m->request->count + 1;
    return CIUIC_OK;
}

/* The units of a layer, in the order of its operations. */
static ciuic_status add_units(measuring *m, size_t layer)
{
    graph *g = NULL;
    CIUIC_TRY(graph_build_layer(m->config, layer, &g));
    ciuic_status status = CIUIC_OK;
    for (int i = 0; i < g->op_count && status == CIUIC_OK; i++) {
        const graph_op *op = &g->ops[i];
        if (op->kind != GRAPH_MATMUL && op->kind != GRAPH_EXPERT_MATMUL) continue;
        const graph_weight *w = &g->weights[op->weight];
        if (w->exact) continue;
        status = add_unit(m, w->name[0], w->rows[0], w->columns, w->kind == GRAPH_EXPERTS ? w->experts : 1);
        m->total += m->request->count * (m->config->layers - layer + 1);
    }
    graph_free(g);
    return status;
}

static ciuic_status list_units(measuring *m)
{
    const model_config *c = m->config;
    if (!c->tie_word_embeddings) {
        CIUIC_TRY(add_unit(m, embedding, c->vocabulary, c->hidden_size, 1));
        m->total += m->request->count * (c->layers + 1);
    }
    for (size_t layer = 0; layer <= c->layers; layer++) CIUIC_TRY(add_units(m, layer));
    return CIUIC_OK;
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

static ciuic_status measure_all(measuring *m)
{
    const sensitivity_request *r = m->request;
    const weight_source from = {.checkpoint = r->source};
    /* Any setting by groups marks a unit as one that can be quantised. */
    const recipe everything = {.otherwise = r->settings[0]};
    CIUIC_TRY(list_units(m));
    CIUIC_TRY(layer_pass_embed(&from, r->ids->ids, m->ids, m->plain));
    copy_measured(m, m->final);
    for (size_t layer = 0; layer < m->config->layers; layer++) CIUIC_TRY(advance(m, layer, m->final, m->measured));
    if (!m->config->tie_word_embeddings) CIUIC_TRY(measure_embedding(m));
    for (size_t layer = 0; layer <= m->config->layers; layer++) {
        m->layer.layer = layer;
        CIUIC_TRY(measure_layer(m, &everything));
        if (layer < m->config->layers) CIUIC_TRY(advance(m, layer, m->plain, m->ids));
    }
    return CIUIC_OK;
}

ciuic_status sensitivity_measure(const sensitivity_request *request, allocation_unit **units, size_t *count)
{
    const calibration_ids *ids = request->ids;
    if (request->count == 0 || request->count >= ALLOCATION_CHOICES)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%zu settings to choose from; expected 1 to %d", request->count,
                          ALLOCATION_CHOICES - 1);
    measuring m = {.request = request, .config = checkpoint_config(request->source)};
    m.hidden = m.config->hidden_size;
    m.ids = ids->rows * ids->length;
    m.window = ids->length;
    m.windows = request->windows > 0 ? request->windows : USUAL_WINDOWS;
    if (m.windows > ids->rows) m.windows = ids->rows;
    m.measured = m.windows * m.window;
    m.plain = malloc(m.ids * m.hidden * sizeof *m.plain);
    m.final = malloc(m.measured * m.hidden * sizeof *m.final);
    m.layer = (layer_work){.source = request->source,
                           .hidden = m.plain,
                           .ids = m.ids,
                           .window = m.window,
                           .threads = request->threads};
    const ciuic_status status = m.plain && m.final
                                    ? measure_all(&m)
                                    : ciuic_fail_memory("hidden states", m.ids * m.hidden * sizeof *m.plain);
    free_candidates(&m);
    free(m.plain);
    free(m.final);
    if (status != CIUIC_OK) {
        free(m.units);
        return status;
    }
    *units = m.units;
    *count = m.count;
    return CIUIC_OK;
}
