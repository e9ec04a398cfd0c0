/* harness_cost.c - what the harness itself takes: of a timed repetition, and of its own time with suites and results of many
 * cases. Limits are those of the machine at hand: run it on a quiet one.
 *
 * "Load" is reading a results file, checking its syntax, its schema and its digest, and indexing it. Judging it is told
 * beside that: every command that decides something judges afresh, and resampling is most of that. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/content_digest.h"
#include "harness/judge/judge.h"
#include "harness/judge/statistics.h"
#include "harness/measure/gbench_shim.h"
#include "harness/monotonic_clock.h"
#include "harness/report/report.h"
#include "harness/report/schema.h"
#include "harness/results_file.h"
#include "harness/split_mix.h"
#include "harness/suite/matrix.h"
#include "harness/suite/schedule.h"
#include "harness/trials/large_results.h"
#include "harness/trials/trial.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static const char measured[] = "reports/published/quick-zen4-2-cores/results.json";

/* ---- a repetition ----------------------------------------------------------------------------------------------- */

enum { PAIRS = 41, ITERATIONS = 20 };

/* About a millisecond of arithmetic that no compiler leaves out: the steps are counted once, by the clock. */
static size_t steps;
static volatile uint64_t sink;

static bool body(void *context)
{
    uint64_t state = 1, all = 0;
    (void)context;
    for (size_t i = 0; i < steps; i++) all ^= split_mix_next(&state);
    sink = all;
    return true;
}

static double bare_s(void)
{
    const double began_s = monotonic_s();
    for (size_t i = 0; i < ITERATIONS; i++) body(NULL);
    return (monotonic_s() - began_s) / ITERATIONS;
}

/* The shortest of a few, since what disturbs a loop only makes it longer. */
static double shortest_s(void)
{
    double shortest = INFINITY;
    for (int i = 0; i < 5; i++) shortest = fmin(shortest, bare_s());
    return shortest;
}

static void choose_steps(void)
{
    steps = 1000;
    while (shortest_s() < 1e-3) steps += steps / 8;
}

static ciuic_status timed_s(double *seconds)
{
    gbench_time time;
    if (!gbench_run(ITERATIONS, body, NULL, &time))
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "Google Benchmark reported no time");
    *seconds = time.real_s;
    return CIUIC_OK;
}

/* What Google Benchmark says that an iteration takes, over what a bare loop takes: pairs, each in the other order than the
 * one before; the median and its interval. */
static ciuic_status cost_of_repetition(interval *cost, double *bare)
{
    double logs[PAIRS];
    choose_steps();
    *bare = shortest_s();
    for (size_t i = 0; i < PAIRS; i++) {
        double timed = 0, alone = i % 2 == 0 ? bare_s() : 0;
        CIUIC_TRY(timed_s(&timed));
        if (i % 2 != 0) alone = bare_s();
        logs[i] = log(timed / alone);
    }
    *cost = interval_exp(median_interval(logs, PAIRS, CONFIDENCE));
    return CIUIC_OK;
}

/* ---- a suite ---------------------------------------------------------------------------------------------------- */

/* 16 workloads of 64 variants, the baselines among them: 1,024 cases. */
static char *write_suite(const trial_setting *s)
{
    char *checkpoint = trial_absolute("datasets/deepseek-v3-tiny"), *claims = trial_absolute("suites/claims.json");
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) exit(4);
    fprintf(out,
            "{\"schema_version\": 1, \"name\": \"large\", \"description\": \"A thousand cases\", \"seed\": 1,"
            " \"checkpoints\": [\"%s\"], \"workloads\": [",
            checkpoint);
    for (int i = 0; i < 16; i++)
        fprintf(out, "%s{\"checkpoint\": \"deepseek-v3-tiny\", \"phase\": \"prefill\", \"tokens\": %d}",
                i > 0 ? ", " : "", 16 + i);
    fprintf(out,
            "], \"variants\": {\"product\": {\"quantize\": [\"none\", \"int8\", \"int6\", \"int5\", \"int4\", "
            "\"int3\", \"affine8\", \"affine4\"], \"graph\": [\"off\", \"on\"],"
            " \"memory\": [\"off\", \"on\"], \"kernels\": [\"c\", \"best\"]}}, \"baselines\": [\"naive\", \"tuned\"],"
            " \"threads\": [1], \"rounds\": 20, \"min_time_s\": 0.02, \"accuracy\": {\"windows\": 1, \"tokens\": 16},"
            " \"limits\": {\"timeout_s\": 60, \"memory_bytes\": 4294967296}, \"time_budget_s\": 600,"
            " \"claims\": \"%s\"}\n",
            claims);
    fclose(out);
    char *path = trial_write(s, "suite.json", text);
    free(text);
    free(checkpoint);
    free(claims);
    return path;
}

static ciuic_status schedule_all(const bench_matrix *m, size_t rounds)
{
    for (size_t b = 0; b < m->block_count; b++) {
        size_t *order = calloc(m->blocks[b].slot_count + 1, sizeof *order);
        if (order == NULL) return ciuic_fail_memory("a schedule", m->blocks[b].slot_count);
        for (size_t round = 0; round < rounds; round++) schedule_round(m->blocks[b].slot_count, b, round, order);
        free(order);
    }
    return CIUIC_OK;
}

static ciuic_status cost_of_suite(const trial_setting *s, double *seconds, size_t *cases)
{
    suite *large = NULL;
    bench_matrix *m = NULL;
    const matrix_filter all = {0};
    char *path = write_suite(s);
    const double began_s = monotonic_s();
    ciuic_status status = suite_read(path, &large);
    if (status == CIUIC_OK) status = matrix_expand(large, &all, &m);
    if (status == CIUIC_OK) status = schedule_all(m, large->rounds);
    *seconds = monotonic_s() - began_s;
    *cases = m != NULL ? m->case_count : 0;
    matrix_free(m);
    suite_free(large);
    free(path);
    return status;
}

/* ---- results ---------------------------------------------------------------------------------------------------- */

static ciuic_status write_results(const trial_setting *s, const char *name, size_t cases, char **path)
{
    cJSON *results = NULL;
    CIUIC_TRY(large_results(measured, cases, &results));
    *path = trial_path(s, name);
    const bool exact = json_exact_numbers(results); /* or the digest would be that of other digits */
    const ciuic_status status = exact ? json_write_file(*path, results) : ciuic_fail_memory("large results", cases);
    cJSON_Delete(results);
    return status;
}

static ciuic_status load(const char *path, cJSON **root, result_set *set, size_t *cases)
{
    content_state content = CONTENT_UNKNOWN;
    CIUIC_TRY(json_read_file(path, (size_t)256 << 20, root));
    CIUIC_TRY(results_check(*root, path, &content));
    if (content != CONTENT_AS_WRITTEN) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: the digest is another", path);
    CIUIC_TRY(results_index(*root, set));
    *cases = set->case_count;
    return CIUIC_OK;
}

static ciuic_status cost_of_loading(const trial_setting *s, double *loaded_s, double *judged_s, size_t *cases)
{
    char *path = NULL;
    cJSON *root = NULL;
    result_set set = {0};
    ciuic_status status = write_results(s, "results-10000.json", 10000, &path);
    const double began_s = monotonic_s();
    if (status == CIUIC_OK) status = load(path, &root, &set, cases);
    const double loaded = monotonic_s();
    results_free(&set);
    if (status == CIUIC_OK) status = judge_results(root, json_find(root, "claims"));
    *loaded_s = loaded - began_s;
    *judged_s = monotonic_s() - loaded;
    cJSON_Delete(root);
    free(path);
    return status;
}

static ciuic_status cost_of_report(const trial_setting *s, double *seconds, size_t *cases)
{
    char *path = NULL, *folder = trial_path(s, "report");
    const char *notice = NULL;
    cJSON *root = NULL;
    ciuic_status status = write_results(s, "results-1000.json", 1000, &path);
    const double began_s = monotonic_s();
    if (status == CIUIC_OK) status = json_read_file(path, (size_t)256 << 20, &root);
    if (status == CIUIC_OK) status = report_write(root, path, &(report_request){.directory = folder}, &notice);
    *seconds = monotonic_s() - began_s;
    *cases = (size_t)cJSON_GetArraySize(json_find(root, "cases"));
    cJSON_Delete(root);
    free(folder);
    free(path);
    return status;
}

ciuic_status trial_harness_cost(const trial_setting *s, trial_result *r)
{
    interval cost;
    double bare = 0, suite_s = 0, report_s = 0, loaded_s = 0, judged_s = 0;
    size_t suite_cases = 0, report_cases = 0, loaded_cases = 0;
    CIUIC_TRY(cost_of_repetition(&cost, &bare));
    CIUIC_TRY(cost_of_suite(s, &suite_s, &suite_cases));
    CIUIC_TRY(cost_of_report(s, &report_s, &report_cases));
    CIUIC_TRY(cost_of_loading(s, &loaded_s, &judged_s, &loaded_cases));
    r->passed = cost.median < 1.01 && suite_cases >= 1000 && suite_s < 1 && report_cases >= 1000 && report_s < 5 &&
                loaded_cases >= 10000 && loaded_s < 2;
    snprintf(
        r->found, sizeof r->found,
        "a repetition of %.2f ms %+.3f%% (%+.3f to %+.3f); %zu cases expanded and scheduled in %.3f s; the report of "
        "%zu in %.1f s; results of %zu loaded in %.2f s (and judged in another %.1f s)",
        1e3 * bare, 100 * (cost.median - 1), 100 * (cost.low - 1), 100 * (cost.high - 1), suite_cases, suite_s,
        report_cases, report_s, loaded_cases, loaded_s, judged_s);
    return CIUIC_OK;
}
