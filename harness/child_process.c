/* child_process.c - see child_process.h. */
#include "harness/child_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/monotonic_clock.h"
#include "optimizer/error.h"

enum { NOT_RUN = 127, PATH_SIZE = 512 };

/* Between fork and exec: async-signal-safe calls only, execvpe among them in glibc. */
static _Noreturn void become(const child_program *p, pid_t parent, int input, int output)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(NOT_RUN);
    setpgid(0, 0);
    if (p->same_addresses) personality(ADDR_NO_RANDOMIZE); /* a container may forbid it: one difference less, no more */
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execvpe(p->arguments[0], p->arguments, p->environment);
    _exit(NOT_RUN);
}

/* Memory files rather than pipes: nothing blocks and nothing raises SIGPIPE, whatever either side does. */
static ciuic_status open_files(const child_program *p, int *input, int *output)
{
    const char *text = p->input != NULL ? p->input : "";
    const size_t length = strlen(text);
    *input = memfd_create("input", MFD_CLOEXEC);
    *output = memfd_create("output", MFD_CLOEXEC);
    if (*input < 0 || *output < 0 || write(*input, text, length) != (ssize_t)length || lseek(*input, 0, SEEK_SET) != 0)
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s cannot be run: no file in memory: %s", p->arguments[0],
                          strerror(errno));
    return CIUIC_OK;
}

/* ---- waiting ---------------------------------------------------------------------------------------------------- */

void child_prepare_waiting(void)
{
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN) signal(SIGCHLD, SIG_DFL);
}

/* The fifth field of /proc/<pid>/stat, behind a name in parentheses that may hold anything. */
static bool is_of_group(const char *proc, const char *process, pid_t group)
{
    char path[PATH_SIZE], line[512];
    int found = -1;
    snprintf(path, sizeof path, "%s/%.20s/stat", proc, process);
    FILE *file = fopen(path, "re");
    if (file == NULL) return false; /* it has ended */
    const char *name_end = fgets(line, sizeof line, file) != NULL ? strrchr(line, ')') : NULL;
    fclose(file);
    return name_end != NULL && sscanf(name_end + 1, " %*c %*d %d", &found) == 1 && found == group;
}

/* The second number of a thread's schedstat: nanoseconds on a queue. */
static double thread_starved_s(const char *proc, const char *process, const char *thread)
{
    char path[PATH_SIZE];
    double waited = 0;
    snprintf(path, sizeof path, "%s/%.20s/task/%.20s/schedstat", proc, process, thread);
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    if (fscanf(file, "%*s %lf", &waited) != 1 || !(waited > 0)) waited = 0;
    fclose(file);
    return waited / 1e9;
}

double child_starved_s(const char *proc, pid_t group)
{
    double most = 0;
    DIR *processes = opendir(proc);
    for (const struct dirent *p = processes != NULL ? readdir(processes) : NULL; p != NULL; p = readdir(processes)) {
        char path[PATH_SIZE];
        if (p->d_name[0] < '1' || p->d_name[0] > '9' || !is_of_group(proc, p->d_name, group)) continue;
        snprintf(path, sizeof path, "%s/%.20s/task", proc, p->d_name);
        DIR *threads = opendir(path);
        for (const struct dirent *t = threads != NULL ? readdir(threads) : NULL; t != NULL; t = readdir(threads))
            if (t->d_name[0] != '.') most = fmax(most, thread_starved_s(proc, p->d_name, t->d_name));
        if (threads != NULL) closedir(threads);
    }
    if (processes != NULL) closedir(processes);
    return most;
}

/* Whether the time is up: it is when so much has passed besides what the group waited for a core. Under cachegrind a repetition
 * takes ten seconds of a core's time, and minutes where twenty others want that core. */
static bool is_late(pid_t pid, double start, double timeout_s, double *look_again)
{
    const double now = monotonic_s();
    if (now < *look_again) return false;
    const double left = timeout_s - (now - start - child_starved_s("/proc", pid));
    *look_again = now + fmax(0.1, left);
    return left <= 0;
}

/* Waits for its end, kills it when it is time. */
static void wait_for(pid_t pid, double timeout_s, child_result *r)
{
    const double start = monotonic_s();
    double look_again = start + timeout_s;
    struct timespec pause = {.tv_nsec = 1000000};
    int status = 0;
    r->end = CHILD_EXITED;
    for (;;) {
        const pid_t ended = waitpid(pid, &status, WNOHANG);
        if (ended == pid) break;
        const bool late = is_late(pid, start, timeout_s, &look_again), stop = command_interrupted();
        if (late || stop) {
            r->end = stop ? CHILD_INTERRUPTED : CHILD_TIMED_OUT;
            kill(-pid, SIGKILL);
            kill(pid, SIGKILL); /* should it not have come to setpgid */
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
            return;
        }
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 20000000) pause.tv_nsec *= 2;
    }
    if (WIFSIGNALED(status)) r->end = CHILD_SIGNALLED;
    r->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

ciuic_status child_run(const child_program *program, child_result *result)
{
    int input = -1, output = -1;
    *result = (child_result){.end = CHILD_MISSING};
    child_prepare_waiting();
    ciuic_status status = open_files(program, &input, &output);
    if (status == CIUIC_OK) {
        const pid_t parent = getpid(), pid = fork();
        if (pid == 0) become(program, parent, input, output);
        if (pid < 0)
            status =
                ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s cannot be run: %s", program->arguments[0], strerror(errno));
        else
            wait_for(pid, program->timeout_s, result);
        const ssize_t length = pid > 0 ? pread(output, result->output, CHILD_OUTPUT_MAX - 1, 0) : 0;
        result->output[length > 0 ? length : 0] = '\0';
    }
    if (result->end == CHILD_EXITED && result->code == NOT_RUN && result->output[0] == '\0')
        result->end = CHILD_MISSING;
    if (input >= 0) close(input);
    if (output >= 0) close(output);
    return status;
}

/* Its first line, without what no sentence should hold. Lines that begin as valgrind's own do are passed over: what went
 * wrong is said by the program under it. */
static void first_words(const char *output, char words[128])
{
    const char *start = output;
    while (*start == '\n' || *start == '\r' || strncmp(start, "--", 2) == 0 || strncmp(start, "==", 2) == 0) {
        start += strcspn(start, "\n");
        start += *start == '\n';
    }
    size_t n = strcspn(start, "\r\n");
    if (n > 127) n = 127;
    for (size_t i = 0; i < n; i++) words[i] = start[i] >= ' ' && start[i] <= '~' ? start[i] : '?';
    words[n] = '\0';
}

void child_describe(const child_program *program, const child_result *result, char *text, size_t size)
{
    char words[128];
    first_words(result->output, words);
    text[0] = '\0';
    switch (result->end) {
    case CHILD_MISSING:
        snprintf(text, size, "is not installed");
        break;
    case CHILD_TIMED_OUT:
        snprintf(text, size, "hung and was killed after %g s", program->timeout_s);
        break;
    case CHILD_INTERRUPTED:
        snprintf(text, size, "was interrupted");
        break;
    case CHILD_SIGNALLED:
        snprintf(text, size, "crashed (signal %d)%s%s", result->code, words[0] != '\0' ? ": " : "", words);
        break;
    case CHILD_EXITED:
        if (result->code != 0)
            snprintf(text, size, "ended with status %d%s%s", result->code, words[0] != '\0' ? ": " : "", words);
        break;
    }
}
