/* quick_verdicts.c - whether suites/quick.json gives the same verdicts again and again on one machine, each time with a seed
 * of its own, so that schedules differ as well. Every verdict that flipped is listed in flipped.txt and on stderr. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/trials/trial.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static const cJSON *same_question(const cJSON *verdicts, const cJSON *v)
{
    static const char *const keys[] = {"claim", "case", "baseline"};
    for (const cJSON *item = verdicts->child; item != NULL; item = item->next) {
        bool same = true;
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
            same = same && strcmp(json_text(item, keys[i]), json_text(v, keys[i])) == 0;
        if (same) return item;
    }
    return NULL;
}

/* How many verdicts of `other` differ from those of `first`; each is told. */
static size_t count_flips(const cJSON *first, const cJSON *other, size_t run, FILE *list)
{
    size_t flips = (size_t)abs(cJSON_GetArraySize(first) - cJSON_GetArraySize(other));
    for (const cJSON *v = first->child; v != NULL; v = v->next) {
        const cJSON *now = same_question(other, v);
        if (now != NULL && strcmp(json_text(now, "verdict"), json_text(v, "verdict")) == 0) continue;
        flips++;
        char line[1024];
        snprintf(line, sizeof line, "run %zu: %.60s of %.200s against %.20s: %.20s, and at first %.20s", run,
                 json_text(v, "claim"), json_text(v, "case"), json_text(v, "baseline"),
                 now != NULL ? json_text(now, "verdict") : "gone", json_text(v, "verdict"));
        trial_say("%s", line);
        fprintf(list, "%s\n", line);
    }
    return flips;
}

static ciuic_status measure(const trial_setting *s, size_t index, cJSON **verdicts)
{
    char seed[32];
    cJSON *results = NULL;
    char *program = trial_program_path(s, "ciuic"), *run = trial_path(s, "run"), *log = trial_path(s, "log");
    const char *const clean[] = {"-rf", run, NULL};
    const char *const bench[] = {"bench", "suites/quick.json", "-o", run, "--seed", seed, NULL};
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)(s->seed + index));
    trial_run("/bin/rm", clean, log, NULL);
    const int exit_status = trial_run(program, bench, log, NULL);
    ciuic_status status = exit_status == 0
                              ? trial_results(run, &results)
                              : ciuic_fail(CIUIC_ERROR_INPUT, "bench ended with status %d: see %s", exit_status, log);
    if (status == CIUIC_OK) *verdicts = cJSON_DetachItemFromObjectCaseSensitive(results, "verdicts");
    if (status == CIUIC_OK && !cJSON_IsArray(*verdicts))
        status = ciuic_fail(CIUIC_ERROR_INPUT, "the results hold no verdicts");
    cJSON_Delete(results);
    free(program);
    free(run);
    free(log);
    return status;
}

ciuic_status trial_quick_verdicts(const trial_setting *s, trial_result *r)
{
    char *path = trial_path(s, "flipped.txt");
    FILE *list = fopen(path, "w");
    cJSON *first = NULL;
    size_t flips = 0, unlike = 0;
    ciuic_status status = list != NULL ? CIUIC_OK : ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: cannot be written", path);
    for (size_t i = 0; i < s->count && status == CIUIC_OK; i++) {
        cJSON *verdicts = NULL;
        status = measure(s, i, &verdicts);
        const size_t flipped = status == CIUIC_OK && first != NULL ? count_flips(first, verdicts, i + 1, list) : 0;
        flips += flipped;
        unlike += flipped > 0;
        if (status == CIUIC_OK) trial_say("%zu/%zu: %zu flipped", i + 1, s->count, flipped);
        if (first != NULL)
            cJSON_Delete(verdicts);
        else
            first = verdicts;
    }
    if (list != NULL) fclose(list);
    r->passed = flips == 0;
    snprintf(r->found, sizeof r->found, "%zu of %zu runs gave the same %d verdicts%s", s->count - unlike, s->count,
             cJSON_GetArraySize(first), flips > 0 ? "; flipped.txt lists the others" : "");
    cJSON_Delete(first);
    free(path);
    return status;
}
