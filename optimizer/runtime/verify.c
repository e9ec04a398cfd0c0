/* verify.c - the check before an optimised model is handed out: its logits against the reference's, on data of the
 * checkpoint's own. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "optimizer/error.h"
#include "optimizer/runtime/model.h"

enum { RANDOM_IDS = 64, MAX_IDS = 512 };

/* The first row of eval_ids, whose shape is [n] or [rows, n]. */
static ciuic_status stream_ids(const char *path, size_t limit, int32_t ids[MAX_IDS], size_t *count)
{
    safetensors *streams = NULL;
    CIUIC_TRY(safetensors_open(path, &streams));
    const tensor *t = safetensors_find(streams, "eval_ids");
    ciuic_status status = CIUIC_OK;
    if (t == NULL || t->dtype != TENSOR_I32 || t->dims < 1 || t->dims > 2 || t->count == 0) {
        status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: eval_ids: %s; expected I32 of shape [n] or [rows, n], not empty",
                            path, t == NULL ? "missing" : "another type or shape");
    } else {
        const size_t row = t->shape[t->dims - 1];
        *count = row < limit ? row : limit;
        memcpy(ids, t->data, *count * sizeof *ids);
    }
    safetensors_close(streams);
    return status;
}

/* Ids to verify on: the checkpoint's own, or seeded random ones where it has none. */
static ciuic_status choose_ids(const ciuic_model *model, int32_t ids[MAX_IDS], size_t *count)
{
    const size_t limit = model->config->max_position < MAX_IDS ? model->config->max_position : MAX_IDS;
    char path[4096];
    snprintf(path, sizeof path, "%s/streams.safetensors", checkpoint_path(model->source));
    if (access(path, F_OK) == 0) return stream_ids(path, limit, ids, count);
    uint32_t state = 1; /* xorshift32, any fixed seed: the ids only have to be the same each time */
    *count = RANDOM_IDS < limit ? RANDOM_IDS : limit;
    for (size_t i = 0; i < *count; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        ids[i] = (int32_t)(state % model->config->vocabulary);
    }
    return CIUIC_OK;
}

static ciuic_status all_logits(ciuic_model *model, const int32_t *ids, size_t n, float *logits)
{
    ciuic_session *session = NULL;
    const ciuic_session_options options = {.context = n};
    CIUIC_TRY(ciuic_session_create(model, &options, &session));
    const ciuic_status status = ciuic_prefill(session, ids, n, true, logits);
    ciuic_session_free(session);
    return status;
}

ciuic_status model_verify(const ciuic_model *reference, ciuic_model *model, ciuic_report *report)
{
    int32_t ids[MAX_IDS];
    size_t n = 0;
    CIUIC_TRY(choose_ids(model, ids, &n));
    const size_t count = n * model->config->vocabulary;
    float *expected = malloc(count * sizeof *expected), *found = malloc(count * sizeof *found);
    ciuic_model *off = NULL;
    ciuic_status status =
        expected && found ? CIUIC_OK : ciuic_fail_memory("verifying an optimised model", 2 * count * sizeof *found);
    /* `reference` may itself be optimised; what errors are measured against is the checkpoint with every stage off. */
    if (status == CIUIC_OK) status = ciuic_model_load(checkpoint_path(reference->source), &off);
    if (status == CIUIC_OK) status = all_logits(off, ids, n, expected);
    if (status == CIUIC_OK) status = all_logits(model, ids, n, found);
    if (status == CIUIC_OK) {
        double sum = 0.0, max = 0.0;
        for (size_t i = 0; i < count; i++) {
            const double error = fabs((double)found[i] - (double)expected[i]);
            sum += error;
            if (!isnan(max) && !(error <= max)) max = error; /* a NaN is the worst of errors and stays */
        }
        *report =
            (ciuic_report){.verified = true, .tokens = n, .mean_abs_error = sum / (double)count, .max_abs_error = max};
    }
    ciuic_model_free(off);
    free(expected);
    free(found);
    return status;
}
