/* memory_plan.c - what a variant needs, worked out from its graphs before a weight is read or an activation allocated. */
#include "optimizer/error.h"
#include "optimizer/quantize/mixed.h"
#include "optimizer/runtime/buffers.h"
#include "optimizer/runtime/session_shape.h"

size_t ciuic_memory_total(const ciuic_memory_use *use)
{
    return use->weights + use->mapped + use->kv_cache + use->activations + use->workspace + use->other;
}

/* The passes that the work consists of: phases, and tokens of each. */
typedef struct work_passes {
    size_t tokens[GRAPH_PHASES]; /* 0: the phase is not run */
} work_passes;

static void add_chunk(const ciuic_model *model, const ciuic_work *work, size_t tokens, size_t context, work_passes *p)
{
    size_t *most = &p->tokens[model_prefill_phase(model, work->all_logits, tokens, context)];
    if (tokens > *most) *most = tokens;
}

/* Which form MLA takes depends on a chunk's tokens and on how full the cache is by then. */
static work_passes passes_of(const ciuic_model *model, const session_shape *s, const ciuic_work *work)
{
    work_passes p = {{0}};
    const size_t prompt = work->prefill > 0 && work->prefill < s->context ? work->prefill : s->context;
    const size_t chunk = prompt < s->chunk ? prompt : s->chunk;
    add_chunk(model, work, chunk, chunk, &p);
    add_chunk(model, work, chunk, s->context, &p);
    if (prompt % chunk > 0) add_chunk(model, work, prompt % chunk, s->context, &p);
    if (work->decode) p.tokens[GRAPH_DECODE] = 1;
    return p;
}

/* Bytes that cannot be said are more than any machine has. */
static size_t saturating(size_t a, size_t b)
{
    size_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX / 8 : sum;
}

static ciuic_status add_pass(const ciuic_model *model, const session_shape *s, graph_phase phase, size_t tokens,
                             ciuic_memory_use *need, size_t *scratch, size_t *partials)
{
    const graph *g = model->plans[phase].g;
    size_t bytes = 0, bound = 0;
    CIUIC_TRY(buffers_plan(g, s->in_place, s->arena, tokens, s->context, &bytes, &bound));
    if (s->arena)
        need->activations = bytes > need->activations ? bytes : need->activations;
    else
        need->activations = saturating(need->activations, bytes);
    const size_t floats = session_scratch(s, g, tokens);
    if (floats > *scratch) *scratch = floats;
    const size_t parts = tokens == 1 ? attention_partials(g, s->context, s->threads) : 0;
    if (parts > *partials) *partials = parts;
    return CIUIC_OK;
}

/* Of a model whose weights are counted or loaded. */
static ciuic_status plan_session(const ciuic_model *model, const session_shape *s, const ciuic_work *work,
                                 ciuic_memory_use *need)
{
    const weight_bytes w = weight_store_bytes(model->weights);
    const work_passes p = passes_of(model, s, work);
    size_t scratch = 0, partials = 0, most = 1;
    *need = (ciuic_memory_use){.weights = w.heap,
                               .packed = w.packed,
                               .mapped = w.mapped,
                               .files = checkpoint_file_bytes(model->source),
                               .loading = w.load,
                               .other = session_table_bytes(model, s)};
    CIUIC_TRY(kv_cache_bytes(&s->cache, &need->kv_cache));
    need->kv_cache_used = need->kv_cache;
    for (int i = 0; i < GRAPH_PHASES; i++) {
        if (p.tokens[i] == 0) continue;
        CIUIC_TRY(add_pass(model, s, (graph_phase)i, p.tokens[i], need, &scratch, &partials));
        if (p.tokens[i] > most) most = p.tokens[i];
    }
    need->workspace = ((size_t)s->threads * scratch + partials) * sizeof(float) +
                      2 * s->context * (s->rotated / 2) * sizeof(float) + routing_need(model->config, most);
    return CIUIC_OK;
}

/* A budget is met or fallen short of by measured choices, which are not known yet: it stands for them. */
static void apply_budget(const ciuic_model *model, const ciuic_options *options, ciuic_memory_use *need)
{
    if (options->quantize != CIUIC_QUANTIZE_MIXED) return;
    need->packed = need->weights = mixed_budget(model->source, options->bits, options->weight_bytes);
    need->mapped = 0;
}

ciuic_status ciuic_plan_memory(const ciuic_model *model, const ciuic_options *options,
                               const ciuic_session_options *session, const ciuic_work *work, ciuic_memory_use *need)
{
    ciuic_model *counted = NULL;
    session_shape shape;
    ciuic_memory_use found;
    CIUIC_TRY(model_create(checkpoint_retain(model->source), options, &counted));
    ciuic_status status = model_count(counted);
    if (status == CIUIC_OK) status = session_shape_of(counted, session, &shape);
    if (status == CIUIC_OK) status = plan_session(counted, &shape, work, &found);
    if (status == CIUIC_OK) {
        apply_budget(counted, options, &found);
        *need = found;
    }
    ciuic_model_free(counted);
    return status;
}

/* Whether a session of so many positions keeps within `limit`. */
static ciuic_status fits(const ciuic_model *counted, const ciuic_session_options *session, const ciuic_work *work,
                         size_t context, size_t limit, bool *fit)
{
    ciuic_session_options o = *session;
    session_shape shape;
    ciuic_memory_use need;
    o.context = context;
    CIUIC_TRY(session_shape_of(counted, &o, &shape));
    CIUIC_TRY(plan_session(counted, &shape, work, &need));
    apply_budget(counted, &counted->options, &need);
    *fit = saturating(ciuic_memory_total(&need), context * work->position_bytes) <= limit;
    return CIUIC_OK;
}

ciuic_status ciuic_longest_context(const ciuic_model *model, const ciuic_options *options,
                                   const ciuic_session_options *session, const ciuic_work *work, size_t limit,
                                   size_t *context)
{
    const ciuic_session_options defaults = {0};
    ciuic_model *counted = NULL;
    if (session == NULL) session = &defaults;
    CIUIC_TRY(model_create(checkpoint_retain(model->source), options, &counted));
    ciuic_status status = model_count(counted);
    size_t low = 0, high = counted->config->max_position; /* low fits, and nothing above high does */
    while (status == CIUIC_OK && low < high) {
        const size_t middle = low + (high - low + 1) / 2;
        bool fit = false;
        status = fits(counted, session, work, middle, limit, &fit);
        if (fit)
            low = middle;
        else
            high = middle - 1;
    }
    ciuic_model_free(counted);
    if (status == CIUIC_OK) *context = low;
    return status;
}
