/* compare.c - see compare.h. */
#include "harness/judge/compare.h"

#include <stdlib.h>

#include "optimizer/error.h"

/* Logits are computed in pieces of at most this many bytes a model: a window of a large vocabulary is hundreds of MiB. */
static const size_t piece_bytes = (size_t)64 << 20;

typedef struct side {
    ciuic_session *session;
    float *logits; /* [piece][vocabulary] */
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
    s->logits = reallocarray(NULL, r->piece * r->vocabulary, sizeof *s->logits);
    if (s->logits == NULL) return ciuic_fail_memory("logits", r->piece * r->vocabulary * sizeof *s->logits);
    return ciuic_session_create(model, &options, &s->session);
}

static void close_side(side *s)
{
    ciuic_session_free(s->session);
    free(s->logits);
}

static ciuic_status run_window(const running *r, size_t index)
{
    size_t n;
    const int32_t *ids = token_windows_at(r->c->windows, index, &n);
    CIUIC_TRY(ciuic_session_truncate(r->variant.session, 0));
    CIUIC_TRY(ciuic_session_truncate(r->reference.session, 0));
    for (size_t done = 0, piece; done < n; done += piece) {
        piece = n - done < r->piece ? n - done : r->piece;
        CIUIC_TRY(ciuic_prefill(r->variant.session, ids + done, piece, true, r->variant.logits));
        CIUIC_TRY(ciuic_prefill(r->reference.session, ids + done, piece, true, r->reference.logits));
        for (size_t i = 0; i < piece; i++) {
            const int32_t next = done + i + 1 < n ? ids[done + i + 1] : -1;
            const size_t at = i * r->vocabulary;
            if (!accuracy_add(r->sum, r->variant.logits + at, r->reference.logits + at, next))
                return ciuic_fail_memory("accuracy", n * sizeof(double));
        }
    }
    return CIUIC_OK;
}

static ciuic_status run_windows(const running *r)
{
    const comparison *c = r->c;
    for (size_t i = 0; i < c->count; i++) {
        if (c->progress != NULL) CIUIC_TRY(c->progress(c->progress_context, "verifying", i, c->count));
        CIUIC_TRY(run_window(r, c->first + i));
    }
    return CIUIC_OK;
}

ciuic_status compare_models(const comparison *c, accuracy_result *result)
{
    ciuic_model_info info;
    ciuic_model_describe(c->variant, &info);
    const size_t fitting = piece_bytes / sizeof(float) / info.vocabulary;
    running r = {.c = c, .vocabulary = info.vocabulary, .sum = accuracy_create(info.vocabulary)};
    r.piece = fitting < 1 ? 1 : fitting < c->windows->length ? fitting : c->windows->length;
    ciuic_status status = r.sum != NULL ? CIUIC_OK : ciuic_fail_memory("accuracy", 1);
    if (status == CIUIC_OK) status = open_side(&r, c->variant, &r.variant);
    if (status == CIUIC_OK) status = open_side(&r, c->reference, &r.reference);
    if (status == CIUIC_OK) status = run_windows(&r);
    if (status == CIUIC_OK) accuracy_finish(r.sum, result);
    close_side(&r.variant);
    close_side(&r.reference);
    accuracy_free(r.sum);
    return status;
}
