/* gate_trials.c - the gate where the answer is known: planted regressions of measured results, and a tree that did not
 * change. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/content_digest.h"
#include "harness/judge/results.h"
#include "harness/split_mix.h"
#include "harness/trials/trial.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

/* ---- planted regressions ---------------------------------------------------------------------------------------- */

/* One figure of one case grows, or falls, by a share that a reviewer would want to hear of. */
typedef struct regression {
    const char *outer, *inner; /* "" when the figure is the case's own */
    double factor;
    bool whole; /* bytes and counts stay so */
} regression;

static const regression regressions[] = {
    {"accuracy", "nll", 1.02, false},           {"accuracy", "kl", 2, false},
    {"accuracy", "mean_abs_error", 1.2, false}, {"accuracy", "top1_agreement", 0.95, false},
    {"memory_bytes", "total", 1.05, true},      {"memory_bytes", "weights", 1.05, true},
    {"memory_bytes", "kv_cache", 1.05, true},   {"weight_bytes", "", 1.05, true},
    {"counters", "instructions", 1.05, true},   {"counters", "cache_misses", 1.2, true},
};
enum { REGRESSIONS = sizeof regressions / sizeof regressions[0] };

/* Tight ones of the trial's own, for what a reviewer would want to hear of; that each bound of the gates in ci is able to fail is seen
 * in harness/tests/test_shipped_limits.c. */
static const char limits_text[] =
    "{\"schema_version\": 1, \"limits\": [\n"
    "{\"id\": \"nll\", \"cases\": \"*\", \"metric\": \"accuracy.nll\", \"hard\": {\"worse_by\": 0.01}},\n"
    "{\"id\": \"kl\", \"cases\": \"int\", \"metric\": \"accuracy.kl\", \"hard\": {\"worse\": 0.5}},\n"
    "{\"id\": \"error\", \"cases\": \"int\", \"metric\": \"accuracy.mean_abs_error\", \"hard\": {\"worse\": 0.05}},\n"
    "{\"id\": \"top1\", \"cases\": \"*\", \"metric\": \"accuracy.top1_agreement\", \"hard\": {\"worse_by\": 0.015}},\n"
    "{\"id\": \"total\", \"cases\": \"*\", \"metric\": \"memory_bytes.total\", \"hard\": {\"worse\": 0.02}},\n"
    "{\"id\": \"weights\", \"cases\": \"int\", \"metric\": \"memory_bytes.weights\", \"hard\": {\"worse\": 0.02}},\n"
    "{\"id\": \"cache\", \"cases\": \"*\", \"metric\": \"memory_bytes.kv_cache\", \"hard\": {\"worse\": 0}},\n"
    "{\"id\": \"bytes\", \"cases\": \"*\", \"metric\": \"weight_bytes\", \"hard\": {\"worse\": 0}},\n"
    "{\"id\": \"instructions\", \"cases\": \"*\", \"metric\": \"counters.instructions\", \"source\": \"simulated\", "
    "\"hard\": {\"worse\": 0.01}},\n"
    "{\"id\": \"misses\", \"cases\": \"*\", \"metric\": \"counters.cache_misses\", \"source\": \"simulated\", "
    "\"hard\": {\"worse\": 0.1}}]}\n";

/* Measured results, with made-up counters that say that they are simulated: this machine may have none. */
static ciuic_status base_results(cJSON **results)
{
    CIUIC_TRY(json_read_file("reports/published/quick-zen4-2-cores/results.json", (size_t)64 << 20, results));
    for (cJSON *c = cJSON_GetObjectItemCaseSensitive(*results, "cases")->child; c != NULL; c = c->next) {
        cJSON *counters = cJSON_CreateObject();
        const bool ok = counters != NULL && cJSON_AddStringToObject(counters, "source", "simulated") != NULL &&
                        json_add_size(counters, "instructions", 1000000) &&
                        json_add_size(counters, "cache_misses", 1000);
        if (!ok || !set_member(c, "counters", counters)) return ciuic_fail_memory("counters", 1);
    }
    return CIUIC_OK;
}

/* Signed afresh: a regression is not an edited file. */
static ciuic_status write_results(const char *path, cJSON *results)
{
    CIUIC_TRY(content_seal(results));
    if (!json_exact_numbers(results)) return ciuic_fail_memory("results", 1);
    return json_write_file(path, results);
}

/* Any case that was measured and has the figure; errors of integer formats only, since the limits are about those. */
static cJSON *choose_case(const cJSON *results, const regression *g, uint64_t *state)
{
    cJSON *chosen = NULL;
    size_t seen = 0;
    for (cJSON *c = json_find(results, "cases")->child; c != NULL; c = c->next) {
        const char *id = cJSON_GetStringValue(json_find(c, "id"));
        const cJSON *object = g->inner[0] != '\0' ? json_find(c, g->outer) : c;
        const cJSON *figure = json_find(object, g->inner[0] != '\0' ? g->inner : g->outer);
        if (id == NULL || strstr(id, "#again") != NULL || strstr(id, "int") == NULL || !json_is_number(figure) ||
            !(figure->valuedouble > 0))
            continue;
        if (split_mix_next(state) % ++seen == 0) chosen = c;
    }
    return chosen;
}

static ciuic_status plant(cJSON *results, const regression *g, uint64_t *state, char *what, size_t size)
{
    cJSON *c = choose_case(results, g, state);
    if (c == NULL) return ciuic_fail(CIUIC_ERROR_INPUT, "no case has %s.%s", g->outer, g->inner);
    cJSON *object = g->inner[0] != '\0' ? cJSON_GetObjectItemCaseSensitive(c, g->outer) : c;
    const char *key = g->inner[0] != '\0' ? g->inner : g->outer;
    const double old = cJSON_GetObjectItemCaseSensitive(object, key)->valuedouble, grown = old * g->factor;
    snprintf(what, size, "%s%s%s x %.2f of %.100s", g->outer, g->inner[0] != '\0' ? "." : "", g->inner, g->factor,
             cJSON_GetStringValue(json_find(c, "id")));
    return set_member(object, key, json_double(g->whole ? ceil(grown) : grown)) ? CIUIC_OK
                                                                                : ciuic_fail_memory("results", 1);
}

typedef struct gate_run {
    char *program, *results, *limits, *log;
} gate_run;

static int run_gate(const gate_run *g, bool update)
{
    const char *const arguments[] = {"gate", g->results, "--baseline", g->limits, update ? "--update" : NULL, NULL};
    return trial_run(g->program, arguments, g->log, NULL);
}

static ciuic_status try_regressions(const trial_setting *s, const gate_run *g, const cJSON *base, size_t *caught)
{
    uint64_t state = s->seed;
    *caught = 0;
    for (size_t i = 0; i < s->count; i++) {
        char what[200] = "";
        cJSON *results = cJSON_Duplicate(base, true);
        ciuic_status status = results != NULL ? CIUIC_OK : ciuic_fail_memory("results", 1);
        if (status == CIUIC_OK) status = plant(results, &regressions[i % REGRESSIONS], &state, what, sizeof what);
        if (status == CIUIC_OK) status = write_results(g->results, results);
        cJSON_Delete(results);
        CIUIC_TRY(status);
        const bool failed = run_gate(g, false) == 1;
        *caught += failed;
        trial_say("%zu/%zu: %s: %s", i + 1, s->count, what, failed ? "caught" : "NOT CAUGHT");
    }
    return CIUIC_OK;
}

ciuic_status trial_gate_regressions(const trial_setting *s, trial_result *r)
{
    size_t caught = 0;
    cJSON *base = NULL;
    gate_run g = {trial_program_path(s, "ciuic"), trial_path(s, "results.json"),
                  trial_write(s, "limits.json", limits_text), trial_path(s, "log")};
    int recorded = -1, unchanged = -1;
    ciuic_status status = base_results(&base);
    if (status == CIUIC_OK) status = write_results(g.results, base);
    if (status == CIUIC_OK) recorded = run_gate(&g, true);
    if (status == CIUIC_OK) unchanged = run_gate(&g, false);
    if (status == CIUIC_OK && (recorded != 0 || unchanged != 0))
        status = ciuic_fail(CIUIC_ERROR_INPUT, "recording ended with %d, the unchanged run with %d: see %s", recorded,
                            unchanged, g.log);
    if (status == CIUIC_OK) status = try_regressions(s, &g, base, &caught);
    cJSON_Delete(base);
    free(g.program);
    free(g.results);
    free(g.limits);
    free(g.log);
    CIUIC_TRY(status);
    r->passed = caught == s->count;
    snprintf(r->found, sizeof r->found, "%zu of %zu caught; the unchanged results are green", caught, s->count);
    return CIUIC_OK;
}

/* ---- nothing changed -------------------------------------------------------------------------------------------- */

ciuic_status trial_gate_reruns(const trial_setting *s, trial_result *r)
{
    size_t red = 0;
    char *program = trial_program_path(s, "ciuic"), *run = trial_path(s, "gate"), *log = trial_path(s, "log");
    const char *const arguments[] = {"ci/gate.sh", program, run, NULL};
    for (size_t i = 0; i < s->count; i++) {
        const int status = trial_run("/bin/sh", arguments, log, "GATE_SUITES=gate");
        if (status != 0) {
            char *kept = NULL;
            red++;
            if (asprintf(&kept, "%s-%zu", log, i + 1) >= 0) rename(log, kept);
            free(kept);
        }
        trial_say("%zu/%zu: %s", i + 1, s->count, status == 0 ? "green" : "RED");
    }
    free(program);
    free(run);
    free(log);
    r->passed = red == 0;
    snprintf(r->found, sizeof r->found, "%zu of %zu re-runs red", red, s->count);
    return CIUIC_OK;
}
