/* program.c - running build/ciuic as a user would. */
#include "harness/tests/program.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/folder_removal.h"

enum { ARGUMENTS_MAX = 32, TIME_LIMIT_S = 300 };

static const char *temporary_root(void)
{
    const char *root = getenv("TMPDIR");
    return root != NULL ? root : P_tmpdir;
}

/* Replaces the (forked) process by ciuic; returns only when that failed. */
static void become_program(const program_process *process, const char *const *arguments, const char *environment)
{
    const char *binary = getenv("CIUIC_BINARY");
    char *argv[ARGUMENTS_MAX + 2] = {NULL};
    char setting[256];
    argv[0] = strdup(binary != NULL ? binary : "build/ciuic");
    for (int i = 0; i < ARGUMENTS_MAX && arguments[i] != NULL; i++) argv[i + 1] = strdup(arguments[i]);
    unsetenv("CIUIC_ISA"); /* the tests say what they want */
    if (environment != NULL) {
        snprintf(setting, sizeof setting, "%s", environment);
        putenv(setting);
    }
    const int in = open("/dev/null", O_RDONLY);
    const int out = open(process->out, O_WRONLY | O_TRUNC);
    const int err = open(process->err, O_WRONLY | O_TRUNC);
    if (in < 0 || out < 0 || err < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) return;
    alarm(TIME_LIMIT_S); /* kept across exec */
    execv(argv[0], argv);
}

static void make_file(char path[256], const char *name)
{
    snprintf(path, 256, "%s/ciuic-%s-XXXXXX", temporary_root(), name);
    const int descriptor = mkstemp(path);
    if (descriptor >= 0) close(descriptor);
}

program_process program_start(const char *const *arguments, const char *environment)
{
    program_process process = {.pid = -1};
    make_file(process.out, "out");
    make_file(process.err, "err");
    fflush(stdout);
    process.pid = fork();
    if (process.pid == 0) {
        become_program(&process, arguments, environment);
        _exit(127);
    }
    return process;
}

program_run program_wait(program_process *process)
{
    program_run run = {.status = -1};
    int status;
    if (process->pid > 0 && waitpid(process->pid, &status, 0) == process->pid)
        run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    run.out = read_text(process->out);
    run.err = read_text(process->err);
    unlink(process->out);
    unlink(process->err);
    return run;
}

program_run program(const char *const *arguments, const char *environment)
{
    program_process process = program_start(arguments, environment);
    return program_wait(&process);
}

void program_run_free(program_run *run)
{
    free(run->out);
    free(run->err);
    *run = (program_run){0};
}

char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    for (int c; memory != NULL && (c = getc(file)) != EOF;) putc(c, memory);
    if (memory != NULL) fclose(memory);
    fclose(file);
    return text;
}

size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (const char *c = text; *c != '\0'; c++) lines += *c == '\n' || c[1] == '\0' ? 1 : 0;
    return lines;
}

char *temporary_folder(void)
{
    char path[256];
    snprintf(path, sizeof path, "%s/ciuic-test-XXXXXX", temporary_root());
    return mkdtemp(path) != NULL ? strdup(path) : NULL;
}

void remove_tree(char *path)
{
    folder_remove(path);
    free(path);
}

size_t count_files(const char *path)
{
    size_t files = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) return 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) files += entry->d_name[0] == '.' ? 0 : 1;
    closedir(folder);
    return files;
}

void remove_folder(char *path)
{
    if (path == NULL) return;
    DIR *folder = opendir(path);
    for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char file[512];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) unlink(file);
    }
    if (folder != NULL) closedir(folder);
    rmdir(path);
    free(path);
}
