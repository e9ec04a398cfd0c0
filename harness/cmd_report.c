/* cmd_report.c - `ciuic report`: from results.json to a page that answers the question. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/commands.h"
#include "harness/import/imported.h"
#include "harness/judge/claims.h"
#include "harness/report/report.h"
#include "optimizer/json.h"

static const char help[] = "usage: ciuic report DIR|results.json [-o DIR] [--format FORMAT] [--claims FILE]\n"
                           "                    [--import FILE]\n"
                           "\n"
                           "Judges results again from their samples. Writes DIR/index.html, DIR/report.md,\n"
                           "DIR/cases.csv, DIR/verdicts.csv and DIR/plots/. The page is one file: it needs\n"
                           "no network and no script. Plots need gnuplot; without it there are tables.\n"
                           "\n"
                           "  -o, --output DIR   where to write; by default the folder with the results\n"
                           "  --format FORMAT    only this: html, markdown, csv; or text, on stdout\n"
                           "  --claims FILE      judge these claims instead of those the results came with\n"
                           "  --import FILE      timings of another program too, in a table of their own,\n"
                           "                     marked as imported and never judged: JSON of llama-bench or\n"
                           "                     Google Benchmark, or CSV headed name,tokens,seconds\n"
                           "\n"
                           "example:\n"
                           "  ciuic bench suites/quick.json -o build/report && ciuic report build/report\n"
                           "  ciuic report build/report --format text | less\n";

static const size_t results_max = (size_t)256 << 20;

/* The results file that the operand means, and the folder it is in; both to be freed. */
static ciuic_status find_results(const char *operand, char **file, char **folder)
{
    struct stat status;
    const bool is_folder = stat(operand, &status) == 0 && S_ISDIR(status.st_mode);
    if (is_folder) {
        *folder = strdup(operand);
        if (asprintf(file, "%s/results.json", operand) < 0) *file = NULL;
    } else {
        const char *slash = strrchr(operand, '/');
        *file = strdup(operand);
        *folder = slash == NULL      ? strdup(".")
                  : slash == operand ? strdup("/")
                                     : strndup(operand, (size_t)(slash - operand));
    }
    return *file != NULL && *folder != NULL ? CIUIC_OK : ciuic_fail_memory("a path", strlen(operand));
}

typedef struct report_arguments {
    const char *output, *format, *claims, *import;
} report_arguments;

static const struct {
    const char *name, *leaves; /* the file that is named on stdout */
    report_format format;
} formats[] = {{"html", "index.html", REPORT_HTML},
               {"markdown", "report.md", REPORT_MARKDOWN},
               {"csv", "cases.csv", REPORT_CSV},
               {"text", NULL, REPORT_TEXT}};

/* NULL: everything, of which the page is named. */
static ciuic_status read_format(const char *name, report_format *format, const char **leaves)
{
    *format = REPORT_ALL;
    *leaves = "index.html";
    if (name == NULL) return CIUIC_OK;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(name, formats[i].name) != 0) continue;
        *format = formats[i].format;
        *leaves = formats[i].leaves;
        return CIUIC_OK;
    }
    return ciuic_fail(CIUIC_ERROR_USAGE, "report: --format '%s': expected html, markdown, csv or text", name);
}

static ciuic_status report(const char *operand, const report_arguments *a)
{
    char *file = NULL, *folder = NULL;
    cJSON *results = NULL, *claims = NULL;
    imported_set imported = {0};
    const char *notice = NULL, *leaves = NULL;
    report_request q = {.text = stdout, .claims_name = a->claims};
    ciuic_status status = read_format(a->format, &q.format, &leaves);
    if (status == CIUIC_OK && a->output != NULL && leaves == NULL)
        status = ciuic_fail(CIUIC_ERROR_USAGE, "report: --format text goes to stdout, and -o is for files; give one");
    if (status == CIUIC_OK) status = find_results(operand, &file, &folder);
    if (status == CIUIC_OK && a->claims != NULL) status = claims_read(a->claims, &claims);
    if (status == CIUIC_OK && a->import != NULL) status = imported_read(a->import, &imported);
    if (status == CIUIC_OK) status = json_read_file(file, results_max, &results);
    q.directory = a->output != NULL ? a->output : folder;
    q.claims = claims;
    q.imported = a->import != NULL ? &imported : NULL;
    if (status == CIUIC_OK) status = report_write(results, file, &q, &notice);
    if (status == CIUIC_OK && leaves != NULL) printf("%s/%s\n", q.directory, leaves);
    if (notice != NULL) fprintf(stderr, "ciuic: %s\n", notice);
    imported_free(&imported);
    cJSON_Delete(claims);
    cJSON_Delete(results);
    free(file);
    free(folder);
    return status;
}

int cmd_report(int argc, char **argv)
{
    report_arguments a = {0};
    const command_option options[] = {
        {.name = "--output", .letter = "-o", .kind = OPTION_TEXT, .value = &a.output},
        {.name = "--format", .kind = OPTION_TEXT, .value = &a.format},
        {.name = "--claims", .kind = OPTION_TEXT, .value = &a.claims},
        {.name = "--import", .kind = OPTION_TEXT, .value = &a.import},
    };
    command_operands operands;
    ciuic_status status = command_parse(argc, argv, help, options, sizeof options / sizeof options[0], 1, 1, &operands);
    if (status == CIUIC_OK && !operands.help) status = report(operands.names[0], &a);
    return command_exit(status);
}
