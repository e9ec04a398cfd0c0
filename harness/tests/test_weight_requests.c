/* test_weight_requests.c - a bench makes every weight once more whether or not there is a reference, or a clock, and a worker that
 * fails at it costs its case. optimizer/tests/test_weight_check.c has what is found. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/schema.h"
#include "harness/tests/bench_fixture.h"
#include "harness/tests/program.h"
#include "harness/tests/suite_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static void weights_are_checked_in_every_suite(void)
{
    static const struct {
        const char *from, *to; /* of the fixture's suite */
        const char *fault;     /* of the int8 variants' workers; NULL: none */
        bool scored;
    } rows[] = {
        {"\"windows\": 1, \"tokens\": 8", "\"windows\": 1, \"tokens\": 8", NULL, true},
        {"\"windows\": 1, \"tokens\": 8", "\"windows\": 0, \"tokens\": 8, \"reference\": false", NULL, false},
        {"\"rounds\": 3,\n  \"min_rounds\": 3,\n", "\"rounds\": 0,\n", NULL, true},
        {"\"windows\": 1, \"tokens\": 8", "\"windows\": 0, \"tokens\": 8, \"reference\": false", "sigkill@weights",
         false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *folder = temporary_folder();
        char *suite_path = write_suite(folder, "s.json", rows[i].from, rows[i].to), *out = bench_path(folder, "out");
        cJSON *machine = bench_machine();
        static char name[] = "bench", *arguments[] = {name, NULL};
        bench_options options = {
            .suite_path = suite_path, .directory = out, .argc = 1, .argv = arguments, .machine = machine};
        options.filter.only = "prefill*graph+memory";
        options.fault = rows[i].fault;
        options.fault_only = rows[i].fault != NULL ? "int8" : NULL;
        CHECK(bench_quietly(&options) == CIUIC_OK, "row %zu: %s", i, ciuic_last_error());
        cJSON *results = bench_results(out);
        const cJSON *item = NULL;
        size_t ok = 0, failed = 0;
        cJSON_ArrayForEach(item, json_find(results, "cases"))
        {
            const cJSON *check = json_find(item, "weight_check");
            const bool int8 = strstr(bench_text(item, "id"), "int8") != NULL;
            failed += strcmp(bench_text(item, "status"), "failed") == 0 && rows[i].fault != NULL && int8 &&
                      strstr(bench_text(item, "reason"), "weights") != NULL;
            if (strcmp(bench_text(item, "status"), "ok") != 0) continue;
            ok++;
            CHECK(json_number(check, "checked") > 1e6 && json_number(check, "unchecked") == 0 &&
                      json_number(check, "seconds") > 0,
                  "row %zu: %s: %g weights", i, bench_text(item, "id"), json_number(check, "checked"));
            CHECK(cJSON_IsObject(json_find(item, "accuracy")) == rows[i].scored, "row %zu: errors", i);
        }
        CHECK(ok > 0 && (failed > 0) == (rows[i].fault != NULL), "row %zu: %zu cases, %zu failed", i, ok, failed);
        CHECK(schema_check_results(results, "results.json") == CIUIC_OK, "%s", ciuic_last_error());
        cJSON_Delete(results);
        cJSON_Delete(machine);
        free(suite_path);
        remove_folder(out);
        remove_folder(folder);
    }
}

static const test_case cases[] = {
    {"weights are checked in every suite", weights_are_checked_in_every_suite},
};
TEST_SUITE(weight_requests, cases);
