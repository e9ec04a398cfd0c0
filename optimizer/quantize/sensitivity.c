/* sensitivity.c - see sensitivity.h. The unquantised model's hidden states go from layer to layer; at each, every unit is
 * quantised in every way, and what comes of the anchor is pushed through the layers above, unquantised. */
#include "optimizer/quantize/sensitivity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/quantize/divergence.h"
#include "optimizer/quantize/quantize_tensor.h"
#include "optimizer/quantize/stage_walk.h"

/* Windows to measure on; every unit's standard error is told, for whoever wants more. */
enum { USUAL_WINDOWS = 4 };

static const char embedding[] = "model.embed_tokens";

/* One unit under the anchor. */
typedef struct candidate {
    quantized_set *set;
    float *hidden; /* [measured][hidden size] */
    size_t unit;
} candidate;

typedef struct measuring {
    const sensitivity_request *request;
    const model_config *config;
    size_t hidden, ids, window, measured, windows; /* measured: ids of the measured windows */
    float *plain;                                  /* [ids][hidden] before the present layer */
    float *reference;                              /* [measured][hidden]: goes ahead of the candidates, unquantised */
    allocation_unit *units;
    size_t count, done, total; /* done: candidates pushed through a layer, of `total` */
    quantized_set *scratch;    /* where settings are tried that are not pushed */
    /* Of the present stage */
    layer_work layer;
    layer_frontiers kept;
    int stage;
    candidate *candidates;
    size_t candidate_count;
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

static layer_work plain_layer(const measuring *m, size_t layer)
{
    layer_work w = m->layer;
    w.set = NULL;
    w.layer = layer;
    return w;
}

/* Runs a layer on the window of `hidden` that begins at row `first`, in place, with the experts of `chosen`. */
static ciuic_status run_in_place(const measuring *m, layer_pass *pass, float *hidden, size_t first,
                                 const routing *chosen)
{
    float *at = hidden + first * m->hidden;
    CIUIC_TRY(layer_pass_run(pass, at, m->window, INT32_MAX, chosen));
    memcpy(at, layer_pass_value(pass, layer_pass_graph(pass)->output), m->window * m->hidden * sizeof *at);
    return CIUIC_OK;
}

/* Runs the unquantised layer on `rows` rows in place. */
static ciuic_status advance(const measuring *m, size_t layer, float *hidden, size_t rows)
{
    const layer_work w = plain_layer(m, layer);
    layer_pass *pass = NULL;
    CIUIC_TRY(layer_work_open(&w, NULL, &pass));
    ciuic_status status = CIUIC_OK;
    for (size_t first = 0; first < rows && status == CIUIC_OK; first += m->window)
        status = run_in_place(m, pass, hidden, first, NULL);
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

static size_t find_unit(const measuring *m, const char *name)
{
    size_t i = 0;
    while (i < m->count && strcmp(m->units[i].unit, name) != 0) i++;
    return i;
}

/* The candidate of that unit, made now or before. */
static ciuic_status get_candidate(measuring *m, size_t unit, candidate **found)
{
    for (size_t i = 0; i < m->candidate_count; i++)
        if (m->candidates[i].unit == unit) {
            *found = &m->candidates[i];
            return CIUIC_OK;
        }
    candidate *grown = reallocarray(m->candidates, m->candidate_count + 1, sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("candidates", (m->candidate_count + 1) * sizeof *grown);
    m->candidates = grown;
    candidate *c = &grown[m->candidate_count];
    *c = (candidate){
        .set = quantized_set_create(), .hidden = malloc(m->measured * m->hidden * sizeof *c->hidden), .unit = unit};
    m->candidate_count++;
    if (c->set == NULL || c->hidden == NULL)
        return ciuic_fail_memory("a candidate", m->measured * m->hidden * sizeof *c->hidden);
    *found = c;
    return CIUIC_OK;
}

/* One tensor of a unit under every setting; what the anchor makes of it is kept. */
static ciuic_status try_tensor(measuring *m, const char *unit, const char *name, const gptq_factor *factor)
{
    const size_t at = find_unit(m, unit);
    candidate *c = NULL;
    CIUIC_TRY(get_candidate(m, at, &c));
    for (size_t choice = 0; choice < m->request->count; choice++) {
        const quantize_task task = {.source = m->request->source,
                                    .tensor = name,
                                    .setting = m->request->settings[choice],
                                    .quantizer = m->request->quantizer,
                                    .factor = factor};
        quantize_record record;
        CIUIC_TRY(quantize_tensor(&task, choice == m->request->anchor ? c->set : m->scratch, &record));
        m->units[at].choices[choice].squared_error += record.squared_error;
    }
    quantized_set_remove(m->scratch, name);
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

/* What a divergence says of a unit: measured at the anchor, elsewhere in the ratio of squared errors. */
static void conclude(const measuring *m, const candidate *c, const divergence *d)
{
    allocation_unit *u = &m->units[c->unit];
    const double anchor = u->choices[m->request->anchor].squared_error;
    for (size_t i = 0; i < m->request->count; i++)
        u->choices[i].kl = anchor > 0 ? d->mean * u->choices[i].squared_error / anchor : 0;
    u->choices[m->request->anchor].measured = true;
    u->kl_error = divergence_error(d);
}

/* A pass for each candidate over one layer: with its own weights, or all over the unquantised ones. */
static void close_passes(const measuring *m, layer_pass **passes)
{
    for (size_t i = 0; passes != NULL && i < m->candidate_count; i++) layer_pass_free(passes[i]);
    free(passes);
}

static ciuic_status open_passes(const measuring *m, size_t layer, bool own, layer_pass ***out)
{
    const layer_work w = plain_layer(m, layer);
    layer_pass **passes = calloc(m->candidate_count + 1, sizeof *passes);
    ciuic_status status = passes != NULL ? CIUIC_OK : ciuic_fail_memory("passes of candidates", m->candidate_count);
    for (size_t i = 0; i < (own ? m->candidate_count : 1) && status == CIUIC_OK; i++)
        status = layer_work_open(&w, own ? m->candidates[i].set : NULL, &passes[i]);
    if (status != CIUIC_OK) {
        close_passes(m, passes);
        return status;
    }
    *out = passes;
    return CIUIC_OK;
}

/* The divergences of all candidates' logits; own: of heads of their own. */
static ciuic_status judge(const measuring *m, layer_pass *plain, layer_pass **heads, bool own, divergence *d)
{
    const layer_work w = plain_layer(m, m->config->layers);
    for (size_t first = 0, rows = 0; first < m->measured; first += rows) {
        CIUIC_TRY(layer_work_run(&w, plain, m->reference, m->measured, first, INT32_MAX, &rows));
        const int output = layer_pass_graph(plain)->output;
        for (size_t i = 0; i < m->candidate_count; i++) {
            layer_pass *head = heads[own ? i : 0];
            CIUIC_TRY(layer_work_run(&w, head, m->candidates[i].hidden, m->measured, first, INT32_MAX, &rows));
            divergence_add(&d[i], rows, m->config->vocabulary, layer_pass_value(plain, output),
                           layer_pass_value(head, output));
        }
    }
    return CIUIC_OK;
}

static ciuic_status judge_all(measuring *m, bool own)
{
    const layer_work w = plain_layer(m, m->config->layers);
    layer_pass *plain = NULL, **heads = NULL;
    divergence *d = calloc(m->candidate_count + 1, sizeof *d);
    ciuic_status status = d != NULL ? CIUIC_OK : ciuic_fail_memory("divergences", m->candidate_count * sizeof *d);
    if (status == CIUIC_OK) status = layer_work_open(&w, NULL, &plain);
    if (status == CIUIC_OK) status = open_passes(m, m->config->layers, own, &heads);
    if (status == CIUIC_OK) status = judge(m, plain, heads, own, d);
    for (size_t i = 0; i < m->candidate_count && status == CIUIC_OK; i++) conclude(m, &m->candidates[i], &d[i]);
    if (status == CIUIC_OK) status = tell(m, m->candidate_count);
    layer_pass_free(plain);
    close_passes(m, heads);
    free(d);
    return status;
}

/* One layer, window by window: the reference goes ahead, and candidates follow with its choice of experts. `own`: each with
 * its own weights. */
static ciuic_status push_layer(measuring *m, size_t layer, bool own)
{
    const layer_work w = plain_layer(m, layer);
    layer_pass *ahead = NULL, **passes = NULL;
    ciuic_status status = layer_work_open(&w, NULL, &ahead);
    if (status == CIUIC_OK) status = open_passes(m, layer, own, &passes);
    for (size_t first = 0; first < m->measured && status == CIUIC_OK; first += m->window) {
        status = run_in_place(m, ahead, m->reference, first, NULL);
        for (size_t i = 0; i < m->candidate_count && status == CIUIC_OK; i++)
            status = run_in_place(m, passes[own ? i : 0], m->candidates[i].hidden, first, layer_pass_routing(ahead));
    }
    if (status == CIUIC_OK) status = tell(m, m->candidate_count);
    layer_pass_free(ahead);
    close_passes(m, passes);
    return status;
}

/* Pushes all candidates through the layers from `first` on, and judges them. */
static ciuic_status push(measuring *m, size_t first)
{
    for (size_t layer = first; layer < m->config->layers; layer++)
        CIUIC_TRY(push_layer(m, layer, layer == m->layer.layer));
    return CIUIC_OK;
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

/* From embeddings, each candidate's own, through all layers to the logits. */
static ciuic_status measure_from_embedding(measuring *m, bool own_head)
{
    CIUIC_TRY(embed_measured(m, NULL, m->reference));
    for (size_t i = 0; i < m->candidate_count; i++)
        CIUIC_TRY(embed_measured(m, m->candidates[i].set, m->candidates[i].hidden));
    for (size_t layer = 0; layer < m->config->layers; layer++) CIUIC_TRY(push_layer(m, layer, false));
    return judge_all(m, own_head);
}

static ciuic_status measure_stage(measuring *m)
{
    const bool head = m->layer.layer == m->config->layers;
    ciuic_status status = stage_walk(&m->layer, m->stage, try_readers, m);
    copy_measured(m, m->reference);
    for (size_t i = 0; i < m->candidate_count; i++) copy_measured(m, m->candidates[i].hidden);
    if (status == CIUIC_OK && head && m->config->tie_word_embeddings) {
        status = measure_from_embedding(m, true); /* what is embedded changes, too */
    } else if (status == CIUIC_OK) {
        status = push(m, m->layer.layer);
        if (status == CIUIC_OK) status = judge_all(m, head);
    }
    free_candidates(m);
    return status;
}

static ciuic_status measure_layer(measuring *m, const recipe *everything)
{
    graph *g = NULL;
    layer_stages stages = {0};
    CIUIC_TRY(graph_build_layer(m->config, m->layer.layer, &g));
    ciuic_status status = layer_stages_find(g, everything, &stages);
    m->layer.g = g;
    m->layer.stages = &stages;
    for (m->stage = 0; m->stage < stages.count && status == CIUIC_OK; m->stage++) status = measure_stage(m);
    layer_frontiers_free(&m->kept);
    layer_stages_free(&stages);
    graph_free(g);
    return status;
}

static ciuic_status measure_embedding(measuring *m)
{
    ciuic_status status = try_tensor(m, embedding, embedding, NULL);
    if (status == CIUIC_OK) status = measure_from_embedding(m, false);
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
        u->choices[i] =
            (allocation_choice){.setting = m->request->settings[i],
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
        m->total += m->config->layers - layer + 1;
    }
    graph_free(g);
    return status;
}

static ciuic_status list_units(measuring *m)
{
    const model_config *c = m->config;
    if (!c->tie_word_embeddings) {
        CIUIC_TRY(add_unit(m, embedding, c->vocabulary, c->hidden_size, 1));
        m->total += c->layers + 1;
    }
    for (size_t layer = 0; layer <= c->layers; layer++) CIUIC_TRY(add_units(m, layer));
    return CIUIC_OK;
}

ciuic_status sensitivity_units(const sensitivity_request *request, allocation_unit **units, size_t *count)
{
    measuring m = {.request = request, .config = checkpoint_config(request->source)};
    const ciuic_status status = list_units(&m);
    if (status != CIUIC_OK) {
        free(m.units);
        return status;
    }
    *units = m.units;
    *count = m.count;
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
    m.reference = malloc(m.measured * m.hidden * sizeof *m.reference);
    m.scratch = quantized_set_create();
    m.layer = (layer_work){.source = request->source,
                           .hidden = m.plain,
                           .ids = m.ids,
                           .window = m.window,
                           .threads = request->threads,
                           .kept = &m.kept};
    const ciuic_status status = m.plain && m.reference && m.scratch
                                    ? measure_all(&m)
                                    : ciuic_fail_memory("hidden states", m.ids * m.hidden * sizeof *m.plain);
    free_candidates(&m);
    free(m.plain);
    free(m.reference);
    quantized_set_free(m.scratch);
    if (status != CIUIC_OK) {
        free(m.units);
        return status;
    }
    *units = m.units;
    *count = m.count;
    return CIUIC_OK;
}
