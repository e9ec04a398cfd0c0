/* gnuplot.c - one fork, one exec, one pipe, one deadline. */
#include "harness/report/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/monotonic_clock.h"
#include "optimizer/error.h"

enum { DEADLINE_S = 30, NOT_INSTALLED = 127, OUTPUT_MAX = 16 << 20 };

/* In the child; only async-signal-safe calls. -d: no start-up files, so that a plot is the same on every machine. */
static _Noreturn void become_gnuplot(const char *directory, int script, int out)
{
    const int null = open("/dev/null", O_WRONLY);
    char *const arguments[] = {(char[]){"gnuplot"}, (char[]){"-d"}, (char[]){"-"}, NULL};
    if (null >= 0 && chdir(directory) == 0 && dup2(script, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(null, STDERR_FILENO) >= 0)
        execvp(arguments[0], arguments);
    _exit(NOT_INSTALLED);
}

/* Everything until the end of the pipe; NULL when it takes too long, is too much, or memory runs out. */
static char *read_until(int descriptor, double deadline)
{
    size_t capacity = 1 << 16, used = 0;
    char *text = malloc(capacity);
    while (text != NULL) {
        struct pollfd ready = {.fd = descriptor, .events = POLLIN};
        const double left = deadline - monotonic_s();
        const int polled = poll(&ready, 1, left > 0 ? (int)(left * 1e3) : 0);
        if (polled < 0 && errno == EINTR) continue;
        const ssize_t got = polled > 0 ? read(descriptor, text + used, capacity - used - 1) : -1;
        if (got < 0 && polled > 0 && errno == EINTR) continue;
        if (got == 0) {
            text[used] = '\0';
            return text;
        }
        if (got < 0 || capacity > OUTPUT_MAX) break;
        used += (size_t)got;
        if (capacity - used > 1) continue;
        char *grown = realloc(text, capacity *= 2);
        if (grown == NULL) break;
        text = grown;
    }
    free(text);
    return NULL;
}

static ciuic_status judge_exit(int wait_status, const char *output)
{
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == NOT_INSTALLED)
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "gnuplot is not installed; apt-get install gnuplot-nox");
    if (output == NULL || !WIFEXITED(wait_status))
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "gnuplot did not finish within %d s", DEADLINE_S);
    if (WEXITSTATUS(wait_status) != 0 || output[0] == '\0')
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "gnuplot failed with status %d", WEXITSTATUS(wait_status));
    return CIUIC_OK;
}

static ciuic_status run(const char *directory, int script, char **output)
{
    int ends[2], wait_status = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "no pipe: %s", strerror(errno));
    const pid_t child = fork();
    if (child == 0) become_gnuplot(directory, script, ends[1]);
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "no process for gnuplot: %s", strerror(errno));
    }
    char *text = read_until(ends[0], monotonic_s() + DEADLINE_S);
    close(ends[0]);
    if (text == NULL) kill(child, SIGKILL);
    while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR) continue;
    const ciuic_status status = judge_exit(wait_status, text);
    if (status == CIUIC_OK)
        *output = text;
    else
        free(text);
    return status;
}

ciuic_status gnuplot_run(const char *directory, const char *script, size_t length, char **output)
{
    /* A file rather than a second pipe: a gnuplot that dies early can then not stop us with SIGPIPE. */
    FILE *file = tmpfile();
    if (file == NULL) return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "no temporary file: %s", strerror(errno));
    ciuic_status status;
    if (fwrite(script, 1, length, file) != length || fflush(file) != 0 || lseek(fileno(file), 0, SEEK_SET) != 0)
        status = ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "temporary file: %s", strerror(errno));
    else
        status = run(directory, fileno(file), output);
    fclose(file);
    return status;
}

/* ---- several ---------------------------------------------------------------------------------------------------- */

/* Stands between two outputs; no SVG holds a control character. */
static const char mark[] = "\001\n";

static ciuic_status join(const gnuplot_script *scripts, size_t count, char **text, size_t *length)
{
    FILE *out = open_memstream(text, length);
    if (out == NULL) return ciuic_fail_memory("a gnuplot script", 0);
    fputs("set print '-'\n", out);
    for (size_t i = 0; i < count; i++) {
        fwrite(scripts[i].text, 1, scripts[i].length, out);
        fputs("\nset output\nprint \"\\001\"\nreset session\n", out); /* `set output` ends the picture */
    }
    return fclose(out) == 0 ? CIUIC_OK : ciuic_fail_memory("a gnuplot script", *length);
}

/* Whether every output is there, and none is empty. */
static bool split(const char *text, size_t count, char **outputs)
{
    for (size_t i = 0; i < count; i++) {
        const char *end = strstr(text, mark);
        if (end == NULL || end == text) return false;
        outputs[i] = strndup(text, (size_t)(end - text));
        if (outputs[i] == NULL) return false;
        text = end + sizeof mark - 1;
    }
    return true;
}

void gnuplot_run_batch(const char *directory, const gnuplot_script *scripts, size_t count, char **outputs)
{
    char *script = NULL, *text = NULL;
    size_t length = 0;
    for (size_t i = 0; i < count; i++) outputs[i] = NULL;
    const bool run_through = join(scripts, count, &script, &length) == CIUIC_OK &&
                             gnuplot_run(directory, script, length, &text) == CIUIC_OK && split(text, count, outputs);
    for (size_t i = 0; i < count && !run_through; i++) {
        free(outputs[i]);
        outputs[i] = NULL;
    }
    free(script);
    free(text);
}
