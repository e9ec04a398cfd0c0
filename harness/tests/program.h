/* program.h - running build/ciuic (CIUIC_BINARY) as a user would, and looking at all it did. */
#ifndef CIUIC_TESTS_PROGRAM_H
#define CIUIC_TESTS_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct program_run {
    int status; /* exit status; 128 + signal when a signal ended it; -1 when it could not be started */
    char *out, *err;
} program_run;

/* Runs ciuic with the arguments (ended by NULL), stdin empty, at most 300 s. `environment`: one "NAME=value" to add, or
 * NULL. Free with program_run_free. */
program_run program(const char *const *arguments, const char *environment);
void program_run_free(program_run *run);

/* As `program`, in two halves: what happens between is the test's. */
typedef struct program_process {
    pid_t pid;
    char out[256], err[256]; /* files that stdout and stderr go to */
} program_process;

program_process program_start(const char *const *arguments, const char *environment);
program_run program_wait(program_process *process);

/* A fresh empty folder, and its removal with the files in it. */
char *temporary_folder(void);
void remove_folder(char *path); /* frees path */
void remove_tree(char *path);   /* the same, with the folders in it */
size_t count_files(const char *path);

/* Lines of text; a last one without newline counts. */
size_t count_lines(const char *text);

/* The file's text, NULL when it cannot be read. */
char *read_text(const char *path);

#endif
