/* test_report.c - reports of made-up results: whole, safe whatever the names in them, and honest about what is
 * missing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/monotonic_clock.h"
#include "harness/report/embedded.h"
#include "harness/report/gnuplot_crew.h"
#include "harness/report/report.h"
#include "harness/report/svg.h"
#include "harness/tests/program.h"
#include "harness/tests/results_fixture.h"
#include "harness/tests/written_report.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

/* ---- well-formed ------------------------------------------------------------------------------------------------ */

/* Elements that a page may be made of. No script, link, object, iframe, form, image or base. */
static const char *const elements[] = {
    "html",  "wbr",     "head",    "meta",   "title",      "style",   "body",        "a",    "header", "nav",
    "h1",    "h2",      "h3",      "p",      "main",       "section", "article",     "div",  "span",   "small",
    "table", "caption", "thead",   "tbody",  "tr",         "th",      "td",          "ul",   "li",     "pre",
    "code",  "details", "summary", "figure", "figcaption", "footer",  "svg",         "desc", "g",      "rect",
    "defs",  "circle",  "path",    "use",    "filter",     "feFlood", "feComposite", "text", "polygon"};

static bool known_element(const char *name)
{
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++)
        if (strcmp(name, elements[i]) == 0) return true;
    return false;
}

enum { DEPTH = 64, NAME = 32 };

/* Every tag known, every attribute quoted, none of them an event handler or an address outside the page, every element
 * closed in order. Says where it went wrong. */
static const char *first_fault(const char *html)
{
    static char fault[160];
    char open[DEPTH][NAME];
    size_t depth = 0;
    for (const char *c = strchr(html, '<'); c != NULL; c = strchr(c, '<')) {
        if (strncmp(c, "<!DOCTYPE html>", 15) == 0) {
            c++;
            continue;
        }
        char name[NAME] = "";
        size_t n = 0;
        const bool closing = c[1] == '/';
        snprintf(fault, sizeof fault, "%.120s", c);
        for (c += closing ? 2 : 1;
             n + 1 < NAME && ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9')); c++)
            name[n++] = *c;
        if (!known_element(name)) return fault;
        if (closing) {
            if (depth == 0 || strcmp(open[--depth], name) != 0) return fault;
            continue;
        }
        char quote = '\0';
        for (; *c != '\0' && (quote != '\0' || *c != '>'); c++) {
            if (quote != '\0') {
                if (*c == quote) quote = '\0';
                continue;
            }
            if (*c == '"' || *c == '\'') quote = *c;
            if (strncmp(c, " on", 3) == 0 || strncmp(c, " src", 4) == 0 || strncmp(c, "style=", 6) == 0) return fault;
            if (strncmp(c, " href=\"", 7) == 0 && c[7] != '#' && strncmp(c + 7, "report.md", 9) != 0 &&
                strncmp(c + 7, "cases.csv", 9) != 0 && strncmp(c + 7, "verdicts.csv", 12) != 0 &&
                strncmp(c + 7, "plots/", 6) != 0)
                return fault;
        }
        if (*c == '\0') return fault;
        const bool empty = c[-1] == '/' || strcmp(name, "meta") == 0 || strcmp(name, "wbr") == 0;
        if (empty) continue;
        if (depth == DEPTH) return fault;
        memcpy(open[depth++], name, NAME);
    }
    return depth == 0 ? NULL : "the end of the page, with an element still open";
}

static void a_page_is_whole(void)
{
    cJSON *results = fixture_bench_results(&fixture_usual);
    written w = write_pages(results);
    CHECK(w.status == CIUIC_OK, "%s", ciuic_last_error());
    const char *fault = w.html != NULL ? first_fault(w.html) : "no page";
    CHECK(fault == NULL, "the page goes wrong at %s", fault);
    /* Nothing from a network, and no script. */
    CU_ASSERT_FALSE(has(w.html, "@import") || has(w.html, "url(") || has(w.html, "javascript:"));
    for (const char *c = w.html; c != NULL && (c = strstr(c, "http")) != NULL; c++)
        CHECK(strncmp(c, "http://www.w3.org/", 18) == 0, "an address in the page: %.60s", c);
    CHECK(has(w.html, ">8589934592<"), "a count of bytes is not shown to its last digit");
    /* The first screen: questions and answers before anything else. */
    const char *question = strstr(w.html, "Is it 3 to 5 times faster?"), *verdicts = strstr(w.html, "id=\"verdicts\"");
    CU_ASSERT_TRUE(question != NULL && verdicts != NULL && question < verdicts);
    static const char *const promised[] = {"id=\"stages\"",
                                           "id=\"speed\"",
                                           "id=\"memory\"",
                                           "id=\"accuracy\"",
                                           "id=\"counters\"",
                                           "id=\"roofline\"",
                                           "id=\"failures\"",
                                           "id=\"machine\"",
                                           "id=\"method\"",
                                           "id=\"reproduce\"",
                                           "prefers-color-scheme: dark",
                                           "@media print"};
    for (size_t i = 0; i < sizeof promised / sizeof promised[0]; i++)
        CHECK(has(w.html, promised[i]), "the page lacks %s", promised[i]);
    CU_ASSERT_TRUE(has(w.markdown, "### Is it 3 to 5 times faster?") && has(w.markdown, "## Claim by claim"));
    CU_ASSERT_TRUE(has(w.markdown, "Not available here, because made\\-up") ||
                   has(w.markdown, "made-up data has no counters"));
    written_free(&w);
    cJSON_Delete(results);
}

static void a_report_is_the_same_every_time(void)
{
    cJSON *results = fixture_bench_results(&fixture_usual);
    written once = write_pages(results), twice = write_pages(results);
    CU_ASSERT_EQUAL_FATAL(once.status, CIUIC_OK);
    CU_ASSERT_STRING_EQUAL(once.html, twice.html);
    CU_ASSERT_STRING_EQUAL(once.markdown, twice.markdown);
    /* index.html, report.md, and 7 kinds of plot for 2 groups, each .dat, .svg and .png; no temporary file left. */
    char plots[512];
    snprintf(plots, sizeof plots, "%s/plots", once.folder);
    CHECK(count_files(plots) == 42 || once.notice != NULL, "%zu files in plots/", count_files(plots));
    written_free(&once);
    written_free(&twice);
    cJSON_Delete(results);
}

/* ---- hostile names ---------------------------------------------------------------------------------------------- */

static const char hostile[] =
    "a\xe2\x80\xaf b\xe2\x80\xae c\xe2\x81\xa6 d\xe2\x80\x8f\"'><script>alert(1)</script><img src=x "
    "onerror=alert(1)>`touch pwned`$(touch pwned)"
    "\n\n# title\n![x](http://evil.invalid/x.png)[l](javascript:alert(1))|a|b\\";

/* Every string of the results that a file may choose freely becomes hostile. */
static void poison(cJSON *item, const char *const *keys, size_t n)
{
    for (cJSON *member = item->child; member != NULL; member = member->next) {
        for (size_t i = 0; i < n && member->string != NULL; i++)
            if (strcmp(member->string, keys[i]) == 0 && cJSON_IsString(member)) cJSON_SetValuestring(member, hostile);
        poison(member, keys, n);
    }
}

/* cJSON_SetValuestring refuses longer text in place in some versions; replacing always works. */
static void set_text(cJSON *object, const char *key, const char *text)
{
    cJSON_ReplaceItemInObjectCaseSensitive(object, key, cJSON_CreateString(text));
}

/* Lines of indented code are shown as they are by every Markdown reader; what is left must be escaped. */
static void drop_code(char *markdown)
{
    char *to = markdown;
    for (const char *line = markdown; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        const size_t length = end != NULL ? (size_t)(end - line) + 1 : strlen(line);
        if (strncmp(line, "    ", 4) != 0) {
            memmove(to, line, length);
            to += length;
        }
        line += length;
    }
    if (to != NULL) *to = '\0';
}

static void hostile_names_execute_nothing(void)
{
    cJSON *results = fixture_bench_results(&fixture_usual);
    static const char *const keys[] = {"cpu",     "kernel", "hypervisor",   "hugepages",     "compiler",   "flags",
                                       "version", "git",    "suite_file",   "finished",      "governor",   "source",
                                       "isa",     "sha256", "suite_sha256", "output_sha256", "description"};
    poison(results, keys, sizeof keys / sizeof keys[0]);
    set_text(results, "suite", hostile);
    /* Keys are shown as well: members of the machine's record, rungs, counters; numbers of threads where they are some. */
    cJSON *machine = cJSON_GetObjectItem(results, "machine"), *rung = cJSON_CreateObject();
    cJSON_AddNumberToObject(rung, "1", 1e9);
    cJSON_AddNumberToObject(rung, hostile, 1e9);
    cJSON_AddItemToObject(cJSON_GetObjectItem(machine, "peak_flops_per_s"), hostile, rung);
    cJSON_AddItemToObject(cJSON_GetObjectItem(machine, "bandwidth_by_isa_bytes_per_s"), hostile,
                          cJSON_Duplicate(rung, true));
    cJSON_AddNumberToObject(cJSON_GetObjectItem(machine, "bandwidth_bytes_per_s"), hostile, 1e9);
    cJSON_AddStringToObject(machine, hostile, hostile);
    cJSON_ReplaceItemInObject(results, "isa_override", cJSON_CreateString(hostile));
    /* A format of another ciuic: the schema does not name them. */
    cJSON *other = cJSON_GetObjectItem(fixture_case(results, "decode64@256/b1/t2/int4+graph+memory+avx512"), "variant");
    set_text(other, "quantize", hostile);
    set_text(other, "memory", hostile);
    set_text(results, "started", hostile);
    cJSON_AddItemToArray(cJSON_GetObjectItem(cJSON_GetObjectItem(results, "machine"), "warnings"),
                         cJSON_CreateString(hostile));
    cJSON_AddItemToArray(cJSON_GetObjectItem(results, "command"), cJSON_CreateString(hostile));
    cJSON *claim_json = cJSON_GetObjectItem(results, "claims")->child;
    set_text(claim_json, "question", hostile);
    set_text(claim_json, "sentence", hostile);
    set_text(claim_json, "id", hostile);
    for (cJSON *c = cJSON_GetObjectItem(results, "cases")->child; c != NULL; c = c->next) {
        set_text(cJSON_GetObjectItem(c, "workload"), "checkpoint", hostile);
        set_text(cJSON_GetObjectItem(c, "counters"), "reason", hostile);
    }
    /* A variant's name is the end of its id. */
    cJSON *failed = fixture_case(results, "decode64@256/b1/t2/int8+c");
    set_text(failed, "status", "failed");
    cJSON_AddStringToObject(failed, "reason", hostile);
    set_text(failed, "id",
             "made-up-model/decode64@256/b1/t2/\"'><script>alert(1)<|script>`touch pwned`'\"; !touch pwned");
    cJSON *shown = fixture_case(results, "decode64@256/b1/t2/int8+avx512");
    for (cJSON *block = cJSON_GetObjectItem(results, "blocks")->child; block != NULL; block = block->next) {
        cJSON *samples = cJSON_GetObjectItem(block, "samples");
        cJSON *list = cJSON_DetachItemFromObjectCaseSensitive(samples, cJSON_GetObjectItem(shown, "id")->valuestring);
        if (list != NULL)
            cJSON_AddItemToObject(samples, "made-up-model/decode64@256/b1/t2/'\"`touch pwned`<b>\t@a#", list);
    }
    set_text(shown, "id", "made-up-model/decode64@256/b1/t2/'\"`touch pwned`<b>\t@a#");

    written w = write_pages(results);
    CHECK(w.status == CIUIC_OK, "%s", ciuic_last_error());
    const char *fault = w.html != NULL ? first_fault(w.html) : "no page";
    CHECK(fault == NULL, "the page goes wrong at %s", fault);
    CU_ASSERT_TRUE(has(w.html, "&lt;script&gt;alert(1)"));
    CU_ASSERT_FALSE(has(w.html, "<script") || has(w.html, "<img") || has(w.html, "<b>"));
    /* Marks of direction would show a name in another order than it has; a narrow blank (U+202F) is none. */
    char *csv = read_in(w.folder, "cases.csv");
    const char *const shown_in[] = {w.html, w.markdown, csv};
    for (size_t i = 0; i < 3; i++)
        CHECK(has(shown_in[i], "a\xe2\x80\xaf b? c? d?") && !has(shown_in[i], "\xe2\x80\xae") &&
                  !has(shown_in[i], "\xe2\x81\xa6") && !has(shown_in[i], "\xe2\x80\x8f"),
              "form %zu has a mark of direction", i);
    free(csv);
    drop_code(w.markdown);
    CU_ASSERT_FALSE(has(w.markdown, "<script") || has(w.markdown, "<img") || has(w.markdown, "\n# title"));
    CU_ASSERT_FALSE(has(w.markdown, "![x](") || has(w.markdown, "[l](javascript"));
    char *data = read_in(w.folder, "plots/speedup-2-decode64.dat");
    CHECK(data != NULL, "there is no data of the hostile plot");
    CU_ASSERT_FALSE(has(data, "`") || has(data, "'") || has(data, "\"") || has(data, "#") || has(data, "<"));
    CHECK(access("pwned", F_OK) != 0, "a name was executed");
    char *in_plots = read_in(w.folder, "plots/pwned");
    CU_ASSERT_PTR_NULL(in_plots);
    free(in_plots);
    free(data);
    written_free(&w);
    cJSON_Delete(results);
}

/* ---- what is missing is said ------------------------------------------------------------------------------------ */

static void without_gnuplot(void)
{
    const char *path = getenv("PATH");
    char *saved = strdup(path != NULL ? path : "");
    cJSON *results = fixture_bench_results(&fixture_usual);
    setenv("PATH", "/nowhere", 1);
    written w = write_pages(results);
    setenv("PATH", saved, 1);
    free(saved);
    CHECK(w.status == CIUIC_OK, "%s", ciuic_last_error());
    CU_ASSERT_TRUE(w.notice != NULL && has(w.html, "Some plots are missing: gnuplot is not installed"));
    CU_ASSERT_TRUE(has(w.html, "Speed of every variant. tuned:") && !has(w.html, "<svg"));
    const char *fault = w.html != NULL ? first_fault(w.html) : "no page";
    CHECK(fault == NULL, "the page goes wrong at %s", fault);
    written_free(&w);
    cJSON_Delete(results);
}

static void nothing_was_measured(void)
{
    cJSON *results = fixture_bench_results(&fixture_usual);
    for (cJSON *c = cJSON_GetObjectItem(results, "cases")->child; c != NULL; c = c->next) {
        set_text(c, "status", "failed");
        cJSON_AddStringToObject(c, "reason", "the worker was killed by signal 9");
    }
    cJSON_ReplaceItemInObject(results, "complete", cJSON_CreateFalse());
    written w = write_pages(results);
    CHECK(w.status == CIUIC_OK, "%s", ciuic_last_error());
    CU_ASSERT_TRUE(has(w.html, "Every one of the 52 cases failed or was skipped"));
    CU_ASSERT_TRUE(has(w.html, "the worker was killed by signal 9"));
    CU_ASSERT_TRUE(has(w.html, "This run did not finish"));
    CU_ASSERT_FALSE(has(w.html, "class=\"answer\"><span aria-hidden=\"true\">\xe2\x9c\x93 </span>Yes"));
    written_free(&w);
    cJSON_DeleteItemFromObject(results, "cases");
    cJSON_DeleteItemFromObject(results, "blocks");
    cJSON_AddArrayToObject(results, "cases");
    cJSON_AddArrayToObject(results, "blocks");
    w = write_pages(results);
    CHECK(w.status == CIUIC_OK, "%s", ciuic_last_error());
    CU_ASSERT_TRUE(has(w.html, "These results hold no case at all"));
    written_free(&w);
    cJSON_Delete(results);
}

static void metrics_that_are_nan(void)
{
    fixture_machine broken = fixture_usual;
    broken.accuracy_null = true;
    broken.rounds = 3;
    cJSON *results = fixture_bench_results(&broken);
    written w = write_pages(results);
    CHECK(w.status == CIUIC_OK, "%s", ciuic_last_error());
    CU_ASSERT_TRUE(has(w.html, "NaN or infinite logits") && has(w.html, "(no interval)"));
    CU_ASSERT_FALSE(has(w.html, ">nan") || has(w.html, "-nan") || has(w.html, ">inf"));
    CU_ASSERT_TRUE(has(w.html, "Undecided"));
    written_free(&w);
    cJSON_Delete(results);
}

static void outputs_that_differ(void)
{
    cJSON *results = fixture_bench_results(&fixture_usual);
    cJSON_ReplaceItemInObject(fixture_case(results, "decode64@256/b1/t2/int8+avx512"), "outputs_match",
                              cJSON_CreateFalse());
    written w = write_pages(results);
    CU_ASSERT_TRUE(has(w.html, "In 1 cases the outputs of the timed run differ"));
    written_free(&w);
    cJSON_Delete(results);
}

/* Tokens/s of a variant in the n-th speed table of a report.md. */
static double shown_speed(const char *markdown, const char *variant, int n)
{
    char row[96];
    snprintf(row, sizeof row, "| %s | ", variant);
    const char *c = strstr(markdown, "## Speed of every variant");
    for (int i = 0; i < n && c != NULL; i++) c = strstr(c + 1, row);
    return c != NULL ? strtod(c + strlen(row), NULL) : NAN;
}

/* int4 with everything on is in the last block, int8 in the first. If all of the last block takes 1.5 times as long,
 * int4's own times say that it is slower than int8, and they are not what to show beside those of other blocks. */
static void speeds_compare_across_blocks(void)
{
    fixture_machine machine = fixture_usual;
    machine.blocks = 3;
    machine.disturbed = 1.5;
    machine.drift = 0.0;
    cJSON *results = fixture_bench_results(&machine);
    written w = write_pages(results);
    CU_ASSERT_EQUAL_FATAL(w.status, CIUIC_OK);
    const double tuned = 64 / (0.5 / (machine.graph_gain * machine.memory_gain * machine.kernels_gain));
    const struct {
        const char *variant;
        double truth;
    } table[] = {{"int4+graph+memory+avx512", tuned * machine.int4_gain},
                 {"int8+graph+memory+avx512", tuned * machine.int8_gain},
                 {"fp16+graph+memory+avx512 \\(tuned\\)", tuned}};
    for (size_t i = 0; i < 3; i++) {
        const double shown = shown_speed(w.markdown, table[i].variant, 2);
        /* Three samples, each within 1% of its truth: tuned's own, and the two of the ratio. */
        CHECK(fabs(log(shown / table[i].truth)) < 3 * 0.0101, "%s: %g tokens/s are shown, in truth %g",
              table[i].variant, shown, table[i].truth);
    }
    written_free(&w);
    cJSON_Delete(results);
}

/* ---- parts ------------------------------------------------------------------------------------------------------ */

static void an_svg_becomes_part_of_a_page(void)
{
    const char *raw = "<?xml version=\"1.0\"?>\n<!DOCTYPE svg>\n<svg width=\"9\">\n<title>Gnuplot</title>\n"
                      "<path id='gpPt1'/><use xlink:href='#gpPt1'/><use xlink:href='#gpPt1' color='white'/><text "
                      "fill=\"rgb(1,1,1)\">a</text>"
                      "<g id=\"gnuplot_plot_1\"><title>gnuplot_plot_1</title></g></svg>\n";
    char *svg = svg_finish(raw, "memory-1", "a < b");
    CU_ASSERT_PTR_NOT_NULL_FATAL(svg);
    CU_ASSERT_EQUAL(strncmp(svg, "<svg class=\"plot\" role=\"img\" width=\"9\">", 39), 0);
    CU_ASSERT_TRUE(has(svg, "<title>a &lt; b</title>") && !has(svg, "Gnuplot") && !has(svg, "<style>"));
    CU_ASSERT_TRUE(has(svg, "id='memory-1-gpPt1'") && has(svg, "href='#memory-1-gpPt1'"));
    CU_ASSERT_TRUE(has(svg, "fill=\"currentColor\"") && !has(svg, "rgb(1,1,1)") && !has(svg, "white"));
    CU_ASSERT_TRUE(has(svg, "id=\"memory-1-gnuplot_plot_1\"></g>"));
    char *file = svg_standalone(svg);
    CU_ASSERT_TRUE(has(file, "<?xml") && has(file, "prefers-color-scheme:dark") && has(file, "</title><style>"));
    free(file);
    free(svg);
    CU_ASSERT_PTR_NULL(svg_finish("no plot", "s", "t"));
    CU_ASSERT_PTR_NULL(svg_finish("<svg width=\"9\"><g>a plot without its en", "s", "t"));
}

static void check_embedded(const char *path, embedded_file file)
{
    char *text = read_text(path);
    CHECK(text != NULL && strlen(text) == file.bytes && strcmp(text, file.text) == 0,
          "%s is not what the program carries; it was changed since it was built", path);
    free(text);
}

static void embedded_files_are_the_files(void)
{
    static const char *const plots[] = {"speedup", "stages", "memory", "error", "tradeoff", "bits", "sensitivity"};
    check_embedded("reports/report.html.in", embedded_template());
    check_embedded("reports/results.schema.json", embedded_schema());
    check_embedded("reports/style.gnuplot", embedded_style());
    for (size_t i = 0; i < sizeof plots / sizeof plots[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "reports/%s.gnuplot", plots[i]);
        check_embedded(path, embedded_plot(plots[i]));
    }
    CU_ASSERT_PTR_NULL(embedded_plot("none").text);
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static void bad_files_end_in_one_line(void)
{
    char *folder = temporary_folder(), path[512];
    CU_ASSERT_PTR_NOT_NULL_FATAL(folder);
    snprintf(path, sizeof path, "%s/results.json", folder);
    const struct {
        const char *text; /* NULL: no such file */
        const char *complaint;
        int status;
    } table[] = {
        {NULL, "results.json: cannot be opened", 3},
        {"", "not valid JSON", 3},
        {"[1, 2]", "found an array, expected object", 3},
        {"{\"schema_version\": 99}", "schema_version 99; expected 1", 3},
        {"{\"cases\": [], \"cases\": []}", "appears twice", 3},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        FILE *file = table[i].text != NULL ? fopen(path, "w") : NULL;
        if (file != NULL) {
            fputs(table[i].text, file);
            fclose(file);
        }
        const char *const arguments[] = {"report", path, NULL};
        program_run run = program(arguments, NULL);
        CHECK(run.status == table[i].status, "row %zu: status %d", i, run.status);
        CHECK(run.err != NULL && count_lines(run.err) == 1 && has(run.err, table[i].complaint), "row %zu: said \"%s\"",
              i, run.err);
        CHECK(count_files(folder) == (table[i].text != NULL), "row %zu: something was written", i);
        program_run_free(&run);
    }
    const char *const none[] = {"report", NULL}, *const help[] = {"report", "--help", NULL};
    program_run run = program(none, NULL);
    CU_ASSERT_EQUAL(run.status, 2);
    program_run_free(&run);
    run = program(help, NULL);
    CU_ASSERT_EQUAL(run.status, 0);
    CU_ASSERT_TRUE(has(run.out, "example:"));
    program_run_free(&run);
    remove_folder(folder);
}

static void the_command_writes_where_it_is_told(void)
{
    char *folder = temporary_folder(), path[512], elsewhere[512], printed[512];
    CU_ASSERT_PTR_NOT_NULL_FATAL(folder);
    snprintf(path, sizeof path, "%s/results.json", folder);
    snprintf(elsewhere, sizeof elsewhere, "%s/a/b", folder);
    snprintf(printed, sizeof printed, "%s/a/b/index.html\n", folder);
    cJSON *results = fixture_bench_results(&fixture_usual);
    CU_ASSERT_EQUAL(json_write_file(path, results), CIUIC_OK);
    const char *const arguments[] = {"report", folder, "-o", elsewhere, NULL};
    program_run run = program(arguments, NULL);
    CHECK(run.status == 0, "status %d: %s", run.status, run.err);
    CHECK(run.out != NULL && strcmp(run.out, printed) == 0, "printed \"%s\"", run.out);
    char *html = read_in(elsewhere, "index.html");
    CU_ASSERT_TRUE(has(html, "</html>"));
    free(html);
    program_run_free(&run);
    cJSON_Delete(results);
    remove_tree(folder);
}

/* Several in one process give what each gives by itself; a bad one costs only itself. */
static void a_bad_plot_costs_no_other(void)
{
    char good[] = "set terminal svg size 200, 100\nplot x\n",
         also[] = "set terminal svg size 90, 90\nplot [0:1] x**2\n",
         bad[] = "set terminal svg\nplot no_such_function(x)\n";
    const gnuplot_script some[] = {{good, strlen(good)}, {also, strlen(also)}},
                         scripts[] = {some[0], {bad, strlen(bad)}, {bad, strlen(bad)}, some[1], some[0]};
    char *alone[2] = {NULL}, *outputs[5] = {NULL}, problem[128] = "";
    gnuplot_process p;
    size_t whole = 0;
    gnuplot_outcome outcome = GNUPLOT_ENDED;
    if (gnuplot_start(&p, ".", some, 2) != CIUIC_OK || gnuplot_finish(&p, alone, &whole, &outcome) != CIUIC_OK) {
        CU_ASSERT_PTR_NOT_NULL(strstr(ciuic_last_error(), "gnuplot")); /* not installed */
        return;
    }
    CU_ASSERT_TRUE(whole == 2 && outcome == GNUPLOT_ENDED);
    CHECK(has(alone[0], "width=\"200\"") && has(alone[0], "</svg>"), "the first is another");
    CHECK(has(alone[1], "width=\"90\"") && has(alone[1], "</svg>"), "the second is another");
    CU_ASSERT_EQUAL(gnuplot_start(&p, ".", scripts, 5), CIUIC_OK);
    CU_ASSERT_EQUAL(gnuplot_finish(&p, outputs, &whole, &outcome), CIUIC_ERROR_UNSUPPORTED);
    CHECK(whole == 1 && outcome == GNUPLOT_AGAIN && outputs[1] == NULL, "%zu are whole", whole);
    free(outputs[0]);
    gnuplot_crew crew;
    crew_start(&crew, ".", scripts, 5);
    crew_finish(&crew, outputs, problem, sizeof problem);
    CHECK(has(problem, "gnuplot failed with status"), "%s", problem);
    for (int i = 0; i < 5; i++) {
        const char *width = i == 3 ? "width=\"90\"" : "width=\"200\"";
        if (i == 1 || i == 2)
            CHECK(outputs[i] == NULL, "plot %d was drawn", i);
        else
            CHECK(outputs[i] != NULL && has(outputs[i], width) && has(outputs[i], "</svg>"), "plot %d is another", i);
        free(outputs[i]);
    }
    free(alone[0]);
    free(alone[1]);
}

/* A gnuplot that sleeps, and whose time is up: it is said to hang, and none is started in its place. */
static void a_gnuplot_that_hangs_is_not_started_again(void)
{
    static const char sleeper[] = "#!/bin/sh\nexec sleep 600\n";
    char *folder = temporary_folder(), path[512], text[] = "plot x\n", problem[128] = "";
    const char *const saved_path = getenv("PATH");
    char *saved = strdup(saved_path != NULL ? saved_path : "");
    const gnuplot_script scripts[] = {{text, strlen(text)}, {text, strlen(text)}};
    char *outputs[2] = {NULL}, searched[1024];
    CU_ASSERT_TRUE_FATAL(folder != NULL && saved != NULL);
    snprintf(path, sizeof path, "%s/gnuplot", folder);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(sleeper, file);
    fclose(file);
    CU_ASSERT_EQUAL_FATAL(chmod(path, 0700), 0);
    snprintf(searched, sizeof searched, "%s:%s", folder, saved);
    setenv("PATH", searched, 1);
    gnuplot_crew crew;
    crew_start(&crew, ".", scripts, 2);
    for (size_t m = 0; m < crew.members; m++) crew.member[m].process.deadline_s = 0; /* long over */
    CU_ASSERT_TRUE(crew_finish(&crew, outputs, problem, sizeof problem));
    CHECK(has(problem, "gnuplot hung"), "%s", problem);
    CU_ASSERT_TRUE(outputs[0] == NULL && outputs[1] == NULL);
    /* A share whose process was not had at first is tried again, but not behind one that hung. */
    crew_start(&crew, ".", scripts, 2);
    const double from = monotonic_s();
    for (size_t m = 0; m < crew.members; m++) crew.member[m].process.deadline_s = 0;
    if (crew.members > 1) {
        gnuplot_outcome outcome = GNUPLOT_ENDED;
        size_t whole = 0;
        CU_ASSERT_EQUAL(gnuplot_finish(&crew.member[1].process, &outputs[1], &whole, &outcome),
                        CIUIC_ERROR_UNSUPPORTED);
        CU_ASSERT_EQUAL(outcome, GNUPLOT_HUNG);
    }
    CU_ASSERT_TRUE(crew_finish(&crew, outputs, problem, sizeof problem));
    CHECK(monotonic_s() - from < 25, "it took %g s, so another was waited for", monotonic_s() - from);
    setenv("PATH", saved, 1);
    free(saved);
    remove_folder(folder);
}

static const test_case cases[] = {
    {"a gnuplot that hangs is not started again", a_gnuplot_that_hangs_is_not_started_again},
    {"a bad plot costs no other", a_bad_plot_costs_no_other},
    {"a page is whole and needs nothing else", a_page_is_whole},
    {"a report is the same every time", a_report_is_the_same_every_time},
    {"hostile names execute nothing", hostile_names_execute_nothing},
    {"without gnuplot there are tables", without_gnuplot},
    {"when nothing was measured the page says so", nothing_was_measured},
    {"metrics that are NaN", metrics_that_are_nan},
    {"outputs that differ are pointed out", outputs_that_differ},
    {"speeds compare across blocks", speeds_compare_across_blocks},
    {"an SVG becomes part of a page", an_svg_becomes_part_of_a_page},
    {"embedded files are the files", embedded_files_are_the_files},
    {"bad files end in one line", bad_files_end_in_one_line},
    {"the command writes where it is told", the_command_writes_where_it_is_told},
};

TEST_SUITE(report, cases);
