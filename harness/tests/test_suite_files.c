/* test_suite_files.c - suites: bad ones refused by place, good ones expanded to the cases and blocks that they mean. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/graph_setting.h"
#include "harness/report/schema.h"
#include "harness/suite/matrix.h"
#include "harness/suite/suite.h"
#include "harness/tests/program.h"
#include "harness/tests/suite_fixture.h"
#include "harness/worker/onednn.h"
#include "optimizer/graph/graph.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static const struct {
    const char *from, *to; /* what is changed in the valid suite */
    const char *says[2];   /* parts of the message */
} bad_suites[] = {
    {"\"seed\": 7", "\"sede\": 7", {"sede", "did you mean \"seed\""}},
    {"\"seed\": 7", "\"seed\": -1", {"seed", NULL}},
    {"\"seed\": 7", "\"seed\": 1.5", {"seed", NULL}},
    {"\"seed\": 7", "\"seed\": \"7\"", {"seed", NULL}},
    {"\"seed\": 7,", "", {"seed", NULL}},
    {"\"schema_version\": 1", "\"schema_version\": 2", {"schema_version", NULL}},
    {"\"name\": \"small\"", "\"name\": \"../small\"", {"name", "letters, digits"}},
    {"\"name\": \"small\"", "\"name\": \"\"", {"name", "letters, digits"}},
    {"datasets/deepseek-v3-tiny\"]", "datasets/deepseek-v4-tiny\"]", {"checkpoints[0]", "is no checkpoint"}},
    {"tiny\"]", "tiny\", \"@ROOT@/datasets/deepseek-v3-tiny/\"]", {"checkpoints[1]", "second checkpoint called"}},
    {"[\"@ROOT@/datasets/deepseek-v3-tiny\"]", "[]", {"checkpoints", "found 0 entries"}},
    {"[\"@ROOT@/datasets/deepseek-v3-tiny\"]", "[3]", {"checkpoints[0]", "expected a string"}},
    {"[\"@ROOT@/datasets/deepseek-v3-tiny\"]", "[{\"path\": \"x\"}]", {"checkpoints[0]", "\"like\" is missing"}},
    {"[\"@ROOT@/datasets/deepseek-v3-tiny\"]",
     "[{\"path\": \"x\", \"like\": \"y\", \"layer\": 1}]",
     {"checkpoints[0]", "did you mean \"layers\""}},
    {"[\"@ROOT@/datasets/deepseek-v3-tiny\"]",
     "[{\"path\": \"x\", \"like\": \"y\", \"layers\": 0}]",
     {"checkpoints[0]", "layers"}},
    {"[\"@ROOT@/datasets/deepseek-v3-tiny\"]",
     "[{\"path\": \"/no/such/../x\", \"like\": \"/shapes/y.json\", \"layers\": 4, \"seed\": 9}]",
     {"\"/no/such/../x\" is not there", "'ciuic synth --like /shapes/y.json --layers 4 --seed 9 -o /no/x' makes it"}},
    {"[\"@ROOT@/datasets/deepseek-v3-tiny\"]",
     "[{\"path\": \"/a/b/../../x\", \"like\": \"@ROOT@/suites/../y.json\"}]",
     {"/y.json --seed 1 -o /x' makes it", NULL}},
    {"\"checkpoint\": \"deepseek-v3-tiny\"",
     "\"checkpoint\": \"deepseek-v3-tin\"",
     {"workloads[0]: checkpoint", "did you mean \"deepseek-v3-tiny\""}},
    {"\"prefill\"", "\"prefil\"", {"workloads[0]: phase", "did you mean \"prefill\""}},
    {"\"tokens\": 8}", "\"tokens\": 0}", {"workloads[0]", "tokens"}},
    {"\"tokens\": 8}", "\"tokens\": 4096}", {"workloads[0]", "tokens"}},
    {"\"tokens\": 8}", "\"tokens\": 8, \"depth\": 4}", {"workloads[0]: depth", "starts from nothing"}},
    {"\"tokens\": 8}", "\"tokens\": 8, \"batch\": 2}", {"workloads[0]", "batch"}},
    {"\"tokens\": 8}", "\"tokens\": 8, \"tokens\": 9}", {"tokens", "twice"}},
    {"\"depth\": 8", "\"depth\": 2047", {"workloads[1]: depth + tokens", "2047 + 4"}},
    {"\"depth\": 8", "\"deep\": 8", {"workloads[1]", "deep"}},
    {"\"phase\": \"decode\", \"tokens\": 4, \"depth\": 8",
     "\"phase\": \"prefill\", \"tokens\": 8",
     {"workloads[1]", "the same as workloads[0]"}},
    {"\"memory_bytes\": 1073741824", "\"search\": \"whole\"", {"limits: search", "\"total_bytes\" beside it"}},
    {"\"memory_bytes\": 1073741824",
     "\"total_bytes\": 9999999, \"search\": \"hole\"",
     {"did you mean \"whole\"", NULL}},
    {"\"memory_bytes\": 1073741824", "\"total_bytes\": 9999999, \"how\": \"cgroup\"", {"limits: how", "\"search\""}},
    {"[\"int8\"]", "[\"int8\", \"int7\"]", {"quantize", "found \"int7\""}},
    {"[\"int8\"]", "[\"int8\", \"int8\"]", {"quantize", "given twice"}},
    {"[\"int8\"]", "[]", {"quantize", "found 0 entries"}},
    {"\"graph\": [\"on\"]", "\"graph\": [true]", {"graph[0]", "expected a string"}},
    {"\"graph\": [\"on\"]", "\"graph\": [\"on\", \"fuse-qvk\"]", {"graph 'fuse-qvk'", "did you mean 'fuse-qkv'"}},
    {"\"graph\": [\"on\"]",
     "\"graph\": [\"last-row,fuse-qkv\", \"fuse-qkv,last-row\"]",
     {"graph", "\"fuse-qkv,last-row\" is given twice"}},
    {"[\"off\", \"on\"]", "[\"off\", \"most\"]", {"memory", "most"}},
    {"\"kernels\": [\"c\"]", "\"kernels\": [\"avx\"]", {"kernels", "did you mean \"avx2\""}},
    {"\"kernels\": [\"c\"]", "\"kernel\": [\"c\"]", {"variants.product", "did you mean \"kernels\""}},
    {"\"extra\": []", "\"extra\": [{\"quantize\": \"int4\"}]", {"variants.extra[0]", "graph"}},
    {"\"extra\": []", "\"extra\": [7]", {"variants.extra[0]", "expected an object"}},
    {"\"naive\", \"tuned\"", "\"naive\"", {"baselines", "\"tuned\" is missing"}},
    {"\"naive\", \"tuned\"", "\"naïve\", \"tuned\"", {"baselines", "naive"}},
    {"\"threads\": [1]", "\"threads\": [0]", {"threads[0]", "from 1 to 1024"}},
    {"\"threads\": [1]", "\"threads\": [1, 1]", {"threads[1]", "given twice"}},
    {"\"threads\": [1]", "\"threads\": [\"most\"]", {"threads[0]", "\"all\""}},
    {"\"rounds\": 3", "\"rounds\": 0", {"min_rounds: expected none", "rounds is 0"}},
    {"\"rounds\": 3", "\"rounds\": -1", {"rounds", NULL}},
    {"\"min_rounds\": 3", "\"min_rounds\": 4", {"min_rounds", NULL}},
    {"\"min_time_s\": 0", "\"min_time_s\": 0, \"precision\": 0", {"precision", NULL}},
    {"\"min_time_s\": 0", "\"min_time_s\": 0, \"precision\": 1", {"precision", NULL}},
    {"\"min_time_s\": 0", "\"min_time_s\": 0, \"precision\": \"1%\"", {"precision", NULL}},
    {"\"rounds\": 3,\n  \"min_rounds\": 3", "\"rounds\": 0, \"precision\": 0.01", {"precision: expected none", NULL}},
    {"\"min_time_s\": 0", "\"min_time_s\": -1", {"min_time_s", NULL}},
    {"\"min_time_s\": 0", "\"min_time_s\": 0, \"counters\": \"simulate\"", {"counters", "did you mean \"simulated\""}},
    {"\"min_time_s\": 0", "\"min_time_s\": 0, \"counters\": true", {"counters", NULL}},
    {"\"min_time_s\": 0", "\"min_time_s\": 1e999", {"min_time_s", NULL}},
    {"\"windows\": 1, \"tokens\": 8", "\"windows\": 1, \"tokens\": 4000", {"accuracy", "tokens"}},
    {"\"windows\": 1, \"tokens\": 8", "\"windows\": 1", {"accuracy", "tokens"}},
    {"\"windows\": 1, \"tokens\": 8", "\"windows\": 1, \"tokens\": 8, \"reference\": false", {"accuracy", "windows"}},
    {"\"windows\": 1, \"tokens\": 8", "\"windows\": 1, \"tokens\": 8, \"reference\": 0", {"accuracy", "reference"}},
    {"\"time_budget_s\": 1", "\"time_budget_s\": 0", {"time_budget_s", NULL}},
    {"\"workers\": 12", "\"workers\": 4", {"limits", "workers"}}, /* a block: three baselines, a twin, a variant */
    {"\"workers\": 12", "\"worker\": 12", {"limits", "did you mean \"workers\""}},
    {"\"@ROOT@/suites/claims.json\"", "3", {"claims", NULL}},
    {"\"claims\": ", "\"claim\": ", {"claim", "did you mean \"claims\""}},
    {"}\n  ],", "}\n  ,", {"not valid JSON", NULL}},
    {"  ],\n  \"variants\"", "  ] \"variants\"", {":10:", "not valid JSON"}},
};

/* An entry of variants.extra besides graph, memory and kernels, and what it is called; NULL: refused, with these words. */
static const struct {
    const char *settings, *name, *says;
} quantisings[] = {
    {"\"quantize\": \"int4\", \"group\": 64, \"asymmetric\": true, \"quantizer\": \"gptq\", \"activations\": \"none\"",
     "int4-g64-asym-gptq-a32+graph+c", NULL},
    {"\"quantize\": \"int3\", \"group\": 128, \"quantizer\": \"clip\"", "int3-g128-clip+graph+c", NULL},
    {"\"quantize\": \"int8\", \"group\": \"row\", \"asymmetric\": false", "int8-row+graph+c", NULL},
    {"\"quantize\": \"int4\", \"quantizer\": \"awq\"", "int4-awq+graph+c", NULL},
    {"\"quantize\": \"int4\", \"group\": 32, \"quantizer\": \"rtn\"", "int4+graph+c", NULL},
    {"\"quantize\": \"mixed\", \"bits\": 4.8", "mixed4.8-gptq+graph+c", NULL},
    {"\"quantize\": \"mixed\", \"memory_limit_bytes\": 4500000", "mixed4500000B-gptq+graph+c", NULL},
    {"\"quantize\": \"mixed\", \"bits\": 5, \"memory_limit_bytes\": 4500000, \"quantizer\": \"rtn\"",
     "mixed5-4500000B+graph+c", NULL},
    {"\"quantize\": \"affine4\", \"layers_only\": true", "affine4-layers+graph+c", NULL},
    {"\"quantize\": \"int4\", \"quantizer\": \"gptq\", \"layers_only\": true", "int4-layers-gptq+graph+c", NULL},
    {"\"quantize\": \"mixed\", \"bits\": 5, \"layers_only\": true", NULL, "quantize mixed chooses"},
    {"\"quantize\": \"none\", \"layers_only\": true", NULL, "quantize none leaves everything"},
    {"\"quantize\": \"int4\", \"group\": 48", NULL, "group: found 48, expected 32, 64, 128 or \"row\""},
    {"\"quantize\": \"int4\", \"group\": \"col\"", NULL, "group: found \"col\", expected"},
    {"\"quantize\": \"int4\", \"group\": [32]", NULL, "group: found [32], expected"},
    {"\"quantize\": \"int4\", \"quantizer\": \"gtpq\"", NULL, "quantizer: found \"gtpq\""},
    {"\"quantize\": \"int4\", \"asymmetric\": 1", NULL, "asymmetric"},
    {"\"quantize\": \"int4\", \"activations\": \"fp16\"", NULL, "activations: found \"fp16\""},
    {"\"quantize\": \"int4\", \"quantiser\": \"rtn\"", NULL, "did you mean \"quantizer\""},
    {"\"quantize\": \"affine8\", \"group\": 64", NULL, "quantize affine8 has its own"},
    {"\"quantize\": \"affine4\", \"quantizer\": \"gptq\"", NULL, "quantizer gptq is for"},
    {"\"quantize\": \"affine4\", \"activations\": \"none\"", NULL, "quantize affine4 reads FP32 ones"},
    {"\"quantize\": \"none\", \"asymmetric\": true", NULL, "quantize none has its own"},
    {"\"quantize\": \"mixed\"", NULL, "needs a budget"},
    {"\"quantize\": \"mixed\", \"bits\": 0.5", NULL, "bits"},
    {"\"quantize\": \"mixed\", \"bits\": 5, \"group\": 64", NULL, "quantize mixed has its own"},
    {"\"quantize\": \"int4\", \"bits\": 4.8", NULL, "a budget of bits or bytes is for quantize mixed"},
};

static bool has_case(const suite *s, const char *name)
{
    bench_matrix *m = NULL;
    const matrix_filter all = {0};
    bool found = false;
    CHECK(matrix_expand(s, &all, &m) == CIUIC_OK, "%s", ciuic_last_error());
    for (size_t i = 0; m != NULL && i < m->case_count; i++)
        found = found || strcmp(strrchr(m->cases[i].id, '/') + 1, name) == 0;
    matrix_free(m);
    return found;
}

/* What the schema says of an entry cannot be less than what the program says, save for contradictions. */
static void ways_of_quantising_are_read_and_named(void)
{
    char *folder = temporary_folder();
    cJSON *schema = NULL;
    CHECK(json_read_file("suites/suite.schema.json", 1 << 20, &schema) == CIUIC_OK, "%s", ciuic_last_error());
    for (size_t i = 0; i < sizeof quantisings / sizeof quantisings[0]; i++) {
        char entry[512];
        snprintf(entry, sizeof entry, "\"extra\": [{%s, \"graph\": \"on\", \"memory\": \"off\", \"kernels\": \"c\"}]",
                 quantisings[i].settings);
        char *path = write_suite(folder, "one.json", "\"extra\": []", entry);
        suite *s = NULL;
        cJSON *json = NULL;
        const ciuic_status status = suite_read(path, &s);
        const char *says = quantisings[i].says;
        if (says == NULL) {
            CHECK(status == CIUIC_OK, "row %zu: %s", i, ciuic_last_error());
            CHECK(s != NULL && has_case(s, quantisings[i].name), "row %zu: no case %s", i, quantisings[i].name);
            CHECK(json_read_file(path, 1 << 20, &json) == CIUIC_OK && schema_check(json, schema, path) == CIUIC_OK,
                  "row %zu: %s", i, ciuic_last_error());
        } else {
            CHECK(status == CIUIC_ERROR_INPUT && s == NULL, "row %zu: status %d", i, (int)status);
            CHECK(strstr(ciuic_last_error(), "one.json: variants.extra[0]") != NULL &&
                      strstr(ciuic_last_error(), says) != NULL,
                  "row %zu: '%s' is not in: %s", i, says, ciuic_last_error());
        }
        cJSON_Delete(json);
        suite_free(s);
        free(path);
    }
    cJSON_Delete(schema);
    remove_folder(folder);
}

/* A product over ways of quantising is every combination, and none that contradicts itself. */
static void a_product_of_ways_of_quantising(void)
{
    char *folder = temporary_folder();
    char *path = write_suite(folder, "product.json", "\"quantize\": [\"int8\"]",
                             "\"quantize\": [\"int8\", \"int4\"], \"quantizer\": [\"rtn\", \"gptq\"], \"group\": [32, "
                             "\"row\"], \"asymmetric\": [false, true], \"activations\": [\"none\"]");
    suite *s = NULL;
    CHECK(suite_read(path, &s) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(s != NULL && s->product_count == 2 * 2 * 2 * 2 * 2, "%zu combinations", s != NULL ? s->product_count : 0);
    CHECK(s != NULL && has_case(s, "int4-row-asym-gptq-a32+graph+memory+c"), "a combination is missing");
    suite_free(s);
    free(path);
    path = write_suite(folder, "product.json", "\"quantize\": [\"int8\"]",
                       "\"quantize\": [\"int8\", \"affine8\"], \"quantizer\": [\"gptq\"]");
    s = NULL;
    CHECK(suite_read(path, &s) == CIUIC_ERROR_INPUT, "a contradiction was read");
    CHECK(strstr(ciuic_last_error(), "product.json: variants.product: affine8-gptq: quantizer gptq is for") != NULL,
          "%s", ciuic_last_error());
    suite_free(s);
    free(path);
    remove_folder(folder);
}

/* Passes are one setting however they are listed, all that "on" runs are "on", and ids say which ran. */
static void passes_of_the_graph_stage(void)
{
    char *folder = temporary_folder();
    char every[512] = "\"graph\": [\"off\", \"last-row,fuse-qkv\", \"";
    const ciuic_options on = {.graph = true};
    for (int i = 0; i < CIUIC_PASSES; i++) {
        const size_t used = strlen(every);
        if (!graph_pass_selected(&on, (ciuic_pass)i)) continue;
        snprintf(every + used, sizeof every - used, "%s%s", i > 0 ? "," : "", ciuic_pass_name((ciuic_pass)i));
    }
    strcat(every, "\"]");
    char *path = write_suite(folder, "passes.json", "\"graph\": [\"on\"]", every);
    suite *s = NULL;
    CHECK(suite_read(path, &s) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(s != NULL && has_case(s, "int8+graph=fuse-qkv,last-row+memory+c"), "no case with two passes");
    CHECK(s != NULL && has_case(s, "int8+graph+memory+c") && has_case(s, "int8+c"), "no case with all or none");
    suite_free(s);
    free(path);
    remove_folder(folder);
}

static void the_setting_of_the_graph_stage_survives_json(void)
{
    const ciuic_options settings[] = {
        {.graph = false},
        {.graph = true},
        {.graph = true, .passes = 1u << CIUIC_PASS_LAST_ROW | 1},
        {.graph = true, .passes = (1u << CIUIC_PASSES) - 1}, /* more than "on" runs */
        {.graph = true, .passes = (1u << CIUIC_PASSES) - 2},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        cJSON *json = cJSON_CreateObject();
        ciuic_options back = {.passes = 77};
        CU_ASSERT_TRUE(graph_setting_add(json, &settings[i]));
        CHECK(graph_setting_read(json, "here", &back) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(back.graph == settings[i].graph && back.passes == settings[i].passes, "setting %zu", i);
        cJSON_Delete(json);
    }
    cJSON *wrong = cJSON_CreateObject();
    ciuic_options back = {0};
    CHECK(graph_setting_read(wrong, "here", &back) == CIUIC_ERROR_INPUT, "nothing was read");
    cJSON_AddStringToObject(wrong, "graph", "fuse");
    CHECK(graph_setting_read(wrong, "here", &back) == CIUIC_ERROR_INPUT, "a wrong name was read");
    cJSON_Delete(wrong);
}

/* What is refused names every pass that there is, and by name the passes that "on" runs are "on". */
static void every_pass_has_room(void)
{
    ciuic_options options, on = {.graph = true};
    char usual[GRAPH_SETTING_SIZE] = "";
    CHECK(graph_setting_parse(CIUIC_ERROR_USAGE, "here", "nope", &options) == CIUIC_ERROR_USAGE, "it was read");
    for (int i = 0; i < CIUIC_PASSES; i++) {
        const char *name = ciuic_pass_name((ciuic_pass)i);
        CHECK(strstr(ciuic_last_error(), name) != NULL, "no %s in: %s", name, ciuic_last_error());
        if (graph_pass_selected(&on, (ciuic_pass)i))
            snprintf(usual + strlen(usual), sizeof usual - strlen(usual), "%s%s", usual[0] != '\0' ? "," : "", name);
    }
    CHECK(graph_setting_parse(CIUIC_ERROR_USAGE, "here", usual, &options) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(options.graph && options.passes == 0, "%s is %x", usual, options.passes);
}

/* Ids are all that tells results apart. Settings that differ and are written alike are refused. */
static void names_tell_variants_apart(void)
{
    char *folder = temporary_folder();
    char *path =
        write_suite(folder, "twice.json", "\"extra\": []",
                    "\"extra\": [{\"quantize\": \"mixed\", \"bits\": 4.8, \"graph\": \"on\", \"memory\": \"on\", "
                    "\"kernels\": \"c\"}, {\"quantize\": \"mixed\", \"bits\": 4.80001, \"graph\": \"on\", "
                    "\"memory\": \"on\", \"kernels\": \"c\"}]");
    suite *s = NULL;
    bench_matrix *m = NULL;
    const matrix_filter all = {0};
    CHECK(suite_read(path, &s) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(matrix_expand(s, &all, &m) == CIUIC_ERROR_INPUT && m == NULL, "two variants have one name");
    CHECK(strstr(ciuic_last_error(), "mixed4.8-gptq+graph+memory+c") != NULL, "%s", ciuic_last_error());
    suite_free(s);
    free(path);
    remove_folder(folder);
}

static void the_accuracy_suite_is_one_untimed_block_a_checkpoint(void)
{
    suite *s = NULL;
    bench_matrix *m = NULL;
    const matrix_filter all = {0};
    CHECK(suite_read("suites/accuracy.json", &s) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(matrix_expand(s, &all, &m) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(s->rounds == 0 && m->block_count == 2, "%zu rounds, %zu blocks", s->rounds, m->block_count);
    CHECK(m->case_count == 2 * (s->extra_count + 1), "%zu cases of %zu variants", m->case_count, s->extra_count);
    for (size_t i = 0; i < m->case_count; i++)
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(m->cases[i].id, m->cases[j].id) != 0, "%s is there twice", m->cases[i].id);
    for (size_t b = 0; b < m->block_count; b++)
        for (size_t k = 0; k < m->blocks[b].slot_count; k++)
            CHECK(!m->blocks[b].slots[k].again, "block %zu has a twin, and nothing is timed", b);
    matrix_free(m);
    suite_free(s);
}

static void bad_suites_are_refused_by_place(void)
{
    char *folder = temporary_folder();
    for (size_t i = 0; i < sizeof bad_suites / sizeof bad_suites[0]; i++) {
        char *path = write_suite(folder, "bad.json", bad_suites[i].from, bad_suites[i].to);
        suite *s = NULL;
        CHECK(path != NULL, "row %zu: '%s' is not in the suite", i, bad_suites[i].from);
        if (path == NULL) continue;
        const ciuic_status status = suite_read(path, &s);
        const char *error = ciuic_last_error();
        CHECK(status == CIUIC_ERROR_INPUT && s == NULL, "row %zu (%s): status %d", i, bad_suites[i].to, (int)status);
        CHECK(strstr(error, "bad.json") != NULL, "row %zu: no file in: %s", i, error);
        for (int k = 0; k < 2; k++)
            CHECK(bad_suites[i].says[k] == NULL || strstr(error, bad_suites[i].says[k]) != NULL,
                  "row %zu: '%s' is not in: %s", i, bad_suites[i].says[k], error);
        suite_free(s);
        free(path);
    }
    remove_folder(folder);
}

/* The schema that users' editors read says the same as the program about the suites that there are. */
static void every_suite_fits_the_schema(void)
{
    char *folder = temporary_folder(), *small = write_suite(folder, "small.json", NULL, NULL);
    char *misspelt = write_suite(folder, "bad.json", "\"seed\": 7", "\"sede\": 7");
    const char *const files[] = {"suites/quick.json",
                                 "suites/accuracy.json",
                                 "suites/r1-distill-qwen-1.5b.json",
                                 "suites/deepseek-v2-lite-4-layers.json",
                                 small,
                                 misspelt};
    cJSON *schema = NULL;
    CHECK(json_read_file("suites/suite.schema.json", 1 << 20, &schema) == CIUIC_OK, "%s", ciuic_last_error());
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        cJSON *json = NULL;
        CHECK(json_read_file(files[i], 1 << 20, &json) == CIUIC_OK, "%s", ciuic_last_error());
        const ciuic_status expected = files[i] == misspelt ? CIUIC_ERROR_INPUT : CIUIC_OK;
        const ciuic_status status = schema_check(json, schema, files[i]);
        CHECK(status == expected, "%s: status %d: %s", files[i], (int)status, ciuic_last_error());
        cJSON_Delete(json);
    }
    cJSON_Delete(schema);
    free(small);
    free(misspelt);
    remove_folder(folder);
}

static void read_fixture(suite **s)
{
    char *folder = temporary_folder();
    char *path = write_suite(folder, "small.json", NULL, NULL);
    CHECK(suite_read(path, s) == CIUIC_OK, "%s", ciuic_last_error());
    free(path);
    remove_folder(folder);
}

static const bench_case *find_case(const bench_matrix *m, const char *part)
{
    for (size_t i = 0; i < m->case_count; i++)
        if (strstr(m->cases[i].id, part) != NULL) return &m->cases[i];
    return NULL;
}

static void a_suite_becomes_cases_with_ids(void)
{
    suite *s = NULL;
    bench_matrix *m = NULL;
    const matrix_filter all = {0};
    read_fixture(&s);
    CHECK(matrix_expand(s, &all, &m) == CIUIC_OK, "%s", ciuic_last_error());
    char tuned[128];
    snprintf(tuned, sizeof tuned, "deepseek-v3-tiny/decode4@8/b1/t1/fp16+graph+memory+%s",
             kernel_isa_name(kernel_isa_best()));
    CHECK(m->case_count == 2 * 5, "%zu cases", m->case_count);
    CHECK(find_case(m, "deepseek-v3-tiny/prefill8@0/b1/t1/fp16+c") != NULL, "no naive");
    CHECK(find_case(m, "deepseek-v3-tiny/decode4@8/b1/t1/openblas") != NULL, "no openblas");
    CHECK(find_case(m, "deepseek-v3-tiny/decode4@8/b1/t1/int8+graph+memory+c") != NULL, "no int8");
    CHECK(find_case(m, "deepseek-v3-tiny/decode4@8/b1/t1/int8+graph+c") != NULL, "no int8 without memory");
    const bench_case *found = find_case(m, tuned);
    CHECK(found != NULL && found->variant.baseline == BASELINE_TUNED, "no %s", tuned);
    matrix_free(m);
    suite_free(s);
}

/* Every block holds each baseline once, openblas where the suite has it, and the tuned one's twin, and every other case is in
 * exactly one block. */
static void check_blocks(const suite *s, const bench_matrix *m, bool openblas)
{
    for (size_t i = 0; i < m->case_count; i++) {
        size_t in_blocks = 0;
        for (size_t b = 0; b < m->block_count; b++)
            for (size_t k = 0; k < m->blocks[b].slot_count; k++)
                in_blocks += m->blocks[b].slots[k].index == i && !m->blocks[b].slots[k].again;
        if (m->cases[i].variant.baseline == BASELINE_NONE)
            CHECK(in_blocks == 1, "%s is in %zu blocks", m->cases[i].id, in_blocks);
    }
    for (size_t b = 0; b < m->block_count; b++) {
        size_t baselines[BASELINE_COUNT + 1] = {0}, twins = 0;
        for (size_t k = 0; k < m->blocks[b].slot_count; k++) {
            const bench_slot *slot = &m->blocks[b].slots[k];
            const bench_case *c = &m->cases[slot->index];
            CHECK(c->workload == m->blocks[b].workload && c->threads == m->blocks[b].threads, "%s strayed", c->id);
            if (slot->again)
                twins++;
            else
                baselines[c->variant.baseline]++;
        }
        CHECK(baselines[BASELINE_NAIVE] == 1 && baselines[BASELINE_TUNED] == 1 &&
                  baselines[BASELINE_OPENBLAS] == openblas && baselines[BASELINE_ONEDNN] == onednn_available() &&
                  twins == 1,
              "block %zu lacks a baseline", b);
        CHECK(m->blocks[b].slot_count <= s->worker_limit, "block %zu has %zu slots", b, m->blocks[b].slot_count);
    }
}

/* Read where its checkpoint is not there, and where it is: config.json alone, which is all that expanding needs. */
static void suites_of_real_shapes_say_how_to_make_them(void)
{
    static const struct {
        const char *name, *shape, *layers;
        bool openblas;
    } rows[] = {{"r1-distill-qwen-1.5b", "r1-distill-qwen-1.5b", "", true},
                {"deepseek-v2-lite-4-layers", "deepseek-v2-lite", " --layers 4", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *folder = temporary_folder(), command[1024], path[256], expected[512];
        const char *name = rows[i].name, *shape = rows[i].shape;
        suite *s = NULL;
        bench_matrix *m = NULL;
        const matrix_filter all = {0};
        snprintf(command, sizeof command, "mkdir %s/suites && cp suites/*.json %s/suites", folder, folder);
        CHECK(system(command) == 0, "%s", command);
        snprintf(path, sizeof path, "%s/suites/%s.json", folder, name);
        snprintf(expected, sizeof expected,
                 "'ciuic synth --like %s/datasets/shapes/%s.json%s --seed 1 -o %s/build/models/%s' makes it", folder,
                 shape, rows[i].layers, folder, name);
        CHECK(suite_read(path, &s) == CIUIC_ERROR_INPUT && s == NULL, "%s was read", path);
        CHECK(strstr(ciuic_last_error(), expected) != NULL, "'%s' is not in: %s", expected, ciuic_last_error());

        snprintf(command, sizeof command,
                 "d=%s/build/models/%s; mkdir -p $d && cp datasets/shapes/%s.json $d/config.json", folder, name, shape);
        CHECK(system(command) == 0, "%s", command);
        CHECK(suite_read(path, &s) == CIUIC_OK && matrix_expand(s, &all, &m) == CIUIC_OK, "%s", ciuic_last_error());
        if (m != NULL) check_blocks(s, m, rows[i].openblas);
        /* Naive, tuned, perhaps openblas, onednn, int8 and int4, together in one block of each workload. */
        const size_t cases = rows[i].openblas ? 2 * 6 : 2 * 5;
        if (m != NULL && kernel_isa_best() != KERNEL_ISA_C)
            CHECK(m->case_count == cases && m->block_count == 2, "%zu cases, %zu blocks", m->case_count,
                  m->block_count);
        matrix_free(m);
        suite_free(s);
        snprintf(command, sizeof command, "rm -r %s/suites %s/build", folder, folder);
        CHECK(system(command) == 0, "%s", command);
        remove_folder(folder);
    }
}

static void the_quick_suite_has_its_variants(void)
{
    suite *s = NULL;
    bench_matrix *m = NULL;
    const matrix_filter all = {0};
    CHECK(suite_read("suites/quick.json", &s) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(matrix_expand(s, &all, &m) == CIUIC_OK, "%s", ciuic_last_error());
    /* 24 of the product, of which two are the baselines naive and tuned; two of the article's formula; openblas and onednn. On a
     * machine whose best kernels are c, half of the product is the same as the other half. */
    const size_t variants = kernel_isa_best() == KERNEL_ISA_C ? 12 + 2 + 2 : 24 + 2 + 2;
    CHECK(m->case_count == 2 * variants, "%zu cases, expected %zu", m->case_count, 2 * variants);
    check_blocks(s, m, true);
    CHECK(find_case(m, "deepseek-v3-tiny/decode32@256/b1/t") != NULL && find_case(m, "/onednn") != NULL, "no onednn");
    /* What a stage adds to int4 is seen within one block. */
    for (size_t b = 0; b < m->block_count; b++) {
        size_t int4 = 0;
        for (size_t k = 0; k < m->blocks[b].slot_count; k++)
            int4 += m->cases[m->blocks[b].slots[k].index].variant.options.quantize == CIUIC_QUANTIZE_INT4;
        CHECK(int4 == 0 || int4 == (variants == 28 ? 8 : 4), "block %zu has %zu of int4", b, int4);
    }
    matrix_free(m);
    suite_free(s);
}

/* Any limit on workers gives blocks that keep the rules; a group that does not fit is cut. */
static void blocks_keep_their_rules_for_any_limit(void)
{
    suite *s = NULL;
    const matrix_filter all = {0};
    CHECK(suite_read("suites/quick.json", &s) == CIUIC_OK, "%s", ciuic_last_error());
    for (size_t limit = BASELINE_COUNT + 2; limit < 40; limit++) {
        bench_matrix *m = NULL;
        s->worker_limit = limit;
        CHECK(matrix_expand(s, &all, &m) == CIUIC_OK, "%s", ciuic_last_error());
        if (m != NULL) check_blocks(s, m, true);
        matrix_free(m);
    }
    suite_free(s);
}

static void only_keeps_what_matches_and_the_baselines(void)
{
    static const struct {
        const char *only;
        size_t cases; /* besides the three baselines of each workload that is left */
        size_t workloads;
    } rows[] = {
        {"int8+graph+memory", 1, 2},     {"decode", 2, 1},   {"dec*memory+c", 1, 1},
        {"prefill8@0/b1/t1/int8", 2, 1}, {"openblas", 0, 2}, {"p[rq]efill*int?", 2, 1},
    };
    suite *s = NULL;
    read_fixture(&s);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bench_matrix *m = NULL;
        const matrix_filter filter = {.only = rows[i].only};
        CHECK(matrix_expand(s, &filter, &m) == CIUIC_OK, "%s", ciuic_last_error());
        const size_t expected = rows[i].workloads * (3 + rows[i].cases);
        CHECK(m != NULL && m->case_count == expected, "--only %s: %zu cases, expected %zu", rows[i].only,
              m ? m->case_count : 0, expected);
        matrix_free(m);
    }
    bench_matrix *none = NULL;
    const matrix_filter filter = {.only = "int7"};
    CHECK(matrix_expand(s, &filter, &none) == CIUIC_ERROR_USAGE && none == NULL, "int7 matched");
    CHECK(strstr(ciuic_last_error(), "int7") != NULL, "%s", ciuic_last_error());
    suite_free(s);
}

static void what_this_machine_lacks_is_skipped_with_its_reason(void)
{
    suite *s = NULL;
    bench_matrix *m = NULL;
    const matrix_filter filter = {.threads = {1, 1024}, .thread_count = 2};
    read_fixture(&s);
    CHECK(matrix_expand(s, &filter, &m) == CIUIC_OK, "%s", ciuic_last_error());
    size_t skipped = 0;
    for (size_t i = 0; i < m->case_count; i++) {
        if (m->cases[i].threads == 1) CHECK(m->cases[i].skip[0] == '\0', "%s", m->cases[i].skip);
        if (m->cases[i].threads == 1024) skipped += strstr(m->cases[i].skip, "1024 threads") != NULL;
    }
    CHECK(skipped == 10, "%zu cases of 1024 threads are skipped", skipped);
    for (size_t b = 0; b < m->block_count; b++) CHECK(m->blocks[b].threads == 1, "block %zu would run", b);
    matrix_free(m);
    suite_free(s);
}

static const test_case cases[] = {
    {"bad_suites_are_refused_by_place", bad_suites_are_refused_by_place},
    {"ways_of_quantising_are_read_and_named", ways_of_quantising_are_read_and_named},
    {"a_product_of_ways_of_quantising", a_product_of_ways_of_quantising},
    {"passes_of_the_graph_stage", passes_of_the_graph_stage},
    {"the_setting_of_the_graph_stage_survives_json", the_setting_of_the_graph_stage_survives_json},
    {"every pass has room", every_pass_has_room},
    {"names_tell_variants_apart", names_tell_variants_apart},
    {"the_accuracy_suite_is_one_untimed_block_a_checkpoint", the_accuracy_suite_is_one_untimed_block_a_checkpoint},
    {"every_suite_fits_the_schema", every_suite_fits_the_schema},
    {"suites_of_real_shapes_say_how_to_make_them", suites_of_real_shapes_say_how_to_make_them},
    {"a_suite_becomes_cases_with_ids", a_suite_becomes_cases_with_ids},
    {"the_quick_suite_has_its_variants", the_quick_suite_has_its_variants},
    {"blocks_keep_their_rules_for_any_limit", blocks_keep_their_rules_for_any_limit},
    {"only_keeps_what_matches_and_the_baselines", only_keeps_what_matches_and_the_baselines},
    {"what_this_machine_lacks_is_skipped_with_its_reason", what_this_machine_lacks_is_skipped_with_its_reason},
};
TEST_SUITE(suite_files, cases);
