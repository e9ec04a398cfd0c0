/* cmd_gate.c - `ciuic gate`: did something get worse than it may? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/commands.h"
#include "harness/gate/publish.h"
#include "harness/gate/record.h"
#include "harness/results_file.h"
#include "optimizer/atomic_file.h"
#include "optimizer/json.h"

static const char help[] = "usage: ciuic gate DIR|results.json --baseline FILE [options]\n"
                           "\n"
                           "Holds results against the limits of FILE: accuracy, memory, speed as a ratio,\n"
                           "counters. Exit status 1 when a hard limit is broken, with three lines: how many,\n"
                           "the worst, and what to do. A difference of speed within the noise of its\n"
                           "measurement never fails; one of accuracy has no such excuse. A limit that\n"
                           "matches no case fails. How much worse than recorded a figure may get is the\n"
                           "file's to say, with its reason; --update changes values, never bounds.\n"
                           "\n"
                           "  --baseline FILE    limits and recorded values, such as ci/gate.json\n"
                           "  --update           record what was measured in FILE and print what changed,\n"
                           "                     old -> new; then judge by that\n"
                           "  --junit FILE       one test case for each limit, for a CI server\n"
                           "  --summary FILE     Markdown, for a job's page or a comment\n"
                           "  --list             a line for every limit; otherwise, where none fails, for\n"
                           "                     those that warn or are waived\n"
                           "  --json             one JSON object on stdout\n"
                           "  --today DATE       the date by which waivers expire; default: today, in UTC\n"
                           "\n"
                           "example:\n"
                           "  ciuic bench suites/gate.json -o build/gate &&\n"
                           "  ciuic gate build/gate --baseline ci/gate.json --junit build/gate/junit.xml\n";

typedef struct gate_arguments {
    const char *results, *baseline, *junit, *summary, *today;
    bool update, list, json;
} gate_arguments;

typedef ciuic_status gate_writer(FILE *stream, const gate_subject *subject, const gate_findings *findings);

static ciuic_status write_file(const char *path, gate_writer *writer, const gate_subject *subject,
                               const gate_findings *findings)
{
    atomic_file file;
    if (path == NULL) return CIUIC_OK;
    CIUIC_TRY(atomic_file_open(path, &file));
    const ciuic_status status = writer(file.stream, subject, findings);
    if (status == CIUIC_OK) return atomic_file_commit(&file);
    atomic_file_abort(&file);
    return status;
}

/* What is unfinished has not been seen to be good. */
static ciuic_status check_complete(const results_file *results)
{
    if (cJSON_IsTrue(json_find(results->root, "complete"))) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT,
                      "%s: the bench was interrupted; expected finished results: 'ciuic bench SUITE -o DIR --resume'",
                      results->path);
}

static ciuic_status update(const gate_arguments *a, const results_file *results, gate_file *limits)
{
    size_t changes = 0;
    FILE *stream = a->json ? stderr : stdout;
    CIUIC_TRY(gate_record(limits, a->baseline, &results->set, stream, &changes));
    if (changes > 0) CIUIC_TRY(gate_file_write(a->baseline, limits));
    fprintf(stream, changes > 0 ? "%s: %zu changes written\n" : "%s: nothing changed\n", a->baseline, changes);
    return CIUIC_OK;
}

static ciuic_status publish(const gate_arguments *a, const results_file *results, const gate_findings *findings)
{
    const gate_subject subject = {.results = a->results, .baseline = a->baseline, .set = &results->set};
    CIUIC_TRY(write_file(a->junit, gate_write_junit, &subject, findings));
    CIUIC_TRY(write_file(a->summary, gate_write_markdown, &subject, findings));
    if (a->json) {
        cJSON *object = gate_json(&subject, findings);
        return command_print_json(object, object != NULL);
    }
    /* Where something fails, three lines say it; where nothing does, what only warns would else be seen by nobody. */
    if (a->list || findings->outcomes[GATE_FAILED] == 0) gate_write_list(stdout, findings, a->list);
    gate_write_lines(stdout, &subject, findings);
    return CIUIC_OK;
}

/* Edited ones are refused where they are read. Who takes the digest out must not get further than who leaves it in. */
static ciuic_status check_written(const results_file *results)
{
    if (results->content == CONTENT_AS_WRITTEN) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT,
                      "%s: these results " CONTENT_UNKNOWN_WORDS
                      ", which decides nothing; give the file as this version's bench left it, or measure again",
                      results->path);
}

static ciuic_status gate(const gate_arguments *a, bool *passed)
{
    results_file results = {0};
    gate_file limits = {0};
    gate_findings findings = {0};
    ciuic_status status = gate_file_read(a->baseline, &limits);
    if (status == CIUIC_OK) status = results_file_read(a->results, &results);
    if (status == CIUIC_OK) status = check_written(&results);
    if (status == CIUIC_OK) status = check_complete(&results);
    if (status == CIUIC_OK && a->update) status = update(a, &results, &limits);
    if (status == CIUIC_OK) status = gate_judge(&limits, &results.set, a->today, &findings);
    if (status == CIUIC_OK) status = publish(a, &results, &findings);
    *passed = findings.outcomes[GATE_FAILED] == 0;
    gate_findings_free(&findings);
    gate_file_free(&limits);
    results_file_free(&results);
    return status;
}

int cmd_gate(int argc, char **argv)
{
    gate_arguments a = {0};
    char today[16] = "";
    const time_t now = time(NULL);
    struct tm parts;
    const command_option options[] = {
        {.name = "--baseline", .kind = OPTION_TEXT, .value = &a.baseline},
        {.name = "--junit", .kind = OPTION_TEXT, .value = &a.junit},
        {.name = "--summary", .kind = OPTION_TEXT, .value = &a.summary},
        {.name = "--today", .kind = OPTION_TEXT, .value = &a.today},
        {.name = "--update", .kind = OPTION_SWITCH, .value = &a.update},
        {.name = "--list", .kind = OPTION_SWITCH, .value = &a.list},
        {.name = "--json", .kind = OPTION_SWITCH, .value = &a.json},
    };
    command_operands operands;
    ciuic_status status = command_parse(argc, argv, help, options, sizeof options / sizeof options[0], 1, 1, &operands);
    if (status != CIUIC_OK || operands.help) return command_exit(status);
    a.results = operands.names[0];
    if (a.baseline == NULL)
        return command_exit(ciuic_fail(CIUIC_ERROR_USAGE,
                                       "gate: --baseline is missing; expected a file of limits, such as ci/gate.json"));
    if (a.today != NULL && !gate_date_valid(a.today))
        return command_exit(
            ciuic_fail(CIUIC_ERROR_USAGE, "gate: --today '%s' is no date; expected one such as 2026-11-30", a.today));
    if (a.today == NULL && gmtime_r(&now, &parts) != NULL && strftime(today, sizeof today, "%Y-%m-%d", &parts) > 0)
        a.today = today;
    if (a.today == NULL)
        return command_exit(ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "gate: the clock gives no date; say it with --today"));
    bool passed = false;
    status = gate(&a, &passed);
    if (status != CIUIC_OK) return command_exit(status);
    return passed ? CIUIC_OK : CIUIC_ERROR_LIMIT;
}
