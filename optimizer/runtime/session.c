/* session.c - a sequence in progress: its cache, its memory, and the calls that extend it. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/memory/prefix_cache.h"
#include "optimizer/runtime/buffers.h"
#include "optimizer/runtime/plan_cost.h"
#include "optimizer/runtime/session_cost.h"
#include "optimizer/runtime/session_reach.h"
#include "optimizer/runtime/session_shape.h"

struct ciuic_prefix_cache {
    atomic_int references; /* the caller's, and one of each session */
    ciuic_model *model;
    prefix_cache *rows;
};

struct ciuic_session {
    ciuic_model *model;
    ciuic_prefix_cache *prefixes; /* NULL: none */
    bool prefixes_kept;           /* as they are */
    session_shape shape;
    size_t length;
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

static ciuic_status create_parts(ciuic_session *s)
{
    const session_shape *shape = &s->shape;
    CIUIC_TRY(rope_table_create(&s->rope, &s->model->config->rope, shape->rotated, shape->context));
    CIUIC_TRY(kv_cache_create(&s->cache, &shape->cache, !shape->arena));
    for (int i = 0; i < GRAPH_PHASES; i++)
        if (s->model->plans[i].g != NULL)
            CIUIC_TRY(buffers_create(&s->phase[i], s->model->plans[i].g, shape->in_place));
    s->scratch = calloc((size_t)shape->threads, sizeof *s->scratch);
    return s->scratch != NULL ? CIUIC_OK : ciuic_fail_memory("a session", sizeof *s);
}

ciuic_status ciuic_session_create(ciuic_model *model, const ciuic_session_options *options, ciuic_session **session)
{
    session_shape shape;
    CIUIC_TRY(session_check_options(model, options));
    CIUIC_TRY(model_prepare(model));
    CIUIC_TRY(session_shape_of(model, options, &shape));
    ciuic_prefix_cache *prefixes = options != NULL ? options->prefixes : NULL;
    if (prefixes != NULL && prefixes->model != model)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: the cache of prefixes is another model's; make one for this model",
                          checkpoint_path(model->source));
    ciuic_session *s = calloc(1, sizeof *s);
    if (s == NULL) return ciuic_fail_memory("a session", sizeof *s);
    s->model = model_retain(model);
    if (prefixes != NULL) atomic_fetch_add(&prefixes->references, 1);
    s->prefixes = prefixes;
    s->prefixes_kept = prefixes != NULL && options->prefixes_kept;
    s->shape = shape;
    const ciuic_status status = create_parts(s);
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
    for (int i = 0; session->scratch != NULL && i < session->shape.threads; i++) free(session->scratch[i]);
    free(session->scratch);
    free(session->partials);
    for (int i = 0; i < GRAPH_PHASES; i++) buffers_free(&session->phase[i]);
    free(session->arena.data);
    routing_free(&session->route);
    kv_cache_free(&session->cache);
    rope_table_free(&session->rope);
    ciuic_prefix_cache_free(session->prefixes);
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
    const size_t floats = session_scratch(&s->shape, g, tokens);
    if (floats <= s->scratch_floats) return CIUIC_OK;
    s->scratch_floats = 0;
    for (int i = 0; i < s->shape.threads; i++) {
        free(s->scratch[i]);
        s->scratch[i] = malloc(floats * sizeof **s->scratch);
        if (s->scratch[i] == NULL) return ciuic_fail_memory("a thread's workspace", floats * sizeof **s->scratch);
    }
    s->scratch_floats = floats;
    return CIUIC_OK;
}

static ciuic_status prepare_partials(ciuic_session *s, const graph *g)
{
    const size_t floats = attention_partials(g, s->shape.context, s->shape.threads);
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
    arena_block *arena = s->shape.arena ? &s->arena : NULL;
    CIUIC_TRY(kv_cache_grow(&s->cache, s->length + tokens));
    CIUIC_TRY(buffers_prepare(b, tokens, s->shape.context, arena));
    CIUIC_TRY(prepare_routing(s, tokens));
    CIUIC_TRY(prepare_scratch(s, p->g, tokens));
    if (tokens == 1) CIUIC_TRY(prepare_partials(s, p->g));
    buffers_bind(b, tokens, s->length + tokens, arena, &s->route);
    const execution e = {.p = p,
                         .kernels = &s->model->kernels,
                         .config = s->model->config,
                         .values = b->values,
                         .stride = b->stride,
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
                         .threads = s->shape.threads};
    execute(&e);
    s->length += tokens;
    return CIUIC_OK;
}

static ciuic_status check_ids(const ciuic_session *s, const int32_t *ids, size_t n)
{
    const size_t vocabulary = s->model->config->vocabulary;
    if (n == 0) return ciuic_fail(CIUIC_ERROR_USAGE, "no tokens were given; at least one is needed");
    if (n > s->shape.context - s->length)
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "%zu tokens do not fit: %zu of the session's %zu positions are used; ask for a "
                          "longer context or truncate",
                          n, s->length, s->shape.context);
    CIUIC_TRY(session_check_cache(&s->shape, s->length + n));
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

/* All tokens in chunks; the logits wanted are those of the last, or of all. */
static ciuic_status prefill(ciuic_session *session, const int32_t *ids, size_t n, bool all_logits, float *logits)
{
    for (size_t done = 0; done < n;) {
        const size_t tokens = n - done < session->shape.chunk ? n - done : session->shape.chunk;
        const graph_phase phase = model_prefill_phase(session->model, all_logits, tokens, session->length + tokens);
        CIUIC_TRY(run_phase(session, phase, ids + done, tokens));
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

void session_cost(const ciuic_session *s, bool decode, size_t length, size_t tokens, kind_cost costs[GRAPH_OP_KINDS])
{
    const kv_cache_shape *shape = &s->cache.shape;
    const double cached = (double)s->cache.row_bytes / (double)(shape->width[0] + shape->width[1]);
    if (decode && tokens > 0) /* all costs are linear in the length: the first call and the last stand for all */
        for (size_t end = 0; end < 2; end++)
            plan_cost_add(&s->model->plans[GRAPH_DECODE], cached, 1, length + (end == 0 ? 1 : tokens),
                          0.5 * (double)tokens, costs);
    for (size_t done = 0; done < tokens && !decode;) {
        const size_t n = tokens - done < s->shape.chunk ? tokens - done : s->shape.chunk;
        done += n;
        const graph_phase phase = model_prefill_phase(s->model, false, n, length + done);
        plan_cost_add(&s->model->plans[phase], cached, n, length + done, 1, costs);
    }
}

ciuic_status ciuic_prefill(ciuic_session *session, const int32_t *ids, size_t n, bool all_logits, float *logits)
{
    CIUIC_TRY(check_ids(session, ids, n));
    const size_t before = session->length;
    const bool reuse = session->prefixes != NULL && before == 0 && !all_logits;
    if (reuse) {
        CIUIC_TRY(kv_cache_grow(&session->cache, n));
        session->length = prefix_cache_take(session->prefixes->rows, ids, n - 1, &session->cache);
    }
    const size_t known = session->length - before;
    const ciuic_status status = prefill(session, ids + known, n - known, all_logits, logits);
    if (status != CIUIC_OK)
        session->length = before;
    else if (reuse && !session->prefixes_kept)
        prefix_cache_put(session->prefixes->rows, ids, n, &session->cache);
    return status;
}

ciuic_status ciuic_prefix_cache_create(ciuic_model *model, size_t bytes, ciuic_prefix_cache **cache)
{
    session_shape shape;
    CIUIC_TRY(model_prepare(model));
    CIUIC_TRY(session_shape_of(model, NULL, &shape));
    ciuic_prefix_cache *c = calloc(1, sizeof *c);
    if (c == NULL) return ciuic_fail_memory("a cache of prefixes", sizeof *c);
    const ciuic_status status = prefix_cache_create(&shape.cache, bytes, &c->rows);
    if (status != CIUIC_OK) {
        free(c);
        return status;
    }
    atomic_init(&c->references, 1);
    c->model = model_retain(model);
    *cache = c;
    return CIUIC_OK;
}

void ciuic_prefix_cache_free(ciuic_prefix_cache *cache)
{
    if (cache == NULL || atomic_fetch_sub(&cache->references, 1) > 1) return;
    prefix_cache_free(cache->rows);
    ciuic_model_free(cache->model);
    free(cache);
}

void ciuic_prefix_cache_describe(ciuic_prefix_cache *cache, ciuic_prefix_use *use)
{
    prefix_cache_describe(cache->rows, use);
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

/* Written, since pages that nobody wrote take no memory. */
ciuic_status session_reach(ciuic_session *session, size_t length)
{
    kv_cache *c = &session->cache;
    const size_t from = session->length;
    if (length < from || length > session->shape.context)
        return ciuic_fail(CIUIC_ERROR_USAGE, "a session of %zu positions, %zu of them used, cannot reach %zu",
                          session->shape.context, from, length);
    CIUIC_TRY(session_check_cache(&session->shape, length));
    CIUIC_TRY(kv_cache_grow(c, length));
    for (size_t layer = 0; layer < c->shape.layers && length > from; layer++)
        memset(kv_cache_at(c, layer, from, 0), 0, (length - from) * c->row_bytes);
    session->length = length;
    return CIUIC_OK;
}

size_t ciuic_session_length(const ciuic_session *session)
{
    return session->length;
}

int ciuic_session_threads(const ciuic_session *session)
{
    return session->shape.threads;
}

void ciuic_session_memory(const ciuic_session *session, ciuic_memory_use *use)
{
    const weight_bytes w = weight_store_bytes(session->model->weights);
    const size_t floats = (size_t)session->shape.threads * session->scratch_floats + session->partial_floats +
                          2 * session->rope.positions * session->rope.half;
    *use = (ciuic_memory_use){
        .weights = w.heap,
        .packed = w.packed,
        .mapped = w.mapped,
        .kv_cache = session->cache.bytes,
        .kv_cache_used = session->cache.used * session->cache.row_bytes * session->cache.shape.layers,
        .activations = session->arena.bytes,
        .workspace = floats * sizeof(float) + routing_bytes(&session->route),
        .other = session_table_bytes(session->model, &session->shape),
        .files = checkpoint_file_bytes(session->model->source),
        .loading = w.load,
    };
    if (!session->shape.arena) use->kv_cache_used = use->kv_cache;
    for (int i = 0; i < GRAPH_PHASES && !session->shape.arena; i++) use->activations += session->phase[i].bytes;
}
