/* gnuplot.c - one fork, one exec, one deadline; scripts and what they draw lie in files without a name, which nobody waits at. */
#include "harness/report/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/monotonic_clock.h"
#include "optimizer/error.h"

enum { BASE_S = 30, SCRIPT_S = 2, NOT_INSTALLED = 127, OUTPUT_MAX = 16 << 20 };

/* Written behind every output; no SVG holds a control character. */
static const char mark[] = "\001\n";

/* In the child; only async-signal-safe calls. -d: no start-up files, so that a plot is the same on every machine. The script has a
 * name where it can have one: gnuplot reads "-" a byte at a time. Not every /dev has a stdin, which is only a link to that name. A
 * gnuplot gone wild ends at the limit of a file's size, not at a full disk. */
static _Noreturn void become_gnuplot(const char *directory, int script, int out, const struct rlimit *limit)
{
    const int null = open("/dev/null", O_WRONLY);
    char stream[] = "-";
    char *arguments[] = {(char[]){"gnuplot"}, (char[]){"-d"}, (char[]){"/proc/self/fd/0"}, NULL};
    if (null >= 0 && chdir(directory) == 0 && setrlimit(RLIMIT_FSIZE, limit) == 0 && dup2(script, STDIN_FILENO) >= 0 &&
        dup2(out, STDOUT_FILENO) >= 0 && dup2(null, STDERR_FILENO) >= 0) {
        if (access(arguments[2], R_OK) != 0) arguments[2] = stream;
        execvp(arguments[0], arguments);
    }
    _exit(NOT_INSTALLED);
}

/* All of them in one text, in a file. */
static FILE *join(const gnuplot_script *scripts, size_t count)
{
    FILE *file = tmpfile();
    if (file == NULL) return NULL;
    fputs("set print '-'\n", file);
    for (size_t i = 0; i < count; i++) {
        fwrite(scripts[i].text, 1, scripts[i].length, file);
        fputs("\nset output\nprint \"\\001\"\nreset session\n", file); /* `set output` ends the picture */
    }
    if (ferror(file) == 0 && fflush(file) == 0 && lseek(fileno(file), 0, SEEK_SET) == 0) return file;
    fclose(file);
    return NULL;
}

static ciuic_status start_child(gnuplot_process *p, const char *directory, int script)
{
    int ends[2];
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    const rlim_t most = (rlim_t)OUTPUT_MAX + (rlim_t)p->count * (OUTPUT_MAX / 16);
    getrlimit(RLIMIT_FSIZE, &limit);
    if (limit.rlim_cur > most) limit.rlim_cur = most; /* RLIM_INFINITY is the largest number */
    if (pipe2(ends, O_CLOEXEC) != 0) return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "no pipe: %s", strerror(errno));
    p->child = fork();
    if (p->child == 0) {
        /* The end that must close with this process stays open across exec. */
        if (fcntl(ends[1], F_SETFD, 0) != 0) _exit(NOT_INSTALLED);
        become_gnuplot(directory, script, fileno(p->output), &limit);
    }
    const int error = errno;
    close(ends[1]);
    p->alive = ends[0];
    if (p->child > 0) return CIUIC_OK;
    close(ends[0]);
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "no process for gnuplot: %s", strerror(error));
}

ciuic_status gnuplot_start(gnuplot_process *p, const char *directory, const gnuplot_script *scripts, size_t count)
{
    *p = (gnuplot_process){.count = count, .allowed_s = BASE_S + SCRIPT_S * (double)count};
    p->deadline_s = monotonic_s() + p->allowed_s;
    FILE *script = join(scripts, count);
    p->output = script != NULL ? tmpfile() : NULL;
    ciuic_status status = p->output != NULL
                              ? start_child(p, directory, fileno(script))
                              : ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "no temporary file: %s", strerror(errno));
    if (status != CIUIC_OK) {
        if (p->output != NULL) fclose(p->output);
        *p = (gnuplot_process){0};
    }
    if (script != NULL) fclose(script);
    return status;
}

/* Until the child has ended; false: it was ended, since it took too long. */
static bool wait_for_end(const gnuplot_process *p, int *wait_status)
{
    bool in_time = true;
    for (;;) {
        struct pollfd end = {.fd = p->alive, .events = POLLIN};
        const double left = p->deadline_s - monotonic_s();
        const int polled = poll(&end, 1, left > 0 ? (int)(left * 1e3) : 0);
        if (polled > 0) break;
        if (polled < 0 && errno == EINTR) continue;
        in_time = false;
        kill(p->child, SIGKILL);
        break;
    }
    while (waitpid(p->child, wait_status, 0) < 0 && errno == EINTR) continue;
    return in_time;
}

/* All that the child wrote; NULL when memory runs out. */
static char *read_output(FILE *file)
{
    if (fseek(file, 0, SEEK_END) != 0) return NULL;
    const long bytes = ftell(file);
    char *text = bytes >= 0 ? malloc((size_t)bytes + 1) : NULL;
    if (text == NULL) return NULL;
    rewind(file);
    text[fread(text, 1, (size_t)bytes, file)] = '\0';
    return text;
}

/* How many outputs are there, mark and all. */
static size_t split(const char *text, size_t count, char **outputs)
{
    for (size_t i = 0; i < count; i++) {
        const char *end = strstr(text, mark);
        outputs[i] = end != NULL ? strndup(text, (size_t)(end - text)) : NULL;
        if (outputs[i] == NULL) return i;
        text = end + sizeof mark - 1;
    }
    return count;
}

static ciuic_status judge_end(const gnuplot_process *p, int wait_status, bool in_time, bool whole)
{
    if (!in_time)
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "gnuplot hung: nothing came of it for %.0f s", p->allowed_s);
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == NOT_INSTALLED)
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "gnuplot is not installed; apt-get install gnuplot-nox");
    if (!WIFEXITED(wait_status))
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "gnuplot was ended by signal %d", WTERMSIG(wait_status));
    if (WEXITSTATUS(wait_status) != 0 || !whole)
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "gnuplot failed with status %d", WEXITSTATUS(wait_status));
    return CIUIC_OK;
}

ciuic_status gnuplot_finish(gnuplot_process *p, char **outputs, size_t *whole, gnuplot_outcome *outcome)
{
    int wait_status = 0;
    for (size_t i = 0; i < p->count; i++) outputs[i] = NULL;
    const bool in_time = wait_for_end(p, &wait_status);
    char *text = read_output(p->output);
    *whole = text != NULL ? split(text, p->count, outputs) : 0;
    /* A script that is at fault makes gnuplot exit; what else goes wrong would go wrong again. */
    const bool again =
        in_time && *whole < p->count && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) != NOT_INSTALLED;
    *outcome = again ? GNUPLOT_AGAIN : in_time ? GNUPLOT_ENDED : GNUPLOT_HUNG;
    const ciuic_status status = judge_end(p, wait_status, in_time, *whole == p->count);
    free(text);
    close(p->alive);
    fclose(p->output);
    *p = (gnuplot_process){0};
    return status;
}
