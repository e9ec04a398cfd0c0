/* commands.h - the subcommands of `ciuic`, and what all of them do alike: reading options, failing, suggesting.
 *
 * A command gets its own name as argv[0] and returns the exit status: a ciuic_status, whose values are those numbers. */
#ifndef CIUIC_COMMANDS_H
#define CIUIC_COMMANDS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "optimizer/ciuic.h"
#include "optimizer/error.h"

int cmd_doctor(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_generate(int argc, char **argv);
int cmd_optimize(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_gate(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_audit(int argc, char **argv);
int cmd_synth(int argc, char **argv);
int cmd_worker(int argc, char **argv); /* one process of a bench; started by cmd_bench only */

/* ---- options ---------------------------------------------------------------------------------------------------- */

typedef enum option_kind {
    OPTION_SWITCH, /* bool: set to true */
    OPTION_TEXT,   /* const char *: the argument, borrowed from argv */
    OPTION_SIZE,   /* size_t: a whole number within [min, max] */
} option_kind;

typedef struct command_option {
    const char *name;   /* "--ids" */
    const char *letter; /* "-o", or NULL */
    option_kind kind;
    void *value;
    size_t min, max; /* OPTION_SIZE only */
} command_option;

/* What the command line said besides options. */
typedef struct command_operands {
    const char **names; /* pointing into argv, reordered in place */
    size_t count;
    bool help; /* --help was given and has been printed: the command has nothing left to do */
} command_operands;

/* Reads argv[1..] by the n options: `--name value`, `--name=value`, `-o value`; `--` ends the options; `--help` and `-h`
 * print `help` to stdout. An unknown option (with the nearest known one), a missing or impossible argument, an option
 * given twice, and fewer than min_operands or more than max_operands operands are CIUIC_ERROR_USAGE. */
ciuic_status command_parse(int argc, char **argv, const char *help, const command_option *options, size_t n,
                           size_t min_operands, size_t max_operands, command_operands *operands);

/* ---- telling ---------------------------------------------------------------------------------------------------- */

/* Prints "ciuic: " and ciuic_last_error() on stderr when status is not CIUIC_OK; returns the exit status. */
int command_exit(ciuic_status status);

/* What --json prints: the object and a newline on stdout. Frees it; false for `complete` says that memory ran out while
 * it was filled. */
ciuic_status command_print_json(cJSON *object, bool complete);

/* Prints the text behind `title` (one line, printed first), broken between words to fit a terminal of 80 columns. */
void command_print_wrapped(const char *title, const char *text);

/* The one of `names` (n, NULL entries skipped) that `typed` was most likely meant to be; NULL when none is near. */
const char *nearest_name(const char *typed, const char *const *names, size_t n);

/* ---- interruption ----------------------------------------------------------------------------------------------- */

/* From here on the first SIGINT, SIGTERM or SIGHUP only sets a flag, so that work can stop at a tidy place; another one,
 * more than a second later, ends the process. */
void command_catch_interrupts(void);
bool command_interrupted(void);

#endif
