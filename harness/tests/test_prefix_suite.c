/* test_prefix_suite.c - a suite whose prompts share a beginning: a case that keeps it computes the rest alone, to the same bits,
 * says so, and is compared with no case that computes all. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/report/report.h"
#include "harness/report/schema.h"
#include "harness/suite/suite.h"
#include "harness/tests/bench_fixture.h"
#include "harness/tests/program.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

enum { TOKENS = 24, PREFIX = 16 };

/* Portable C: a row is the same bits, whatever was computed beside it. */
static const char suite_format[] =
    "{\"schema_version\": 1, \"name\": \"prefixes\", \"description\": \"for tests\", \"seed\": 7,\n"
    " \"checkpoints\": [\"%s/datasets/qwen2-tiny\"],\n"
    " \"workloads\": [{\"checkpoint\": \"qwen2-tiny\", \"phase\": \"%s\", \"tokens\": 24, \"prefix\": %d}],\n"
    " \"variants\": {\"extra\": [\n"
    "  {\"quantize\": \"int8\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\"},\n"
    "  {\"quantize\": \"int8\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\", \"prefix_cache_bytes\": "
    "%s}]},\n"
    " \"baselines\": [\"tuned\"], \"threads\": [1], \"rounds\": 2, \"min_rounds\": 2, \"min_time_s\": 0,\n"
    " \"accuracy\": {\"windows\": 0, \"tokens\": 8}, \"time_budget_s\": 1, \"claims\": \"claims.json\"}\n";

static const char claims[] =
    "[{\"id\": \"faster\", \"question\": \"Is it fast?\", \"sentence\": \"It is twice as fast.\", \"source\": \"this "
    "test\",\n"
    " \"metric\": \"speedup\", \"min\": 2, \"phases\": [\"prefill\"],\n"
    " \"variant\": {\"quantize\": [\"int8\"], \"graph\": true, \"memory\": [\"on\"], \"kernels\": \"c\"},\n"
    " \"baselines\": [\"tuned\"]}]\n";

static char *write_suite_file(const char *folder, const char *phase, int prefix, const char *bytes)
{
    char root[PATH_MAX], *path = bench_path(folder, "suite.json");
    FILE *file = fopen(path, "w");
    CU_ASSERT_FATAL(file != NULL && getcwd(root, sizeof root) != NULL);
    fprintf(file, suite_format, root, phase, prefix, bytes);
    fclose(file);
    char *about = bench_path(folder, "claims.json");
    file = fopen(about, "w");
    CU_ASSERT_FATAL(file != NULL && fputs(claims, file) >= 0);
    fclose(file);
    free(about);
    return path;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = json_find(object, key);
    return json_is_number(item) ? item->valuedouble : (double)NAN;
}

static void check_case(const cJSON *plain, const cJSON *cached)
{
    const cJSON *use = json_find(cached, "prefix_cache");
    CHECK(strcmp(bench_text(plain, "status"), "ok") == 0 && strcmp(bench_text(cached, "status"), "ok") == 0, "%s, %s",
          bench_text(plain, "reason"), bench_text(cached, "reason"));
    CHECK(json_find(plain, "prefix_cache") == NULL &&
              number(json_find(cached, "variant"), "prefix_cache_bytes") == 1000000,
          "the cache is not declared");
    CHECK(strcmp(bench_text(plain, "output_sha256"), bench_text(cached, "output_sha256")) == 0 &&
              bench_text(cached, "output_sha256")[0] != '\0',
          "other logits");
    /* One prompt filled it; each repetition, and the accuracy run, found that and left it as it was. */
    const double lookups = number(use, "lookups"), reused = number(use, "tokens_reused");
    CHECK(lookups >= 4 && number(use, "hits") == lookups - 1 && reused == PREFIX * (lookups - 1) &&
              number(use, "tokens_computed") == PREFIX + (TOKENS - PREFIX) * (lookups - 1) &&
              number(use, "entries") == 1 && number(use, "bytes") <= number(use, "capacity"),
          "%s", cJSON_PrintUnformatted(use));
    CHECK(json_find(json_find(plain, "ratios"), "tuned") != NULL &&
              json_find(json_find(cached, "ratios"), "tuned") == NULL,
          "a ratio over a baseline without a cache");
    CHECK(json_find(cached, "ceiling_tokens_per_s") == NULL, "a ceiling of work that was not done");
}

static void a_kept_beginning_is_declared_and_not_compared(void)
{
    static char name[] = "bench";
    static char *arguments[] = {name, NULL};
    char *folder = temporary_folder(), *out = bench_path(folder, "out"), *report = bench_path(folder, "report");
    char *path = write_suite_file(folder, "prefill", PREFIX, "1000000");
    cJSON *machine = bench_machine();
    const bench_options o = {.suite_path = path, .directory = out, .argc = 1, .argv = arguments, .machine = machine};
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON *results = bench_results(out);
    CHECK(schema_check_results(results, "results") == CIUIC_OK, "%s", ciuic_last_error());
    check_case(bench_case_of(results, "/int8+graph+memory+c"), bench_case_of(results, "+prefixes1000000B"));
    size_t refused = 0;
    const cJSON *verdict = NULL;
    cJSON_ArrayForEach(verdict, json_find(results, "verdicts"))
    {
        const bool cached = strstr(bench_text(verdict, "case"), "+prefixes") != NULL;
        const bool error = strcmp(bench_text(verdict, "baseline"), "reference") == 0;
        if (!cached || error) continue;
        refused += strcmp(bench_text(verdict, "verdict"), "inconclusive") == 0 &&
                   strstr(bench_text(verdict, "reason"), "cache") != NULL;
        CHECK(strcmp(bench_text(verdict, "verdict"), "inconclusive") == 0, "%s is judged against what has no cache",
              bench_text(verdict, "claim"));
    }
    CHECK(refused > 0, "no verdict says why");
    const char *notice = NULL;
    CHECK(report_write(results, "results", &(report_request){.directory = report}, &notice) == CIUIC_OK, "%s",
          ciuic_last_error());
    char *markdown = bench_path(report, "report.md"), *text = read_text(markdown);
    CHECK(text != NULL && strstr(text, "Prompts whose beginnings were kept") != NULL, "the report does not tell");
    free(text);
    free(markdown);
    cJSON_Delete(results);
    cJSON_Delete(machine);
    remove_folder(report);
    remove_folder(out);
    free(path);
    remove_folder(folder);
}

static const struct {
    const char *phase;
    int prefix;
    const char *bytes, *says;
} refusals[] = {
    {"prefill", TOKENS, "1000000", "prefix"},
    {"prefill", 0, "1000000", "prefix"},
    {"decode", 4, "1000000", "prompts of a prefill"},
    {"prefill", PREFIX, "0", "prefix_cache_bytes"},
    {"prefill", PREFIX, "\"64MiB\"", "prefix_cache_bytes"},
};

static void what_cannot_be_is_refused(void)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        char *folder = temporary_folder();
        char *path = write_suite_file(folder, refusals[i].phase, refusals[i].prefix, refusals[i].bytes);
        suite *s = NULL;
        CHECK(suite_read(path, &s) == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), refusals[i].says) != NULL,
              "%zu: %s", i, ciuic_last_error());
        suite_free(s);
        free(path);
        remove_folder(folder);
    }
}

static const test_case cases[] = {
    {"a kept beginning is declared, and not compared", a_kept_beginning_is_declared_and_not_compared},
    {"what cannot be is refused", what_cannot_be_is_refused},
};
TEST_SUITE(prefix_suite, cases);
