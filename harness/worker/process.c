/* process.c - see process.h. */
#include "harness/worker/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/child_process.h"
#include "harness/commands.h"
#include "harness/monotonic_clock.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

extern char **environ;

struct worker_process {
    pid_t pid; /* 0 once it has been reaped */
    int socket;
    int messages; /* memory file that is its stdout and stderr: what a dying library says last */
    char *line;   /* bytes received, not yet a whole line */
    size_t received;
    bool given_up;
    cJSON *refusal;               /* see worker_refusal; NULL: none */
    worker_progress_fn *progress; /* NULL: nobody listens */
    void *progress_context;
};

/* ---- starting --------------------------------------------------------------------------------------------------- */

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The parent's environment, except what would change a measurement behind the suite's back: everything that Google
 * Benchmark, an OpenMP runtime (GNU's or LLVM's) or OpenBLAS reads. How threads wait stays libgomp's default: it spins
 * some milliseconds, enough for one kernel to find its threads awake for the next; the worker waits for that to end
 * before it answers. OpenBLAS gets one thread: the runtime has already cut every matmul into one slice a thread.
 *
 * Each thread gets a core of its own. The scheduler would otherwise wake the threads of a worker that slept on one core
 * and leave them there for milliseconds: with two threads, a tuned prefill of 128 tokens took 6.84 ms instead of 6.08,
 * a decoded token 191 us instead of 155, and the naive prefill 31 ms instead of 22. */
static char **worker_environment(void)
{
    static const char *const dropped[] = {"BENCHMARK_", "OMP_", "GOMP_", "KMP_", "OPENBLAS_", "GOTO_"};
    static char openblas[] = "OPENBLAS_NUM_THREADS=1", bind[] = WORKER_OMP_PROC_BIND, places[] = WORKER_OMP_PLACES;
    static char stack[] = "OMP_STACKSIZE=8M"; /* kernels.h: 2 MiB at least, which an unlimited `ulimit -s` just gives */
    static char *const set[] = {openblas, bind, places, stack};
    enum { SET = sizeof set / sizeof set[0] };
    size_t n = 0;
    while (environ[n] != NULL) n++;
    char **kept = malloc((n + SET + 1) * sizeof *kept);
    if (kept == NULL) return NULL;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        bool keep = true;
        for (size_t j = 0; j < sizeof dropped / sizeof dropped[0]; j++)
            if (starts_with(environ[i], dropped[j])) keep = false;
        if (keep) kept[count++] = environ[i];
    }
    for (size_t i = 0; i < SET; i++) kept[count++] = set[i];
    kept[count] = NULL;
    return kept;
}

/* Between fork and exec: async-signal-safe calls only. */
static _Noreturn void become_worker(pid_t parent, int channel, int messages, const char *program,
                                    char *const *arguments, char *const *environment)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    signal(SIGINT, SIG_IGN); /* Ctrl-C reaches the whole group; the parent decides */
    if (channel == STDIN_FILENO)
        fcntl(channel, F_SETFD, 0); /* dup2 onto itself would leave close-on-exec set */
    else
        dup2(channel, STDIN_FILENO);
    dup2(messages, STDOUT_FILENO);
    dup2(messages, STDERR_FILENO);
    execve(program, arguments, environment);
    _exit(127);
}

static ciuic_status start(const char *program, const char *fault, worker_process **out)
{
    static char name[] = "ciuic", command[] = "worker", fault_option[] = "--fault";
    int sockets[2] = {-1, -1}, messages = -1;
    ciuic_status status = CIUIC_OK;
    char *fault_text = fault != NULL ? strdup(fault) : NULL;
    char **environment = worker_environment();
    worker_process *w = calloc(1, sizeof *w);
    char *line = malloc(WORKER_LINE_MAX);
    if (environment == NULL || w == NULL || line == NULL || (fault != NULL && fault_text == NULL)) {
        status = ciuic_fail_memory("a worker's bookkeeping", WORKER_LINE_MAX);
        goto cleanup;
    }
    child_prepare_waiting();
    messages = memfd_create("worker messages", MFD_CLOEXEC);
    if (messages < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
        status = ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "a worker cannot be connected: %s", strerror(errno));
        goto cleanup;
    }
    char *arguments[] = {name, command, fault != NULL ? fault_option : NULL, fault_text, NULL};
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0) {
        status = ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "a worker cannot be started: %s", strerror(errno));
        goto cleanup;
    }
    if (pid == 0) become_worker(parent, sockets[1], messages, program, arguments, environment);
    *w = (worker_process){.pid = pid, .socket = sockets[0], .messages = messages, .line = line};
    *out = w;
    w = NULL, line = NULL, sockets[0] = -1, messages = -1;
cleanup:
    if (sockets[0] >= 0) close(sockets[0]);
    if (sockets[1] >= 0) close(sockets[1]);
    if (messages >= 0) close(messages);
    free(line);
    free(w);
    free(environment);
    free(fault_text);
    return status;
}

ciuic_status worker_start(const char *fault, worker_process **out)
{
    return start("/proc/self/exe", fault, out);
}

ciuic_status worker_start_program(const char *program, worker_process **out)
{
    return start(program != NULL ? program : "/proc/self/exe", NULL, out);
}

/* ---- dying ------------------------------------------------------------------------------------------------------ */

/* The first line that the worker, or a library in it, printed: ": text", or "". */
static void last_words(const worker_process *w, char *text, size_t size)
{
    char bytes[256];
    text[0] = '\0';
    const ssize_t n = pread(w->messages, bytes, sizeof bytes - 1, 0);
    if (n <= 0) return;
    bytes[n] = '\0';
    const char *start = bytes + strspn(bytes, "\r\n= ");
    const size_t length = strcspn(start, "\r\n");
    if (length > 0) snprintf(text, size, ": %.*s", (int)length, start);
}

static void describe_death(const worker_process *w, int status, const char *during, char reason[WORKER_REASON_MAX])
{
    char words[256];
    last_words(w, words, sizeof words);
    if (WIFSIGNALED(status)) {
        const int number = WTERMSIG(status);
        snprintf(reason, WORKER_REASON_MAX, "killed by signal %d (%s) during %s%s", number,
                 number == SIGKILL ? "out of memory?" : strsignal(number), during, words);
    } else {
        snprintf(reason, WORKER_REASON_MAX, "ended with status %d during %s%s", WEXITSTATUS(status), during, words);
    }
}

static void kill_and_reap(worker_process *w)
{
    if (w->pid == 0) return;
    kill(w->pid, SIGKILL);
    while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR) continue;
    w->pid = 0;
}

/* After the socket closed: the process is dead or about to be. */
static void reap(worker_process *w, const char *during, char reason[WORKER_REASON_MAX])
{
    const struct timespec pause = {.tv_nsec = 5000000};
    int status = 0;
    for (int i = 0; i < 400; i++) {
        const pid_t reaped = waitpid(w->pid, &status, WNOHANG);
        if (reaped == w->pid) {
            w->pid = 0;
            describe_death(w, status, during, reason);
            return;
        }
        nanosleep(&pause, NULL);
    }
    snprintf(reason, WORKER_REASON_MAX, "closed its side during %s without ending; killed", during);
    kill_and_reap(w);
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static bool send_line(const worker_process *w, const cJSON *request)
{
    char *text = cJSON_PrintUnformatted(request);
    if (text == NULL) return false;
    const size_t length = strlen(text);
    text[length] = '\n'; /* in place of the NUL: sent by length */
    size_t sent = 0;
    while (sent < length + 1) {
        const ssize_t n = send(w->socket, text + sent, length + 1 - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        sent += (size_t)n;
    }
    cJSON_free(text);
    return sent == length + 1;
}

static worker_outcome fail_with(worker_process *w, char reason[WORKER_REASON_MAX], const char *during, const char *what)
{
    snprintf(reason, WORKER_REASON_MAX, "%s during %s; killed", what, during);
    w->given_up = true;
    kill_and_reap(w);
    return WORKER_FAILED;
}

/* Waits until a whole line is there: its length, or 0 with *outcome and `reason` set. */
static size_t receive_line(worker_process *w, double deadline, const char *during, worker_outcome *outcome,
                           char reason[WORKER_REASON_MAX])
{
    const double start = monotonic_s();
    for (;;) {
        const char *end = memchr(w->line, '\n', w->received);
        if (end != NULL) return (size_t)(end - w->line) + 1;
        *outcome = WORKER_FAILED;
        if (w->received == WORKER_LINE_MAX) {
            *outcome = fail_with(w, reason, during, "sent an endless line");
            return 0;
        }
        const double left = deadline - monotonic_s();
        if (left <= 0) {
            char what[64];
            snprintf(what, sizeof what, "gave no answer within %.3g s", deadline - start);
            *outcome = fail_with(w, reason, during, what);
            return 0;
        }
        struct pollfd ready = {.fd = w->socket, .events = POLLIN};
        const int polled = poll(&ready, 1, left > 0.2 ? 200 : (int)(left * 1000) + 1);
        if (command_interrupted()) {
            *outcome = WORKER_INTERRUPTED;
            return 0;
        }
        if (polled <= 0) continue;
        const ssize_t n = read(w->socket, w->line + w->received, WORKER_LINE_MAX - w->received);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n <= 0) {
            reap(w, during, reason);
            return 0;
        }
        w->received += (size_t)n;
    }
}

static void drop_line(worker_process *w, size_t length)
{
    memmove(w->line, w->line + length, w->received - length);
    w->received -= length;
}

/* Whether the line says how far the worker is, and no more; it is then passed on and dropped. */
static bool take_progress(worker_process *w, size_t length)
{
    static const char start[] = "{\"progress\":";
    cJSON *parsed = NULL;
    if (length < sizeof start || strncmp(w->line, start, sizeof start - 1) != 0) return false;
    if (json_parse(w->line, length - 1, "progress", &parsed) != CIUIC_OK) return false;
    const cJSON *what = json_find(parsed, "progress"), *done = json_find(parsed, "done"),
                *total = json_find(parsed, "total");
    const bool taken = cJSON_IsString(what) && cJSON_IsNumber(done) && cJSON_IsNumber(total) &&
                       done->valuedouble >= 0 && total->valuedouble >= 0 && total->valuedouble < 0x1p53;
    if (taken && w->progress != NULL)
        w->progress(w->progress_context, what->valuestring, (size_t)done->valuedouble, (size_t)total->valuedouble);
    cJSON_Delete(parsed);
    if (taken) drop_line(w, length);
    return taken;
}

/* The line as an answer; anything else is junk, and a worker that sends junk is not believed again. */
static worker_outcome read_answer(worker_process *w, size_t length, const char *during, cJSON **answer,
                                  char reason[WORKER_REASON_MAX])
{
    cJSON *parsed = NULL;
    const ciuic_status status = json_parse(w->line, length - 1, "answer", &parsed);
    const cJSON *ok = status == CIUIC_OK && cJSON_IsObject(parsed) ? json_find(parsed, "ok") : NULL;
    const cJSON *error = ok != NULL ? json_find(parsed, "error") : NULL;
    worker_outcome outcome = WORKER_FAILED;
    if (cJSON_IsTrue(ok)) {
        *answer = parsed;
        parsed = NULL;
        outcome = WORKER_ANSWERED;
    } else if (cJSON_IsFalse(ok) && cJSON_IsString(error)) {
        snprintf(reason, WORKER_REASON_MAX, "%s", error->valuestring);
        w->refusal = cJSON_DetachItemFromObjectCaseSensitive(parsed, "refused"); /* the last answer: it dies here */
        kill_and_reap(w);
    } else {
        char what[128], seen[41];
        size_t n = 0;
        for (; n < sizeof seen - 1 && n < length - 1; n++)
            seen[n] = w->line[n] >= ' ' && w->line[n] <= '~' ? w->line[n] : '?';
        seen[n] = '\0';
        snprintf(what, sizeof what, "sent what is no answer, \"%s\",", seen);
        fail_with(w, reason, during, what);
    }
    cJSON_Delete(parsed);
    drop_line(w, length);
    return outcome;
}

worker_outcome worker_ask(worker_process *w, const cJSON *request, double timeout_s, cJSON **answer,
                          char reason[WORKER_REASON_MAX])
{
    const cJSON *what = json_find(request, "do");
    const char *during = cJSON_IsString(what) ? what->valuestring : "a request";
    worker_outcome outcome = WORKER_FAILED;
    if (w->pid == 0) {
        snprintf(reason, WORKER_REASON_MAX, "asked to %s after its death", during);
        return WORKER_FAILED;
    }
    if (!send_line(w, request)) {
        reap(w, during, reason);
        return WORKER_FAILED;
    }
    const double deadline = monotonic_s() + WORKER_PROGRESS_TIMES * timeout_s;
    size_t length;
    do {
        length = receive_line(w, monotonic_s() + timeout_s, during, &outcome, reason);
        if (length > 0 && monotonic_s() > deadline) {
            char words[96];
            snprintf(words, sizeof words, "told of progress and gave no answer within %.3g s",
                     WORKER_PROGRESS_TIMES * timeout_s);
            return fail_with(w, reason, during, words);
        }
    } while (length > 0 && take_progress(w, length));
    return length > 0 ? read_answer(w, length, during, answer, reason) : outcome;
}

void worker_on_progress(worker_process *w, worker_progress_fn *progress, void *context)
{
    w->progress = progress;
    w->progress_context = context;
}

bool worker_given_up(const worker_process *w)
{
    return w->given_up;
}

const cJSON *worker_refusal(const worker_process *w)
{
    return w != NULL ? w->refusal : NULL;
}

bool worker_alive(const worker_process *w)
{
    return w->pid != 0;
}

pid_t worker_pid(const worker_process *w)
{
    return w->pid;
}

void worker_stop(worker_process *w)
{
    if (w == NULL) return;
    kill_and_reap(w);
    close(w->socket);
    close(w->messages);
    cJSON_Delete(w->refusal);
    free(w->line);
    free(w);
}
