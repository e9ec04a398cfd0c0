/* cmd_compare.c - `ciuic compare`: results side by side, after the question whether that is fair. */
#include <stdio.h>
#include <stdlib.h>

#include "harness/commands.h"
#include "harness/compare/comparison.h"
#include "optimizer/atomic_file.h"
#include "optimizer/json.h"

static const char help[] = "usage: ciuic compare A.json [B.json...] [options]\n"
                           "\n"
                           "Sets results of machines, versions or submissions side by side. First whether\n"
                           "that is fair: same checkpoint, inputs, workloads, baselines, threads, reference,\n"
                           "cache, calibration. Each difference is named with what it could do to the\n"
                           "figures; exit status 1 when some of them may not be compared at all. Cases are\n"
                           "in two divisions: equivalent (the same function, computed otherwise) and open\n"
                           "(another one, with its loss). A folder stands for the results.json in it.\n"
                           "\n"
                           "  --json             one JSON object on stdout\n"
                           "  --markdown         Markdown on stdout\n"
                           "  --disclosure FILE  write what A has to disclose as a competition entry, in\n"
                           "                     Markdown, with the questions that only people can answer\n"
                           "  --import FILE      timings of another program beside A, marked as imported and\n"
                           "                     never judged: JSON of llama-bench or Google Benchmark, or\n"
                           "                     CSV with the header name,tokens,seconds\n"
                           "\n"
                           "example:\n"
                           "  ciuic compare build/before build/after --disclosure disclosure.md\n";

typedef struct compare_arguments {
    const char *disclosure, *import;
    bool json, markdown;
} compare_arguments;

static ciuic_status disclose(const char *path, const results_file *entry)
{
    atomic_file file;
    if (path == NULL) return CIUIC_OK;
    CIUIC_TRY(atomic_file_open(path, &file));
    const ciuic_status status = disclosure_write(file.stream, entry);
    if (status == CIUIC_OK) return atomic_file_commit(&file);
    atomic_file_abort(&file);
    return status;
}

static ciuic_status tell(const compare_arguments *a, const comparison *c, const imported_set *imported)
{
    const bool import = a->import != NULL;
    if (a->json) {
        cJSON *object = comparison_json(c);
        return command_print_json(object, object != NULL && (!import || comparison_json_imported(object, c, imported)));
    }
    if (a->markdown) {
        CIUIC_TRY(comparison_markdown(stdout, c));
        if (import) return comparison_markdown_imported(stdout, c, imported);
    } else {
        comparison_print(c);
        if (import) comparison_print_imported(c, imported);
    }
    return CIUIC_OK;
}

/* Results of an earlier version may be compared; that nobody knows whether they were edited is said. */
static ciuic_status read_results(const char *operand, results_file *file)
{
    CIUIC_TRY(results_file_read(operand, file));
    if (file->content == CONTENT_UNKNOWN)
        fprintf(stderr, "ciuic: %s: these results " CONTENT_UNKNOWN_WORDS "\n", file->path);
    return CIUIC_OK;
}

static ciuic_status compare(const compare_arguments *a, const command_operands *operands, bool *comparable)
{
    results_file files[COMPARED_FILES] = {0};
    imported_set imported = {0};
    comparison c = {0};
    ciuic_status status = CIUIC_OK;
    for (size_t i = 0; i < operands->count && status == CIUIC_OK; i++)
        status = read_results(operands->names[i], &files[i]);
    if (status == CIUIC_OK && a->import != NULL) status = imported_read(a->import, &imported);
    if (status == CIUIC_OK) status = comparison_make(files, operands->count, &c);
    if (status == CIUIC_OK) status = disclose(a->disclosure, &files[0]);
    if (status == CIUIC_OK) status = tell(a, &c, &imported);
    *comparable = c.fairness.broken == 0;
    comparison_free(&c);
    imported_free(&imported);
    for (size_t i = 0; i < COMPARED_FILES; i++) results_file_free(&files[i]);
    return status;
}

int cmd_compare(int argc, char **argv)
{
    compare_arguments a = {0};
    const command_option options[] = {
        {.name = "--disclosure", .kind = OPTION_TEXT, .value = &a.disclosure},
        {.name = "--import", .kind = OPTION_TEXT, .value = &a.import},
        {.name = "--json", .kind = OPTION_SWITCH, .value = &a.json},
        {.name = "--markdown", .kind = OPTION_SWITCH, .value = &a.markdown},
    };
    command_operands operands;
    bool comparable = false;
    ciuic_status status =
        command_parse(argc, argv, help, options, sizeof options / sizeof options[0], 1, COMPARED_FILES, &operands);
    if (status != CIUIC_OK || operands.help) return command_exit(status);
    if (a.json && a.markdown)
        return command_exit(
            ciuic_fail(CIUIC_ERROR_USAGE, "compare: --json and --markdown exclude each other; choose one"));
    status = compare(&a, &operands, &comparable);
    if (status != CIUIC_OK) return command_exit(status);
    return comparable ? CIUIC_OK : CIUIC_ERROR_LIMIT;
}
