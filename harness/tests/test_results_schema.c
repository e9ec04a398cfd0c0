/* test_results_schema.c - the schema of results.json: what bench leaves keeps it, what is spoilt is refused by its place, and a
 * schema that says what the reader does not know is refused as well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/judge.h"
#include "harness/report/schema.h"
#include "harness/results_file.h"
#include "harness/tests/results_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static bool has(const char *text, const char *part)
{
    return text != NULL && strstr(text, part) != NULL;
}

static void results_keep_the_schema(void)
{
    cJSON *results = fixture_bench_results(&fixture_usual);
    ciuic_status status = schema_check_results(results, "made-up.json");
    CHECK(status == CIUIC_OK, "before judging: %s", ciuic_last_error());
    status = judge_results(results, cJSON_GetObjectItem(results, "claims"));
    CHECK(status == CIUIC_OK, "judging: %s", ciuic_last_error());
    status = schema_check_results(results, "made-up.json");
    CHECK(status == CIUIC_OK, "after judging: %s", ciuic_last_error());
    cJSON_Delete(results);
}

/* Replaces what a path of keys and indices leads to; JSON NULL: removes it. */
static void spoil(cJSON *root, const char *path, const char *json)
{
    char copy[128], *rest = copy, *step;
    snprintf(copy, sizeof copy, "%s", path);
    cJSON *parent = NULL, *item = root;
    while ((step = strtok_r(rest, "/", &rest)) != NULL) {
        parent = item;
        item = cJSON_IsArray(parent) ? cJSON_GetArrayItem(parent, atoi(step))
                                     : cJSON_GetObjectItemCaseSensitive(parent, step);
        CU_ASSERT_PTR_NOT_NULL_FATAL(item);
    }
    if (json == NULL)
        cJSON_Delete(cJSON_DetachItemViaPointer(parent, item));
    else if (cJSON_IsArray(parent))
        cJSON_ReplaceItemViaPointer(parent, item, cJSON_Parse(json));
    else
        cJSON_ReplaceItemInObjectCaseSensitive(parent, item->string, cJSON_Parse(json));
}

static void spoilt_results_are_refused_by_place(void)
{
    const struct {
        const char *path, *json, *complaint;
    } table[] = {
        {"schema_version", "2", "schema_version: found 2, expected 1"},
        {"seed", NULL, "the whole: found no such key, expected key \"seed\""},
        {"cases", "{}", "cases: found an object, expected array"},
        {"cases/3/status", "\"fine\"", "cases[3].status: found \"fine\", expected \"ok\" or \"failed\" or \"skipped\""},
        {"cases/0/variant/graph", "1", "cases[0].variant.graph: found 1, expected boolean or string"},
        {"cases/0/workload/tokens", "0", "cases[0].workload.tokens: found 0, expected at least 1"},
        {"cases/0/workload/tokens", "1.5", "cases[0].workload.tokens: found 1.5, expected integer"},
        {"cases/0/latency_s/samples/2", "-1", "cases[0].latency_s.samples[2]: found -1, expected more than 0"},
        {"cases/1/id", NULL, "cases[1]: found no such key, expected key \"id\""},
        {"cases/1/accuracy/kl", "\"small\"", "cases[1].accuracy.kl: found \"small\", expected number or null"},
        {"blocks/0/samples", "[]", "blocks[0].samples: found an array, expected object"},
        {"blocks/1/rounds", "-3", "blocks[1].rounds: found -3, expected at least 0"},
        {"machine/cores", "\"two\"", "machine.cores: found \"two\", expected integer"},
        {"machine/bandwidth_bytes_per_s/2", "-1", "machine.bandwidth_bytes_per_s.2: found -1, expected at least 0"},
        {"machine/bandwidth_by_isa_bytes_per_s/avx2/1", "-2.6e10",
         "machine.bandwidth_by_isa_bytes_per_s.avx2.1: found -26000000000, expected at least 0"},
        {"machine/bandwidth_by_isa_bytes_per_s/c", "5",
         "machine.bandwidth_by_isa_bytes_per_s.c: found 5, expected object"},
        {"machine/bandwidth_bytes_per_s/1", "1e308",
         "machine.bandwidth_bytes_per_s.1: found 1e+308, expected at most 1e+18"},
        {"machine/bandwidth_by_isa_bytes_per_s/c/2", "1.01e18",
         "machine.bandwidth_by_isa_bytes_per_s.c.2: found 1.01e+18"},
        {"machine/peak_flops_per_s/c/2", "1e19", "machine.peak_flops_per_s.c.2: found 1e+19"},
        {"machine/peak_flops_per_s/c/1", "\"fast\"", "machine.peak_flops_per_s.c.1: found \"fast\""},
        {"machine/caches/0/bytes", NULL, "machine.caches[0]: found no such key, expected key \"bytes\""},
        {"claims", "[]", "claims: found 0, expected at least 1 items"},
        {"claims/0/metric", "\"beauty\"", "claims[0].metric: found \"beauty\""},
        {"complete", "\"yes\"", "complete: found \"yes\", expected boolean"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cJSON *results = fixture_bench_results(&fixture_usual);
        spoil(results, table[i].path, table[i].json);
        const ciuic_status status = schema_check_results(results, "made-up.json");
        CHECK(status == CIUIC_ERROR_INPUT, "%s spoilt: status %d", table[i].path, (int)status);
        CHECK(has(ciuic_last_error(), table[i].complaint) && has(ciuic_last_error(), "made-up.json: "),
              "%s spoilt: said \"%s\", expected \"%s\"", table[i].path, ciuic_last_error(), table[i].complaint);
        cJSON_Delete(results);
    }
}

static void a_schema_is_read_strictly(void)
{
    const struct {
        const char *schema, *value, *complaint;
    } table[] = {
        {"{\"maxLength\": 3}", "\"x\"", "uses \"maxLength\""},
        {"{\"$ref\": \"#/$defs/none\"}", "1", "refers to \"#/$defs/none\""},
        {"{\"$defs\": {\"a\": {\"$ref\": \"#/$defs/a\"}}, \"$ref\": \"#/$defs/a\"}", "1", "nesting this deep"},
        {"{\"additionalProperties\": false, \"properties\": {\"a\": true}}", "{\"a\": 1, \"b\": 2}",
         "b: found this key"},
        {"{\"anyOf\": [{\"type\": \"null\"}, {\"type\": \"string\"}]}", "3", "found 3, expected string"},
        {"{\"maximum\": 3}", "4", "at most 3"},
        {"{\"pattern\": \"^a[0-9]{1,2}$\"}", "\"a123\"", "found \"a123\", expected ^a[0-9]{1,2}$"},
        {"{\"pattern\": \"(\"}", "\"a\"", "cannot read"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cJSON *schema = cJSON_Parse(table[i].schema), *value = cJSON_Parse(table[i].value);
        CU_ASSERT_EQUAL(schema_check(value, schema, "x"), CIUIC_ERROR_INPUT);
        CHECK(has(ciuic_last_error(), table[i].complaint), "said \"%s\", expected \"%s\"", ciuic_last_error(),
              table[i].complaint);
        cJSON_Delete(schema);
        cJSON_Delete(value);
    }
}

static void a_cross_checks_figures_are_speeds(void)
{
    static const struct {
        const char *check, *complaint; /* NULL: it is sound */
    } rows[] = {
        {"{\"bandwidth\": {\"1\": {\"own\": 1e18, \"own_plain\": 0, \"likwid_bench\": null}}}", NULL},
        {"{\"bandwidth\": {\"1\": {\"likwid_bench\": 1e308}}}",
         "machine.cross_check.bandwidth.1.likwid_bench: found 1e+308, expected at most 1e+18"},
        {"{\"bandwidth\": {\"1\": {\"own\": -1, \"likwid_bench\": 1}}}",
         "machine.cross_check.bandwidth.1.own: found -1, expected at least 0"},
        {"{\"narrower_loads\": {\"c\": {\"bandwidth\": {\"1\": {\"own_plain\": 2e18, \"likwid_bench\": 1}}}}}",
         "machine.cross_check.narrower_loads.c.bandwidth.1.own_plain: found 2e+18"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *results = fixture_bench_results(&fixture_usual);
        set_member(cJSON_GetObjectItem(results, "machine"), "cross_check", cJSON_Parse(rows[i].check));
        const ciuic_status status = schema_check_results(results, "made-up.json");
        CHECK(status == (rows[i].complaint != NULL ? CIUIC_ERROR_INPUT : CIUIC_OK), "row %zu: status %d", i,
              (int)status);
        CHECK(rows[i].complaint == NULL || has(ciuic_last_error(), rows[i].complaint), "row %zu: said \"%s\"", i,
              ciuic_last_error());
        cJSON_Delete(results);
    }
}

/* What a version before this one called otherwise is read under the name that it has now. */
static void earlier_names_are_read(void)
{
    cJSON *results = fixture_bench_results(&fixture_usual);
    results_file file;
    set_member(cJSON_GetObjectItem(results, "machine"), "company",
               cJSON_Parse("{\"others_cores\": 0.25, \"stolen_cores\": null, \"seconds\": 7}"));
    CHECK(results_file_take(results, "made-up.json", &file) == CIUIC_OK, "%s", ciuic_last_error());
    const cJSON *machine = json_find(file.root, "machine");
    CHECK(json_number(json_find(machine, "background_load"), "others_cores") == 0.25, "it was lost");
    CHECK(json_find(machine, "company") == NULL, "it has two names");
    results_file_free(&file);
}

/* What the schema cannot say is refused by file and place as well. */
static void a_lost_sample_is_refused_by_file(void)
{
    cJSON *results = fixture_bench_results(&fixture_usual);
    results_file file;
    spoil(results, "blocks/0/rounds", "16");
    cJSON_DeleteItemFromObjectCaseSensitive(results, CONTENT_DIGEST_KEY);
    CU_ASSERT_EQUAL(results_file_take(results, "made-up.json", &file), CIUIC_ERROR_INPUT);
    CHECK(strncmp(ciuic_last_error(), "made-up.json: blocks[0].samples[", 32) == 0, "%s", ciuic_last_error());
    results_file_free(&file);
}

static const test_case cases[] = {
    {"results keep the schema", results_keep_the_schema},
    {"spoilt results are refused by place", spoilt_results_are_refused_by_place},
    {"a cross-check's figures are speeds", a_cross_checks_figures_are_speeds},
    {"a schema is read strictly", a_schema_is_read_strictly},
    {"a lost sample is refused by file", a_lost_sample_is_refused_by_file},
    {"earlier names are read", earlier_names_are_read},
};
TEST_SUITE(results_schema, cases);
