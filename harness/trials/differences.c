/* differences.c - false alarms and power: how often a suite of the usual length calls a difference where there is none, and
 * where there is one of exactly 3%.
 *
 * A comparison is a whole `ciuic bench` of its own: processes started afresh, rounds interleaved by its own seed, its own
 * noise floor from its own A/A pair, Holm's correction over its own cases. Many equal variants in one suite would be cheaper
 * and prove less: they share the baseline's samples and the noise floor, so that one unlucky baseline would count many times
 * or not at all, and Holm's correction would make each of them harder to call different. Here one variant alone is judged
 * against `tuned`, with nothing to correct for: the easiest that a false alarm can be.
 *
 * The variant runs what `tuned` runs: the graph stage is given by the names of its passes, without those that are about
 * images, so that the suite takes it for another variant, and the outputs are the same bits, which is checked. For power,
 * build/trial/ciuic-slow makes exactly this variant spin for 3% of each repetition (slow_workload.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/monotonic_clock.h"
#include "harness/plain_text.h"
#include "harness/trials/background_load.h"
#include "harness/trials/trial.h"
#include "optimizer/error.h"
#include "optimizer/graph/graph.h"
#include "optimizer/json.h"

/* With rounds and seconds of a repetition as suites/quick.json has them: the usual length. */
static const char suite_text[] =
    "{\n"
    "  \"schema_version\": 1,\n"
    "  \"name\": \"trial\",\n"
    "  \"description\": \"tuned, and the same once more under another name\",\n"
    "  \"seed\": 1,\n"
    "  \"checkpoints\": [\"%s\"],\n"
    "  \"workloads\": [{\"checkpoint\": \"deepseek-v3-tiny\", \"phase\": \"prefill\", \"tokens\": 32}],\n"
    "  \"variants\": {\"extra\": [{\"quantize\": \"none\", \"graph\": \"%s\", \"memory\": \"on\", \"kernels\": "
    "\"best\"}]},\n"
    "  \"baselines\": [\"tuned\"],\n"
    "  \"threads\": [1],\n"
    "  \"rounds\": %zu,\n"
    "  \"min_rounds\": %zu,\n"
    "  \"min_time_s\": %g,\n"
    "  \"accuracy\": {\"windows\": 1, \"tokens\": 32},\n"
    "  \"limits\": {\"timeout_s\": 60, \"memory_bytes\": 4294967296},\n"
    "  \"time_budget_s\": 60,\n"
    "  \"claims\": \"%s\"\n"
    "}\n";

typedef struct comparison {
    bool faster, slower, same_output;
    double ratio, noise_floor;
} comparison;

static const cJSON *case_where(const cJSON *results, bool tuned)
{
    for (const cJSON *c = json_find(results, "cases")->child; c != NULL; c = c->next) {
        const cJSON *variant = json_find(c, "variant");
        const char *id = cJSON_GetStringValue(json_find(c, "id"));
        const bool twin = id != NULL && strstr(id, "#again") != NULL;
        if (!twin && (json_find(variant, "baseline") != NULL) == tuned) return c;
    }
    return NULL;
}

static ciuic_status read_comparison(const cJSON *results, comparison *out)
{
    const cJSON *tuned = case_where(results, true), *other = case_where(results, false);
    const cJSON *ratio = json_find(json_find(other, "ratios"), "tuned");
    const char *difference = cJSON_GetStringValue(json_find(ratio, "difference"));
    const char *mine = cJSON_GetStringValue(json_find(other, "output_sha256"));
    const char *theirs = cJSON_GetStringValue(json_find(tuned, "output_sha256"));
    if (difference == NULL || strcmp(difference, "unknown") == 0 || mine == NULL || theirs == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "the suite did not measure both variants: see run/results.json");
    *out = (comparison){.faster = strcmp(difference, "faster") == 0,
                        .slower = strcmp(difference, "slower") == 0,
                        .same_output = strcmp(mine, theirs) == 0,
                        .ratio = json_number(ratio, "value"),
                        .noise_floor = json_number(ratio, "noise_floor")};
    return CIUIC_OK;
}

/* The folder of the run before is gone: nothing is resumed. */
static ciuic_status compare_once(const trial_setting *s, const char *program, const char *suite, size_t index,
                                 comparison *out)
{
    char seed[32];
    char *run = trial_path(s, "run"), *log = trial_path(s, "log");
    const char *const clean[] = {"-rf", run, NULL};
    const char *const bench[] = {"bench", suite, "-o", run, "--seed", seed, NULL};
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)(s->seed + index));
    trial_run("/bin/rm", clean, log, NULL);
    const int exit_status = trial_run(program, bench, log, NULL);
    cJSON *results = NULL;
    ciuic_status status = exit_status == 0
                              ? trial_results(run, &results)
                              : ciuic_fail(CIUIC_ERROR_INPUT, "bench ended with status %d: see %s", exit_status, log);
    if (status == CIUIC_OK) status = read_comparison(results, out);
    if (status == CIUIC_OK && !out->same_output)
        status = ciuic_fail(CIUIC_ERROR_INPUT, "the two variants do not compute the same");
    cJSON_Delete(results);
    free(run);
    free(log);
    return status;
}

/* Names of the passes that the graph stage runs when it is on, those aside that only an image model has work for. */
static void name_passes(char *names, size_t size)
{
    const ciuic_options tuned = {.graph = true};
    for (ciuic_pass p = 0; p < CIUIC_PASSES; p++) {
        const bool images =
            p == CIUIC_PASS_FOLD_BATCHNORM || p == CIUIC_PASS_DROP_LAYOUT || p == CIUIC_PASS_BLOCK_CHANNELS;
        if (graph_pass_selected(&tuned, p) && !images)
            plain_append(names, size, "%s%s", names[0] != '\0' ? "," : "", ciuic_pass_name(p));
    }
}

static char *write_suite(const trial_setting *s)
{
    cJSON *usual = NULL;
    size_t rounds = 0;
    double min_time_s = 0;
    if (json_read_file("suites/quick.json", 1 << 20, &usual) != CIUIC_OK ||
        json_get_size(usual, "suites/quick.json", "rounds", 1, 1000, &rounds) != CIUIC_OK ||
        json_get_double(usual, "suites/quick.json", "min_time_s", 0, 60, &min_time_s) != CIUIC_OK) {
        trial_say("%s", ciuic_last_error());
        exit(4);
    }
    cJSON_Delete(usual);
    char *checkpoint = trial_absolute("datasets/deepseek-v3-tiny"), *claims = trial_absolute("suites/claims.json");
    char *text = NULL, passes[512] = "";
    name_passes(passes, sizeof passes);
    if (asprintf(&text, suite_text, checkpoint, passes, rounds, rounds, min_time_s, claims) < 0) exit(4);
    char *path = trial_write(s, "suite.json", text);
    free(text);
    free(checkpoint);
    free(claims);
    return path;
}

typedef struct tally {
    size_t faster, slower;
    double ratio, noise_floor; /* sums */
} tally;

static ciuic_status compare_often(const trial_setting *s, const char *program, tally *t)
{
    char *suite = write_suite(s);
    ciuic_status status = CIUIC_OK;
    *t = (tally){0};
    for (size_t i = 0; i < s->count && status == CIUIC_OK; i++) {
        comparison c = {0};
        status = compare_once(s, program, suite, i, &c);
        if (status != CIUIC_OK) break;
        t->faster += c.faster;
        t->slower += c.slower;
        t->ratio += c.ratio / (double)s->count;
        t->noise_floor += c.noise_floor / (double)s->count;
        trial_say("%zu/%zu: %.4fx, noise floor %.2f%%: %s", i + 1, s->count, c.ratio, 100 * c.noise_floor,
                  c.slower   ? "slower"
                  : c.faster ? "faster"
                             : "not different");
    }
    free(suite);
    return status;
}

ciuic_status trial_false_alarms(const trial_setting *s, trial_result *r)
{
    tally t;
    char *program = trial_program_path(s, "ciuic");
    const double began_s = monotonic_s();
    const pid_t load = background_load_start(s->seed);
    const ciuic_status status = compare_often(s, program, &t);
    const double share = background_load_stop(load, began_s);
    free(program);
    CIUIC_TRY(status);
    const size_t different = t.faster + t.slower;
    r->passed = load > 0 && 100 * different <= s->count;
    snprintf(r->found, sizeof r->found,
             "%zu of %zu called different (%zu faster, %zu slower; ratio %.4f and noise floor %.2f%% in the mean; the "
             "other process took %.0f%% of a core)",
             different, s->count, t.faster, t.slower, t.ratio, 100 * t.noise_floor, 100 * share);
    return CIUIC_OK;
}

ciuic_status trial_power(const trial_setting *s, trial_result *r)
{
    tally t;
    char *program = trial_program_path(s, "trial/ciuic-slow");
    const ciuic_status status = compare_often(s, program, &t);
    free(program);
    CIUIC_TRY(status);
    r->passed = 100 * t.slower >= 95 * s->count;
    snprintf(r->found, sizeof r->found,
             "called slower in %zu of %zu suites (faster in %zu; ratio %.4f, where 1/1.03 is 0.9709, and noise floor "
             "%.2f%% in the mean)",
             t.slower, s->count, t.faster, t.ratio, 100 * t.noise_floor);
    return CIUIC_OK;
}
