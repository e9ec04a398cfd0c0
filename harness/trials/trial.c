/* trial.c - see trial.h. */
#include "harness/trials/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "optimizer/atomic_file.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

void trial_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static _Noreturn void out_of_memory(void)
{
    fputs("trial: out of memory\n", stderr);
    exit(4);
}

static char *join(const char *folder, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, name) < 0) out_of_memory();
    return path;
}

char *trial_path(const trial_setting *s, const char *name)
{
    return join(s->folder, name);
}

char *trial_program_path(const trial_setting *s, const char *name)
{
    return join(s->build, name);
}

char *trial_write(const trial_setting *s, const char *name, const char *text)
{
    char *path = trial_path(s, name);
    if (atomic_file_write(path, text, strlen(text)) != CIUIC_OK) {
        fprintf(stderr, "trial: %s\n", ciuic_last_error());
        exit(4);
    }
    return path;
}

char *trial_absolute(const char *path)
{
    char *absolute = realpath(path, NULL);
    if (absolute != NULL) return absolute;
    fprintf(stderr, "trial: %s: %s; run it from the project's folder\n", path, strerror(errno));
    exit(4);
}

/* In the child. */
static _Noreturn void become(const char *program, const char *const *arguments, const char *log,
                             const char *environment)
{
    enum { MOST = 32 };
    char *argv[MOST + 2] = {strdup(program)};
    for (size_t i = 0; i < MOST && arguments[i] != NULL; i++) argv[i + 1] = strdup(arguments[i]);
    const int in = open("/dev/null", O_RDONLY), out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    char *setting = environment != NULL ? strdup(environment) : NULL;
    if (setting != NULL) putenv(setting);
    if (in >= 0 && out >= 0 && dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0) execv(argv[0], argv);
    _exit(127);
}

int trial_run(const char *program, const char *const *arguments, const char *log, const char *environment)
{
    int status = 0;
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) become(program, arguments, log, environment);
    if (pid < 0) return -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

ciuic_status trial_results(const char *folder, cJSON **results)
{
    char *path = join(folder, "results.json");
    const ciuic_status status = json_read_file(path, (size_t)256 << 20, results);
    free(path);
    return status;
}
