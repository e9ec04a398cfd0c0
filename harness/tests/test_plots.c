/* test_plots.c - what is plotted: every byte is drawn, what is missing is no error, and each plot is there in all its forms. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/judge/judge.h"
#include "harness/report/memory_kinds.h"
#include "harness/report/plot_data.h"
#include "harness/report/plots.h"
#include "harness/report/svg_definitions.h"
#include "harness/report/svg_squeeze.h"
#include "harness/tests/program.h"
#include "harness/tests/results_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static cJSON *judged(void)
{
    cJSON *results = fixture_bench_results(&fixture_usual);
    CU_ASSERT_EQUAL_FATAL(judge_results(results, json_find(results, "claims")), CIUIC_OK);
    return results;
}

static void set_bytes(cJSON *memory, const char *kind, double bytes)
{
    cJSON_DeleteItemFromObjectCaseSensitive(memory, kind);
    cJSON_AddNumberToObject(memory, kind, bytes);
}

/* The sum of the kinds is the total, whichever of them results know. */
static void memory_kinds_add_up(void)
{
    static const struct {
        double weights, packed, mapped, kv_cache, activations, workspace, other, total; /* -1: not there */
        double expected[MEMORY_KINDS];
    } table[] = {
        {100, 60, 1000, 30, 20, 7, 3, 1160, {1000, 40, 60, 30, 20, 7, 3}},
        {100, -1, 1000, 30, 20, 7, 3, 1160, {1000, 100, 0, 30, 20, 7, 3}},
        {100, -1, 1000, 30, 20, 7, -1, 1160, {1000, 100, 0, 30, 20, 7, 3}}, /* from before there was "other" */
        {100, 100, 0, 0, 0, 0, 0, 100, {0, 0, 100, 0, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        cJSON *results = judged(), *item = fixture_case(results, "decode64@256/b1/t2/int8+graph+memory+avx512");
        cJSON *memory = cJSON_GetObjectItem(item, "memory_bytes");
        const double given[] = {table[i].weights,     table[i].packed,    table[i].mapped, table[i].kv_cache,
                                table[i].activations, table[i].workspace, table[i].other,  table[i].total};
        static const char *const names[] = {"weights",     "packed",    "mapped", "kv_cache",
                                            "activations", "workspace", "other",  "total"};
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
            if (given[k] >= 0) set_bytes(memory, names[k], given[k]);
        result_set r;
        CU_ASSERT_EQUAL_FATAL(results_index(results, &r), CIUIC_OK);
        double bytes[MEMORY_KINDS], sum = 0;
        for (size_t c = 0; c < r.case_count; c++)
            if (r.cases[c].json == item) memory_kinds_of(&r.cases[c], bytes);
        for (size_t k = 0; k < MEMORY_KINDS; k++) {
            sum += bytes[k];
            CHECK(bytes[k] == table[i].expected[k], "row %zu: %s is %g, expected %g", i, memory_kind_titles[k],
                  bytes[k], table[i].expected[k]);
        }
        CHECK(sum == table[i].total, "row %zu: the kinds add up to %g, and the total is %g", i, sum, table[i].total);
        results_free(&r);
        cJSON_Delete(results);
    }
}

/* In every row of the plot the last kind ends where the total is: what is written beside the bar. */
static void the_memory_plot_ends_at_the_total(void)
{
    cJSON *results = judged();
    for (cJSON *c = cJSON_GetObjectItem(results, "cases")->child; c != NULL; c = c->next) {
        cJSON *memory = cJSON_GetObjectItem(c, "memory_bytes");
        set_bytes(memory, "other", 500000);
        set_bytes(memory, "packed", json_find(memory, "weights")->valuedouble / 2);
        set_bytes(memory, "total", json_find(memory, "total")->valuedouble + 500000);
    }
    result_set r;
    char *data = NULL;
    size_t bytes = 0, lines = 0;
    CU_ASSERT_EQUAL_FATAL(results_index(results, &r), CIUIC_OK);
    FILE *out = open_memstream(&data, &bytes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    const size_t rows = plot_data_memory(&r, 0, out);
    fclose(out);
    for (char *line = strtok(data, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++) {
        double end = NAN, total = NAN;
        const char *field = line;
        for (size_t f = 0; f < 10 && field != NULL; f++, field = strchr(field, '\t'), field += field != NULL) {
            if (f == 8) end = strtod(field, NULL);
        }
        if (field != NULL) total = strtod(field, NULL);
        CHECK(fabs(end - total) <= 0.05 + 1e-9, "the last kind ends at %g, the total is %g: %s", end, total, line);
    }
    CU_ASSERT_TRUE(rows > 0 && lines == rows);
    free(data);
    results_free(&r);
    cJSON_Delete(results);
}

static bool exists(const char *folder, const char *slug, const char *extension, const char *beginning)
{
    char path[1024], found[16] = "";
    snprintf(path, sizeof path, "%s/plots/%s.%s", folder, slug, extension);
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    const size_t n = fread(found, 1, strlen(beginning), file);
    fclose(file);
    return n == strlen(beginning) && memcmp(found, beginning, n) == 0;
}

static bool gnuplot_is_here(void)
{
    return system("command -v gnuplot >/dev/null 2>&1") == 0; /* NOLINT(cert-env33-c): a test asks the PATH */
}

/* Every element that begins ends, within the one around it. */
static bool is_balanced(const char *svg)
{
    int depth = 0;
    for (const char *c = svg; c != NULL && (c = strchr(c, '<')) != NULL; c = strchr(c, '>')) {
        const char *end = strchr(c, '>');
        if (end == NULL || depth < 0) return false;
        if (c[1] == '/')
            depth--;
        else if (end[-1] != '/')
            depth++;
    }
    return depth == 0;
}

/* Each as data, SVG and PNG. */
static void plots_have_three_forms(void)
{
    cJSON *results = judged();
    char *folder = temporary_folder();
    result_set r;
    plot_set plots;
    CU_ASSERT_EQUAL_FATAL(results_index(results, &r), CIUIC_OK);
    CHECK(plots_make(&r, folder, &plots) == CIUIC_OK, "%s", ciuic_last_error());
    CU_ASSERT_TRUE(plots.count > 0);
    plots_finish(&plots);
    for (size_t i = 0; i < plots.count && gnuplot_is_here(); i++) {
        char slug[96];
        snprintf(slug, sizeof slug, "%.*s", (int)(strlen(plots.plots[i].file) - strlen("plots/.svg")),
                 plots.plots[i].file + strlen("plots/"));
        CHECK(plots.plots[i].svg != NULL && exists(folder, slug, "svg", "<?xml"), "%s has no SVG: %s", slug,
              plots.problem);
        CHECK(plots.plots[i].svg == NULL || is_balanced(plots.plots[i].svg), "%s: a tag is lost", slug);
        CHECK(exists(folder, slug, "png", "\x89PNG\r\n"), "%s has no PNG", slug);
        CHECK(exists(folder, slug, "dat", ""), "%s has no data", slug);
    }
    plots_free(&plots);
    results_free(&r);
    cJSON_Delete(results);
    remove_tree(folder);
}

/* A suite without neighbours of `naive` knows nothing of what a stage earns alone: a whole column is missing, which gnuplot's
 * stats calls an error. */
static void a_column_may_be_missing(void)
{
    cJSON *results = judged(), *stage = NULL;
    char *folder = temporary_folder();
    cJSON_ArrayForEach(stage, cJSON_GetObjectItem(results, "stages")) cJSON_DeleteItemFromObject(stage, "alone");
    result_set r;
    plot_set plots;
    CU_ASSERT_EQUAL_FATAL(results_index(results, &r), CIUIC_OK);
    CHECK(plots_make(&r, folder, &plots) == CIUIC_OK, "%s", ciuic_last_error());
    const plot *stages = plots_find(&plots, "stages", 0);
    if (gnuplot_is_here()) {
        CHECK(plots.problem[0] == '\0', "%s", plots.problem);
        CHECK(stages != NULL && strstr(stages->svg, "int8: quantize") != NULL, "rows have lost their labels");
    }
    plots_free(&plots);
    results_free(&r);
    cJSON_Delete(results);
    remove_tree(folder);
}

/* What is seen stays, text and ids above all. */
static void squeezed_plots_show_the_same(void)
{
    static const struct {
        const char *svg, *squeezed;
    } table[] = {
        {"<g fill=\"none\" stroke=\"currentColor\" stroke-width=\"0.50\" stroke-linecap=\"butt\" "
         "stroke-linejoin=\"miter\">\n"
         "\t<path stroke='currentColor'  d='M273.00,94.47  '/>\t<g transform=\"translate(263.90,98.00)\" "
         "stroke=\"none\" "
         "fill=\"currentColor\" font-size=\"13.00\"  text-anchor=\"end\">\n\t\t<text> 1.00 a  b</text>\n\t</g>\n</g>\n",
         "<text transform=\"translate(263.9,98)\" class=\"t\" text-anchor=\"end\"> 1.00 a  b</text>"},
        {"<g a=\"b\"><text>x</text><text>y</text></g>", "<g a=\"b\"><text>x</text><text>y</text></g>"},
        {"<g id=\"c\"><text>x</text></g>", "<g id=\"c\"><text>x</text></g>"},
        {"<path d='M1.00,2.50 L3.005,4.00  '/>", "<path d='M1,2.5 3.005,4'/>"},
        {"<polygon fill = 'rgb( 59, 130, 196)' points = '1,2 3,4'/>", "<path fill='#3b82c4' d='M1,2 3,4z'/>"},
        /* Tenths of a pixel, the carry too; what is below 10 may be a width or a scale. */
        {"<path d='M99.96,10.04 L-12.34,9.96 M1,2 h2 L7,8'/>", "<path d='M100,10 -12.3,9.96M1,2 h2 L7,8'/>"},
        {"<text font-size=\"12.50\" x=\"8765.43\">12.34</text>", "<text font-size=\"12.5\" x=\"8765.4\">12.34</text>"},
        {"<polygon fill='#3b82c4' points='1,2 3,4'/><polygon fill='#3b82c4' points='5,6 7,8'/>"
         "<polygon fill='#d1495b' points='5,6 7,8'/><g a=\"b\"><polygon fill='#d1495b' points='5,6 7,8'/></g>",
         "<path fill='#3b82c4' d='M1,2 3,4zM5,6 7,8z'/><path fill='#d1495b' d='M5,6 7,8z'/>"
         "<g a=\"b\"><path fill='#d1495b' d='M5,6 7,8z'/></g>"},
        {"<polygon fill='red' points='1,2 3,4'/>", "<polygon fill='red' points='1,2 3,4'/>"},
        {"<g fill=\"red\">\n</g><g id=\"a\"></g>", "<g id=\"a\"></g>"},
        {"<use xlink:href='#a' opacity='0'/><use xlink:href='#a'/>", "<use xlink:href='#a'/>"},
        {"<text>rgb( 1, 2, 3).00 </text>", "<text>rgb( 1, 2, 3).00 </text>"},
        {"<g", "<g"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char *text = strdup(table[i].svg);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        svg_squeeze(text);
        CHECK(strcmp(text, table[i].squeezed) == 0, "row %zu: %s", i, text);
        free(text);
    }
    char *page = read_text("reports/report.html.in");
    CHECK(page != NULL && strstr(page, svg_squeeze_style) != NULL, "the template lacks the style of squeezed plots");
    free(page);
}

/* A definition stays when it is drawn, or when one that stays is made of it. */
static void definitions_are_dropped_when_unused(void)
{
    static const struct {
        const char *svg, *left;
    } table[] = {
        {"<svg><defs><path id='a'/><use href='#a' id='b'/><path id='c'/><filter id='f'><x/></filter></defs>"
         "<use href='#b'/></svg>",
         "<svg><defs><path id='a'/><use href='#a' id='b'/></defs><use href='#b'/></svg>"},
        {"<svg><defs><path id='a'/><path id='ab'/><filter id='f'><x/></filter></defs><g "
         "filter=\"url(#f)\">#a</g></svg>",
         "<svg><defs><filter id='f'><x/></filter></defs><g filter=\"url(#f)\">#a</g></svg>"},
        {"<svg><defs><path id='a'/><path/></defs></svg>", "<svg><defs><path id='a'/><path/></defs></svg>"},
        {"<svg><defs><g id='a'><path id='b'/></g></defs></svg>",
         "<svg><defs><g id='a'><path id='b'/></g></defs></svg>"},
        {"<svg><defs><path id='a'/>", "<svg><defs><path id='a'/>"},
        {"<svg><defs><path id='a'/", "<svg><defs><path id='a'/"},
        {"<svg></svg>", "<svg></svg>"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char *text = strdup(table[i].svg);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        svg_drop_unused(text);
        CHECK(strcmp(text, table[i].left) == 0, "row %zu: %s", i, text);
        free(text);
    }
}

static const test_case cases[] = {
    {"squeezed plots show the same", squeezed_plots_show_the_same},
    {"definitions are dropped when unused", definitions_are_dropped_when_unused},
    {"memory: the kinds add up to the total", memory_kinds_add_up},
    {"memory: the plot ends at the total", the_memory_plot_ends_at_the_total},
    {"each plot is there as data, SVG and PNG", plots_have_three_forms},
    {"a column may be missing", a_column_may_be_missing},
};

TEST_SUITE(plots, cases);
