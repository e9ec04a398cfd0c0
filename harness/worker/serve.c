/* serve.c - `ciuic worker`: one variant in a process of its own, which loads, verifies and measures when it is asked to.
 *
 * The protocol is described in process.h. `--fault KIND@COMMAND[:N]` makes the N-th answer to COMMAND go wrong, so that
 * tests can show what a dying worker costs: sigkill, sigill, abort, exit, junk, silent (closes its side), hang, late (8 s),
 * nan, zero, negative, long and short (for a time), busy (a thread that never sleeps), wrong (logits, while they are timed), slow (0.6 s in which it
 * tells how far it is), endless (the same for ever). */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/measure/counters.h"
#include "harness/measure/gbench_shim.h"
#include "harness/measure/memory_account.h"
#include "harness/monotonic_clock.h"
#include "harness/prefix_json.h"
#include "harness/run_limit.h"
#include "harness/worker/count.h"
#include "harness/worker/fit.h"
#include "harness/worker/fresh_inputs.h"
#include "harness/worker/load.h"
#include "harness/worker/onednn.h"
#include "harness/worker/openblas.h"
#include "harness/worker/pack.h"
#include "harness/worker/page_cache.h"
#include "harness/worker/process.h"
#include "harness/worker/workload.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { FAULT_WORD = 16 };

typedef struct fault {
    char kind[FAULT_WORD], command[FAULT_WORD];
    size_t countdown; /* answers to `command` until it happens; 0: never, or no more */
} fault;

typedef struct worker {
    fault fault;
    char *checkpoint;
    ciuic_model *model;
    workload *work;
    counters *counters;
    size_t repetitions; /* counted by the counters */
    run_need need;
    memory_account memory; /* from before loading to before the accuracy run, which brings the reference's logits and a
                              second session in */
    bool memory_read;
    ciuic_status failed; /* of the last timed body */
} worker;

/* ---- load ------------------------------------------------------------------------------------------------------- */

static void send_text(const char *text, size_t length)
{
    while (length > 0) {
        const ssize_t n = send(STDIN_FILENO, text, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return; /* the parent is gone; the next read says so */
        text += n;
        length -= (size_t)n;
    }
}

/* The context is when the parent last heard of it: a line every half second shows that quantising goes on, and keeps the
 * parent from giving it up. What has no decimal fraction needs no printer of JSON. */
static ciuic_status say_progress(void *context, const char *what, size_t done, size_t total)
{
    double *said_s = context;
    char line[160];
    const double now = monotonic_s();
    if (now - *said_s < 0.5) return CIUIC_OK;
    *said_s = now;
    const int length =
        snprintf(line, sizeof line, "{\"progress\":\"%.60s\",\"done\":%zu,\"total\":%zu}\n", what, done, total);
    if (length > 0 && length < (int)sizeof line) send_text(line, (size_t)length);
    return CIUIC_OK;
}

static ciuic_memory_use memory_use(const worker *w)
{
    ciuic_memory_use use;
    workload_memory(w->work, &use);
    const onednn_memory packed = onednn_memory_use();
    use.weights += packed.packed;
    use.packed += packed.packed;
    use.mapped -= packed.released < use.mapped ? packed.released : use.mapped;
    return use;
}

static bool add_need(cJSON *memory, const worker *w)
{
    return json_add_size(memory, "needed", ciuic_memory_total(&w->need.use)) &&
           json_add_size(memory, "under_limit", w->need.total) &&
           json_add_size(memory, "longest_context", w->need.longest_context);
}

static bool add_computed(const worker *w, cJSON *answer)
{
    if (workload_is_spared(w->work)) return true;
    cJSON *computed = workload_computed(w->work);
    return computed != NULL && cJSON_AddItemToObject(answer, "computed", computed);
}

/* Both accounts of the memory after loading and the first repetition: what they are later is read at the end. */
static bool add_memory_now(const worker *w, cJSON *memory, const ciuic_memory_use *use)
{
    memory_account now = w->memory;
    memory_account_finish(&now, use, workload_buffer_bytes(w->work));
    return memory_use_json(memory, use) && memory_account_json(memory, &now);
}

static bool add_sizes(const worker *w, cJSON *answer)
{
    ciuic_model_info info;
    ciuic_model_describe(w->model, &info);
    const ciuic_memory_use use = memory_use(w);
    cJSON *memory = cJSON_AddObjectToObject(answer, "memory");
    return json_add_size(answer, "parameters", info.parameters) &&
           json_add_size(answer, "weight_bytes", info.weight_bytes) &&
           json_add_double(answer, "bits_per_weight", info.bits_per_weight) &&
           json_add_size(answer, "decode_bytes", info.decode_bytes) &&
           json_add_double(answer, "decode_flops", info.decode_flops) &&
           json_add_double(answer, "head_flops", 2.0 * (double)info.hidden_size * (double)info.vocabulary) &&
           json_add_size(answer, "kv_cache", use.kv_cache) && memory != NULL && add_memory_now(w, memory, &use) &&
           add_need(memory, w) && add_computed(w, answer) &&
           cJSON_AddBoolToObject(answer, "random_weights", info.synthetic) != NULL &&
           cJSON_AddStringToObject(answer, "isa", info.isa) != NULL;
}

/* A trial of a search for limits: what is planned, and then whether it runs. */
static ciuic_status do_fit(worker *w, const load_request *r, cJSON *answer)
{
    double said_s = 0;
    run_limit_begin(r->spec.threads);
    CIUIC_TRY(load_model(r, say_progress, &said_s, &w->need, &w->model));
    if (!r->fit.plan_only) CIUIC_TRY(fit_run(w->model, &r->spec, &r->fit));
    CIUIC_TRY(onednn_status());
    return run_need_json(answer, &w->need) ? CIUIC_OK : ciuic_fail_memory("an answer", 0);
}

/* Loads, and runs the workload once: from then on everything that a repetition needs has been resident. */
static ciuic_status do_load(worker *w, const cJSON *request, cJSON *answer)
{
    load_request r;
    double said_s = 0;
    CIUIC_TRY(load_request_read(request, &r));
    if (w->model != NULL) return ciuic_fail(CIUIC_ERROR_USAGE, "load: already loaded");
    w->checkpoint = strdup(r.spec.checkpoint); /* the request goes, the workload stays */
    if (w->checkpoint == NULL) return ciuic_fail_memory("a path", strlen(r.spec.checkpoint));
    r.spec.checkpoint = w->checkpoint;
    openblas_end_threads(); /* under a limit their buffers would not come; without one they are not this variant's */
    if (r.fit.asked) return do_fit(w, &r, answer);
    CIUIC_TRY(load_limit_memory(&r));
    w->counters = counters_open(&r.support);
    if (w->counters == NULL) return ciuic_fail_memory("the counters", 0);
    if (r.total_limit > 0) run_limit_begin(r.spec.threads);
    if (r.cold_start) page_cache_drop(r.spec.checkpoint);
    memory_account_start(&w->memory);
    const double start = monotonic_s();
    CIUIC_TRY(load_model(&r, say_progress, &said_s, &w->need, &w->model));
    const double loaded = monotonic_s();
    process_memory after = {0};
    if (memory_read(&after))
        json_add_double(answer, "load_growth_bytes", (double)after.rss - (double)w->memory.start.rss);
    CIUIC_TRY(workload_create(w->model, &r.spec, &w->work));
    CIUIC_TRY(workload_run(w->work));
    /* A prefill's first repetition ends with the first token's logits. */
    if (r.spec.phase == PHASE_PREFILL) json_add_double(answer, "first_token_s", monotonic_s() - start);
    CIUIC_TRY(onednn_status());
    json_add_double(answer, "load_s", loaded - start);
    json_add_size(answer, "pid", (size_t)getpid());
    ciuic_model_info info;
    ciuic_model_describe(w->model, &info);
    const bool wide = r.options.quantize == CIUIC_QUANTIZE_NONE && !info.quantised && !r.openblas;
    cJSON_AddBoolToObject(answer, "bfloat16", wide);
    const sha256_hex output = workload_output(w->work);
    if (cJSON_AddStringToObject(answer, "output_sha256", output.text) == NULL || !add_sizes(w, answer))
        return ciuic_fail_memory("an answer", 0);
    return CIUIC_OK;
}

/* The last request, since what it leaves in this process is no variant's. */
static ciuic_status do_pack(worker *w, const cJSON *request, cJSON *answer)
{
    double said_s = 0;
    if (w->model != NULL) return ciuic_fail(CIUIC_ERROR_USAGE, "pack: a variant is loaded");
    return pack_folder(request, say_progress, &said_s, answer);
}

/* ---- the other requests ----------------------------------------------------------------------------------------- */

static ciuic_status do_reference(worker *w, const cJSON *request, cJSON *answer)
{
    const char *path = NULL;
    (void)answer;
    CIUIC_TRY(json_get_string(request, "reference", "file", &path));
    return workload_write_reference(w->work, path);
}

static ciuic_status read_memory(worker *w)
{
    if (w->memory_read) return CIUIC_OK;
    const ciuic_memory_use use = memory_use(w);
    memory_account_finish(&w->memory, &use, workload_buffer_bytes(w->work));
    w->memory_read = w->memory.known;
    return w->memory_read ? CIUIC_OK
                          : ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "/proc/self does not say how much memory is resident");
}

/* The reference's logits, the second session and the pages of mapped weights that only other windows touch are this
 * run's own, not the workload's: the peak is read before them, and is the answer to "finish". */
static ciuic_status do_accuracy(worker *w, const cJSON *request, cJSON *answer)
{
    const char *path = NULL;
    accuracy_result result;
    sha256_hex scored;
    CIUIC_TRY(json_get_string(request, "accuracy", "file", &path));
    CIUIC_TRY(read_memory(w));
    run_limit_lift(); /* it was for the workload */
    CIUIC_TRY(workload_accuracy(w->work, path, &result, &scored));
    cJSON *metrics = accuracy_json(&result);
    if (metrics == NULL || !cJSON_AddItemToObject(answer, "accuracy", metrics) ||
        cJSON_AddStringToObject(answer, "output_sha256", scored.text) == NULL)
        return ciuic_fail_memory("an answer", 0);
    return CIUIC_OK;
}

/* Errors do not show a weight that the ids hardly meet. It needs no reference, so that suites without one ask for it, too. */
static ciuic_status do_weights(worker *w, const cJSON *request, cJSON *answer)
{
    ciuic_weight_check weights;
    (void)request;
    CIUIC_TRY(read_memory(w));
    run_limit_lift();
    const double start = monotonic_s();
    CIUIC_TRY(ciuic_check_weights(w->model, &weights));
    if (!json_add_size(answer, "checked", weights.checked) || !json_add_size(answer, "unchecked", weights.unchecked) ||
        !json_add_double(answer, "seconds", monotonic_s() - start))
        return ciuic_fail_memory("an answer", 0);
    return CIUIC_OK;
}

/* Whether the answer to `command` that is being made is the one to go wrong in this way. */
static bool fault_due(const fault *f, const char *kind, const char *command)
{
    return f->countdown == 1 && strcmp(f->kind, kind) == 0 && strcmp(f->command, command) == 0;
}

static bool timed_body(void *context)
{
    worker *w = context;
    w->failed = workload_run(w->work);
    return w->failed == CIUIC_OK;
}

/* What the clock said, unless the fault that is due is a clock's. */
static double reported_s(const worker *w, double seconds)
{
    if (fault_due(&w->fault, "nan", "measure")) return NAN;
    if (fault_due(&w->fault, "zero", "measure")) return 0;
    if (fault_due(&w->fault, "long", "measure")) return 3600 + seconds;  /* as if the clock was set an hour ahead */
    if (fault_due(&w->fault, "short", "measure")) return seconds / 1000; /* a clock that runs slow */
    if (fault_due(&w->fault, "fast", "measure")) return 1.8 * seconds;
    return fault_due(&w->fault, "negative", "measure") ? -seconds : seconds;
}

/* One repetition goes before those that are timed: the workers before this one have had the caches to themselves. */
static ciuic_status do_measure(worker *w, const cJSON *request, cJSON *answer)
{
    size_t iterations = 0;
    gbench_time time;
    CIUIC_TRY(json_get_size(request, "measure", "iterations", 1, 1u << 30, &iterations));
    CIUIC_TRY(fresh_inputs_take(w->work, request, iterations));
    w->failed = CIUIC_OK;
    const double began_s = monotonic_s();
    CIUIC_TRY(workload_run(w->work));
    counters_start(w->counters);
    const bool timed = gbench_run(iterations, timed_body, w, &time);
    counters_stop(w->counters);
    const double busy_s = monotonic_s() - began_s;
    if (w->failed != CIUIC_OK) return w->failed;
    CIUIC_TRY(onednn_status());
    if (!timed) return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "Google Benchmark reported no time");
    w->repetitions += time.iterations;
    if (fault_due(&w->fault, "wrong", "measure")) workload_spoil_output(w->work);
    CIUIC_TRY(fresh_inputs_write_logits(w->work, request));
    json_add_double(answer, "seconds", reported_s(w, time.real_s));
    json_add_double(answer, "cpu_seconds", time.cpu_s);
    json_add_double(answer, "busy_seconds", fault_due(&w->fault, "fast", "measure") ? 1.8 * busy_s : busy_s);
    const sha256_hex output = workload_output(w->work);
    if (cJSON_AddStringToObject(answer, "output_sha256", output.text) == NULL) return ciuic_fail_memory("an answer", 0);
    return CIUIC_OK;
}

static ciuic_status do_finish(worker *w, const cJSON *request, cJSON *answer)
{
    (void)request;
    CIUIC_TRY(read_memory(w));
    json_add_size(answer, "peak_rss", w->memory.now.peak_rss);
    cJSON *memory = cJSON_AddObjectToObject(answer, "memory");
    if (memory == NULL || !memory_use_json(memory, &w->memory.use) || !add_need(memory, w) ||
        !memory_account_json(memory, &w->memory))
        return ciuic_fail_memory("an answer", 0);
    ciuic_prefix_use prefixes;
    size_t computed = 0;
    const bool cached = workload_prefixes(w->work, &prefixes, &computed);
    if (!prefix_json_add(answer, cached ? &prefixes : NULL, computed)) return ciuic_fail_memory("an answer", 0);
    cJSON *counted = counters_json(w->counters, w->repetitions);
    if (counted == NULL || !cJSON_AddItemToObject(answer, "counters", counted))
        return ciuic_fail_memory("an answer", 0);
    return CIUIC_OK;
}

/* ---- serving ---------------------------------------------------------------------------------------------------- */

/* Whether this thread can run: in /proc/<pid>/task/<tid>/stat, the letter after the name in parentheses. */
static bool runnable(const char *thread)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", thread);
    FILE *file = fopen(path, "re");
    if (file == NULL) return false; /* it has ended */
    const char *name_end = fgets(line, sizeof line, file) != NULL ? strrchr(line, ')') : NULL;
    fclose(file);
    return name_end != NULL && strncmp(name_end, ") R", 3) == 0;
}

/* Whether all threads but this one sleep. Not asked of the CPU time used: on a busy machine a thread that spins may get
 * none for a while. */
static bool at_rest(void)
{
    char self[24];
    bool resting = true;
    DIR *threads = opendir("/proc/self/task");
    if (threads == NULL) return true;
    snprintf(self, sizeof self, "%ld", (long)gettid());
    for (const struct dirent *t = readdir(threads); t != NULL && resting; t = readdir(threads))
        if (t->d_name[0] != '.' && strcmp(t->d_name, self) != 0) resting = !runnable(t->d_name);
    closedir(threads);
    return resting;
}

/* Waits until this process's threads sleep: OpenMP's spin for some milliseconds after a parallel region, which would
 * steal from whoever is timed next. A worker that finds no rest would spoil every other one's samples: it fails. */
static ciuic_status settle(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    const double patience_s = 2, deadline = monotonic_s() + patience_s;
    do {
        if (at_rest()) return CIUIC_OK;
        nanosleep(&pause, NULL);
    } while (monotonic_s() < deadline);
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "its threads did not come to rest within %g s", patience_s);
}

static void send_answer(const cJSON *answer)
{
    static const char none[] = "{\"ok\":false,\"error\":\"out of memory for an answer\"}\n";
    char *text = cJSON_PrintUnformatted(answer);
    if (text == NULL) {
        send_text(none, sizeof none - 1);
        return;
    }
    const size_t length = strlen(text);
    text[length] = '\n';
    send_text(text, length + 1);
    cJSON_free(text);
}

static void *never_sleep(void *unused)
{
    (void)unused;
    for (;;) sched_yield();
    return NULL;
}

/* Does what --fault asked for, in place of answering; returns when there is nothing to do wrong. */
static void maybe_fail(fault *f, const char *command)
{
    static const char junk[] = "segmentation violation -- see core\n";
    if (f->countdown == 0 || strcmp(f->command, command) != 0 || --f->countdown > 0) return;
    if (strcmp(f->kind, "sigkill") == 0) raise(SIGKILL);
    if (strcmp(f->kind, "sigill") == 0) {
        signal(SIGILL, SIG_DFL); /* a sanitizer has its own ideas */
        raise(SIGILL);
    }
    if (strcmp(f->kind, "abort") == 0) abort();
    if (strcmp(f->kind, "exit") == 0) _exit(7);
    const struct timespec pause_for = {.tv_nsec = 50000000};
    const bool endless = strcmp(f->kind, "endless") == 0;
    for (size_t i = 0; endless || (i < 12 && strcmp(f->kind, "slow") == 0); i++) {
        double long_ago = -1;
        nanosleep(&pause_for, NULL);
        (void)say_progress(&long_ago, "dawdling", i, 12);
    }
    const struct timespec too_long = {.tv_sec = 8};
    if (strcmp(f->kind, "late") == 0) nanosleep(&too_long, NULL);
    pthread_t thread;
    if (strcmp(f->kind, "busy") == 0) pthread_create(&thread, NULL, never_sleep, NULL);
    if (strcmp(f->kind, "junk") == 0) send_text(junk, sizeof junk - 1);
    if (strcmp(f->kind, "silent") == 0) shutdown(STDIN_FILENO, SHUT_RDWR);
    if (strcmp(f->kind, "hang") == 0 || strcmp(f->kind, "silent") == 0)
        for (;;) pause();
}

typedef struct request_type {
    const char *name;
    ciuic_status (*run)(worker *w, const cJSON *request, cJSON *answer);
    bool needs_model, last;
} request_type;

static const request_type request_types[] = {
    {"load", do_load, false, false},        {"reference", do_reference, true, false},
    {"accuracy", do_accuracy, true, false}, {"weights", do_weights, true, false},
    {"measure", do_measure, true, false},   {"finish", do_finish, true, true},
    {"pack", do_pack, false, true},
};

static ciuic_status run_request(worker *w, const cJSON *request, cJSON *answer, const request_type **type)
{
    const char *name = NULL;
    *type = NULL;
    CIUIC_TRY(json_get_string(request, "request", "do", &name));
    for (size_t i = 0; i < sizeof request_types / sizeof request_types[0]; i++)
        if (strcmp(request_types[i].name, name) == 0) *type = &request_types[i];
    if (*type == NULL) return ciuic_fail(CIUIC_ERROR_USAGE, "request \"%s\" is unknown", name);
    if ((*type)->needs_model && w->work == NULL) return ciuic_fail(CIUIC_ERROR_USAGE, "%s: nothing is loaded", name);
    return (*type)->run(w, request, answer);
}

/* *answer becomes the last error instead, and what was refused for its need with it. */
static void answer_error(const worker *w, cJSON **answer)
{
    cJSON *refusal = run_refusal_json(&w->need);
    cJSON_Delete(*answer);
    *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(*answer, "ok", false);
    cJSON_AddStringToObject(*answer, "error", ciuic_last_error());
    if (refusal != NULL) cJSON_AddItemToObject(*answer, "refused", refusal);
}

/* Answers one line; false ends the process. */
static bool serve_line(worker *w, const char *line, size_t length)
{
    cJSON *request = NULL, *answer = cJSON_CreateObject();
    const request_type *type = NULL;
    cJSON_AddBoolToObject(answer, "ok", true);
    ciuic_status status = json_parse(line, length, "request", &request);
    if (status == CIUIC_OK) status = run_request(w, request, answer, &type);
    if (type != NULL) maybe_fail(&w->fault, type->name);
    if (status == CIUIC_OK && !type->last) status = settle();
    if (status != CIUIC_OK) answer_error(w, &answer);
    send_answer(answer);
    cJSON_Delete(answer);
    cJSON_Delete(request);
    return status == CIUIC_OK && !type->last;
}

static int serve(worker *w)
{
    char *line = malloc(WORKER_LINE_MAX);
    size_t used = 0;
    bool going = line != NULL;
    while (going) {
        const char *end = memchr(line, '\n', used);
        if (end != NULL) {
            const size_t length = (size_t)(end - line);
            going = serve_line(w, line, length);
            memmove(line, end + 1, used - length - 1);
            used -= length + 1;
            continue;
        }
        const ssize_t n = used < WORKER_LINE_MAX ? read(STDIN_FILENO, line + used, WORKER_LINE_MAX - used) : 0;
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break; /* the parent closed its side */
        used += (size_t)n;
    }
    free(line);
    workload_free(w->work);
    ciuic_model_free(w->model);
    counters_close(w->counters);
    free(w->checkpoint);
    return CIUIC_OK;
}

static ciuic_status read_fault(const char *text, fault *f)
{
    int end = 0;
    f->countdown = 1;
    const int fields = sscanf(text, "%15[a-z]@%15[a-z]%n:%zu%n", f->kind, f->command, &end, &f->countdown, &end);
    if (fields >= 2 && text[end] == '\0') return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_USAGE, "worker: --fault '%s': expected KIND@COMMAND or KIND@COMMAND:N", text);
}

int cmd_worker(int argc, char **argv)
{
    static const char help[] = "usage: ciuic worker [--fault KIND@COMMAND[:N]] | --count\n"
                               "One process of a bench, started by 'ciuic bench' with a socket as standard input; or\n"
                               "with a load request there, whose workload is repeated for what counts it.\n";
    const char *fault_text = NULL;
    bool count = false;
    worker w = {0};
    const command_option options[] = {{"--fault", NULL, OPTION_TEXT, (void *)&fault_text, 0, 0},
                                      {"--count", NULL, OPTION_SWITCH, &count, 0, 0}};
    command_operands operands;
    ciuic_status status = command_parse(argc, argv, help, options, 2, 0, 0, &operands);
    if (status == CIUIC_OK && operands.help) return CIUIC_OK;
    if (status == CIUIC_OK && count) return command_exit(count_repetition());
    if (status == CIUIC_OK && fault_text != NULL) status = read_fault(fault_text, &w.fault);
    prctl(PR_SET_NAME, "ciuic worker"); /* it was started as /proc/self/exe, which says little in ps and top */
    return status == CIUIC_OK ? serve(&w) : command_exit(status);
}
