/* compare.c - see compare.h. */
#include "harness/judge/compare.h"

#include <stdlib.h>

#include "harness/monotonic_clock.h"
#include "optimizer/error.h"

/* Logits are computed in pieces of at most this many bytes a model: a window of a large vocabulary is hundreds of MiB. */
static const size_t piece_bytes = (size_t)64 << 20;

/* One model at work; all zero where there is none. */
typedef struct side {
    ciuic_session *session;
    float *logits; /* [piece][vocabulary] */
    double seconds;
} side;

typedef struct running {
    const comparison *c;
    side variant, reference;
    size_t vocabulary, piece;
    accuracy *sum;
} running;

static ciuic_status open_side(const running *r, ciuic_model *model, side *s)
{
    const ciuic_session_options options = {.context = r->c->windows->length, .threads = r->c->threads};
    if (model == NULL) return CIUIC_OK;
    s->logits = reallocarray(NULL, r->piece * r->vocabulary, sizeof *s->logits);
    if (s->logits == NULL) return ciuic_fail_memory("logits", r->piece * r->vocabulary * sizeof *s->logits);
    return ciuic_session_create(model, &options, &s->session);
}

static void close_side(side *s)
{
    ciuic_session_free(s->session);
    free(s->logits);
}

static ciuic_status run_piece(side *s, const int32_t *ids, size_t n)
{
    if (s->session == NULL) return CIUIC_OK;
    const double began_s = monotonic_s();
    CIUIC_TRY(ciuic_prefill(s->session, ids, n, true, s->logits));
    s->seconds += monotonic_s() - began_s;
    return CIUIC_OK;
}

static ciuic_status run_window(running *r, size_t index)
{
    size_t n;
    const int32_t *ids = token_windows_at(r->c->windows, index, &n);
    CIUIC_TRY(ciuic_session_truncate(r->variant.session, 0));
    if (r->reference.session != NULL) CIUIC_TRY(ciuic_session_truncate(r->reference.session, 0));
    for (size_t done = 0, piece; done < n; done += piece) {
        piece = n - done < r->piece ? n - done : r->piece;
        CIUIC_TRY(run_piece(&r->variant, ids + done, piece));
        CIUIC_TRY(run_piece(&r->reference, ids + done, piece));
        if (r->c->logits != NULL) r->c->logits(r->c->logits_context, index, done, piece, r->variant.logits);
        for (size_t i = 0; i < piece; i++) {
            const int32_t next = done + i + 1 < n ? ids[done + i + 1] : -1;
            const float *reference = r->reference.logits != NULL ? r->reference.logits + i * r->vocabulary : NULL;
            if (!accuracy_add(r->sum, r->variant.logits + i * r->vocabulary, reference, next))
                return ciuic_fail_memory("accuracy", n * sizeof(double));
        }
    }
    return CIUIC_OK;
}

static ciuic_status tell(const comparison *c, size_t done)
{
    return c->progress != NULL ? c->progress(c->progress_context, c->what, done, c->count) : CIUIC_OK;
}

static ciuic_status run_windows(running *r)
{
    CIUIC_TRY(tell(r->c, 0));
    for (size_t i = 0; i < r->c->count; i++) {
        CIUIC_TRY(run_window(r, i * r->c->windows->count / r->c->count));
        CIUIC_TRY(tell(r->c, i + 1));
    }
    return CIUIC_OK;
}

static ciuic_status check_vocabularies(const comparison *c, size_t vocabulary)
{
    ciuic_model_info variant, reference;
    if (c->reference == NULL) return CIUIC_OK;
    ciuic_model_describe(c->variant, &variant);
    ciuic_model_describe(c->reference, &reference);
    if (reference.vocabulary == vocabulary) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: has a vocabulary of %zu; expected %zu, that of %s", reference.path,
                      reference.vocabulary, vocabulary, variant.path);
}

size_t comparison_piece(size_t vocabulary, const token_windows *windows)
{
    const size_t fitting = piece_bytes / sizeof(float) / vocabulary;
    return fitting < 1 ? 1 : fitting < windows->length ? fitting : windows->length;
}

ciuic_status compare_models(const comparison *c, comparison_result *result)
{
    ciuic_model_info info;
    ciuic_model_describe(c->variant, &info);
    CIUIC_TRY(check_vocabularies(c, info.vocabulary));
    running r = {.c = c, .vocabulary = info.vocabulary, .sum = accuracy_create(info.vocabulary)};
    r.piece = comparison_piece(r.vocabulary, c->windows);
    ciuic_status status = r.sum != NULL ? CIUIC_OK : ciuic_fail_memory("accuracy", 1);
    if (status == CIUIC_OK) status = open_side(&r, c->variant, &r.variant);
    if (status == CIUIC_OK) status = open_side(&r, c->reference, &r.reference);
    if (status == CIUIC_OK) status = run_windows(&r);
    if (status == CIUIC_OK) {
        *result =
            (comparison_result){.seconds = r.variant.seconds, .threads = ciuic_session_threads(r.variant.session)};
        accuracy_finish(r.sum, &result->accuracy);
        if (c->ran != NULL)
            c->ran(c->ran_context, r.variant.session, r.piece * r.vocabulary * sizeof *r.variant.logits);
    }
    close_side(&r.variant);
    close_side(&r.reference);
    accuracy_free(r.sum);
    return status;
}
