/* test_graph_print.c - `ciuic inspect --graph` as a user sees it: text that fits, Graphviz that parses, JSON that adds up. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/inspect/graph_print.h"
#include "harness/tests/program.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

enum { ARGUMENTS = 14, TEXT_WIDTH = 100 };

static const char *const graphs[] = {"datasets/golden/deepseek-v3", "datasets/golden/r1-0528-qwen3",
                                     "datasets/golden/deepseek-v2-lite", "datasets/shapes/deepseek-v3.json"};

static program_run inspect(const char *what, const char *phase, const char *passes, const char *last, const char *value)
{
    const char *const arguments[ARGUMENTS] = {"inspect",  what,   "--graph", "--phase", phase,
                                              "--passes", passes, last,      value,     NULL};
    return program(arguments, NULL);
}

static void text_fits_and_names_every_pass(void)
{
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++)
        for (int prefill = 0; prefill < 2; prefill++) {
            program_run run = inspect(graphs[i], prefill ? "prefill" : "decode", i % 2 ? "on" : "off", NULL, NULL);
            CHECK(run.status == 0 && run.err[0] == '\0', "%s: %s", graphs[i], run.err);
            for (const char *line = run.out; *line != '\0'; line += strcspn(line, "\n") + 1)
                CHECK(strcspn(line, "\n") <= TEXT_WIDTH, "%s: too long: %.*s", graphs[i], (int)strcspn(line, "\n"),
                      line);
            for (int p = 0; p < CIUIC_PASSES; p++)
                CHECK(strstr(run.out, ciuic_pass_name((ciuic_pass)p)) != NULL, "%s: no %s", graphs[i],
                      ciuic_pass_name((ciuic_pass)p));
            /* Sixty-one layers, of which all but the ends are of two kinds. */
            const bool folded =
                strstr(run.out, "layers 4-59: as layer 3") || strstr(run.out, "layers 4-60: as layer 3");
            CHECK((strstr(graphs[i], "shapes") == NULL || folded) && count_lines(run.out) < 160,
                  "%s: layers alike are printed", graphs[i]);
            program_run_free(&run);
        }
}

/* Braces and quotes close, every edge joins nodes that are there, and every operation is one. */
static void dot_is_graphviz(void)
{
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++) {
        program_run run = inspect(graphs[i], "prefill", "on", "--format", "dot");
        int depth = 0, nodes = 0, edges = 0;
        bool quoted = false, closed = true;
        CHECK(run.status == 0 && strncmp(run.out, "digraph \"", 9) == 0, "%s: %s", graphs[i], run.err);
        for (const char *c = run.out; *c != '\0'; c++) {
            if (quoted && *c == '\\') {
                c++;
            } else if (*c == '"') {
                quoted = !quoted;
            } else if (!quoted && (*c == '{' || *c == '}')) {
                depth += *c == '{' ? 1 : -1;
                closed = closed && depth >= 0;
            } else if (quoted && *c == '\n') {
                closed = false;
            }
        }
        CHECK(closed && depth == 0 && !quoted, "%s: braces %d, quotes %s", graphs[i], depth,
              quoted ? "open" : "closed");
        for (const char *line = run.out; *line != '\0'; line += strcspn(line, "\n") + 1) {
            int from, to, used = 0;
            if (sscanf(line, " op%d [label=%n", &from, &used) == 1 && used > 0) {
                CHECK(from == nodes, "%s: node %d comes where %d should", graphs[i], from, nodes);
                nodes++;
            } else if (sscanf(line, " op%d -> op%d", &from, &to) == 2) {
                CHECK(from < to && to < nodes, "%s: an edge from %d to %d", graphs[i], from, to);
                edges++;
            }
        }
        CHECK(nodes > 10 && edges >= nodes - 5, "%s: %d nodes, %d edges", graphs[i], nodes, edges);
        program_run_free(&run);
    }
}

/* A quote or a backslash in a name does not end the label. */
static void dot_escapes_names(void)
{
    graph_value values[] = {{.name = "a\"b\\c\n", .width = 4}, {.name = "x", .width = 4}};
    graph_op ops[] = {{.kind = GRAPH_EMBED, .layer = GRAPH_NONE, .weight = GRAPH_NONE, .heads = 1, .head_width = 4},
                      {.kind = GRAPH_SILU,
                       .layer = GRAPH_NONE,
                       .weight = GRAPH_NONE,
                       .heads = 1,
                       .head_width = 4,
                       .out = {.value = 1}}};
    for (int i = 0; i < 2; i++)
        for (int j = i; j < GRAPH_MAX_INPUTS; j++) ops[i].in[j].value = GRAPH_NONE;
    graph g = {.values = values, .value_count = 2, .ops = ops, .op_count = 2, .output = 1};
    const graph_request request = {.name = "\"; }", .decode = true, .tokens = 1};
    const graph_trace trace = {.request = &request, .g = &g};
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    graph_print_dot(&trace, out);
    fclose(out);
    CHECK(strstr(text, "label=\"a\\\"b\\\\c \\n[T, 4]\"") != NULL, "%s", text);
    CHECK(strncmp(text, "digraph \"\\\"; } decode\" {", 24) == 0, "%s", text);
    free(text);
}

static double total_of(const cJSON *object, const char *key)
{
    const cJSON *total = json_find(json_find(object, key), "total");
    return cJSON_IsNumber(total) ? total->valuedouble : NAN;
}

/* The sums over operations are those behind the last pass, and no pass but absorb-mla, which buys less work with more
 * weight bytes in a prefill, makes anything dearer. */
static void json_adds_up(void)
{
    const char *const keys[] = {"flops", "weight_bytes", "activation_bytes"};
    for (size_t i = 0; i < sizeof graphs / sizeof graphs[0]; i++)
        for (int prefill = 0; prefill < 2; prefill++) {
            program_run run = inspect(graphs[i], prefill ? "prefill" : "decode", "on", "--json", NULL);
            cJSON *json = cJSON_Parse(run.out);
            CHECK(run.status == 0 && json != NULL, "%s: %s", graphs[i], run.err);
            const cJSON *passes = json_find(json, "passes"), *operations = json_find(json, "operations"), *item;
            CHECK(cJSON_GetArraySize(passes) == CIUIC_PASSES + 1, "%d passes", cJSON_GetArraySize(passes));
            for (size_t k = 0; k < 3; k++) {
                double sum = 0, before = INFINITY;
                cJSON_ArrayForEach(item, operations) sum += total_of(item, keys[k]);
                cJSON_ArrayForEach(item, passes)
                {
                    const double now = total_of(item, keys[k]);
                    const bool absorbs = strcmp(json_find(item, "name")->valuestring, "absorb-mla") == 0;
                    CHECK(absorbs || now <= before * (1 + 1e-12), "%s: %s makes %s %g of %g", graphs[i],
                          json_find(item, "name")->valuestring, keys[k], now, before);
                    before = now;
                }
                CHECK(fabs(sum - before) <= 1e-9 * before, "%s: %s are %g, the operations' sum %g", graphs[i], keys[k],
                      before, sum);
            }
            cJSON_Delete(json);
            program_run_free(&run);
        }
}

/* Two times three is six, counted by hand for a matrix: the head of a prefill of all rows, unfused. */
static void costs_are_what_is_computed(void)
{
    model_config config;
    graph *g = NULL;
    CU_ASSERT_EQUAL_FATAL(model_config_read("datasets/golden/deepseek-v3/config.json", &config), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(graph_build(&config, GRAPH_PREFILL_ALL, GRAPH_CACHE_EXPANDED, &g), CIUIC_OK);
    const graph_storage storage = {.weight = 2, .cache = 4};
    const graph_op *head = &g->ops[g->op_count - 1];
    const graph_cost cost = graph_op_cost(g, head, &storage);
    const double n = (double)config.vocabulary, k = (double)config.hidden_size;
    CU_ASSERT_EQUAL(graph_amount_at(&cost.flops, g, 7, 100), 2 * 7 * n * k);
    CU_ASSERT_EQUAL(graph_amount_at(&cost.weight_bytes, g, 7, 100), 2 * n * k);
    CU_ASSERT_EQUAL(graph_amount_at(&cost.activation_bytes, g, 7, 100), 4 * 7 * (n + k));
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (op->kind != GRAPH_ATTENTION) continue;
        double pairs = 0;
        for (int t = 0; t < 7; t++)
            pairs += 93 + t + 1; /* 7 tokens behind 93: token t attends to itself and all before */
        const graph_cost attention = graph_op_cost(g, op, &storage);
        CU_ASSERT_EQUAL(graph_amount_at(&attention.flops, g, 7, 100),
                        pairs * 2 * (double)op->heads * (double)(op->key_width + op->value_width));
    }
    graph_free(g);
}

/* The crossover is where the choice changes. */
static void the_crossover_is_where_the_choice_changes(void)
{
    const graph_mla models[] = {
        {16, 512, 128, 64, 128}, {128, 512, 128, 64, 128}, {8, 64, 32, 16, 32}, {2, 16, 16, 8, 16}};
    const size_t most = 1 << 17;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        for (size_t tokens = 1; tokens <= 512; tokens = tokens * 2 + 1) {
            const size_t from = graph_mla_crossover(&models[i], tokens, most);
            if (from == SIZE_MAX) {
                CU_ASSERT_EQUAL(graph_mla_choose(&models[i], tokens, most), GRAPH_MLA_EXPANDED);
                continue;
            }
            CU_ASSERT_EQUAL(graph_mla_choose(&models[i], tokens, from), GRAPH_MLA_ABSORBED);
            if (from > tokens) CU_ASSERT_EQUAL(graph_mla_choose(&models[i], tokens, from - 1), GRAPH_MLA_EXPANDED);
        }
    CU_ASSERT_EQUAL(graph_mla_choose(&models[0], 1, 4096), GRAPH_MLA_ABSORBED);
    CU_ASSERT_EQUAL(graph_mla_choose(&models[0], 512, 512), GRAPH_MLA_EXPANDED);
}

/* A list that is too long ends behind an item. */
static void changes_are_cut_between_words(void)
{
    program_run run = inspect("datasets/golden/deepseek-v2-lite", "decode", "on", "--memory", "aggressive");
    CHECK(run.status == 0 && strstr(run.out, "-3 matmul, -6 slice, -6 concat, ..\n") != NULL, "%s%s", run.out, run.err);
    /* 32 latent and 8 rotated values of a byte, and a scale of two: (40 + 2) / 40 */
    CHECK(strstr(run.out, "a cache of 1.05") != NULL, "%s", run.out);
    program_run_free(&run);
}

/* The table names every pass, with the costs that the text has. */
static void dot_has_the_passes(void)
{
    program_run dot = inspect("datasets/golden/deepseek-v2-lite", "decode", "on", "--format", "dot");
    for (int p = 0; p < CIUIC_PASSES; p++) {
        char cell[64];
        snprintf(cell, sizeof cell, "<tr><td>%s</td>", ciuic_pass_name((ciuic_pass)p));
        CHECK(strstr(dot.out, cell) != NULL, "no %s", cell);
    }
    CHECK(strstr(dot.out, "<td>as built</td><td>107</td><td>104</td>") != NULL &&
              strstr(dot.out, "<td>rope-at-load</td><td>55</td><td>52</td>") != NULL,
          "%s", dot.out);
    CHECK(strstr(dot.out, "FLOPs\\n") != NULL && strstr(dot.out, " bytes of weights\\n") != NULL &&
              strstr(dot.out, " other bytes\"];") != NULL,
          "%s", dot.out);
    program_run_free(&dot);
}

static void wrong_questions_are_refused(void)
{
    static const struct {
        const char *arguments[ARGUMENTS], *says;
    } table[] = {
        {{"inspect", "datasets/golden/deepseek-v3", "--phase", "decode"}, "add --graph"},
        {{"inspect", "datasets/golden/deepseek-v3", "--graph", "--tensors"}, "exclude each other"},
        {{"inspect", "datasets/golden/deepseek-v3", "--graph", "--phase", "train"}, "expected decode or prefill"},
        {{"inspect", "datasets/golden/deepseek-v3", "--graph", "--passes", "fuse"},
         "graph 'fuse': expected off, on, or"},
        {{"inspect", "datasets/golden/deepseek-v3", "--graph", "--format", "svg"}, "expected text or dot"},
        {{"inspect", "datasets/golden/deepseek-v3", "--graph", "--format", "dot", "--json"}, "exclude each other"},
        {{"inspect", "datasets/golden/deepseek-v3", "--graph", "--memory", "all"}, "expected off, on or aggressive"},
        {{"inspect", "datasets/golden/deepseek-v3", "--graph", "--tokens", "2"}, "add --phase prefill"},
        {{"inspect", "datasets/golden/deepseek-v3", "--graph", "--depth", "9999999"}, "positions"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        program_run run = program(table[i].arguments, NULL);
        CHECK(run.status == 2 && strstr(run.err, table[i].says) != NULL, "row %zu: status %d: %s", i, run.status,
              run.err);
        program_run_free(&run);
    }
}

static const test_case cases[] = {
    {"text_fits_and_names_every_pass", text_fits_and_names_every_pass},
    {"dot_is_graphviz", dot_is_graphviz},
    {"dot_escapes_names", dot_escapes_names},
    {"dot_has_the_passes", dot_has_the_passes},
    {"changes_are_cut_between_words", changes_are_cut_between_words},
    {"json_adds_up", json_adds_up},
    {"costs_are_what_is_computed", costs_are_what_is_computed},
    {"the_crossover_is_where_the_choice_changes", the_crossover_is_where_the_choice_changes},
    {"wrong_questions_are_refused", wrong_questions_are_refused},
};
TEST_SUITE(graph_print, cases);
