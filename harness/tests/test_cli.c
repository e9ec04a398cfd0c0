/* test_cli.c - the program's manners: exit statuses, one-line errors, suggestions, help that is true and fits. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/tests/program.h"
#include "optimizer/tests/runner.h"

enum { ARGUMENTS = 8, HELP_WIDTH = 80 };

typedef struct refusal {
    const char *arguments[ARGUMENTS];
    int status;
    const char *says; /* part of the error */
} refusal;

/* A refusal is one line on stderr that begins with the program's name, and nothing on stdout. */
static void check_refusal(const refusal *expected, const char *environment)
{
    program_run run = program(expected->arguments, environment);
    const char *const *a = expected->arguments;
    CHECK(run.status == expected->status, "%s %s %s: status %d, expected %d; it said: %s", a[0] ? a[0] : "",
          a[0] && a[1] ? a[1] : "", a[0] && a[1] && a[2] ? a[2] : "", run.status, expected->status, run.err);
    CHECK(run.err != NULL && strncmp(run.err, "ciuic: ", 7) == 0 && count_lines(run.err) == 1, "not one line: %s",
          run.err);
    CHECK(run.err != NULL && strstr(run.err, expected->says) != NULL, "'%s' is not in: %s", expected->says, run.err);
    CHECK(run.out != NULL && run.out[0] == '\0', "stdout holds: %s", run.out);
    program_run_free(&run);
}

#define CHECKPOINT "datasets/golden/deepseek-v3"

static void wrong_usage_is_refused(void)
{
    static const refusal refusals[] = {
        {{"evla"}, 2, "did you mean 'eval'?"},
        {{"inspekt", "x"}, 2, "did you mean 'inspect'?"},
        {{"zzzzzzzz"}, 2, "'zzzzzzzz' is no command"},
        {{"optimize"}, 2, "an argument is missing"},
        {{"audit"}, 2, "an argument is missing"},
        {{"eval"}, 2, "an argument is missing"},
        {{"inspect"}, 2, "an argument is missing"},
        {{"eval", CHECKPOINT, "another"}, 2, "'another' is one argument too many"},
        {{"doctor", "extra"}, 2, "'extra' is one argument too many"},
        {{"eval", CHECKPOINT, "--quantise", "int8"}, 2, "did you mean '--quantize'?"},
        {{"eval", CHECKPOINT, "--frobnicate"}, 2, "unknown option '--frobnicate'"},
        {{"eval", CHECKPOINT, "--ids"}, 2, "--ids needs an argument"},
        {{"eval", CHECKPOINT, "--json=yes"}, 2, "--json takes no argument"},
        {{"eval", CHECKPOINT, "--json", "--json"}, 2, "--json is given twice"},
        {{"eval", CHECKPOINT, "--logits-out", CHECKPOINT "/model.safetensors"}, 2, "lies in the checkpoint"},
        {{"eval", CHECKPOINT, "--window", "0"}, 2, "expected a whole number from 1"},
        {{"eval", CHECKPOINT, "--window", "12x"}, 2, "expected a whole number from 1"},
        {{"eval", CHECKPOINT, "--window", "-3"}, 2, "expected a whole number from 1"},
        {{"eval", CHECKPOINT, "--threads", "99999999999999999999999"}, 2, "expected a whole number from 1"},
        {{"eval", CHECKPOINT, "--quantize", "int7"},
         2,
         "expected none, affine8, affine4, int8, int6, int5, int4, int3 or mixed"},
        {{"eval", CHECKPOINT, "--graph", "maybe"}, 2, "expected off, on, or passes out of fold-constants, merge-equal"},
        {{"eval", CHECKPOINT, "--graph", "fuse-qkv,absorb-mal"}, 2, "did you mean 'absorb-mla'?"},
        {{"eval", CHECKPOINT, "--graph", "fuse-qkv,"}, 2, "graph '': expected off, on, or passes"},
        {{"eval", CHECKPOINT, "--graph", "fuse-qkv,on"}, 2, "graph 'on': expected"},
        {{"eval", CHECKPOINT, "--graph", "last-row,last-row"}, 2, "pass last-row is given twice"},
        {{"eval", CHECKPOINT, "--memory", "most"}, 2, "expected off, on or aggressive"},
        {{"eval", CHECKPOINT, "--isa", "sse9"}, 2, "expected c, neon, avx2, avx512, amx or best"},
        {{"eval", CHECKPOINT, "--stages", "int8,on"}, 2, "expected four settings"},
        {{"eval", CHECKPOINT, "--stages", "int8,on,on,best,more"}, 2, "expected four settings"},
        {{"eval", CHECKPOINT, "--stages", "int8,,on,best"}, 2, "expected four settings"},
        {{"eval", CHECKPOINT, "--stages", "int8,on,on,"}, 2, "expected four settings"},
        {{"eval", CHECKPOINT, "--stages", "on,on,on,best"}, 2, "quantize 'on'"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) check_refusal(&refusals[i], NULL);
}

static void misspelt_isa_override_is_refused(void)
{
    const refusal expected = {{"doctor", "--json"}, 2, "CIUIC_ISA is 'avx3'"};
    check_refusal(&expected, "CIUIC_ISA=avx3");
}

static void bad_input_is_refused(void)
{
    static const refusal refusals[] = {
        {{"inspect", "datasets/no-such-checkpoint"}, 3, "datasets/no-such-checkpoint"},
        {{"eval", "datasets/no-such-checkpoint"}, 3, "datasets/no-such-checkpoint"},
        {{"inspect", "Makefile"}, 3, "Makefile"},
        {{"eval", CHECKPOINT}, 3, "streams.safetensors"},
        {{"eval", CHECKPOINT, "--ids", "no-such.safetensors:ids"}, 3, "no-such.safetensors"},
        {{"eval", CHECKPOINT, "--ids", "Makefile:ids"}, 3, "Makefile"},
        {{"bench", "no-such-suite.json"}, 3, "no-such-suite.json"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) check_refusal(&refusals[i], NULL);
}

static void nothing_typed_shows_help(void)
{
    program_run run = program((const char *const[]){NULL}, NULL);
    CHECK(run.status == 2, "status %d", run.status);
    CHECK(run.out[0] == '\0' && strstr(run.err, "usage: ciuic COMMAND") != NULL, "stderr: %s", run.err);
    program_run_free(&run);
}

static void version_names_what_it_is(void)
{
    program_run run = program((const char *const[]){"--version", NULL}, NULL);
    CHECK(run.status == 0 && count_lines(run.out) == 1, "status %d: %s", run.status, run.out);
    CHECK(strncmp(run.out, "ciuic ", 6) == 0 && isdigit((unsigned char)run.out[6]), "%s", run.out);
    CHECK(strstr(run.out, "instruction sets here: c") != NULL, "%s", run.out);
    program_run_free(&run);
}

static void lost_output_is_noticed(void)
{
    /* A reader that is told 0 believes what it got: a full disk behind stdout must not be a success. */
    const char *binary = getenv("CIUIC_BINARY");
    char line[512];
    snprintf(line, sizeof line, "%s --help >/dev/full 2>/dev/null", binary != NULL ? binary : "build/ciuic");
    const int status = system(line);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 4, "status %d", status);
}

/* ---- help, README and man page ---------------------------------------------------------------------------------- */

/* The subcommands that `ciuic --help` lists: words that follow two spaces at the start of a line, up to the first
 * line about ciuic itself. */
static size_t listed_commands(const char *text, char names[16][32])
{
    size_t n = 0;
    const char *line = strstr(text, "\n\n  ");
    for (line = line != NULL ? line + 2 : NULL; line != NULL && strncmp(line, "  ", 2) == 0 && n < 16;
         line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL)
        if (sscanf(line, " %31s", names[n]) == 1) n++;
    return n;
}

static void check_width(const char *what, const char *text)
{
    size_t column = 0, line = 1;
    for (const char *c = text; *c != '\0'; c++) {
        column = *c == '\n' ? 0 : column + 1;
        CHECK(column <= HELP_WIDTH, "%s, line %zu is wider than %d columns", what, line, HELP_WIDTH);
        line += *c == '\n' ? 1 : 0;
    }
}

/* The man page's text as it is read: escaped hyphens are hyphens, font changes nothing. */
static char *plain_manual(void)
{
    char *text = read_text("docs/ciuic.1");
    if (text == NULL) return NULL;
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (from[0] == '\\' && from[1] == 'f' && from[2] != '\0')
            from += 2;
        else if (from[0] == '\\' && from[1] == '-')
            *to++ = *++from;
        else
            *to++ = *from;
    }
    *to = '\0';
    return text;
}

/* Whether `word` stands in text as a whole option or name. */
static bool has_word(const char *text, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        const unsigned char before = at == text ? ' ' : (unsigned char)at[-1], after = (unsigned char)at[length];
        if (!isalnum(before) && before != '-' && !isalnum(after) && after != '-') return true;
    }
    return false;
}

/* Every --option in `text` must stand in `manual`. */
static void check_options(const char *command, const char *text, const char *where, const char *manual)
{
    for (const char *at = text; (at = strstr(at, "--")) != NULL;) {
        char option[64] = "--";
        size_t n = 2;
        for (at += 2; (isalnum((unsigned char)*at) || *at == '-') && n + 1 < sizeof option; at++) option[n++] = *at;
        option[n] = '\0';
        if (n > 2) CHECK(has_word(manual, option), "%s of '%s --help' is not in %s", option, command, where);
    }
}

static void help_is_true_and_fits(void)
{
    char names[16][32];
    char *manual = plain_manual(), *readme = read_text("README.md");
    program_run top = program((const char *const[]){"--help", NULL}, NULL);
    CHECK(top.status == 0 && manual != NULL && readme != NULL, "status %d", top.status);
    check_width("ciuic --help", top.out);
    const size_t n = listed_commands(top.out, names);
    CHECK(n >= 5, "%zu commands are listed", n);
    for (size_t i = 0; manual != NULL && readme != NULL && i < n; i++) {
        char usage[64];
        snprintf(usage, sizeof usage, "usage: ciuic %s", names[i]);
        program_run run = program((const char *const[]){names[i], "--help", NULL}, NULL);
        CHECK(run.status == 0 && strstr(run.out, usage) != NULL, "'%s --help': status %d: %s", names[i], run.status,
              run.out);
        CHECK(strstr(run.out, "example") != NULL, "'%s --help' shows no example", names[i]);
        CHECK(has_word(manual, names[i]) && has_word(readme, names[i]), "'%s' is not in docs/ciuic.1 or README.md",
              names[i]);
        check_width(names[i], run.out);
        check_options(names[i], run.out, "docs/ciuic.1", manual);
        program_run_free(&run);
    }
    free(manual);
    free(readme);
    program_run_free(&top);
}

static void manual_promises_nothing_else(void)
{
    char *manual = plain_manual();
    static const char *const commands[] = {"--help", "doctor", "inspect", "eval",    "generate", "optimize",
                                           "bench",  "report", "gate",    "compare", "audit",    "synth"};
    char *text = NULL;
    size_t size = 0;
    FILE *all = open_memstream(&text, &size);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        program_run run = program((const char *const[]){commands[i], i > 0 ? "--help" : NULL, NULL}, NULL);
        fputs(run.out, all);
        program_run_free(&run);
    }
    fclose(all);
    CU_ASSERT_PTR_NOT_NULL_FATAL(manual);
    check_options("man", manual, "any --help", text);
    free(text);
    free(manual);
}

static const test_case cases[] = {
    {"wrong usage is refused", wrong_usage_is_refused},
    {"a misspelt CIUIC_ISA is refused", misspelt_isa_override_is_refused},
    {"bad input is refused", bad_input_is_refused},
    {"nothing typed shows help", nothing_typed_shows_help},
    {"--version names what it is", version_names_what_it_is},
    {"lost output is noticed", lost_output_is_noticed},
    {"help is true, fits 80 columns and agrees with the manual", help_is_true_and_fits},
    {"the manual promises nothing else", manual_promises_nothing_else},
};
TEST_SUITE(cli, cases);
