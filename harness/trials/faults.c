/* faults.c - whether an accuracy fault is caught by what a user runs: `ciuic bench`, which verifies every variant, then
 * `ciuic gate` against what a sound program recorded, with the limits of ci/gate.json.
 *
 * Damaged weights are caught by bench, which makes every weight once more (ciuic_check_weights): the case fails and names
 * the weight. A stale cache row is no weight; errors against the reference show it, and the gate holds them. Errors alone
 * would not show a weight that no id at hand meets, such as an embedding, nor one scale among thousands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/trials/trial.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static const char suite_text[] =
    "{\n"
    "  \"schema_version\": 1,\n"
    "  \"name\": \"trial\",\n"
    "  \"description\": \"Errors of a few variants\",\n"
    "  \"seed\": 1,\n"
    "  \"checkpoints\": [\"%s\"],\n"
    "  \"workloads\": [{\"checkpoint\": \"deepseek-v3-tiny\", \"phase\": \"prefill\", \"tokens\": %d}],\n"
    "  \"variants\": {\"product\": {\"quantize\": [\"none\", \"int8\", \"int4\"], \"graph\": [\"on\"], \"memory\": "
    "[\"on\"], "
    "\"kernels\": [\"c\", \"best\"]}},\n"
    "  \"baselines\": [\"naive\", \"tuned\"],\n"
    "  \"threads\": [1],\n"
    "  \"rounds\": 0,\n"
    "  \"min_time_s\": 0,\n"
    "  \"accuracy\": {\"windows\": 2, \"tokens\": %d},\n"
    "  \"limits\": {\"timeout_s\": 60, \"memory_bytes\": 4294967296},\n"
    "  \"time_budget_s\": 60,\n"
    "  \"claims\": \"%s\"\n"
    "}\n";

/* As in ci/gate.json, where they are explained. */
static const char limits_text[] =
    "{\"schema_version\": 1, \"limits\": [\n"
    "{\"id\": \"nll\", \"cases\": \"*\", \"metric\": \"accuracy.nll\", \"hard\": {\"worse_by\": 0.01}},\n"
    "{\"id\": \"kl\", \"cases\": \"*\", \"metric\": \"accuracy.kl\", \"hard\": {\"worse\": 0.5, \"worse_by\": "
    "1e-06}},\n"
    "{\"id\": \"error\", \"cases\": \"*\", \"metric\": \"accuracy.mean_abs_error\", \"hard\": {\"worse\": 0.05, "
    "\"worse_by\": 0.0001}},\n"
    "{\"id\": \"top1\", \"cases\": \"*\", \"metric\": \"accuracy.top1_agreement\", \"hard\": {\"worse_by\": "
    "0.015}}]}\n";

enum { KINDS = 4 };
static const char *const kinds[KINDS] = {"exponent", "scale", "transpose", "stale"};

typedef enum caught { CAUGHT_NOT, CAUGHT_BY_BENCH, CAUGHT_BY_GATE, CAUGHT_WAYS } caught;

typedef struct setting {
    const trial_setting *s;
    char *program, *suite, *limits, *run, *log;
} setting;

/* Cases that failed because a weight was damaged. */
static size_t damaged_cases(const cJSON *results)
{
    size_t n = 0;
    const cJSON *cases = json_find(results, "cases");
    for (const cJSON *c = cases != NULL ? cases->child : NULL; c != NULL; c = c->next) {
        const char *reason = cJSON_GetStringValue(json_find(c, "reason"));
        n += reason != NULL && strstr(reason, "a damaged") != NULL ? 1 : 0;
    }
    return n;
}

/* One bench; `fault`: the setting of the environment, NULL for a sound program. */
static ciuic_status measure(const setting *t, const char *fault)
{
    const char *const clean[] = {"-rf", t->run, NULL}, *const bench[] = {"bench", t->suite, "-o", t->run, NULL};
    trial_run("/bin/rm", clean, t->log, NULL);
    const int status = trial_run(t->program, bench, t->log, fault);
    if (status == 0 || status == 4) return CIUIC_OK; /* 4: not one case was sound */
    return ciuic_fail(CIUIC_ERROR_INPUT, "bench ended with status %d: see %s", status, t->log);
}

static ciuic_status judge(const setting *t, bool update, int *status)
{
    const char *const gate[] = {"gate", t->run, "--baseline", t->limits, update ? "--update" : NULL, NULL};
    *status = trial_run(t->program, gate, t->log, NULL);
    if (*status == 0 || *status == 1) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "gate ended with status %d: see %s", *status, t->log);
}

static ciuic_status try_fault(const setting *t, const char *fault, caught *how)
{
    cJSON *results = NULL;
    int gate = 0;
    CIUIC_TRY(measure(t, fault));
    CIUIC_TRY(trial_results(t->run, &results));
    const size_t damaged = damaged_cases(results);
    cJSON_Delete(results);
    CIUIC_TRY(judge(t, false, &gate));
    *how = damaged > 0 ? CAUGHT_BY_BENCH : gate == 1 ? CAUGHT_BY_GATE : CAUGHT_NOT;
    return CIUIC_OK;
}

static setting open_setting(const trial_setting *s)
{
    char *checkpoint = trial_absolute("datasets/deepseek-v3-tiny"), *claims = trial_absolute("suites/claims.json");
    char *text = NULL;
    if (asprintf(&text, suite_text, checkpoint, TRIAL_POSITIONS, TRIAL_POSITIONS, claims) < 0) exit(4);
    const setting t = {.s = s,
                       .program = trial_program_path(s, "trial/ciuic-faulty"),
                       .suite = trial_write(s, "suite.json", text),
                       .limits = trial_write(s, "limits.json", limits_text),
                       .run = trial_path(s, "run"),
                       .log = trial_path(s, "log")};
    free(text);
    free(checkpoint);
    free(claims);
    return t;
}

static void close_setting(setting *t)
{
    free(t->program);
    free(t->suite);
    free(t->limits);
    free(t->run);
    free(t->log);
}

/* Records what the sound program gives; a second run of it has to be green. */
static ciuic_status record(const setting *t, caught *sound)
{
    int ignored = 0;
    CIUIC_TRY(measure(t, NULL));
    CIUIC_TRY(judge(t, true, &ignored));
    return try_fault(t, NULL, sound);
}

static ciuic_status try_all(const setting *t, size_t count[KINDS][CAUGHT_WAYS])
{
    static const char *const words[CAUGHT_WAYS] = {"NOT CAUGHT", "caught by bench", "caught by gate"};
    for (size_t i = 0; i < t->s->count; i++) {
        char fault[64];
        caught how = CAUGHT_NOT;
        const unsigned long long seed = t->s->seed * 1000 + i;
        snprintf(fault, sizeof fault, "CIUIC_TRIAL_FAULT=%s:%llu", kinds[i % KINDS], seed);
        CIUIC_TRY(try_fault(t, fault, &how));
        count[i % KINDS][how]++;
        trial_say("%zu/%zu: %s, seed %llu: %s", i + 1, t->s->count, kinds[i % KINDS], seed, words[how]);
    }
    return CIUIC_OK;
}

ciuic_status trial_faults(const trial_setting *s, trial_result *r)
{
    size_t count[KINDS][CAUGHT_WAYS] = {{0}}, found = 0, used = 0;
    caught sound = CAUGHT_NOT;
    setting t = open_setting(s);
    ciuic_status status = record(&t, &sound);
    if (status == CIUIC_OK) status = try_all(&t, count);
    close_setting(&t);
    CIUIC_TRY(status);
    for (size_t i = 0; i < KINDS; i++) found += count[i][CAUGHT_BY_BENCH] + count[i][CAUGHT_BY_GATE];
    r->passed = found == s->count && sound == CAUGHT_NOT;
    used = (size_t)snprintf(r->found, sizeof r->found, "%zu of %zu caught (", found, s->count);
    for (size_t i = 0; i < KINDS && used < sizeof r->found; i++)
        used += (size_t)snprintf(r->found + used, sizeof r->found - used, "%s%s: %zu by bench, %zu by gate, %zu missed",
                                 i > 0 ? "; " : "", kinds[i], count[i][CAUGHT_BY_BENCH], count[i][CAUGHT_BY_GATE],
                                 count[i][CAUGHT_NOT]);
    if (used < sizeof r->found)
        snprintf(r->found + used, sizeof r->found - used, "); the sound program is %s",
                 sound == CAUGHT_NOT ? "green" : "RED");
    return CIUIC_OK;
}
