/* probe.c - see probe.h. */
#include "harness/audit/probe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/commands.h"
#include "optimizer/json.h"

/* For one answer. A suite's own limit is for its machine; calibration says how far it is, which counts as an answer. */
static const double timeout_s = 300;

/* Takes the request. */
static ciuic_status ask(probe *p, cJSON *request, cJSON **answer)
{
    *answer = NULL;
    if (request == NULL) return ciuic_fail_memory("a request", 0);
    worker_outcome outcome = WORKER_FAILED;
    if (p->failed[0] == '\0') outcome = worker_ask(p->process, request, timeout_s, answer, p->failed);
    cJSON_Delete(request);
    if (outcome == WORKER_INTERRUPTED || command_interrupted()) {
        cJSON_Delete(*answer);
        *answer = NULL;
        return ciuic_fail(CIUIC_ERROR_INTERRUPTED, "audit: interrupted; nothing was decided");
    }
    return CIUIC_OK;
}

ciuic_status probe_load(const audit_subject *s, probe_program program, const load_order *order, const bench_variant *v,
                        probe *p)
{
    *p = (probe){0};
    CIUIC_TRY(worker_start_program(program == PROBE_AUDITED ? s->options->binary : NULL, &p->process));
    return ask(p, load_order_request(order, v), &p->loaded);
}

ciuic_status probe_reference(probe *p, const char *file)
{
    cJSON *request = worker_request("reference"), *answer = NULL;
    if (request != NULL) cJSON_AddStringToObject(request, "file", file);
    const ciuic_status status = ask(p, request, &answer);
    cJSON_Delete(answer);
    return status;
}

ciuic_status probe_accuracy(probe *p, const char *file, cJSON **answer)
{
    cJSON *request = worker_request("accuracy");
    if (request != NULL) cJSON_AddStringToObject(request, "file", file);
    return ask(p, request, answer);
}

static bool add_ids(cJSON *request, const int32_t *ids, size_t count)
{
    cJSON *list = cJSON_CreateIntArray(ids, (int)count);
    return list != NULL && cJSON_AddItemToObject(request, "ids", list);
}

ciuic_status probe_measure(probe *p, size_t iterations, const int32_t *ids, size_t tokens, const char *logits,
                           probe_sample *sample)
{
    cJSON *request = worker_request("measure"), *answer = NULL;
    *sample = (probe_sample){.seconds = NAN};
    if (request == NULL || !json_add_size(request, "iterations", iterations) ||
        (ids != NULL && !add_ids(request, ids, (iterations + 1) * tokens)) ||
        (logits != NULL && cJSON_AddStringToObject(request, "logits", logits) == NULL)) {
        cJSON_Delete(request);
        return ciuic_fail_memory("a request", 0);
    }
    CIUIC_TRY(ask(p, request, &answer));
    const double seconds = json_number(answer, "seconds");
    const char *output = cJSON_GetStringValue(json_find(answer, "output_sha256"));
    if (seconds > 0 && output != NULL) {
        sample->seconds = seconds;
        snprintf(sample->output, sizeof sample->output, "%s", output);
    } else if (p->failed[0] == '\0') {
        snprintf(p->failed, sizeof p->failed, "its answer to measure lacks a time above 0 or the output's digest");
    }
    cJSON_Delete(answer);
    return CIUIC_OK;
}

ciuic_status probe_finish(probe *p, cJSON **answer)
{
    return ask(p, worker_request("finish"), answer);
}

bool probe_lives(const probe *p)
{
    return p->process != NULL && p->failed[0] == '\0';
}

void probe_stop(probe *p)
{
    worker_stop(p->process);
    cJSON_Delete(p->loaded);
    p->process = NULL;
    p->loaded = NULL;
}

const char *probe_output(const probe *p)
{
    const char *text = cJSON_GetStringValue(json_find(p->loaded, "output_sha256"));
    return text != NULL ? text : "";
}
