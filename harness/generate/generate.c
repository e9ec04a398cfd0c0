/* generate.c - see generate.h. */
#include "harness/generate/generate.h"

#include <stdlib.h>

#include "harness/commands.h"
#include "harness/monotonic_clock.h"
#include "optimizer/error.h"

const char *generation_end_name(generation_end end)
{
    static const char *const names[] = {"eos", "length", "context"};
    return names[end];
}

size_t generate_context(const token_windows *prompts, size_t tokens, size_t max_context)
{
    /* The last token that is generated takes no position. */
    const size_t wanted = prompts->row_length + (tokens > 0 ? tokens - 1 : 0);
    return wanted < max_context && wanted >= prompts->row_length ? wanted : max_context;
}

typedef struct run {
    const generate_request *request;
    ciuic_session *session;
    ciuic_prefix_cache *prefixes;
    sampler *sampler;
    float *logits;
} run;

/* How a text ends that has this token last; GENERATION_LENGTH where it goes on, with *on set. */
static generation_end look(const run *r, const generation *g, bool *on)
{
    const generate_request *q = r->request;
    *on = false;
    if (q->stops != NULL && stop_ids_has(q->stops, g->ids[g->count - 1])) return GENERATION_STOP_ID;
    if (g->count == q->tokens) return GENERATION_LENGTH;
    if (ciuic_session_length(r->session) == q->context) return GENERATION_CONTEXT;
    *on = true;
    return GENERATION_LENGTH;
}

static size_t reused_tokens(const run *r)
{
    ciuic_prefix_use use = {0};
    if (r->prefixes != NULL) ciuic_prefix_cache_describe(r->prefixes, &use);
    return use.tokens;
}

/* The next token: decodes the one before it, unless the prompt's logits are still there, and chooses. */
static ciuic_status add_token(const run *r, generation *g)
{
    const double start = monotonic_s();
    if (g->count > 0) CIUIC_TRY(ciuic_decode(r->session, g->ids[g->count - 1], r->logits));
    const double decoded = monotonic_s();
    CIUIC_TRY(sampler_pick(r->sampler, r->logits, &g->ids[g->count]));
    if (g->count > 0) g->decode_s += decoded - start;
    g->sampling_s += monotonic_s() - decoded;
    g->count++;
    return CIUIC_OK;
}

static ciuic_status continue_text(const run *r, size_t row, generation *g)
{
    const generate_request *q = r->request;
    const size_t before = reused_tokens(r);
    const int32_t *ids = q->prompts->ids + row * q->prompts->row_length;
    bool on = true;
    g->prompt = q->prompts->row_length;
    CIUIC_TRY(ciuic_session_truncate(r->session, 0));
    const double start = monotonic_s();
    CIUIC_TRY(ciuic_prefill(r->session, ids, g->prompt, false, r->logits));
    g->prefill_s = monotonic_s() - start;
    g->reused = reused_tokens(r) - before;
    sampler_restart(r->sampler, row);
    while (on) {
        if (command_interrupted()) return ciuic_fail(CIUIC_ERROR_INTERRUPTED, "interrupted");
        CIUIC_TRY(add_token(r, g));
        g->end = look(r, g, &on);
    }
    return CIUIC_OK;
}

static ciuic_status open_run(run *r)
{
    const generate_request *q = r->request;
    ciuic_model_info info;
    ciuic_model_describe(q->model, &info);
    if (q->prefix_bytes > 0) CIUIC_TRY(ciuic_prefix_cache_create(q->model, q->prefix_bytes, &r->prefixes));
    const ciuic_session_options options = {.context = q->context, .threads = q->threads, .prefixes = r->prefixes};
    CIUIC_TRY(ciuic_session_create(q->model, &options, &r->session));
    CIUIC_TRY(sampler_create(&q->sampling, info.vocabulary, &r->sampler));
    r->logits = calloc(info.vocabulary, sizeof *r->logits);
    return r->logits != NULL ? CIUIC_OK : ciuic_fail_memory("logits", info.vocabulary * sizeof *r->logits);
}

static ciuic_status continue_all(const run *r, generate_result *result)
{
    const size_t rows = r->request->prompts->rows;
    result->texts = calloc(rows, sizeof *result->texts);
    if (result->texts == NULL) return ciuic_fail_memory("texts", rows * sizeof *result->texts);
    for (size_t row = 0; row < rows; row++) {
        generation *g = &result->texts[row];
        g->ids = calloc(r->request->tokens, sizeof *g->ids);
        result->count = row + 1;
        if (g->ids == NULL) return ciuic_fail_memory("token ids", r->request->tokens * sizeof *g->ids);
        CIUIC_TRY(continue_text(r, row, g));
    }
    return CIUIC_OK;
}

ciuic_status generate_run(const generate_request *request, generate_result *result)
{
    run r = {.request = request};
    *result = (generate_result){0};
    ciuic_status status = open_run(&r);
    if (status == CIUIC_OK) status = continue_all(&r, result);
    if (status == CIUIC_OK) {
        ciuic_session_memory(r.session, &result->memory);
        result->threads = ciuic_session_threads(r.session);
        if (r.prefixes != NULL) ciuic_prefix_cache_describe(r.prefixes, &result->prefixes);
    }
    ciuic_session_free(r.session);
    ciuic_prefix_cache_free(r.prefixes);
    sampler_free(r.sampler);
    free(r.logits);
    return status;
}

void generate_result_free(generate_result *result)
{
    for (size_t i = 0; i < result->count; i++) free(result->texts[i].ids);
    free(result->texts);
    *result = (generate_result){0};
}
