/* main.c - the `ciuic` program: finds the subcommand and hands over. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/version.h"
#include "kernels/kernels.h"

typedef struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary; /* one line of `ciuic --help`; NULL: not listed */
} subcommand;

static const subcommand subcommands[] = {
    {"doctor", cmd_doctor, "what this machine has, what will be missing, and what that costs"},
    {"inspect", cmd_inspect, "a checkpoint's architecture, tensors, bytes and bits per weight"},
    {"eval", cmd_eval, "accuracy of one variant against the FP16 reference"},
    {"generate", cmd_generate, "prompts continued by one variant: token ids in and out"},
    {"optimize", cmd_optimize, "a quantised checkpoint, verified before it is written"},
    {"bench", cmd_bench, "measure every variant of a suite, interleaved, and judge the claims"},
    {"report", cmd_report, "results as an HTML page, Markdown and plots"},
    {"gate", cmd_gate, "results against limits: exit status 1 when something got worse"},
    {"compare", cmd_compare, "results side by side, and whether that is fair"},
    {"audit", cmd_audit, "cases run again to see whether results are what they say"},
    {"synth", cmd_synth, "a random checkpoint of a real model's shape"},
    {"worker", cmd_worker, NULL},
};

static const subcommand *const subcommands_end = subcommands + sizeof subcommands / sizeof subcommands[0];

static void print_help(FILE *stream)
{
    fputs("ciuic - do these optimisations make this model faster and smaller here, and at\n"
          "what cost in accuracy? Measures each of them alone and together, and judges.\n"
          "\n"
          "usage: ciuic COMMAND [ARGUMENTS]\n"
          "\n",
          stream);
    for (const subcommand *c = subcommands; c < subcommands_end; c++)
        if (c->summary != NULL) fprintf(stream, "  %-8s %s\n", c->name, c->summary);
    fputs("\n"
          "  ciuic COMMAND --help   its options, and an example\n"
          "  ciuic --version        version, revision, compiler, instruction sets\n"
          "\n"
          "start here:\n"
          "  ciuic doctor\n"
          "  ciuic bench suites/quick.json -o build/report && ciuic report build/report\n"
          "\n"
          "exit status: 0 done; 1 the answer is no; 2 wrong usage; 3 bad input;\n"
          "  4 this machine cannot; 5 interrupted, resumable\n",
          stream);
}

static void print_version(void)
{
    printf("ciuic %s (%s), %s, instruction sets here:", program_version(), program_git(), program_compiler());
    for (int isa = 0; isa < KERNEL_ISAS; isa++)
        if (kernel_isa_available((kernel_isa)isa)) printf(" %s", kernel_isa_name((kernel_isa)isa));
    const char *override = kernel_isa_override();
    if (override != NULL) printf(" (CIUIC_ISA=%s)", override);
    putchar('\n');
}

static ciuic_status unknown_command(const char *typed)
{
    const char *names[sizeof subcommands / sizeof subcommands[0]];
    size_t n = 0;
    for (const subcommand *c = subcommands; c < subcommands_end; c++)
        if (c->summary != NULL) names[n++] = c->name;
    const char *nearest = nearest_name(typed, names, n);
    return ciuic_fail(CIUIC_ERROR_USAGE, "'%s' is no command of ciuic%s%s%s; 'ciuic --help' lists them", typed,
                      nearest ? ", did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

/* A misspelt CIUIC_ISA would be measured, and believed, as the best rung. */
static ciuic_status check_isa_override(void)
{
    kernel_isa isa;
    const char *override = kernel_isa_override();
    if (override == NULL || kernel_isa_parse(override, &isa)) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_USAGE,
                      "environment variable CIUIC_ISA is '%s'; expected c, neon, avx2, avx512 or amx, or unset it",
                      override);
}

static int run_command(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return CIUIC_ERROR_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return CIUIC_OK;
    }
    const ciuic_status status = check_isa_override();
    if (status != CIUIC_OK) return command_exit(status);
    if (strcmp(name, "--version") == 0) {
        print_version();
        return CIUIC_OK;
    }
    for (const subcommand *c = subcommands; c < subcommands_end; c++)
        if (strcmp(c->name, name) == 0) return c->run(argc - 1, argv + 1);
    return command_exit(unknown_command(name));
}

int main(int argc, char **argv)
{
    /* A limit on file sizes is a full disk, which write() tells and whoever writes cleans up after. */
    signal(SIGXFSZ, SIG_IGN);
    const int status = run_command(argc, argv);
    /* A full disk or a closed pipe behind stdout: what was printed did not arrive. */
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "ciuic: standard output could not be written: %s\n", strerror(errno));
        return status != CIUIC_OK ? status : CIUIC_ERROR_UNSUPPORTED;
    }
    return status;
}
