/* session.c - a sequence in progress: its cache, its memory, and the calls that extend it. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/runtime/buffers.h"
#include "optimizer/runtime/model.h"

struct ciuic_session {
    ciuic_model *model;
    size_t context, length, chunk;
    int threads;
    kv_cache cache;
    rope_table rope;
    routing route; /* capacity 0 without experts */
    arena_block arena;
    buffers phase[GRAPH_PHASES];
    float **scratch; /* [threads] */
    size_t scratch_floats;
    float *partials; /* attention over parts of the cache, see attention_partials() */
    size_t partial_floats;
};

static ciuic_status check_options(const ciuic_model *model, const ciuic_session_options *options)
{
    if (options->context > model->config->max_position)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: a context of %zu positions was asked for; the model has at most %zu",
                          checkpoint_path(model->source), options->context, model->config->max_position);
    if (options->threads < 0 || options->threads > 4096)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%d threads were asked for; 1 to 4096 are possible, 0 means all cores",
                          options->threads);
    if (options->threads > omp_get_thread_limit()) /* fewer than asked for would run, and be reported as more */
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "%d threads were asked for; OpenMP is limited to %d here: unset "
                          "OMP_THREAD_LIMIT or ask for fewer",
                          options->threads, omp_get_thread_limit());
    return CIUIC_OK;
}

ciuic_status ciuic_session_create(ciuic_model *model, const ciuic_session_options *options, ciuic_session **session)
{
    const ciuic_session_options defaults = {0};
    if (options == NULL) options = &defaults;
    CIUIC_TRY(check_options(model, options));
    CIUIC_TRY(model_prepare(model));
    ciuic_session *s = calloc(1, sizeof *s);
    if (s == NULL) return ciuic_fail_memory("a session", sizeof *s);
    s->model = model_retain(model);
    s->context = options->context > 0 ? options->context : model->config->max_position;
    s->chunk = options->chunk > 0 && options->chunk < s->context ? options->chunk : s->context;
    s->threads = options->threads > 0 ? options->threads : omp_get_num_procs();

    const model_config *c = model->config;
    const graph *g = model->plans[GRAPH_DECODE].g;
    const bool on = model->options.memory == CIUIC_MEMORY_ON;
    const size_t rotated = model_type_has_mla(c->type) ? c->qk_rope_head_dim : c->head_dim;
    ciuic_status status = rope_table_create(&s->rope, &c->rope, rotated, s->context);
    if (status == CIUIC_OK)
        status = kv_cache_create(&s->cache, on ? KERNEL_CACHE_F16 : KERNEL_CACHE_F32, c->layers, s->context,
                                 g->cache_width, !on);
    for (int i = 0; i < GRAPH_PHASES && status == CIUIC_OK; i++)
        if (model->plans[i].g != NULL) status = buffers_create(&s->phase[i], model->plans[i].g);
    s->scratch = calloc((size_t)s->threads, sizeof *s->scratch);
    if (status == CIUIC_OK && s->scratch == NULL) status = ciuic_fail_memory("a session", sizeof *s);
    if (status != CIUIC_OK) {
        ciuic_session_free(s);
        return status;
    }
    *session = s;
    return CIUIC_OK;
}

void ciuic_session_free(ciuic_session *session)
{
    if (session == NULL) return;
    for (int i = 0; session->scratch != NULL && i < session->threads; i++) free(session->scratch[i]);
    free(session->scratch);
    free(session->partials);
    for (int i = 0; i < GRAPH_PHASES; i++) buffers_free(&session->phase[i]);
    free(session->arena.data);
    routing_free(&session->route);
    kv_cache_free(&session->cache);
    rope_table_free(&session->rope);
    ciuic_model_free(session->model);
    free(session);
}

static ciuic_status prepare_routing(ciuic_session *s, size_t tokens)
{
    const model_config *c = s->model->config;
    if (c->experts == 0 || tokens <= s->route.capacity) return CIUIC_OK;
    routing_free(&s->route);
    return routing_create(&s->route, c, tokens);
}

static ciuic_status prepare_scratch(ciuic_session *s, const graph *g, size_t tokens)
{
    const size_t floats = attention_scratch(g, tokens, s->context);
    if (floats <= s->scratch_floats) return CIUIC_OK;
    s->scratch_floats = 0;
    for (int i = 0; i < s->threads; i++) {
        free(s->scratch[i]);
        s->scratch[i] = malloc(floats * sizeof **s->scratch);
        if (s->scratch[i] == NULL) return ciuic_fail_memory("attention workspace", floats * sizeof **s->scratch);
    }
    s->scratch_floats = floats;
    return CIUIC_OK;
}

static ciuic_status prepare_partials(ciuic_session *s, const graph *g)
{
    const size_t floats = attention_partials(g, s->context, s->threads);
    if (floats <= s->partial_floats) return CIUIC_OK;
    free(s->partials);
    s->partial_floats = 0;
    s->partials = aligned_alloc(PARTIALS_ALIGNMENT, floats * sizeof *s->partials);
    if (s->partials == NULL) return ciuic_fail_memory("attention over parts", floats * sizeof *s->partials);
    s->partial_floats = floats;
    return CIUIC_OK;
}

/* One pass over `tokens` tokens; the logits of the phase stay in the phase's output value. */
static ciuic_status run_phase(ciuic_session *s, graph_phase phase, const int32_t *ids, size_t tokens)
{
    const plan *p = &s->model->plans[phase];
    buffers *b = &s->phase[phase];
    arena_block *arena = s->model->options.memory == CIUIC_MEMORY_ON ? &s->arena : NULL;
    CIUIC_TRY(buffers_prepare(b, tokens, s->context, arena));
    CIUIC_TRY(prepare_routing(s, tokens));
    CIUIC_TRY(prepare_scratch(s, p->g, tokens));
    if (tokens == 1) CIUIC_TRY(prepare_partials(s, p->g));
    buffers_bind(b, tokens, s->length + tokens, arena, &s->route);
    const execution e = {.p = p,
                         .kernels = &s->model->kernels,
                         .config = s->model->config,
                         .values = b->values,
                         .q8 = b->q8,
                         .barrier = b->barrier,
                         .cache = &s->cache,
                         .rope = &s->rope,
                         .route = &s->route,
                         .scratch = s->scratch,
                         .partials = s->partials,
                         .ids = ids,
                         .tokens = tokens,
                         .position = s->length,
                         .threads = s->threads};
    execute(&e);
    s->length += tokens;
    return CIUIC_OK;
}

static ciuic_status check_ids(const ciuic_session *s, const int32_t *ids, size_t n)
{
    const size_t vocabulary = s->model->config->vocabulary;
    if (n == 0) return ciuic_fail(CIUIC_ERROR_USAGE, "no tokens were given; at least one is needed");
    if (n > s->context - s->length)
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "%zu tokens do not fit: %zu of the session's %zu positions are used; ask for a "
                          "longer context or truncate",
                          n, s->length, s->context);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= vocabulary)
            return ciuic_fail(CIUIC_ERROR_INPUT, "token %zu has id %d; the vocabulary of %s has ids 0 to %zu", i,
                              ids[i], checkpoint_path(s->model->source), vocabulary - 1);
    return CIUIC_OK;
}

static void copy_logits(const ciuic_session *s, graph_phase phase, size_t rows, float *logits)
{
    if (logits == NULL) return;
    const graph *g = s->model->plans[phase].g;
    memcpy(logits, s->phase[phase].values[g->output], rows * s->model->config->vocabulary * sizeof *logits);
}

ciuic_status ciuic_prefill(ciuic_session *session, const int32_t *ids, size_t n, bool all_logits, float *logits)
{
    CIUIC_TRY(check_ids(session, ids, n));
    const size_t before = session->length;
    for (size_t done = 0; done < n;) {
        const size_t tokens = n - done < session->chunk ? n - done : session->chunk;
        const graph_phase phase = model_prefill_phase(session->model, all_logits, tokens, session->length + tokens);
        const ciuic_status status = run_phase(session, phase, ids + done, tokens);
        if (status != CIUIC_OK) {
            session->length = before;
            return status;
        }
        done += tokens;
        if (all_logits) {
            copy_logits(session, phase, tokens, logits);
            if (logits != NULL) logits += tokens * session->model->config->vocabulary;
        } else if (done == n) {
            copy_logits(session, phase, 1, logits);
        }
    }
    return CIUIC_OK;
}

ciuic_status ciuic_decode(ciuic_session *session, int32_t id, float *logits)
{
    CIUIC_TRY(check_ids(session, &id, 1));
    CIUIC_TRY(run_phase(session, GRAPH_DECODE, &id, 1));
    copy_logits(session, GRAPH_DECODE, 1, logits);
    return CIUIC_OK;
}

ciuic_status ciuic_session_truncate(ciuic_session *session, size_t length)
{
    if (length > session->length)
        return ciuic_fail(CIUIC_ERROR_USAGE, "cannot truncate to %zu positions: the session has %zu", length,
                          session->length);
    session->length = length;
    return CIUIC_OK;
}

size_t ciuic_session_length(const ciuic_session *session)
{
    return session->length;
}

int ciuic_session_threads(const ciuic_session *session)
{
    return session->threads;
}

void ciuic_session_memory(const ciuic_session *session, ciuic_memory_use *use)
{
    const weight_store *w = session->model->weights;
    const bool on = session->model->options.memory == CIUIC_MEMORY_ON;
    *use = (ciuic_memory_use){
        .weights = weight_store_heap_bytes(w),
        .mapped = weight_store_mapped_bytes(w),
        .kv_cache = session->cache.bytes,
        .activations = session->arena.bytes,
        .workspace = ((size_t)session->threads * session->scratch_floats + session->partial_floats) * sizeof(float) +
                     2 * session->rope.positions * session->rope.half * sizeof(float) + routing_bytes(&session->route),
    };
    for (int i = 0; i < GRAPH_PHASES && !on; i++) use->activations += session->phase[i].bytes;
}
