/* child_process.h - another program run to its end: its standard input given, what it says taken, its time limited.
 *
 * For tools of others (valgrind, likwid-bench), which may be missing, hang, crash or say too much. */
#ifndef CIUIC_CHILD_PROCESS_H
#define CIUIC_CHILD_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

#include "optimizer/ciuic.h"

typedef struct child_program {
    char *const *arguments;   /* [0] is looked up in PATH unless it has a '/'; ends in NULL */
    char *const *environment; /* the whole of it; ends in NULL */
    const char *input;        /* its standard input; NULL: nothing */
    double timeout_s;         /* of its own: without what it waited for a core that others had */
    bool same_addresses;      /* no randomised address space, where that may be asked for */
} child_program;

typedef enum child_end {
    CHILD_EXITED,
    CHILD_SIGNALLED,   /* by itself, or by somebody else */
    CHILD_MISSING,     /* there is no such program, or it may not be run */
    CHILD_TIMED_OUT,   /* killed */
    CHILD_INTERRUPTED, /* command_interrupted(); killed */
} child_end;

enum { CHILD_OUTPUT_MAX = 64 * 1024 };

typedef struct child_result {
    child_end end;
    int code;                      /* exit status, or signal */
    char output[CHILD_OUTPUT_MAX]; /* the beginning of standard output and error together, ends in NUL */
} child_result;

/* Fails only where no child can be made; how the program ended is the result. It dies with this process, and its own
 * children with it where it is killed: it leads a process group. */
ciuic_status child_run(const child_program *program, child_result *result);

/* Seconds that the process group has been ready to run and had no core: the most of any of its threads, by `proc` ("/proc"); 0 where
 * the kernel does not say. A process that hangs has none, or computes meanwhile; one that a busy machine starves has little else. */
double child_starved_s(const char *proc, pid_t group);

/* Makes sure that this process can wait for its children: whoever started it may have had SIGCHLD ignored, which is inherited,
 * and children then vanish without a status. */
void child_prepare_waiting(void);

/* "is not installed", "hung and was killed after 5 s", "crashed (signal 11)", "ended with status 3: its first words";
 * "" for an exit with status 0. */
void child_describe(const child_program *program, const child_result *result, char *text, size_t size);

#endif
