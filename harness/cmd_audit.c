/* cmd_audit.c - `ciuic audit`: are these results what they say? */
#include <time.h>

#include "harness/audit/audit.h"
#include "harness/audit/findings.h"
#include "harness/commands.h"
#include "harness/plain_text.h"

static const char help[] = "usage: ciuic audit DIR|results.json [options]\n"
                           "\n"
                           "Runs a seeded sample of the cases again, under other conditions, and looks for\n"
                           "what cheating or accident leaves behind: edited figures, outputs that were not\n"
                           "scored, layers that were skipped, answers that were cached, errors of other\n"
                           "data, a baseline that was slowed. Each test passes, fails, is inconclusive, or\n"
                           "is not possible here, with its evidence. Exit status 1 when one fails.\n"
                           "Nothing that the file names is executed.\n"
                           "\n"
                           "  --binary PROGRAM   the program under audit: its workers are asked, and held\n"
                           "                     against this program's; default: this program\n"
                           "  --cases N          cases to run again; 3 by default\n"
                           "  --seed S           of the sample and of all that is drawn; default: the clock\n"
                           "  --suite FILE       where the suite is now; default: as the results say\n"
                           "  --checkpoint DIR   where the checkpoint is now; default: as the suite says\n"
                           "  --only TEST        content, hashes, ceiling, outputs, errors, other-data,\n"
                           "                     memory, weights, cache, length or speed alone\n"
                           "  --untimed          leave out what needs a clock\n"
                           "  --json             one JSON object on stdout\n"
                           "\n"
                           "example:\n"
                           "  ciuic audit build/report --seed 7\n";

enum { CASES = 3, CASES_MAX = 1000 };

/* What nobody can foresee is what an audit wants; it is printed, so that the audit can be run again. */
static ciuic_status unknown_test(const char *name)
{
    char names[256] = "";
    for (audit_test t = 0; t < AUDIT_TESTS; t++)
        plain_append(names, sizeof names, "%s%s",
                     t == 0                 ? ""
                     : t == AUDIT_TESTS - 1 ? " or "
                                            : ", ",
                     audit_test_name(t));
    return ciuic_fail(CIUIC_ERROR_USAGE, "audit: --only '%s': expected %s", name, names);
}

static uint64_t clock_seed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return ((uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec) & 0xffffffffu;
}

int cmd_audit(int argc, char **argv)
{
    audit_options o = {.cases = CASES};
    size_t seed = (size_t)-1;
    const command_option options[] = {
        {.name = "--binary", .kind = OPTION_TEXT, .value = &o.binary},
        {.name = "--cases", .kind = OPTION_SIZE, .value = &o.cases, .min = 1, .max = CASES_MAX},
        {.name = "--seed", .kind = OPTION_SIZE, .value = &seed, .max = (size_t)1 << 53},
        {.name = "--suite", .kind = OPTION_TEXT, .value = &o.suite},
        {.name = "--checkpoint", .kind = OPTION_TEXT, .value = &o.checkpoint},
        {.name = "--only", .kind = OPTION_TEXT, .value = &o.only},
        {.name = "--untimed", .kind = OPTION_SWITCH, .value = &o.untimed},
        {.name = "--json", .kind = OPTION_SWITCH, .value = &o.json},
    };
    command_operands operands;
    bool passed = false;
    ciuic_status status = command_parse(argc, argv, help, options, sizeof options / sizeof options[0], 1, 1, &operands);
    if (status != CIUIC_OK || operands.help) return command_exit(status);
    audit_test test;
    if (o.only != NULL && !audit_test_parse(o.only, &test)) return command_exit(unknown_test(o.only));
    o.results = operands.names[0];
    o.seed = seed != (size_t)-1 ? seed : clock_seed();
    command_catch_interrupts();
    status = audit_run(&o, &passed);
    if (status != CIUIC_OK) return command_exit(status);
    return passed ? CIUIC_OK : CIUIC_ERROR_LIMIT;
}
