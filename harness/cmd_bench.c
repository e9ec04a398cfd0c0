/* cmd_bench.c - `ciuic bench`: the command line of a bench. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/suite/suite_lists.h"
#include "harness/worker/bench.h"
#include "optimizer/error.h"

static const char help[] = "usage: ciuic bench SUITE [-o DIR] [--resume] [--only PATTERN] [--isa LIST]\n"
                           "                   [--threads LIST] [--seed S] [--rounds N] [--precision P%]\n"
                           "                   [--claims FILE] [--counters SOURCE] [--gbench-out FILE]\n"
                           "                   [--keep-packed]\n"
                           "\n"
                           "Measures every variant of a suite: a process for each, all alive at a time,\n"
                           "asked in turn, round after round, beside the baselines. Compares their output\n"
                           "with the reference's and judges the suite's claims. Writes DIR/results.json;\n"
                           "DIR/journal.jsonl keeps every measurement as it comes.\n"
                           "\n"
                           "  -o, --output DIR   where to write (build/bench-NAME, NAME being the suite's);\n"
                           "                     must not hold a bench yet, unless --resume is given\n"
                           "  --resume           go on with the bench in DIR, measuring nothing twice\n"
                           "  --only PATTERN     only cases whose id contains PATTERN, or matches it if it\n"
                           "                     has *, ? or [; baselines are always measured\n"
                           "  --isa LIST         these kernels, not the suite's: c, avx2, amx ...\n"
                           "  --threads LIST     these numbers of threads instead of the suite's: 1,2,all\n"
                           "  --seed S           order of measurements, and token ids where a checkpoint\n"
                           "                     brings none\n"
                           "  --rounds N         at most N rounds; otherwise the suite's time budget decides\n"
                           "  --precision P%     rounds until the interval of every case's speed over tuned\n"
                           "                     is within P% either way, or the time budget ends\n"
                           "  --claims FILE      what is judged, instead of the suite's claims\n"
                           "  --counters SOURCE  hardware; likwid:GROUP, likwid's own of that name, as MEM;\n"
                           "                     or simulated: each case once more under valgrind,\n"
                           "                     one thread, kernels c and avx2 only; slow, and the same\n"
                           "                     figures each time (the suite's own, or hardware)\n"
                           "  --keep-packed      leave the folders that packed variants were loaded from in\n"
                           "                     DIR/packed-N; they are removed when all is measured\n"
                           "  --gbench-out FILE  the repetitions as Google Benchmark's JSON as well, for its\n"
                           "                     compare.py; with --resume also of a finished bench\n"
                           "\n"
                           "example:\n"
                           "  ciuic bench suites/quick.json -o build/int4 --only 'decode*int4' --rounds 10\n"
                           "  ciuic report build/int4\n";

/* Cuts `text` at its commas, in place; at most SUITE_LIST_MAX parts, none empty. */
static ciuic_status split(const char *option, char *text, const char **parts, size_t *count)
{
    *count = 0;
    for (char *part = text, *next = NULL; part != NULL; part = next) {
        next = strchr(part, ',');
        if (next != NULL) *next++ = '\0';
        if (part[0] == '\0' || *count == SUITE_LIST_MAX)
            return ciuic_fail(CIUIC_ERROR_USAGE, "bench: %s: expected 1 to %d words with a comma between them", option,
                              SUITE_LIST_MAX);
        parts[(*count)++] = part;
    }
    return CIUIC_OK;
}

static ciuic_status read_isas(char *text, matrix_filter *filter)
{
    const char *const *names = suite_kernel_names();
    size_t index = 0;
    CIUIC_TRY(split("--isa", text, filter->kernels, &filter->kernels_count));
    for (size_t i = 0; i < filter->kernels_count; i++)
        if (suite_one_of("bench", "--isa", filter->kernels[i], names, SUITE_KERNEL_NAMES, &index) != CIUIC_OK)
            return CIUIC_ERROR_USAGE;
    return CIUIC_OK;
}

static ciuic_status read_threads(char *text, matrix_filter *filter)
{
    const char *parts[SUITE_LIST_MAX];
    CIUIC_TRY(split("--threads", text, parts, &filter->thread_count));
    for (size_t i = 0; i < filter->thread_count; i++) {
        char *end = NULL;
        const unsigned long value = strtoul(parts[i], &end, 10);
        const bool number = parts[i][0] >= '0' && parts[i][0] <= '9' && *end == '\0';
        if (strcmp(parts[i], "all") == 0)
            filter->threads[i] = 0;
        else if (number && value >= 1 && value <= 1024)
            filter->threads[i] = value;
        else
            return ciuic_fail(CIUIC_ERROR_USAGE, "bench: --threads '%s': expected \"all\" or a number from 1 to 1024",
                              parts[i]);
    }
    return CIUIC_OK;
}

/* "1%" is 0.01. */
static ciuic_status read_precision(const char *text, double *precision)
{
    const size_t digits = strspn(text, "0123456789."); /* strtod alone takes hexadecimal and infinity too */
    char *end = NULL;
    *precision = strtod(text, &end) / 100;
    if (digits > 0 && end == text + digits && strcmp(end, "%") == 0 && *precision >= SUITE_PRECISION_LEAST &&
        *precision <= SUITE_PRECISION_MOST)
        return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_USAGE,
                      "bench: --precision '%s': expected a percentage from 0.01%% to 50%%, such as 1%%", text);
}

int cmd_bench(int argc, char **argv)
{
    bench_options o = {0};
    size_t seed = (size_t)-1;
    char *isas = NULL, *threads = NULL;
    const char *isa_text = NULL, *thread_text = NULL, *precision_text = NULL;
    const command_option options[] = {
        {"--output", "-o", OPTION_TEXT, (void *)&o.directory, 0, 0},
        {"--resume", NULL, OPTION_SWITCH, &o.resume, 0, 0},
        {"--only", NULL, OPTION_TEXT, (void *)&o.filter.only, 0, 0},
        {"--isa", NULL, OPTION_TEXT, (void *)&isa_text, 0, 0},
        {"--threads", NULL, OPTION_TEXT, (void *)&thread_text, 0, 0},
        {"--seed", NULL, OPTION_SIZE, &seed, 0, (size_t)1 << 53},
        {"--rounds", NULL, OPTION_SIZE, &o.rounds, 1, 100000},
        {"--claims", NULL, OPTION_TEXT, (void *)&o.claims, 0, 0},
        {"--counters", NULL, OPTION_TEXT, (void *)&o.counters, 0, 0},
        {"--keep-packed", NULL, OPTION_SWITCH, &o.keep_packed, 0, 0},
        {"--gbench-out", NULL, OPTION_TEXT, (void *)&o.gbench_out, 0, 0},
        {"--precision", NULL, OPTION_TEXT, (void *)&precision_text, 0, 0},
    };
    command_operands operands;
    /* Options and operands change places in argv while they are read; the results want the command as it was typed. */
    char **typed = calloc((size_t)argc + 1, sizeof *typed);
    ciuic_status status =
        typed != NULL ? CIUIC_OK : ciuic_fail_memory("the command line", (size_t)argc * sizeof *typed);
    for (int i = 0; typed != NULL && i < argc; i++) typed[i] = argv[i];
    if (status == CIUIC_OK)
        status = command_parse(argc, argv, help, options, sizeof options / sizeof options[0], 1, 1, &operands);
    if (status != CIUIC_OK || operands.help) goto cleanup;
    o.argc = argc;
    o.argv = typed;
    o.suite_path = operands.names[0];
    o.seed_given = seed != (size_t)-1;
    o.seed = seed;
    if (isa_text != NULL) isas = strdup(isa_text);
    if (thread_text != NULL) threads = strdup(thread_text);
    if ((isa_text != NULL && isas == NULL) || (thread_text != NULL && threads == NULL))
        status = ciuic_fail_memory("the command line", 0);
    if (status == CIUIC_OK && precision_text != NULL) status = read_precision(precision_text, &o.precision);
    if (status == CIUIC_OK && isas != NULL) status = read_isas(isas, &o.filter);
    if (status == CIUIC_OK && threads != NULL) status = read_threads(threads, &o.filter);
    if (status == CIUIC_OK) {
        command_catch_interrupts();
        status = bench_run(&o);
    }
cleanup:
    free(isas);
    free(threads);
    free(typed);
    return command_exit(status);
}
