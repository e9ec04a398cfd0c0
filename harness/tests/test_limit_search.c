/* test_limit_search.c - the longest context and the smallest limit as benches find them, and where a cgroup may hold them. */
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/measure/cgroup_memory.h"
#include "harness/process_limit.h"
#include "harness/report/report.h"
#include "harness/report/schema.h"
#include "harness/tests/bench_fixture.h"
#include "harness/tests/program.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static cJSON *machine;

/* A model of at most 512 positions, one variant beside naive and tuned; nothing is timed. @ROOT@ is the repository. */
static const char suite_format[] =
    "{\"schema_version\": 1, \"name\": \"search\", \"description\": \"for tests\", \"seed\": 7,\n"
    " \"checkpoints\": [\"%s/datasets/golden/deepseek-v3\"],\n"
    " \"workloads\": [{\"checkpoint\": \"deepseek-v3\", \"phase\": \"decode\", \"tokens\": 2, \"depth\": 62}],\n"
    " \"variants\": {\"extra\": [{\"quantize\": \"int8\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": "
    "\"c\"}]},\n"
    " \"baselines\": [\"naive\", \"tuned\"], \"threads\": [1], \"rounds\": 0, \"min_time_s\": 0,\n"
    " \"accuracy\": {\"windows\": 1, \"tokens\": %d}, \"time_budget_s\": 1,\n"
    " \"limits\": {\"timeout_s\": 60, %s}, \"claims\": \"%s/suites/claims.json\"}\n";

static cJSON *search_with(const char *folder, const char *limits, int window, bool resume)
{
    static char name[] = "bench";
    static char *arguments[] = {name, NULL};
    char root[PATH_MAX], *out = bench_path(folder, "out"), *path = bench_path(folder, "search.json");
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && getcwd(root, sizeof root) != NULL, "%s", path);
    if (file == NULL) return NULL;
    fprintf(file, suite_format, root, window, limits, root);
    fclose(file);
    if (machine == NULL) machine = bench_machine();
    const bench_options o = {
        .suite_path = path, .directory = out, .argc = 1, .argv = arguments, .machine = machine, .resume = resume};
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON *results = bench_results(out);
    free(path);
    free(out);
    return results;
}

static double value(const cJSON *limits, const char *key, const char *what)
{
    const cJSON *item = json_find(json_find(limits, key), what);
    return json_is_number(item) ? item->valuedouble : -1;
}

/* A plan is a promise: what it says that fits does. So the smallest limit is not above the planned need, but for what the
 * search leaves open, and the longest context not below the planned one. */
static void check_found(const cJSON *item)
{
    const cJSON *limits = json_find(item, "limits");
    const char *id = bench_text(item, "id");
    const double limit = value(limits, "smallest_limit", "found"), need = value(limits, "smallest_limit", "planned"),
                 step = value(limits, "smallest_limit", "granularity"),
                 below = value(limits, "smallest_limit", "failed_at");
    CHECK(limit > 0 && limit <= need + step &&
              fabs(need / limit - 1 - value(limits, "smallest_limit", "difference")) < 1e-12,
          "%s: found %.0f, planned %.0f", id, limit, need);
    CHECK(below > 0 && below < limit && limit - below <= step && step <= need / 100 + 65536,
          "%s: between %.0f and %.0f by %.0f", id, below, limit, step);
    CHECK(bench_text(json_find(limits, "smallest_limit"), "reason")[0] != '\0', "%s: how did it end?", id);
    const double context = value(limits, "longest_context", "found");
    CHECK(context >= value(limits, "longest_context", "planned") - value(limits, "longest_context", "granularity"),
          "%s: %.0f positions, planned %.0f", id, context, value(limits, "longest_context", "planned"));
}

/* naive needs more than the limit: its case fails, and what it needs is found all the same. */
static void limits_are_found(void)
{
    char *folder = temporary_folder(), *out = bench_path(folder, "out");
    cJSON *results = search_with(folder, "\"total_bytes\": 7900000, \"search\": \"whole\"", 16, false);
    const cJSON *naive = bench_case_of(results, "/fp16+c"), *tuned = bench_case_of(results, "+memory+c"), *item = NULL;
    cJSON_ArrayForEach(item, json_find(results, "cases"))
    {
        const cJSON *limits = json_find(item, "limits");
        CHECK(cJSON_IsObject(limits) && bench_text(limits, "how_reason")[0] != '\0' &&
                  strcmp(bench_text(limits, "how"), "rlimit") == 0,
              "%s: no search", bench_text(item, "id"));
        if (process_limit_holds())
            check_found(item);
        else
            CHECK(bench_text(limits, "undone")[0] != '\0', "%s: no limit holds", bench_text(item, "id"));
    }
    CHECK(strcmp(bench_text(naive, "status"), "failed") == 0, "naive fits");
    if (process_limit_holds()) {
        const double some = value(json_find(naive, "limits"), "longest_context", "found");
        CHECK(some < value(json_find(tuned, "limits"), "longest_context", "found"), "naive runs at %.0f", some);
        CHECK(value(json_find(naive, "limits"), "smallest_limit", "found") > 7900000, "naive fits into less");
    }
    CHECK(schema_check_results(results, "results") == CIUIC_OK, "%s", ciuic_last_error());
    cJSON_Delete(results);

    /* What was found is found once. */
    char *journal = bench_path(out, "journal.jsonl"), *before = read_text(journal);
    results = search_with(folder, "\"total_bytes\": 7900000, \"search\": \"whole\"", 16, true);
    char *after = read_text(journal);
    CHECK(before && after && bench_count_kind(before, "search") == bench_count_kind(after, "search"),
          "searched again after --resume");
    const char *notice = NULL;
    char *report = bench_path(folder, "report"), *markdown = bench_path(report, "report.md");
    CHECK(report_write(results, "results", &(report_request){.directory = report}, &notice) == CIUIC_OK, "%s",
          ciuic_last_error());
    char *text = read_text(markdown);
    CHECK(text && strstr(text, "Smallest limit") && strstr(text, "RLIMIT"), "the report does not tell");
    cJSON_Delete(results);
    free(text);
    free(markdown);
    remove_folder(report);
    free(before);
    free(after);
    free(journal);
    remove_folder(out);
    remove_folder(folder);
}

/* Computing the ends alone takes what computing everything takes. */
static void ends_find_what_the_whole_does(void)
{
    static const char *const searches[] = {"\"total_bytes\": 7900000, \"search\": \"whole\"",
                                           "\"total_bytes\": 7900000, \"search\": \"ends\""};
    double found[2][2] = {{0}}, step[2] = {0};
    if (!process_limit_holds()) {
        CU_PASS("no limit holds here");
        return;
    }
    for (int i = 0; i < 2; i++) {
        char *folder = temporary_folder(), *out = bench_path(folder, "out");
        cJSON *results = search_with(folder, searches[i], 16, false);
        const cJSON *limits = json_find(bench_case_of(results, "int8+graph+memory+c"), "limits");
        found[i][0] = value(limits, "smallest_limit", "found");
        found[i][1] = value(limits, "longest_context", "found");
        step[0] = value(limits, "smallest_limit", "granularity");
        step[1] = value(limits, "longest_context", "granularity");
        cJSON_Delete(results);
        remove_folder(out);
        remove_folder(folder);
    }
    /* Each is known within a step, so that two may be two apart. */
    for (int k = 0; k < 2; k++)
        CHECK(found[0][k] > 0 && found[0][k] - found[1][k] <= 2 * step[k] && found[1][k] - found[0][k] <= 2 * step[k],
              "whole %.0f, ends %.0f, steps of %.0f", found[0][k], found[1][k], step[k]);
}

/* The reference's logits and the windows' session are not the variant's: a limit that its workload just keeps must not make
 * its verification fail. 500 rows of 512 logits alone are 1 MB, twice. */
static void verification_is_not_under_the_limit(void)
{
    char *folder = temporary_folder(), *out = bench_path(folder, "out");
    cJSON *results = search_with(folder, "\"total_bytes\": 8400000", 500, false);
    const cJSON *item = bench_case_of(results, "int8+graph+memory+c");
    CHECK(strcmp(bench_text(item, "status"), "ok") == 0 && cJSON_IsObject(json_find(item, "accuracy")), "%s",
          bench_text(item, "reason"));
    CHECK(json_find(item, "limits") == NULL, "searched unasked");
    cJSON_Delete(results);
    remove_folder(out);
    remove_folder(folder);
}

/* ---- cgroups ---------------------------------------------------------------------------------------------------- */

static void put_file(const char *root, const char *name, const char *text)
{
    char *path = bench_path(root, name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0, "%s", path);
    if (file != NULL) fclose(file);
    free(path);
}

static void check_group(const char *root, const char *membership, bool available, const char *says)
{
    cgroup_memory found;
    char *file = bench_path(root, "membership");
    put_file(root, "membership", membership);
    cgroup_memory_find(root, file, &found);
    CHECK(found.available == available && (available || strstr(found.reason, says) != NULL), "%s: %d, %s", membership,
          found.available, found.reason);
    free(file);
}

static void cgroups_are_found_where_they_can_be_used(void)
{
    char *root = temporary_folder(), *group = bench_path(root, "a");
    static const char mine[] = "12:memory:/other\n0::/a\n";
    check_group(root, mine, false, "not mounted");
    put_file(root, "cgroup.controllers", "cpu memory\n");
    check_group(root, "12:memory:/other\n", false, "names no cgroup v2");
    CHECK(mkdir(group, 0700) == 0, "%s", group);
    check_group(root, mine, false, "does not have the memory controller");
    put_file(group, "cgroup.subtree_control", "cpu memory.like\n");
    check_group(root, mine, false, "does not have the memory controller");
    put_file(group, "cgroup.subtree_control", "cpu memory pids\n");
    check_group(root, mine, true, "");

    cgroup_memory found;
    char *file = bench_path(root, "membership"), *made = bench_path(group, "trial");
    cgroup_memory_find(root, file, &found);
    CHECK(cgroup_memory_hold(&found, "trial", 4711, 1234567) == CIUIC_OK, "%s", ciuic_last_error());
    char *most = bench_path(made, "memory.max"), *processes = bench_path(made, "cgroup.procs");
    char *limit = read_text(most), *members = read_text(processes);
    CHECK(limit != NULL && members != NULL && strcmp(limit, "1234567") == 0 && strcmp(members, "4711") == 0, "%s, %s",
          limit, members);
    unlink(most);
    unlink(processes);
    cgroup_memory_drop(&found, "trial");
    CHECK(access(made, F_OK) != 0, "%s is left", made);
    free(most);
    free(processes);
    free(limit);
    free(members);
    free(made);
    free(file);
    remove_folder(group);
    remove_folder(root);
}

static const test_case cases[] = {
    {"limits are found, and stand beside the plan", limits_are_found},
    {"the ends find what the whole does", ends_find_what_the_whole_does},
    {"verification is not under the limit", verification_is_not_under_the_limit},
    {"cgroups are found where they can be used", cgroups_are_found_where_they_can_be_used},
};
TEST_SUITE(limit_search, cases);
