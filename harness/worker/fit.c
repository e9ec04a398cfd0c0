/* fit.c - see fit.h. */
#include "harness/worker/fit.h"

#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/json.h"
#include "optimizer/runtime/session_reach.h"

ciuic_status fit_read(const cJSON *request, fit_request *fit)
{
    static const char where[] = "load: fit";
    const size_t most = (size_t)1 << 53;
    const cJSON *item = NULL;
    *fit = (fit_request){0};
    if (json_find(request, "fit") == NULL) return CIUIC_OK;
    CIUIC_TRY(json_get_object(request, "load", "fit", &item));
    CIUIC_TRY(json_get_size(item, where, "context", 1, most, &fit->context));
    CIUIC_TRY(json_get_size(item, where, "prompt", 1, most, &fit->prompt));
    CIUIC_TRY(json_get_size(item, where, "limit", 0, most, &fit->limit));
    CIUIC_TRY(json_get_bool(item, where, "whole", &fit->whole));
    CIUIC_TRY(json_get_bool(item, where, "plan_only", &fit->plan_only));
    fit->asked = true;
    return CIUIC_OK;
}

cJSON *fit_json(const fit_request *fit)
{
    cJSON *item = cJSON_CreateObject();
    if (item != NULL && json_add_size(item, "context", fit->context) && json_add_size(item, "prompt", fit->prompt) &&
        json_add_size(item, "limit", fit->limit) && cJSON_AddBoolToObject(item, "whole", fit->whole) != NULL &&
        cJSON_AddBoolToObject(item, "plan_only", fit->plan_only) != NULL)
        return item;
    cJSON_Delete(item);
    return NULL;
}

typedef struct filling {
    ciuic_session *session;
    const int32_t *ids; /* [prompt] */
    float *logits;      /* [vocabulary] */
    size_t prompt;
} filling;

static ciuic_status prefill_up_to(const filling *f, size_t end)
{
    size_t at = ciuic_session_length(f->session);
    for (; at < end; at = ciuic_session_length(f->session))
        CIUIC_TRY(ciuic_prefill(f->session, f->ids, end - at < f->prompt ? end - at : f->prompt, false, f->logits));
    return CIUIC_OK;
}

/* The last prefill of the whole filling begins at a multiple of `prompt`: so does that of a short one. */
static ciuic_status fill(const filling *f, const workload_spec *spec, const fit_request *fit)
{
    const bool decode = spec->phase == PHASE_DECODE;
    const size_t end = decode ? fit->context - 1 : fit->context;
    if (!fit->whole && end > f->prompt) {
        CIUIC_TRY(prefill_up_to(f, f->prompt));
        CIUIC_TRY(session_reach(f->session, (end - 1) / f->prompt * f->prompt));
    }
    CIUIC_TRY(prefill_up_to(f, end));
    return decode ? ciuic_decode(f->session, f->ids[0], f->logits) : CIUIC_OK;
}

ciuic_status fit_run(ciuic_model *model, const workload_spec *spec, const fit_request *fit)
{
    ciuic_model_info info;
    ciuic_model_describe(model, &info);
    const ciuic_session_options options = {.context = fit->context, .threads = spec->threads};
    const size_t prompt = fit->prompt < fit->context ? fit->prompt : fit->context;
    ciuic_session *session = NULL;
    int32_t *ids = calloc(prompt, sizeof *ids);
    float *logits = calloc(info.vocabulary, sizeof *logits);
    ciuic_status status =
        ids != NULL && logits != NULL
            ? CIUIC_OK
            : ciuic_fail_memory("token ids and logits", prompt * sizeof *ids + info.vocabulary * sizeof *logits);
    for (size_t i = 0; status == CIUIC_OK && i < prompt; i++) ids[i] = (int32_t)(i % info.vocabulary);
    if (status == CIUIC_OK) status = ciuic_session_create(model, &options, &session);
    const filling f = {.session = session, .ids = ids, .logits = logits, .prompt = prompt};
    if (status == CIUIC_OK) status = fill(&f, spec, fit);
    ciuic_session_free(session);
    free(ids);
    free(logits);
    return status;
}
