/* test_bits_report.c - what a bit buys: the plot of bits against KL, results that were not timed, and the sensitivities. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/judge/claims.h"
#include "harness/judge/judge.h"
#include "harness/report/bits_plot.h"
#include "harness/report/report.h"
#include "harness/report/schema.h"
#include "harness/report/sensitivity_plot.h"
#include "harness/tests/program.h"
#include "harness/tests/results_fixture.h"
#include "harness/tests/written_report.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

/* MADE UP: bits and KL of ways of quantising, in no order. On the hull lie int3, the gptq of 4.5 bits and the mixed one. */
static const struct {
    const char *name, *quantize, *quantizer, *activations;
    double bits, kl;
} ways[] = {
    {"int4-gptq-a32", "int4", "gptq", "none", 4.5, 0.004}, {"int4-a32", "int4", "rtn", "none", 4.5, 0.020},
    {"int4-g64-clip", "int4", "clip", "int8", 4.25, 0.04}, {"mixed8.5-gptq-a32", "mixed", "gptq", "none", 8.4, 1e-5},
    {"int3-gptq-a32", "int3", "gptq", "none", 3.5, 0.04},  {"affine8", "affine8", NULL, NULL, 8.1, 0.01},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

/* Results as bench leaves them when a suite asks for no rounds: tuned, and the ways above. */
static cJSON *untimed_results(void)
{
    cJSON *results = fixture_results(&fixture_usual), *claims = NULL;
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/accuracy-claims.json", &claims), CIUIC_OK);
    cJSON_AddItemToObject(results, "claims", claims);
    cJSON_AddFalseToObject(results, "timed");
    cJSON *old = cJSON_DetachItemFromObject(results, "cases"), *cases = cJSON_AddArrayToObject(results, "cases");
    cJSON_ReplaceItemInObject(results, "blocks", cJSON_CreateArray());
    cJSON *holder = cJSON_CreateObject();
    cJSON_AddItemToObject(holder, "cases", old);
    cJSON *tuned = cJSON_Duplicate(fixture_case(holder, "prefill128@0/b1/t2/fp16+graph+memory+avx512"), true);
    cJSON_Delete(holder);
    cJSON_DeleteItemFromObject(tuned, "latency_s");
    cJSON_AddItemToArray(cases, tuned);
    for (size_t i = 0; i < WAYS; i++) {
        char id[160];
        cJSON *c = cJSON_Duplicate(tuned, true), *variant = cJSON_GetObjectItem(c, "variant");
        cJSON *accuracy = cJSON_GetObjectItem(c, "accuracy");
        snprintf(id, sizeof id, "made-up-model/prefill128@0/b1/t2/%s+graph+memory+avx512", ways[i].name);
        cJSON_ReplaceItemInObject(c, "id", cJSON_CreateString(id));
        cJSON_ReplaceItemInObject(variant, "quantize", cJSON_CreateString(ways[i].quantize));
        cJSON_ReplaceItemInObject(variant, "baseline", cJSON_CreateNull());
        if (ways[i].quantizer != NULL) cJSON_AddStringToObject(variant, "quantizer", ways[i].quantizer);
        if (ways[i].activations != NULL) cJSON_AddStringToObject(variant, "activations", ways[i].activations);
        cJSON_ReplaceItemInObject(c, "bits_per_weight", cJSON_CreateNumber(ways[i].bits));
        cJSON_ReplaceItemInObject(accuracy, "kl", cJSON_CreateNumber(ways[i].kl));
        cJSON_ReplaceItemInObject(accuracy, "kl_error", cJSON_CreateNumber(ways[i].kl / 20));
        cJSON_AddItemToArray(cases, c);
    }
    return results;
}

static void points_are_ways_of_quantising(void)
{
    cJSON *results = fixture_results(&fixture_usual);
    result_set r;
    bits_point *points = NULL;
    size_t n = 0, groups[2];
    CU_ASSERT_EQUAL_FATAL(results_index(results, &r), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(bits_points(&r, 0, &points, &n), CIUIC_OK);
    /* Eight of int4 and eight of int8, but one point each: that with every stage on. None of unquantised weights. */
    CHECK(n == 2, "%zu points", n);
    for (size_t i = 0; i < n; i++) CHECK(is_all_on(&r, points[i].c), "%s was taken", points[i].c->id);
    CHECK(n == 2 && points[0].bits == 4.5 && points[1].bits == 8.5, "not by bits");
    CHECK(n == 2 && fabs(points[0].high - points[0].kl * (1 + 1.96 / 30)) < 1e-12, "the bar ends at %g",
          points[0].high);
    CU_ASSERT_EQUAL(bits_groups(&r, groups, &n), CIUIC_OK);
    CHECK(n == 0, "two sizes make no curve, and %zu panels were made", n);
    free(points);
    results_free(&r);
    cJSON_Delete(results);
}

static void the_hull_is_below_every_point(void)
{
    cJSON *results = untimed_results();
    result_set r;
    char *data = NULL, *variables = NULL, seen[256] = "";
    size_t bytes = 0, variable_bytes = 0, panels = 0, points = 0;
    CU_ASSERT_EQUAL_FATAL(results_index(results, &r), CIUIC_OK);
    FILE *out = open_memstream(&data, &bytes), *settings = open_memstream(&variables, &variable_bytes);
    CHECK(bits_plot_data(&r, out, settings, &panels) == CIUIC_OK && panels == 1, "%zu panels", panels);
    fclose(out);
    fclose(settings);
    for (char *rest = data, *line; (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        int panel = -1, kind = -1;
        double bits = 0, kl = 0;
        CHECK(sscanf(line, "%d\t%d\t%lf\t%lf", &panel, &kind, &bits, &kl) == 4, "row: %s", line);
        points += kind == 0;
        if (kind == 4) snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%g:%g ", bits, kl);
    }
    CHECK(points == WAYS, "%zu points", points);
    CHECK(strcmp(seen, "3.5:0.04 4.5:0.004 8.4:1e-05 ") == 0, "the hull is %s", seen);
    CHECK(strstr(variables, "names = 'rtn clip gptq affine mixed '") != NULL &&
              strstr(variables, "methods = 5") != NULL,
          "%s", variables);
    free(data);
    free(variables);
    results_free(&r);
    cJSON_Delete(results);
}

static void remove_plots(char *folder)
{
    char command[512];
    snprintf(command, sizeof command, "rm -r %s/plots", folder);
    CHECK(system(command) == 0, "%s", command);
    remove_folder(folder);
}

static void what_was_not_timed_is_said(void)
{
    cJSON *results = untimed_results();
    char *folder = temporary_folder();
    const char *notice = NULL;
    CHECK(schema_check_results(results, "made-up.json") == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(report_write(results, "made-up.json", &(report_request){.directory = folder}, &notice) == CIUIC_OK, "%s",
          ciuic_last_error());
    CHECK(schema_check_results(results, "made-up.json") == CIUIC_OK, "judged: %s", ciuic_last_error());
    char *html = read_in(folder, "index.html"), *markdown = read_in(folder, "report.md");
    char *data = read_in(folder, "plots/bits.dat");
    CHECK(has(html, "Nothing was timed") && has(markdown, "Nothing was timed"), "the page does not say it");
    CHECK(has(html, "id=\"bits\"") && has(html, "mixed8.5-gptq-a32") && has(markdown, "## What a bit buys"),
          "the page lacks the table");
    CHECK(data != NULL, "no data");
    CHECK(notice != NULL ||
              (has(html, "<title>Bits per weight against KL</title>") && has(markdown, "(plots/bits.svg)")),
          "the page lacks the plot");
    CHECK(!has(html, "Speed of every variant against tuned") && !has(html, "tuned ran twice"), "speed is spoken of");
    CHECK(cJSON_GetArraySize(json_find(results, "stages")) == 0 &&
              cJSON_GetArraySize(json_find(results, "noise_floor")) == 0,
          "stages or noise of what was not timed");
    free(html);
    free(markdown);
    free(data);
    remove_plots(folder);
    cJSON_Delete(results);
}

static const char units_text[] =
    "{\"units\": ["
    "{\"unit\": \"model.layers.0.mlp.down_proj\", \"parameters\": 9, \"chosen\": \"int8-g128\", \"kl_int4\": 0.02,"
    " \"kl_error\": 0.001, \"kl_chosen\": 1e-5, \"bits\": 8.125},"
    "{\"unit\": \"model.layers.0.self_attn.o_proj\", \"parameters\": 9, \"chosen\": \"int4-g64\", \"kl_int4\": 1e-4,"
    " \"kl_error\": 2e-4, \"kl_chosen\": 2e-4, \"bits\": 4.25},"
    "{\"unit\": \"lm'; !touch pwned\", \"parameters\": 9, \"chosen\": \"int4-g64\", \"kl_int4\": -1e-7,"
    " \"kl_error\": 1e-6, \"kl_chosen\": 0, \"bits\": 4.25}]}";

static void sensitivities_are_drawn(void)
{
    char *folder = temporary_folder(), problem[DRAW_PROBLEM];
    cJSON *explained = cJSON_Parse(units_text);
    CHECK(sensitivity_plot(explained, folder, problem) == CIUIC_OK, "%s", ciuic_last_error());
    char *data = read_in(folder, "sensitivity.dat"), *svg = read_in(folder, "sensitivity.svg");
    /* int4-g64 has fewer bits and is setting 0. The bar that would reach below zero ends at the left edge, 5e-06. */
    CHECK(has(data, "0\tlayers.0.mlp.down_proj\t0.02\t0.01804\t0.02196\t1e-05\t8.125\t1\tint8-g128\n"), "%s", data);
    CHECK(has(data, "1\tlayers.0.self_attn.o_proj\t0.0001\t5e-06\t0.000492\t0.0002\t4.25\t0\tint4-g64\n"), "%s", data);
    CHECK(has(data, "2\tlm?? ?touch pwned\t5e-06\t5e-06\t5e-06\t5e-06\t4.25\t0\tint4-g64\n"), "%s", data);
    CHECK(problem[0] != '\0' || has(svg, ">int8-g128<"), "no plot and no problem: %s", problem);
    CHECK(access("pwned", F_OK) != 0, "a name was executed");
    free(data);
    free(svg);
    cJSON_Delete(explained);
    remove_folder(folder);
}

static void bad_sensitivities_are_refused(void)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"{}", "units"},
        {"{\"units\": []}", "found 0, expected 1"},
        {"{\"units\": [3]}", "units[0]: expected an object"},
        {"{\"units\": [{\"unit\": \"a\", \"chosen\": \"int4\", \"kl_chosen\": 1, \"bits\": 4}]}", "kl_int4"},
        {"{\"units\": [{\"unit\": \"a\", \"chosen\": \"int4\", \"kl_int4\": 1, \"kl_chosen\": 1, \"bits\": -4}]}",
         "bits"},
        {"{\"units\": [{\"unit\": 1, \"chosen\": \"int4\", \"kl_int4\": 1, \"kl_chosen\": 1, \"bits\": 4}]}", "unit"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *folder = temporary_folder(), problem[DRAW_PROBLEM];
        cJSON *explained = cJSON_Parse(rows[i].text);
        CHECK(sensitivity_plot(explained, folder, problem) == CIUIC_ERROR_INPUT, "row %zu was drawn", i);
        CHECK(has(ciuic_last_error(), rows[i].says), "row %zu: %s", i, ciuic_last_error());
        CHECK(count_files(folder) == 0, "row %zu: something was written", i);
        cJSON_Delete(explained);
        remove_folder(folder);
    }
}

static const test_case cases[] = {
    {"points are ways of quantising", points_are_ways_of_quantising},
    {"the hull is below every point", the_hull_is_below_every_point},
    {"what was not timed is said", what_was_not_timed_is_said},
    {"sensitivities are drawn", sensitivities_are_drawn},
    {"bad sensitivities are refused", bad_sensitivities_are_refused},
};
TEST_SUITE(bits_report, cases);
