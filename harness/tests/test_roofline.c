/* test_roofline.c - the roofs of a made-up machine and the cases under them, worked by hand; and the page's parts about counters
 * and ceilings, with values that no sound program would have written. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/page.h"
#include "harness/report/plot_data.h"
#include "harness/report/sections.h"
#include "harness/tests/judged_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

/* ---- the plot --------------------------------------------------------------------------------------------------- */

static char *roofline_of(cJSON *results, const char *phase, size_t *rows)
{
    result_set r;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    CHECK(results_index(results, &r) == CIUIC_OK, "%s", ciuic_last_error());
    *rows = 0;
    for (size_t g = 0; g < r.group_count; g++)
        if (strcmp(r.groups[g].phase, phase) == 0) *rows = plot_data_roofline(&r, g, out);
    fclose(out);
    results_free(&r);
    return text;
}

static size_t rows_of(const char *text, char mark)
{
    size_t n = 0;
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL)
        n += line[0] == mark && line[1] == '\t';
    return n;
}

/* The fixture: 7.6 million weights of 16 bits, 1.5e7 operations a token: 1.5e7 / 1.52e7 = 0.98684 operations a byte. Two
 * threads read 46 GB/s; FP32 peaks are 28 and 220 GFLOP/s: the ridges are at 28 / 46 = 0.6087 and 220 / 46 = 4.7826. */
static void roofs_and_points_are_where_they_belong(void)
{
    cJSON *results = judged_results(&fixture_usual);
    size_t rows = 0, lines = 0;
    char *text = roofline_of(results, "decode", &rows);
    for (const char *c = text; *c != '\0'; c++) lines += *c == '\n';
    CHECK(rows == lines && rows > 20, "%zu rows, %zu lines", rows, lines);
    bool tuned = false, ridge = false, name = false, slope = false;
    double left = NAN, right = NAN;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        int mark = -1;
        char label[64];
        double x = NAN, y = NAN, dx = NAN, dy = NAN;
        sscanf(line, "%d\t%63[^\t]\t%lf\t%lf\t%lf\t%lf", &mark, label, &x, &y, &dx, &dy);
        CHECK(x > 0 && y > 0, "no place on a logarithmic axis: %.80s", line);
        if (mark == 2 && strcmp(label, "fp16+graph+memory+avx512") == 0) tuned = fabs(x - 1.5e7 / 1.52e7) < 1e-6;
        if (mark == 3 && fabs(y + dy - 28) < 1e-6 && fabs(x + dx - 28.0 / 46) < 1e-6) ridge = true;
        if (mark == 5 && strcmp(label, "avx512 FP32") == 0) name = fabs(y - 220) < 1e-6, right = x;
        if (mark == 6 && strcmp(label, "memory, 46 GB/s") == 0) slope = fabs(y - 46 * x) < 1e-6, left = x;
    }
    CHECK(tuned && ridge && name && slope, "tuned %d, ridge %d, name %d, slope %d in:\n%s", tuned, ridge, name, slope,
          text);
    CHECK(left < 1.5e7 / 1.52e7 && right > 2 * 220.0 / 46 - 1e-6, "from %g to %g", left, right);
    /* 24 variants and openblas: two baselines of the program's own, openblas, and two with all stages on. */
    CHECK(rows_of(text, '1') == 2 && rows_of(text, '2') == 3 && rows_of(text, '0') == 20,
          "%zu on, %zu baselines, %zu others", rows_of(text, '1'), rows_of(text, '2'), rows_of(text, '0'));
    CHECK(rows_of(text, '4') == 4, "%zu lines of one thread", rows_of(text, '4'));
    free(text);
    cJSON_Delete(results);
}

/* Figures that are missing, or none: fewer lines, and nothing that a plot could not show. */
static void a_machine_without_figures_has_no_roofs(void)
{
    static const struct {
        const char *key, *value;
    } rows[] = {
        {"bandwidth_bytes_per_s", "{}"},
        {"bandwidth_bytes_per_s", "{\"2\": 0}"},
        {"bandwidth_bytes_per_s", "{\"2\": -1e10}"},
        {"bandwidth_bytes_per_s", "null"},
        {"peak_flops_per_s", "{}"},
        {"peak_flops_per_s", "{\"'; system 'touch pwned\": {\"2\": 1e10}}"},
        {"peak_flops_per_s", "{\"c\": {\"2\": null}}"},
        {"peak_int8_ops_per_s", "[1, 2]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *results = judged_results(&fixture_usual), *machine = cJSON_GetObjectItem(results, "machine");
        size_t count = 0;
        cJSON_DeleteItemFromObject(machine, rows[i].key);
        cJSON_AddItemToObject(machine, rows[i].key, cJSON_Parse(rows[i].value));
        char *text = roofline_of(results, "decode", &count);
        CHECK(count > 0 && strpbrk(text, "'\"`") == NULL && strstr(text, "nan") == NULL && strstr(text, "inf") == NULL,
              "row %zu:\n%s", i, text);
        free(text);
        cJSON_Delete(results);
    }
}

/* ---- the page --------------------------------------------------------------------------------------------------- */

static char *section_text(cJSON *results, section_fn *section, page_form form)
{
    result_set r;
    char *text = NULL;
    size_t bytes = 0;
    const plot_set none = {0};
    FILE *out = open_memstream(&text, &bytes);
    CHECK(results_index(results, &r) == CIUIC_OK, "%s", ciuic_last_error());
    const report_view v = {.r = &r, .plots = &none};
    page p = page_begin(out, form);
    section(&p, &v);
    page_end(&p);
    fclose(out);
    results_free(&r);
    return text;
}

static void set_counters(cJSON *results, const char *ending, const char *value)
{
    cJSON *c = fixture_case(results, ending);
    cJSON_DeleteItemFromObject(c, "counters");
    cJSON_AddItemToObject(c, "counters", cJSON_Parse(value));
}

#define INT4 "decode64@256/b1/t2/int4+graph+memory+avx512"
#define SIMULATED                                                                                                      \
    "{\"source\": \"simulated\", \"tool\": \"valgrind-3.19.0\", \"instructions\": 200, \"bytes_per_weight_byte\": "    \
    "1.02"

static void counters_are_told_with_their_source(void)
{
    static const struct {
        const char *counters, *says, *says_not;
    } rows[] = {
        {"null", "made-up data has no counters", "Simulated"},
        {SIMULATED ", \"by_class\": {\"matmul\": {\"instructions\": 150}}}", "bring in 1.02 bytes from beyond", "NaN"},
        {SIMULATED ", \"by_class\": {\"matmul\": {\"instructions\": 150}}}", "75.0%", NULL},
        {SIMULATED ", \"by_class\": {\"<script>\": {\"instructions\": \"many\"}}}", "&lt;script", "<script"},
        {SIMULATED ", \"by_class\": 7}", "Other cases: ", NULL},
        {SIMULATED "}", "Simulated by valgrind-3.19.0", "perf"},
        {"{\"source\": \"perf_event\", \"cycles\": 5}", "perf_event", "Simulated"},
        {"{\"source\": null, \"reason\": \"not here\", \"energy\": {\"source\": \"powercap\", \"joules\": 3, "
         "\"joules_per_token\": 0.5}}",
         "0.5</td>", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *results = judged_results(&fixture_usual);
        set_counters(results, INT4, rows[i].counters);
        char *text = section_text(results, section_counters, PAGE_HTML);
        CHECK(strstr(text, rows[i].says) != NULL, "row %zu: '%s' is not in:\n%s", i, rows[i].says, text);
        CHECK(rows[i].says_not == NULL || strstr(text, rows[i].says_not) == NULL, "row %zu: '%s' is in:\n%s", i,
              rows[i].says_not, text);
        free(text);
        cJSON_Delete(results);
    }
}

#define WORK                                                                                                           \
    "{\"source\": \"computed\", \"operations\": 500, \"weight_bytes\": 1000, \"cache_bytes\": 0, "                     \
    "\"activation_bytes\": 250, "                                                                                      \
    "\"read_bytes\": 1100, \"written_bytes\": 150, \"bytes_read_per_weight_byte\": 1.1, \"by_class\": {"
#define CLASS "{\"read_bytes\": 800, \"written_bytes\": 200, \"weight_bytes\": 700}"

/* What is computed is never called counted; what is counted stands beside it by its source's name. */
static void computed_and_counted_stay_apart(void)
{
    static const struct {
        const char *computed, *counters, *says, *says_not;
    } rows[] = {
        {"null", "null", "did not compute them", "Computed"},
        {"{\"source\": \"simulated\"}", "null", "did not compute them", "Computed"},
        {WORK "\"matmul\": " CLASS "}}", "null", "1.10 bytes read per weight byte (computed)", "Counted"},
        {WORK "\"matmul\": " CLASS "}}", "null", "80.0%", "Counted"}, /* 1000 of 1250 */
        {WORK "\"matmul\": " CLASS "}}", SIMULATED ", \"caches\": {\"line_bytes\": 64}, \"d1_read_misses\": 11}",
         "simulated: read misses of the first-level cache", "NaN"},
        {WORK "\"matmul\": " CLASS "}}", SIMULATED ", \"caches\": {\"line_bytes\": 64}, \"d1_read_misses\": 11}",
         ">0.64<", NULL}, /* 704 of 1100 */
        {WORK "\"matmul\": " CLASS "}}",
         SIMULATED ", \"caches\": {\"line_bytes\": 64}, \"d1_read_misses\": 11, \"by_class\": {\"matmul\": "
                   "{\"d1_read_misses\": 10}}}",
         ">0.80<", NULL}, /* 640 of 800 */
        {WORK "\"matmul\": " CLASS "}}", "{\"source\": \"perf_event\", \"cache_misses\": 10}",
         "perf_event: cache_misses", "simulated:"},
        {WORK "\"<script>\": {\"read_bytes\": \"many\"}}}", "null", "&lt;script", "<script"},
        {WORK "\"matmul\": 7}}", "7", "bytes read per weight byte", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *results = judged_results(&fixture_usual);
        set_counters(results, INT4, rows[i].counters);
        cJSON_AddItemToObject(fixture_case(results, INT4), "computed", cJSON_Parse(rows[i].computed));
        char *text = section_text(results, section_work, PAGE_HTML);
        CHECK(strstr(text, rows[i].says) != NULL, "row %zu: '%s' is not in:\n%s", i, rows[i].says, text);
        CHECK(rows[i].says_not == NULL || strstr(text, rows[i].says_not) == NULL, "row %zu: '%s' is in:\n%s", i,
              rows[i].says_not, text);
        free(text);
        cJSON_Delete(results);
    }
}

/* likwid's metrics have a table, and so have threads that were moved; those that stayed have a sentence. */
static void metrics_and_moves_are_told(void)
{
    static const struct {
        const char *counters, *says;
    } rows[] = {
        {"{\"source\": \"likwid\", \"group\": \"MEM\", \"metrics\": {\"Memory bandwidth [MBytes/s]\": {\"sum\": "
         "8000}}}",
         "Memory bandwidth [MBytes/s]"},
        {"{\"source\": null, \"software\": {\"migrations\": {\"source\": \"/proc/self/task/stat\", \"lower_bound\": "
         "true, "
         "\"moves\": 5, \"per_repetition\": 2.5, \"per_cpu_second\": 40}}}",
         "/proc/self/task/stat, at least"},
        {"{\"source\": null, \"software\": {\"migrations\": {\"source\": \"perf_event\", \"moves\": 0}}}",
         "No thread was moved to another core while it was timed, in any of 1 cases"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *results = judged_results(&fixture_usual);
        set_counters(results, INT4, rows[i].counters);
        char *text = section_text(results, section_counters, PAGE_HTML);
        CHECK(strstr(text, rows[i].says) != NULL, "row %zu: '%s' is not in:\n%s", i, rows[i].says, text);
        free(text);
        cJSON_Delete(results);
    }
}

static void the_best_there_is_stands_in_the_page(void)
{
    cJSON *results = judged_results(&fixture_usual), *machine = cJSON_GetObjectItem(results, "machine");
    cJSON_AddItemToObject(
        machine, "cross_check",
        cJSON_Parse("{\"bandwidth\": {\"1\": {\"own\": 2e10, \"likwid_bench\": 1.9e10},"
                    " \"2\": {\"own\": 4e10, \"likwid_bench\": 2e10}}, \"narrower_loads\": {\"c\":"
                    " {\"test\": \"load_sse\", \"bandwidth\": {\"1\": {\"own\": 1.5e10, \"own_plain\":"
                    " 1e10, \"likwid_bench\": 1e10}}}, \"avx2\": {\"reason\":"
                    " \"likwid-bench ended with status 1\"}}}"));
    char *text = section_text(results, section_roofline, PAGE_MARKDOWN);
    CHECK(strstr(text, "| 1 | 20.00 | 19.00 | +5% |") != NULL, "%s", text);
    CHECK(strstr(text, "1 | 10.00 | 10.00 | +0% |") != NULL, "loads are not held against like loads:\n%s", text);
    CHECK(strstr(text, "loads of avx2 were not cross-checked: likwid-bench ended with status 1") != NULL, "%s", text);
    CHECK(strstr(text, "+100%") != NULL && strstr(text, "Best there is") != NULL, "%s", text);
    CHECK(strstr(text, "1.88x |") != NULL, "the best of 8.5 bits for 16 is not there:\n%s", text); /* 16 / 8.5 */
    free(text);
    cJSON_ReplaceItemInObject(machine, "cross_check", cJSON_Parse("{\"reason\": \"likwid-bench is not installed\"}"));
    text = section_text(results, section_roofline, PAGE_MARKDOWN);
    CHECK(strstr(text, "not cross\\-checked: likwid\\-bench is not") != NULL ||
              strstr(text, "not cross-checked: likwid-bench is not") != NULL,
          "%s", text);
    free(text);
    cJSON_Delete(results);
}

/* The machine's section: each rung with each number of threads, and where the portable one falls behind. Figures that no sound
 * program would have written, and files of before it, take nothing else from the page. */
static void bandwidth_stands_by_rung(void)
{
    static const struct {
        const char *by_isa, *says, *says_not;
    } rows[] = {
        {"{\"c\": {\"1\": 1.3e10, \"2\": 4.14e10}, \"avx512\": {\"1\": 2.6e10, \"2\": 4.6e10}}", "| c | 1 | 13 | 50% |",
         NULL},
        {"{\"c\": {\"1\": 1.3e10, \"2\": 4.14e10}, \"avx512\": {\"1\": 2.6e10, \"2\": 4.6e10}}",
         "| avx512 | 2 | 46 | 100% |", NULL},
        {"{\"c\": {\"1\": 1.3e10, \"2\": 4.14e10}, \"avx512\": {\"1\": 2.6e10, \"2\": 4.6e10}}",
         "With 1 thread, the portable rung's loads reach 50% of the bandwidth that those of avx512 reach", NULL},
        {"{\"c\": {\"1\": 2e10}, \"avx2\": {\"1\": 1.9e10}}", "No rung's loads reach more", "With 1 thread, the"},
        {"{\"avx2\": {\"1\": 1.9e10}}", "| avx2 | 1 | 19 | 100% |", "portable rung"},
        {"{\"c\": {\"1\": 0, \"2\": -1e10, \"3\": null, \"4\": \"fast\"}}", "| c | 1 | 0 |", "nan"},
        /* Keys that are no number of threads. */
        {"{\"c\": {\"many\": 1e10, \"1\": 1.9e10}}", "| c | 1 | 19 | 100% |", "many"},
        {"{\"c\": {\"0\": 1.1e10, \"-3\": 1.2e10, \"1.5\": 1.3e10, \"\": 1.4e10, \"1e9\": 1.5e10}}", "| Of the best |",
         "| c |"},
        {"{\"c\": {\"01\": 1.1e10, \" 1\": 1.2e10, \"+1\": 1.3e10, \"1 \": 1.4e10, \"9999999999\": 1}}",
         "| Of the best |", "| c |"},
        {"{\"c\": {\"many\": 1e10}, \"avx2\": {\"many\": 2e10}}", "| Of the best |", "portable rung"},
        {"{\"c\": 7, \"avx2\": [1, 2], \"avx512\": null}", "FP32 multiply-add", "portable rung"},
        {"{}", "FP32 multiply-add", "by instruction set"},
        {"null", "FP32 multiply-add", "by instruction set"},
        {"[3]", "FP32 multiply-add", "by instruction set"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *results = judged_results(&fixture_usual);
        cJSON_ReplaceItemInObject(cJSON_GetObjectItem(results, "machine"), "bandwidth_by_isa_bytes_per_s",
                                  cJSON_Parse(rows[i].by_isa));
        char *text = section_text(results, section_machine, PAGE_MARKDOWN);
        CHECK(strstr(text, rows[i].says) != NULL, "row %zu: '%s' is not in:\n%s", i, rows[i].says, text);
        CHECK(rows[i].says_not == NULL || strstr(text, rows[i].says_not) == NULL, "row %zu: '%s' is in:\n%s", i,
              rows[i].says_not, text);
        CHECK(strstr(text, "by\\_isa") == NULL && strstr(text, "by_isa") == NULL, "row %zu: it stands twice:\n%s", i,
              text);
        free(text);
        cJSON_Delete(results);
    }
}

/* The other tables by threads. */
static void only_numbers_of_threads_are_told(void)
{
    static const char by_threads[] = "{\"many\": 1.1e10, \"0\": 1.1e10, \"-1\": 1.1e10, \"64\": 1.2e10}",
                      check[] =
                          "{\"test\": \"load\", \"bandwidth\": {\"many\": {\"own\": 1.1e10, \"likwid_bench\": 1e10}, "
                          "\"1.0\": {\"own\": 1.1e10, \"likwid_bench\": 1e10}, "
                          "\"32\": {\"own\": 1.1e10, \"likwid_bench\": 0}, \"33\": {\"likwid_bench\": null}, "
                          "\"64\": {\"own\": 1.2e10, \"likwid_bench\": 1e10}}}";
    cJSON *results = judged_results(&fixture_usual), *machine = cJSON_GetObjectItem(results, "machine");
    cJSON_ReplaceItemInObject(machine, "bandwidth_bytes_per_s", cJSON_Parse(by_threads));
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(machine, "peak_flops_per_s"), "c", cJSON_Parse(by_threads));
    cJSON_AddItemToObject(machine, "cross_check", cJSON_Parse(check));
    char *text = section_text(results, section_machine, PAGE_MARKDOWN);
    CHECK(strstr(text, "| Memory, reading, 64 threads | 12 GB/s |") != NULL, "%s", text);
    CHECK(strstr(text, "| FP32 multiply-add, c, 64 threads | 12 GFLOP/s |") != NULL, "%s", text);
    CHECK(strstr(text, "many") == NULL && strstr(text, "| 11 G") == NULL, "%s", text);
    free(text);
    text = section_text(results, section_roofline, PAGE_MARKDOWN);
    CHECK(strstr(text, "| load | 64 | 12.00 | 10.00 | \xe2\x97\x90 +20% |") != NULL, "%s", text);
    CHECK(strstr(text, "| load | 32 | 11.00 | 0.00 | - |") != NULL, "%s", text);
    CHECK(strstr(text, "| load | 33 | - | - | - |") != NULL, "%s", text);
    CHECK(strstr(text, "| many |") == NULL && strstr(text, "| load | 1.0 |") == NULL, "%s", text);
    free(text);
    cJSON_Delete(results);
}

static const test_case cases[] = {
    {"roofs_and_points_are_where_they_belong", roofs_and_points_are_where_they_belong},
    {"a_machine_without_figures_has_no_roofs", a_machine_without_figures_has_no_roofs},
    {"counters_are_told_with_their_source", counters_are_told_with_their_source},
    {"computed_and_counted_stay_apart", computed_and_counted_stay_apart},
    {"metrics_and_moves_are_told", metrics_and_moves_are_told},
    {"bandwidth_stands_by_rung", bandwidth_stands_by_rung},
    {"only_numbers_of_threads_are_told", only_numbers_of_threads_are_told},
    {"the_best_there_is_stands_in_the_page", the_best_there_is_stands_in_the_page},
};
TEST_SUITE(roofline, cases);
