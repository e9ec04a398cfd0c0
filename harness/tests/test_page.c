/* test_page.c - what a report's page says of itself: its title, its command, what was compared, and its cells on a phone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/column_style.h"
#include "harness/tests/results_fixture.h"
#include "harness/tests/written_report.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static const char one_claim[] =
    "[{\"id\": \"%s\", \"question\": \"Is it so?\", \"sentence\": \"It is so\", \"source\": \"nobody\","
    " \"metric\": \"%s\", %s, \"phases\": [\"%s\"], \"variant\": {}, \"baselines\": [\"tuned\"]}]";

/* The title is that of the claims that are judged; a claim about no case has no verdicts that could say why. */
static void the_title_is_that_of_the_claims(void)
{
    static const struct {
        const char *metric, *bounds, *phase, *title;
    } rows[] = {
        {"speedup", "\"min\": 3, \"band_top\": 5", "decode", "# 3-5x faster? What this machine says\n"},
        {"speedup", "\"min\": 2.5", "decode", "# 2.5x faster? What this machine says\n"},
        {"memory_reduction_total", "\"min\": 0.7", "decode", "# 70% less memory? What this machine says\n"},
        {"speedup", "\"min\": 1, \"max\": 1.05", "decode", "# Is it so? What this machine says\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, one_claim, "one", rows[i].metric, rows[i].bounds, rows[i].phase);
        cJSON *results = fixture_bench_results(&fixture_usual);
        cJSON_ReplaceItemInObject(results, "claims", cJSON_Parse(text));
        written w = write_pages(results);
        CHECK(w.status == CIUIC_OK && has(w.markdown, rows[i].title), "row %zu: %.80s", i,
              w.markdown != NULL ? w.markdown : ciuic_last_error());
        CU_ASSERT_FALSE(has(w.html, "@TITLE@") || has(w.html, "70% less memory, at"));
        /* What the column calls tuned is another program on another rung, and is named. */
        CHECK(i >= 2 || has(w.html, "over tuned on c"), "row %zu: the rung of the baseline is not named", i);
        written_free(&w);
        cJSON_Delete(results);
    }
    cJSON *results = fixture_bench_results(&fixture_usual);
    cJSON_DeleteItemFromObject(results, "cases");
    cJSON_DeleteItemFromObject(results, "blocks");
    cJSON_AddArrayToObject(results, "cases");
    cJSON_AddArrayToObject(results, "blocks");
    written w = write_pages(results);
    CU_ASSERT_FALSE(has(w.markdown, "the verdicts below say why"));
    CU_ASSERT_TRUE(has(w.markdown, "no case that it could be asked of"));
    written_free(&w);
    cJSON_Delete(results);
}

/* Rows are cards on a phone: each cell that is not the row's name has the head of its column before it, from a title that may be
 * anything, and says that it is a cell where it does not look like one. */
static void cells_are_named_on_a_phone(void)
{
    static const page_column columns[] = {{"Case", false}, {"Time, ms", true}, {"</style>\"\\\xe2\x80\xaeZ\n", false}};
    static const struct {
        bool compact;
        const char *expected[4], *absent;
    } rows[] = {
        {false,
         {".t7 td:nth-child(2)::before{content:\"Time\\2c  ms\"}",
          ".t7 td:nth-child(3)::before{content:\"\\3c \\2f style\\3e \\22 \\5c ?Z\\20 \"}",
          ".t7 td:nth-child(2){text-align:right}", "(max-width:40rem)"},
         "nth-child(1)"},
        {true, {".t7 td:nth-child(2){text-align:right}", ".t7", "", ""}, "::before"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = NULL;
        size_t length = 0;
        FILE *stream = open_memstream(&text, &length);
        column_style_write(stream, 7, columns, 3, rows[i].compact);
        fclose(stream);
        for (int k = 0; k < 4; k++)
            CHECK(has(text, rows[i].expected[k]), "row %zu: no %s in %s", i, rows[i].expected[k], text);
        CHECK(!has(text, rows[i].absent) && !has(text, "</"), "row %zu: %s", i, text);
        free(text);
    }
    CHECK(column_style_key(columns, 3, false) != column_style_key(columns, 2, false) &&
              column_style_key(columns, 3, false) != column_style_key(columns, 3, true) &&
              column_style_key(columns, 3, false) == column_style_key(columns, 3, false),
          "tables of other columns have one style");
    cJSON *results = fixture_bench_results(&fixture_usual);
    written w = write_pages(results);
    CU_ASSERT_TRUE(has(w.html, "::before{content:\"Accounted total\"}") && !has(w.html, "@STYLE@"));
    CU_ASSERT_TRUE(has(w.html, "<table role=\"table\" class=\"wide t") && has(w.html, "<td role=\"cell\""));
    written_free(&w);
    cJSON_Delete(results);
}

static void compared_weights_are_counted(void)
{
    cJSON *results = fixture_bench_results(&fixture_usual);
    written w = write_pages(results);
    CU_ASSERT_FALSE(has(w.markdown, "made once more"));
    written_free(&w);
    static const char *const endings[] = {"decode64@256/b1/t2/int8+avx512", "decode64@256/b1/t2/int4+avx512"};
    for (size_t i = 0; i < 2; i++) {
        cJSON *found = cJSON_AddObjectToObject(fixture_case(results, endings[i]), "weight_check");
        cJSON_AddNumberToObject(found, "checked", 7000000);
        cJSON_AddNumberToObject(found, "unchecked", i == 1 ? 321 : 0);
        cJSON_AddNumberToObject(found, "seconds", 2);
    }
    w = write_pages(results);
    CHECK(has(w.markdown, "In 2 of 52 cases") && has(w.markdown, ": 14000000 weights in all, in 4 s.") &&
              has(w.markdown, "321 weights could not be compared"),
          "%s", w.markdown != NULL ? strstr(w.markdown, "## Error by variant") : "no page");
    written_free(&w);
    cJSON_Delete(results);
}

/* What is offered for copying is one command, whatever its words are. */
static void the_command_is_quoted_for_a_shell(void)
{
    static const struct {
        const char *command, *line;
    } rows[] = {
        {"[\"bench\", \"suites/quick.json\"]", "    ciuic bench suites/quick.json\n"},
        {"[\"ciuic\", \"bench\", \"a.json\"]", "    ciuic bench a.json\n"},
        {"[\"bench\", \"a b; curl evil|sh\", \"$(id)\", \"`id`\", \"it's\"]",
         "    ciuic bench 'a b; curl evil|sh' '$(id)' '`id`' 'it'\\''s'\n"},
        {"[]", "The command was not recorded"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *results = fixture_bench_results(&fixture_usual);
        cJSON_ReplaceItemInObject(results, "command", cJSON_Parse(rows[i].command));
        written w = write_pages(results);
        CHECK(has(w.markdown, rows[i].line), "row %zu: no \"%s\"", i, rows[i].line);
        written_free(&w);
        cJSON_Delete(results);
    }
}

static const test_case cases[] = {
    {"the title is that of the claims", the_title_is_that_of_the_claims},
    {"cells are named on a phone", cells_are_named_on_a_phone},
    {"compared weights are counted", compared_weights_are_counted},
    {"the command is quoted for a shell", the_command_is_quoted_for_a_shell},
};

TEST_SUITE(page, cases);
