/* test_gbench_json.c - every member that Google Benchmark's tools/compare.py reads, and figures by hand. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/report/gbench_json.h"
#include "harness/tests/bench_fixture.h"
#include "harness/tests/program.h"
#include "harness/tests/suite_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = json_find(object, key);
    return json_is_number(item) ? item->valuedouble : NAN;
}

static const char small_results[] =
    "{\"suite\":\"s\",\"started\":\"2000-01-01T00:00:00Z\",\"program\":{\"sha256\":\"ab\"},"
    "\"machine\":{\"threads\":2,\"governor\":\"powersave\",\"load_average\":[1,2,3],"
    "\"caches\":[{\"level\":1,\"type\":\"Data\",\"bytes\":32768}]},"
    "\"cases\":[{\"id\":\"m/decode1@0/b1/t2/x\",\"status\":\"ok\",\"threads\":2,"
    "\"latency_s\":{\"samples\":[1e-6,2e-6,null,6e-6],\"cpu_samples\":[2e-6,4e-6,9,6e-6]}},"
    "{\"id\":\"m/decode1@0/b1/t2/dead\",\"status\":\"failed\",\"threads\":2},"
    "{\"id\":\"m/decode1@0/b1/t2/y\",\"status\":\"ok\",\"threads\":2,\"latency_s\":{\"samples\":[3e-6]}}],"
    "\"blocks\":[{\"iterations\":{\"m/decode1@0/b1/t2/x\":7},\"samples\":{\"m/decode1@0/b1/t2/x\":[1e-6,2e-6]}},"
    "{\"iterations\":{\"m/decode1@0/b1/t2/x\":9},\"samples\":{\"m/decode1@0/b1/t2/x\":[null,6e-6]}}]}";

static cJSON *make_small(void)
{
    cJSON *results = NULL, *out = NULL;
    CU_ASSERT_EQUAL_FATAL(json_parse(small_results, sizeof small_results - 1, "results", &results), CIUIC_OK);
    CHECK(gbench_json_make(results, &out) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON_Delete(results);
    return out;
}

static void figures_by_hand(void)
{
    cJSON *out = make_small();
    const cJSON *rows = json_find(out, "benchmarks"), *context = json_find(out, "context");
    static const struct {
        const char *suffix, *type;
        double real, cpu, iterations; /* ns: 1000, 2000, 6000 and 2000, 4000, 6000 */
    } expected[] = {
        {"x", "iteration", 1000, 2000, 7},
        {"x", "iteration", 2000, 4000, 7},
        {"x", "iteration", 6000, 6000, 9},
        {"x_mean", "aggregate", 3000, 4000, 3},
        {"x_median", "aggregate", 2000, 4000, 3},
        {"x_stddev", "aggregate", 2645.7513110645905, 2000, 3}, /* sqrt((4 + 1 + 9) / 2) = sqrt(7) thousand */
        {"x_cv", "aggregate", 0.8819171036881969, 0.5, 3},      /* sqrt(7) / 3 */
        {"y", "iteration", 3000, 0, 1},
        {"y_mean", "aggregate", 3000, 0, 1},
        {"y_median", "aggregate", 3000, 0, 1},
        {"y_stddev", "aggregate", 0, 0, 1},
        {"y_cv", "aggregate", 0, 0, 1},
    };
    const int count = (int)(sizeof expected / sizeof expected[0]);
    CHECK(cJSON_GetArraySize(rows) == count, "%d rows", cJSON_GetArraySize(rows)); /* the failed case has none */
    for (int i = 0; i < count; i++) {
        const cJSON *row = cJSON_GetArrayItem(rows, i);
        char name[64];
        snprintf(name, sizeof name, "m/decode1@0/b1/t2/%s", expected[i].suffix);
        CHECK(strcmp(bench_text(row, "name"), name) == 0 && strcmp(bench_text(row, "run_type"), expected[i].type) == 0,
              "row %d: %s, %s", i, bench_text(row, "name"), bench_text(row, "run_type"));
        CHECK(fabs(number(row, "real_time") - expected[i].real) <= 1e-12 * expected[i].real &&
                  fabs(number(row, "cpu_time") - expected[i].cpu) <= 1e-12 * expected[i].cpu &&
                  number(row, "iterations") == expected[i].iterations,
              "row %d: %.17g, %.17g, %g iterations", i, number(row, "real_time"), number(row, "cpu_time"),
              number(row, "iterations"));
        CU_ASSERT_EQUAL(number(row, "family_index"), i < 7 ? 0.0 : 1.0);
    }
    CU_ASSERT_TRUE(cJSON_IsTrue(json_find(context, "cpu_scaling_enabled")));
    CU_ASSERT_EQUAL(number(context, "num_cpus"), 2.0);
    CU_ASSERT_EQUAL(number(cJSON_GetArrayItem(json_find(context, "caches"), 0), "size"), 32768.0);
    cJSON_Delete(out);
}

/* tools/compare.py and tools/gbench/{util,report}.py read these: of every row name, time_unit, real_time and cpu_time, and to
 * sort rows the indices; of an aggregate its name. */
static void check_members(const cJSON *out)
{
    static const char *const texts[] = {"name", "run_name", "run_type", "time_unit"};
    static const char *const numbers[] = {
        "real_time", "cpu_time", "iterations", "repetitions", "threads", "family_index", "per_family_instance_index"};
    const cJSON *row = NULL;
    CHECK(json_find(out, "context") != NULL && cJSON_GetArraySize(json_find(out, "benchmarks")) > 0, "no benchmarks");
    cJSON_ArrayForEach(row, json_find(out, "benchmarks"))
    {
        const bool aggregate = strcmp(bench_text(row, "run_type"), "aggregate") == 0;
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
            CHECK(bench_text(row, texts[i])[0] != '\0', "%s: no %s", bench_text(row, "name"), texts[i]);
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
            CHECK(number(row, numbers[i]) >= 0, "%s: no %s", bench_text(row, "name"), numbers[i]);
        CHECK(aggregate == (bench_text(row, "aggregate_name")[0] != '\0') &&
                  aggregate == (bench_text(row, "aggregate_unit")[0] != '\0'),
              "%s: aggregate", bench_text(row, "name"));
        CHECK(aggregate != (number(row, "repetition_index") >= 0), "%s: repetition_index", bench_text(row, "name"));
    }
}

static void a_bench_writes_it_on_request(void)
{
    static char name[] = "bench";
    static char *arguments[] = {name, NULL};
    cJSON *machine = bench_machine(), *written = NULL;
    char *folder = temporary_folder(), *path = write_suite(folder, "small.json", NULL, NULL);
    char *out = bench_path(folder, "out"), *file = bench_path(folder, "gbench.json"), *nowhere = bench_path(path, "x");
    bench_options o = {.suite_path = path, .directory = out, .argc = 1, .argv = arguments, .machine = machine};
    o.filter.only = "prefill";
    o.gbench_out = nowhere;
    CHECK(bench_quietly(&o) == CIUIC_ERROR_INPUT, "it would have been found out at the end: %s", ciuic_last_error());
    o.gbench_out = file;
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(json_read_file(file, 1 << 24, &written) == CIUIC_OK, "%s", ciuic_last_error());
    check_members(written);
    /* Six slots of three rounds, and four aggregates each. */
    CHECK(cJSON_GetArraySize(json_find(written, "benchmarks")) == 6 * (3 + 4), "%d rows",
          cJSON_GetArraySize(json_find(written, "benchmarks")));
    cJSON_Delete(written);
    written = NULL;
    /* Asked for later, of a finished bench: nothing is measured again, and one line says that it was gone on with. */
    char *journal = bench_path(out, "journal.jsonl"), *before = read_text(journal);
    unlink(file);
    o.resume = true;
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    char *after = read_text(journal);
    CHECK(before != NULL && after != NULL && count_lines(after) == count_lines(before) + 1 &&
              bench_count_kind(after, "resume") == 1,
          "the journal has grown by more than a line");
    CHECK(json_read_file(file, 1 << 24, &written) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON_Delete(written);
    free(before);
    free(after);
    free(journal);
    cJSON_Delete(machine);
    remove_folder(folder);
    free(nowhere);
    free(file);
    free(out);
    free(path);
}

static const test_case cases[] = {
    {"figures by hand", figures_by_hand},
    {"a bench writes it on request", a_bench_writes_it_on_request},
};

TEST_SUITE(gbench_json, cases);
