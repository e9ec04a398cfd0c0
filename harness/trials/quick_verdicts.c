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

/* What of a run is another than in the first. */
typedef struct flips {
    size_t all, headline; /* verdicts; those that the answers are made from */
    size_t answers;       /* 1: the sentence that holds the three */
} flips;

/* What a verdict of the first run has been in any. */
enum { SUPPORTED = 1, REFUTED = 2 };

static unsigned char decided(const char *verdict)
{
    return strcmp(verdict, "supported") == 0 ? SUPPORTED : strcmp(verdict, "refuted") == 0 ? REFUTED : 0;
}

/* Each is told; seen[] takes what the verdicts are now. */
static flips count_flips(const cJSON *first, const cJSON *other, size_t run, unsigned char *seen, FILE *list)
{
    const cJSON *before = json_find(first, "verdicts"), *after = json_find(other, "verdicts");
    flips n = {.all = (size_t)abs(cJSON_GetArraySize(before) - cJSON_GetArraySize(after))};
    n.answers = strcmp(json_text(json_find(first, "summary"), "headline"),
                       json_text(json_find(other, "summary"), "headline")) != 0;
    for (const cJSON *v = before->child; v != NULL; v = v->next, seen++) {
        const cJSON *now = same_question(after, v);
        const char *was = json_text(v, "verdict"), *is = now != NULL ? json_text(now, "verdict") : "gone";
        *seen = (unsigned char)(*seen | decided(is));
        if (strcmp(is, was) == 0) continue;
        n.all++;
        n.headline += cJSON_IsTrue(json_find(v, "headline")) ? 1 : 0;
        char line[1024];
        snprintf(line, sizeof line, "run %zu: %.60s of %.200s against %.20s: %.20s, and at first %.20s", run,
                 json_text(v, "claim"), json_text(v, "case"), json_text(v, "baseline"), is, was);
        trial_say("%s", line);
        fprintf(list, "%s\n", line);
    }
    return n;
}

static ciuic_status measure(const trial_setting *s, size_t index, cJSON **results)
{
    char seed[32];
    char *program = trial_program_path(s, "ciuic"), *run = trial_path(s, "run"), *log = trial_path(s, "log");
    const char *const clean[] = {"-rf", run, NULL};
    const char *const bench[] = {"bench", "suites/quick.json", "-o", run, "--seed", seed, NULL};
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)(s->seed + index));
    trial_run("/bin/rm", clean, log, NULL);
    const int exit_status = trial_run(program, bench, log, NULL);
    ciuic_status status = exit_status == 0
                              ? trial_results(run, results)
                              : ciuic_fail(CIUIC_ERROR_INPUT, "bench ended with status %d: see %s", exit_status, log);
    if (status == CIUIC_OK && !cJSON_IsArray(json_find(*results, "verdicts")))
        status = ciuic_fail(CIUIC_ERROR_INPUT, "the results hold no verdicts");
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
    unsigned char *seen = NULL;
    size_t questions = 0, contradicted = 0;
    flips unlike = {0}; /* runs */
    ciuic_status status = list != NULL ? CIUIC_OK : ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: cannot be written", path);
    for (size_t i = 0; i < s->count && status == CIUIC_OK; i++) {
        cJSON *results = NULL;
        status = measure(s, i, &results);
        if (status == CIUIC_OK && first == NULL) {
            questions = (size_t)cJSON_GetArraySize(json_find(results, "verdicts"));
            seen = calloc(questions + 1, sizeof *seen);
            if (seen == NULL) status = ciuic_fail_memory("verdicts", questions);
        }
        if (status == CIUIC_OK) {
            const flips n = count_flips(first != NULL ? first : results, results, i + 1, seen, list);
            unlike.all += n.all > 0;
            unlike.headline += n.headline > 0;
            unlike.answers += n.answers > 0;
            trial_say("%zu/%zu: %zu flipped", i + 1, s->count, n.all);
        }
        if (first == NULL)
            first = results;
        else
            cJSON_Delete(results);
    }
    if (list != NULL) fclose(list);
    for (size_t i = 0; i < questions && seen != NULL; i++) contradicted += seen[i] == (SUPPORTED | REFUTED);
    r->passed = unlike.all == 0;
    snprintf(r->found, sizeof r->found,
             "%zu of %zu runs gave the first's %zu verdicts, %zu its headline verdicts, %zu its three answers; %zu "
             "verdicts were supported in one run and refuted in another%s",
             s->count - unlike.all, s->count, questions, s->count - unlike.headline, s->count - unlike.answers,
             contradicted, unlike.all > 0 ? "; flipped.txt lists what flipped" : "");
    free(seen);
    cJSON_Delete(first);
    free(path);
    return status;
}
