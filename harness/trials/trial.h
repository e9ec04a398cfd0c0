/* trial.h - what the trials of measurement share: a setting, a result of one line, and running a program as a user would. */
#ifndef CIUIC_TRIALS_TRIAL_H
#define CIUIC_TRIALS_TRIAL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "optimizer/ciuic.h"
#include "optimizer/error.h"

typedef struct trial_setting {
    const char *build;  /* folder of the programs: "build" */
    const char *folder; /* of this trial alone: empty at first, and left for whoever wants to look */
    size_t count;       /* how often the trial does what it is about */
    uint64_t seed;
} trial_setting;

enum { TRIAL_FOUND = 400 };
/* Positions that the suite of `faults` computes, of which one is to be stale. */
enum { TRIAL_POSITIONS = 64 };

/* Whether what was asked is met, and what was found, in words. */
typedef struct trial_result {
    bool passed;
    char found[TRIAL_FOUND];
} trial_result;

/* Fails when the trial itself could not be carried out, which passes nothing. */
typedef ciuic_status trial_fn(const trial_setting *s, trial_result *r);
trial_fn trial_false_alarms, trial_power, trial_faults, trial_quick_verdicts, trial_harness_cost,
    trial_gate_regressions, trial_gate_reruns;

/* A line on stderr, for whoever waits. */
void trial_say(const char *format, ...) CIUIC_PRINTF(1, 2);

/* s->folder/name and s->build/name, to be freed; end the program when out of memory. */
char *trial_path(const trial_setting *s, const char *name);
char *trial_program_path(const trial_setting *s, const char *name);
/* Writes `text` to s->folder/name and returns the path, to be freed. */
char *trial_write(const trial_setting *s, const char *name, const char *text);
/* A folder's absolute path, to be freed: suites resolve paths against their own folder. */
char *trial_absolute(const char *path);

/* Runs a program with the arguments (ended by NULL), stdin empty, stdout and stderr to the file `log`; `environment`: one
 * "NAME=value" to add, or NULL. Its exit status; 128 + signal when one ended it. */
int trial_run(const char *program, const char *const *arguments, const char *log, const char *environment);
/* folder/results.json, to be freed. */
ciuic_status trial_results(const char *folder, cJSON **results);

#endif
