/* test_forms.c - the forms of a report beside the page: text that fits a terminal, CSV that a spreadsheet computes nothing
 * of, other claims, timings of other programs; and what is asked for is what is written. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/report/csv.h"
#include "harness/report/page_text.h"
#include "harness/report/report.h"
#include "harness/tests/program.h"
#include "harness/tests/results_fixture.h"
#include "harness/tests/written_report.h"
#include "optimizer/atomic_file.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static size_t width_of(const char *line, size_t bytes)
{
    size_t width = 0;
    for (size_t i = 0; i < bytes; i++) width += ((unsigned char)line[i] & 0xc0u) != 0x80u;
    return width;
}

/* To be freed. */
static char *as_text(cJSON *results)
{
    char *text = NULL;
    size_t bytes = 0;
    const char *notice = NULL;
    report_request q = {.format = REPORT_TEXT, .text = open_memstream(&text, &bytes)};
    CU_ASSERT_PTR_NOT_NULL_FATAL(q.text);
    const ciuic_status status = report_write(results, "made-up.json", &q, &notice);
    fclose(q.text);
    CHECK(status == CIUIC_OK, "%s", ciuic_last_error());
    return text;
}

/* All lines but commands to be copied, which are indented by four. */
static void check_width(const char *text, const char *what)
{
    for (const char *line = text; line != NULL && *line != '\0';) {
        const size_t bytes = strcspn(line, "\n");
        if (strncmp(line, "    ", 4) != 0 || strchr(line, '|') == NULL)
            CHECK(width_of(line, bytes) <= PAGE_TEXT_WIDTH || strncmp(line, "    ciuic", 9) == 0,
                  "%s: a line of %zu columns: %.*s", what, width_of(line, bytes), (int)bytes, line);
        line += bytes + (line[bytes] == '\n');
    }
}

static void text_fits_a_terminal(void)
{
    cJSON *results = fixture_bench_results(&fixture_usual);
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(results, "machine"), "cpu",
                              cJSON_CreateString("Made-up CPU (test data) whose name takes most of a line by itself"));
    char *text = as_text(results);
    check_width(text, "made-up results");
    static const char *const promised[] = {"Is it 3 to 5 times faster?",   "Claim by claim",
                                           "What each stage earns",        "Memory by kind",
                                           "The machine and its ceilings", "How to do it again"};
    for (size_t i = 0; i < sizeof promised / sizeof promised[0]; i++)
        CHECK(has(text, promised[i]), "the text lacks %s", promised[i]);
    CU_ASSERT_FALSE(has(text, "<") || has(text, "&amp;") || has(text, "nan"));
    free(text);
    /* Every case failed; no case at all. */
    for (cJSON *c = cJSON_GetObjectItem(results, "cases")->child; c != NULL; c = c->next) {
        cJSON_ReplaceItemInObject(c, "status", cJSON_CreateString("failed"));
        cJSON_AddStringToObject(c, "reason", "the worker was killed by signal 9");
    }
    text = as_text(results);
    check_width(text, "failed cases");
    CU_ASSERT_TRUE(has(text, "Every one of the 52 cases failed or was skipped"));
    free(text);
    cJSON_DeleteItemFromObject(results, "cases");
    cJSON_DeleteItemFromObject(results, "blocks");
    cJSON_AddArrayToObject(results, "cases");
    cJSON_AddArrayToObject(results, "blocks");
    text = as_text(results);
    CU_ASSERT_TRUE(has(text, "These results hold no case at all"));
    free(text);
    cJSON_Delete(results);
}

/* A table too wide goes on below, with its first column again; a word too long is cut; nothing is lost. */
static void wide_tables_go_on_below(void)
{
    const char *titles[20];
    bool numbers[20];
    char names[20][16], *text = NULL;
    size_t bytes = 0;
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "column%02d", i);
        titles[i] = names[i];
        numbers[i] = i % 2 == 1;
    }
    text_table *t = text_table_begin(titles, numbers, 20);
    for (int row = 0; row < 2; row++)
        for (int i = 0; i < 20; i++) {
            char cell[128];
            snprintf(cell, sizeof cell, "r%dc%d", row, i);
            if (i == 0)
                snprintf(cell, sizeof cell, "%d-a-name-that-is-much-longer-than-any-column-may-ever-be-in-a-terminal-x",
                         row);
            text_table_add(t, "", cell);
        }
    FILE *out = open_memstream(&text, &bytes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    text_table_print(out, t);
    fclose(out);
    text_table_free(t);
    check_width(text, "a wide table");
    for (int row = 0; row < 2; row++)
        for (int i = 1; i < 20; i++) {
            char cell[16];
            snprintf(cell, sizeof cell, "r%dc%d", row, i);
            CHECK(has(text, cell), "%s is lost", cell);
        }
    size_t again = 0;
    for (const char *c = text; (c = strstr(c, "column00")) != NULL; c++) again++;
    CHECK(again > 1, "the first column is there %zu times", again);
    free(text);
}

/* A page that lacks something, as for want of memory, is an error, and no page: here a table that was refused. */
static void what_is_missing_is_an_error(void)
{
    page_column columns[25];
    for (size_t i = 0; i < 25; i++) columns[i] = (page_column){.title = "t"};
    for (int form = PAGE_HTML; form <= PAGE_TEXT; form++)
        for (size_t n = 24; n <= 25; n++) {
            FILE *out = fopen("/dev/null", "w");
            CU_ASSERT_PTR_NOT_NULL_FATAL(out);
            page p = page_begin(out, (page_form)form);
            page_table_begin(&p, "caption", columns, n, false);
            for (size_t i = 0; i < n; i++) page_cell(&p, TONE_PLAIN, "x");
            page_table_end(&p);
            const ciuic_status expected = form == PAGE_TEXT && n == 25 ? CIUIC_ERROR_UNSUPPORTED : CIUIC_OK;
            CHECK(page_end(&p) == expected, "form %d, %zu columns", form, n);
            fclose(out);
        }
}

static const char hostile[] = "\x1b[2J\x1b]0;owned\x07=HYPERLINK(\"http://evil.invalid\")\r\n@SUM(1)|<script>\xc2\x9b"
                              "31m";

static void a_terminal_is_not_commanded(void)
{
    cJSON *results = fixture_bench_results(&fixture_usual);
    cJSON_ReplaceItemInObject(results, "suite", cJSON_CreateString(hostile));
    cJSON *machine = cJSON_GetObjectItem(results, "machine");
    cJSON_ReplaceItemInObject(machine, "cpu", cJSON_CreateString(hostile));
    cJSON_AddItemToArray(cJSON_GetObjectItem(machine, "warnings"), cJSON_CreateString(hostile));
    cJSON_AddItemToArray(cJSON_GetObjectItem(results, "command"), cJSON_CreateString(hostile));
    cJSON_AddItemToObject(machine, hostile, cJSON_CreateString(hostile));
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(results, "claims")->child, "sentence", cJSON_CreateString(hostile));
    for (cJSON *c = cJSON_GetObjectItem(results, "cases")->child; c != NULL; c = c->next)
        cJSON_ReplaceItemInObject(cJSON_GetObjectItem(c, "workload"), "checkpoint", cJSON_CreateString(hostile));
    char *text = as_text(results);
    for (const char *c = text; *c != '\0'; c++) {
        const unsigned char byte = (unsigned char)*c;
        const bool c1 = byte == 0xc2 && (unsigned char)c[1] >= 0x80 && (unsigned char)c[1] < 0xa0;
        if ((byte < 0x20 && byte != '\n') || byte == 0x7f || c1) {
            CHECK(false, "a control character: %.40s", c > text + 10 ? c - 10 : text);
            break;
        }
    }
    CU_ASSERT_TRUE(has(text, "HYPERLINK"));
    free(text);
    cJSON_Delete(results);
}

static void cells_are_no_formulas(void)
{
    static const struct {
        const char *text, *cell;
    } table[] = {
        {"int4+graph", "\"int4+graph\""},
        {"", "\"\""},
        {"=1+1", "\"'=1+1\""},
        {"+1", "\"'+1\""},
        {"-1", "\"'-1\""},
        {"@SUM(A1)", "\"'@SUM(A1)\""},
        {"\t=1", "\"' =1\""},
        {"\r=1", "\"' =1\""},
        {" =1", "\"' =1\""},
        {"a \"b\", c\nd", "\"a \"\"b\"\", c d\""},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char *text = NULL;
        size_t bytes = 0;
        FILE *out = open_memstream(&text, &bytes);
        CU_ASSERT_PTR_NOT_NULL_FATAL(out);
        csv_text(out, table[i].text);
        fclose(out);
        CHECK(strcmp(text, table[i].cell) == 0, "row %zu: %s, expected %s", i, text, table[i].cell);
        free(text);
    }
}

/* Cells of a line of CSV; quotes may hold commas. 0 where a quote is not closed. */
static size_t count_cells(const char *line, size_t bytes)
{
    size_t cells = 1;
    bool quoted = false;
    for (size_t i = 0; i < bytes; i++) {
        quoted = quoted != (line[i] == '"');
        cells += line[i] == ',' && !quoted;
    }
    return quoted ? 0 : cells;
}

static void check_csv(const char *folder, const char *name, size_t rows)
{
    char *text = read_in(folder, name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    size_t expected = 0, lines = 0;
    for (const char *line = text; *line != '\0';) {
        const char *end = strstr(line, "\r\n");
        CU_ASSERT_PTR_NOT_NULL_FATAL(end);
        const size_t cells = count_cells(line, (size_t)(end - line));
        if (lines++ == 0) expected = cells;
        CHECK(cells == expected && cells > 10, "%s: line %zu has %zu cells, the first %zu", name, lines, cells,
              expected);
        line = end + 2;
    }
    CHECK(lines == rows + 1, "%s: %zu lines for %zu rows", name, lines, rows);
    free(text);
}

/* --format decides what is there afterwards. */
static void what_is_asked_for_is_written(void)
{
    static const struct {
        report_format format;
        const char *names[5];
    } table[] = {
        {REPORT_ALL, {"index.html", "report.md", "cases.csv", "verdicts.csv", "plots"}},
        {REPORT_HTML, {"index.html", "plots"}},
        {REPORT_MARKDOWN, {"report.md", "plots"}},
        {REPORT_CSV, {"cases.csv", "verdicts.csv"}},
    };
    cJSON *results = fixture_bench_results(&fixture_usual);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char *folder = temporary_folder();
        const char *notice = NULL;
        const report_request q = {.directory = folder, .format = table[i].format};
        CHECK(report_write(results, "made-up.json", &q, &notice) == CIUIC_OK, "%s", ciuic_last_error());
        size_t expected = 0;
        for (size_t n = 0; n < 5 && table[i].names[n] != NULL; n++, expected++) {
            char path[512];
            snprintf(path, sizeof path, "%s/%s", folder, table[i].names[n]);
            CHECK(access(path, F_OK) == 0, "row %zu: there is no %s", i, table[i].names[n]);
        }
        CHECK(count_files(folder) == expected, "row %zu: %zu files", i, count_files(folder));
        if (table[i].format == REPORT_CSV) {
            check_csv(folder, "cases.csv", (size_t)cJSON_GetArraySize(cJSON_GetObjectItem(results, "cases")));
            check_csv(folder, "verdicts.csv", (size_t)cJSON_GetArraySize(cJSON_GetObjectItem(results, "verdicts")));
        }
        remove_tree(folder);
    }
    cJSON_Delete(results);
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static char *write_in(const char *folder, const char *name, const char *text)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0) return NULL;
    CHECK(atomic_file_write(path, text, strlen(text)) == CIUIC_OK, "%s", ciuic_last_error());
    return path;
}

static char *write_results(const char *folder)
{
    char *path = NULL;
    cJSON *results = fixture_bench_results(&fixture_usual);
    if (asprintf(&path, "%s/results.json", folder) < 0) path = NULL;
    CHECK(path != NULL && json_write_file(path, results) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON_Delete(results);
    return path;
}

#define CLAIM(metric)                                                                                                  \
    "[{\"id\": \"mine\", \"question\": \"Is it twice as fast?\", \"sentence\": \"Twice.\", \"source\": \"me\", "       \
    "\"metric\": \"" metric "\", \"min\": 1.2, \"phases\": [\"decode\"], \"variant\": {\"quantize\": \"int8\"}, "      \
    "\"baselines\": [\"tuned\"]}]"

static void other_claims_are_judged(void)
{
    char *folder = temporary_folder(), *results = write_results(folder);
    char *good = write_in(folder, "mine.json", CLAIM("speedup")), *bad = write_in(folder, "bad.json", CLAIM("sped"));
    const char *const asked[] = {"report", results, "--claims", good, "--format", "text", NULL};
    program_run run = program(asked, NULL);
    CHECK(run.status == 0, "status %d: %s", run.status, run.err);
    CU_ASSERT_TRUE(has(run.out, "Is it twice as fast?") && !has(run.out, "Is it 3 to 5 times faster?"));
    CU_ASSERT_TRUE(has(run.out, "mine.json"));
    program_run_free(&run);
    const char *const wrong[] = {"report", results, "--claims", bad, NULL};
    run = program(wrong, NULL);
    CHECK(run.status == 3 && has(run.err, "bad.json: claims[0]: unknown metric \"sped\"") && count_lines(run.err) == 1,
          "status %d: %s", run.status, run.err);
    CHECK(count_files(folder) == 3, "something was written");
    program_run_free(&run);
    /* What was asked for cannot be. */
    const char *const formats[] = {"report", results, "--format", "pdf", NULL};
    run = program(formats, NULL);
    CHECK(run.status == 2 && has(run.err, "'pdf': expected html, markdown, csv or text"), "status %d: %s", run.status,
          run.err);
    program_run_free(&run);
    const char *const both[] = {"report", results, "--format", "text", "-o", folder, NULL};
    run = program(both, NULL);
    CHECK(run.status == 2, "status %d: %s", run.status, run.err);
    program_run_free(&run);
    free(good);
    free(bad);
    free(results);
    remove_tree(folder);
}

/* Imported timings stand alone: in their table, as their rows of cases.csv, and nowhere near a verdict. */
static void imported_timings_stand_alone(void)
{
    char *folder = temporary_folder(), *results = write_results(folder), *out = NULL;
    char *csv = write_in(folder, "other.csv",
                         "name,tokens,seconds\nother<b>program,64,0.5\nother<b>program,64,0.6\n=cmd,64,0.4\n");
    if (asprintf(&out, "%s/out", folder) < 0) out = NULL;
    const char *const arguments[] = {"report", results, "--import", csv, "-o", out, NULL};
    program_run run = program(arguments, NULL);
    CHECK(run.status == 0, "status %d: %s", run.status, run.err);
    program_run_free(&run);
    char *html = read_in(out, "index.html"), *cases = read_in(out, "cases.csv"),
         *verdicts = read_in(out, "verdicts.csv");
    const char *section = html != NULL ? strstr(html, "<section id=\"imported\"") : NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(section);
    const char *end = strstr(section, "</section>"), *first = strstr(html, "other&lt;b&gt;program");
    CHECK(first > section && first < end && strstr(end, "other&lt;b&gt;program") == NULL,
          "the imported name is not in its section alone");
    CU_ASSERT_TRUE(has(section, "No claim is judged on these figures") && !has(html, "other<b>"));
    CU_ASSERT_TRUE(has(cases, "\"other<b>program\"") && has(cases, "\"imported\"\r\n") && has(cases, "\"'=cmd\""));
    CU_ASSERT_FALSE(has(verdicts, "other<b>program"));
    check_csv(out, "cases.csv", 52 + 2);
    free(html);
    free(cases);
    free(verdicts);
    free(csv);
    free(out);
    free(results);
    remove_tree(folder);
}

/* ---- size ------------------------------------------------------------------------------------------------------- */

/* What a pull-request comment may hold on GitHub: 65536 characters; what the page may weigh: 1.5 MB. The fixture's 52 cases,
 * four times, as four checkpoints. */
static void two_hundred_cases_fit(void)
{
    cJSON *results = fixture_bench_results(&fixture_usual), *cases = cJSON_GetObjectItem(results, "cases");
    cJSON *blocks = cJSON_GetObjectItem(results, "blocks");
    const int known = cJSON_GetArraySize(cases), known_blocks = cJSON_GetArraySize(blocks);
    for (int copy = 1; copy < 4; copy++) {
        char name[32];
        snprintf(name, sizeof name, "other-model-%d", copy);
        for (int i = 0; i < known_blocks; i++) {
            cJSON *block = cJSON_Duplicate(cJSON_GetArrayItem(blocks, i), true);
            cJSON_ReplaceItemInObject(block, "index", cJSON_CreateNumber(copy * known_blocks + i));
            cJSON_ReplaceItemInObject(cJSON_GetObjectItem(block, "workload"), "checkpoint", cJSON_CreateString(name));
            cJSON_AddItemToArray(blocks, block);
            cJSON *samples = cJSON_GetObjectItem(block, "samples"), *renamed = cJSON_CreateObject();
            for (cJSON *s = samples->child; s != NULL; s = s->next) {
                char id[256];
                snprintf(id, sizeof id, "%s%s", name, strchr(s->string, '/'));
                cJSON_AddItemToObject(renamed, id, cJSON_Duplicate(s, true));
            }
            cJSON_ReplaceItemInObject(block, "samples", renamed);
        }
        for (int i = 0; i < known; i++) {
            char id[256];
            cJSON *c = cJSON_Duplicate(cJSON_GetArrayItem(cases, i), true);
            snprintf(id, sizeof id, "%s%s", name, strchr(cJSON_GetObjectItem(c, "id")->valuestring, '/'));
            cJSON_ReplaceItemInObject(c, "id", cJSON_CreateString(id));
            cJSON_ReplaceItemInObject(cJSON_GetObjectItem(c, "workload"), "checkpoint", cJSON_CreateString(name));
            cJSON_AddItemToArray(cases, c);
        }
    }
    char *folder = temporary_folder();
    const char *notice = NULL;
    const report_request q = {.directory = folder};
    CHECK(report_write(results, "made-up.json", &q, &notice) == CIUIC_OK, "%s", ciuic_last_error());
    char *html = read_in(folder, "index.html"), *markdown = read_in(folder, "report.md");
    CHECK(html != NULL && strlen(html) < 1500000, "the page has %zu bytes", html != NULL ? strlen(html) : 0);
    CHECK(markdown != NULL && strlen(markdown) < 65536, "the comment has %zu bytes",
          markdown != NULL ? strlen(markdown) : 0);
    CU_ASSERT_TRUE(has(markdown, "## Claim by claim") && has(markdown, "Shortened: of 208 cases"));
    free(html);
    free(markdown);
    remove_tree(folder);
    cJSON_Delete(results);
}

static const test_case cases[] = {
    {"text fits a terminal", text_fits_a_terminal},
    {"wide tables go on below", wide_tables_go_on_below},
    {"what is missing is an error", what_is_missing_is_an_error},
    {"a terminal is not commanded", a_terminal_is_not_commanded},
    {"cells are no formulas", cells_are_no_formulas},
    {"what is asked for is written", what_is_asked_for_is_written},
    {"other claims are judged, and bad ones refused", other_claims_are_judged},
    {"imported timings stand alone", imported_timings_stand_alone},
    {"two hundred cases fit a page and a comment", two_hundred_cases_fit},
};

TEST_SUITE(forms, cases);
