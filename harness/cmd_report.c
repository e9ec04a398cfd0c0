/* cmd_report.c - `ciuic report`: from results.json to a page that answers the question. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/commands.h"
#include "harness/report/report.h"
#include "optimizer/json.h"

static const char help[] = "usage: ciuic report DIR|results.json [-o DIR]\n"
                           "\n"
                           "Judges results again from their samples and writes DIR/index.html, DIR/report.md\n"
                           "and DIR/plots/. The page is one file: it needs no network and no script. Plots\n"
                           "need gnuplot; without it there are tables.\n"
                           "\n"
                           "  -o, --output DIR   where to write; by default the folder with the results\n"
                           "\n"
                           "example:\n"
                           "  ciuic bench suites/quick.json -o build/report && ciuic report build/report\n";

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

static ciuic_status report(const char *operand, const char *output)
{
    char *file = NULL, *folder = NULL;
    cJSON *results = NULL;
    const char *notice = NULL;
    ciuic_status status = find_results(operand, &file, &folder);
    if (status == CIUIC_OK) status = json_read_file(file, results_max, &results);
    const char *directory = output != NULL ? output : folder;
    if (status == CIUIC_OK) status = report_write(results, file, directory, &notice);
    if (status == CIUIC_OK) printf("%s/index.html\n", directory);
    if (notice != NULL) fprintf(stderr, "ciuic: %s\n", notice);
    cJSON_Delete(results);
    free(file);
    free(folder);
    return status;
}

int cmd_report(int argc, char **argv)
{
    const char *output = NULL;
    const command_option options[] = {{.name = "--output", .letter = "-o", .kind = OPTION_TEXT, .value = &output}};
    command_operands operands;
    ciuic_status status = command_parse(argc, argv, help, options, 1, 1, 1, &operands);
    if (status == CIUIC_OK && !operands.help) status = report(operands.names[0], output);
    return command_exit(status);
}
