/* main.c - the trials of measurement: what the harness finds where the answer is known. `trial NAME [--quick] [--count N]
 * [--seed S] [--build DIR]` carries out one and prints one line: what was found, what was asked, PASS or FAIL. ci/trial.sh runs
 * them all. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/monotonic_clock.h"
#include "harness/trials/trial.h"
#include "optimizer/error.h"

typedef struct trial {
    const char *name;
    size_t full, quick;  /* how often, in full and with --quick */
    double minutes_each; /* about what one of them takes on two cores: said before it starts */
    trial_fn *run;
    const char *asked;
} trial;

static const trial trials[] = {
    {"harness-cost", 1, 1, 1.0, trial_harness_cost,
     "under 1% of a repetition of 1 ms; 1,000 cases expand in under 1 s and render in under 5 s; 10,000 load in under "
     "2 s"},
    {"gate-regressions", 20, 20, 0.03, trial_gate_regressions,
     "all of the planted regressions caught, one unchanged run green"},
    {"faults", 20, 4, 0.1, trial_faults, "all of the planted accuracy faults caught, unplanted runs green"},
    {"power", 100, 5, 0.08, trial_power, "a kernel slowed by 3% called slower in at least 95% of suites"},
    {"false-alarms", 200, 5, 0.08, trial_false_alarms, "at most 1% of A/A comparisons called different, under load"},
    {"gate-reruns", 50, 2, 0.35, trial_gate_reruns, "no re-run of an unchanged tree red"},
    {"quick-verdicts", 20, 2, 2.5, trial_quick_verdicts, "the same verdicts in all repetitions of suites/quick.json"},
};

enum { TRIALS = sizeof trials / sizeof trials[0] };

static int usage(void)
{
    fputs("usage: trial NAME [--quick] [--count N] [--seed S] [--build DIR]\n", stderr);
    for (size_t i = 0; i < TRIALS; i++)
        fprintf(stderr, "  %-17s %3zu times (%zu with --quick): %s\n", trials[i].name, trials[i].full, trials[i].quick,
                trials[i].asked);
    return 2;
}

static int run(const trial *t, const char *build, bool quick, long count, uint64_t seed)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s/trial", build);
    mkdir(folder, 0777);
    snprintf(folder, sizeof folder, "%s/trial/%s", build, t->name);
    mkdir(folder, 0777);
    const trial_setting s = {.build = build,
                             .folder = folder,
                             .seed = seed,
                             .count = count > 0 ? (size_t)count
                                      : quick   ? t->quick
                                                : t->full};
    trial_result r = {0};
    trial_say("%s: %zu times, about %.0f minutes, seed %llu", t->name, s.count, ceil(t->minutes_each * (double)s.count),
              (unsigned long long)seed);
    const double began_s = monotonic_s();
    if (t->run(&s, &r) != CIUIC_OK) {
        r.passed = false;
        snprintf(r.found, sizeof r.found, "not carried out: %.300s", ciuic_last_error());
    }
    printf("%s: %s: %s; asked: %s; seed %llu, %.0f s\n", t->name, r.passed ? "PASS" : "FAIL", r.found, t->asked,
           (unsigned long long)seed, monotonic_s() - began_s);
    return r.passed ? 0 : 1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
                                            {"count", required_argument, NULL, 'c'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"build", required_argument, NULL, 'b'},
                                            {0}};
    const char *build = "build";
    bool quick = false;
    long count = 0;
    uint64_t seed = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'q')
            quick = true;
        else if (c == 'c')
            count = strtol(optarg, NULL, 10);
        else if (c == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (c == 'b')
            build = optarg;
        else
            return usage();
    }
    if (optind + 1 != argc) return usage();
    for (size_t i = 0; i < TRIALS; i++)
        if (strcmp(argv[optind], trials[i].name) == 0) return run(&trials[i], build, quick, count, seed);
    return usage();
}
