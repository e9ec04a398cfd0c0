/* test_worker_process.c - a worker process: what it answers, how its death is told, and that it is quiet while it waits. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/suite/matrix.h"
#include "harness/tests/program.h"
#include "harness/worker/onednn.h"
#include "harness/worker/process.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static cJSON *load_request(const char *quantize, size_t threads, size_t memory_limit)
{
    cJSON *r = cJSON_CreateObject();
    cJSON_AddStringToObject(r, "do", "load");
    cJSON_AddStringToObject(r, "checkpoint", "datasets/deepseek-v3-tiny");
    cJSON_AddStringToObject(r, "phase", "decode");
    json_add_size(r, "tokens", 4);
    json_add_size(r, "depth", 8);
    json_add_size(r, "windows", 1);
    json_add_size(r, "window_tokens", 8);
    json_add_size(r, "seed", 1);
    cJSON_AddStringToObject(r, "quantize", quantize);
    cJSON_AddBoolToObject(r, "graph", true);
    cJSON_AddStringToObject(r, "memory", "on");
    cJSON_AddStringToObject(r, "isa", "c");
    cJSON_AddStringToObject(r, "matmul", "own");
    json_add_size(r, "threads", threads);
    json_add_size(r, "memory_limit", memory_limit);
    json_add_size(r, "total_limit", 0);
    cJSON_AddBoolToObject(r, "cold_start", false);
    cJSON_AddStringToObject(r, "counters", "none");
    cJSON_AddStringToObject(r, "counters_reason", "not available here, because this is a test");
    return r;
}

/* Asks and frees the request. */
static worker_outcome ask(worker_process *w, cJSON *request, double timeout_s, cJSON **answer, char *reason)
{
    *answer = NULL;
    reason[0] = '\0';
    const worker_outcome outcome = worker_ask(w, request, timeout_s, answer, reason);
    cJSON_Delete(request);
    return outcome;
}

static cJSON *simple_request(const char *what)
{
    cJSON *r = cJSON_CreateObject();
    cJSON_AddStringToObject(r, "do", what);
    if (strcmp(what, "measure") == 0) json_add_size(r, "iterations", 2);
    return r;
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = json_find(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static const char *text(const cJSON *object, const char *key)
{
    const cJSON *item = json_find(object, key);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static void a_worker_loads_measures_and_finishes(void)
{
    worker_process *w = NULL;
    cJSON *loaded = NULL, *measured = NULL, *finished = NULL;
    char reason[WORKER_REASON_MAX];
    CHECK(worker_start(NULL, &w) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(ask(w, load_request("int8", 1, 0), 120, &loaded, reason) == WORKER_ANSWERED, "%s", reason);
    CHECK(strlen(text(loaded, "output_sha256")) == 64, "no digest");
    CHECK(number(loaded, "parameters") > 7e6 && number(json_find(loaded, "memory"), "weights") > 7e6, "no sizes");
    CHECK(ask(w, simple_request("measure"), 120, &measured, reason) == WORKER_ANSWERED, "%s", reason);
    CHECK(number(measured, "seconds") > 0 && number(measured, "cpu_seconds") > 0, "no time");
    CHECK(strcmp(text(loaded, "output_sha256"), text(measured, "output_sha256")) == 0, "outputs differ");
    CHECK(ask(w, simple_request("finish"), 120, &finished, reason) == WORKER_ANSWERED, "%s", reason);
    CHECK(number(finished, "peak_rss") > number(json_find(loaded, "memory"), "weights"), "peak_rss %g",
          number(finished, "peak_rss"));
    const cJSON *counted = json_find(finished, "counters");
    CHECK(strcmp(text(counted, "reason"), "not available here, because this is a test") == 0, "counters: no reason");
    CHECK(number(json_find(counted, "software"), "page_faults") >= 0, "no page faults");
    cJSON_Delete(loaded);
    cJSON_Delete(measured);
    cJSON_Delete(finished);
    worker_stop(w);
}

static void count_progress(void *context, const char *what, size_t done, size_t total)
{
    size_t *heard = context;
    *heard += strcmp(what, "dawdling") == 0 && total == 12 && done == *heard;
}

/* A worker that says that it is at work is waited for as long as it says so; the one that is silent is not. */
static void progress_renews_the_time_for_an_answer(void)
{
    char reason[WORKER_REASON_MAX];
    for (int silent = 0; silent < 2; silent++) {
        worker_process *w = NULL;
        cJSON *answer = NULL;
        size_t heard = 0;
        CHECK(worker_start(silent ? "hang@measure" : "slow@measure", &w) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(ask(w, load_request("affine8", 1, 0), 120, &answer, reason) == WORKER_ANSWERED, "%s", reason);
        cJSON_Delete(answer);
        worker_on_progress(w, count_progress, &heard);
        /* Each line comes after 0.05 s, the measurement before them takes milliseconds: 0.5 s hold on a loaded machine. */
        const worker_outcome outcome = ask(w, simple_request("measure"), 0.5, &answer, reason);
        CHECK(outcome == (silent ? WORKER_FAILED : WORKER_ANSWERED), "silent %d: %s", silent, reason);
        CHECK(heard == (silent ? 0 : 12), "silent %d: %zu lines heard", silent, heard);
        cJSON_Delete(answer);
        worker_stop(w);
    }
}

/* Only so long, however: a worker whose work never ends would otherwise hold a bench for ever. */
static void progress_without_an_end_is_given_up(void)
{
    char reason[WORKER_REASON_MAX] = "";
    worker_process *w = NULL;
    cJSON *answer = NULL;
    size_t heard = 0;
    CHECK(worker_start("endless@measure", &w) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(ask(w, load_request("affine8", 1, 0), 120, &answer, reason) == WORKER_ANSWERED, "%s", reason);
    cJSON_Delete(answer);
    worker_on_progress(w, count_progress, &heard);
    CHECK(ask(w, simple_request("measure"), 0.5, &answer, reason) == WORKER_FAILED && worker_given_up(w), "%s", reason);
    CHECK(strcmp(reason, "told of progress and gave no answer within 10 s during measure; killed") == 0, "%s", reason);
    CHECK(heard > 20, "%zu lines heard", heard);
    worker_stop(w);
}

/* What a suite says of quantising reaches the worker, and contradictions end there, too. */
static void a_worker_quantises_as_it_is_told(void)
{
    worker_process *w = NULL;
    cJSON *answer = NULL, *request = load_request("int4", 1, 0);
    char reason[WORKER_REASON_MAX];
    json_add_size(request, "group", 64);
    CHECK(worker_start(NULL, &w) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(ask(w, request, 120, &answer, reason) == WORKER_ANSWERED, "%s", reason);
    const double bits = number(answer, "bits_per_weight"); /* 4 and 16 / 64, and norms and routers in FP32 */
    CHECK(bits > 4.25 && bits < 4.45, "%g bits a weight", bits);
    cJSON_Delete(answer);
    worker_stop(w);
    request = load_request("affine8", 1, 0);
    cJSON_AddStringToObject(request, "quantizer", "gptq");
    CHECK(worker_start(NULL, &w) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(ask(w, request, 120, &answer, reason) == WORKER_FAILED, "affine8 by gptq was loaded");
    CHECK(strstr(reason, "load: quantizer gptq is for") != NULL, "%s", reason);
    cJSON_Delete(answer);
    worker_stop(w);
}

/* The environment that a process was started with: "NAME=value" strings, each ended by NUL; ends with an empty one. */
static char *environment_of(pid_t pid)
{
    enum { ROOM = 1 << 18 };
    char path[64], *text_of = calloc(ROOM, 1);
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    FILE *file = fopen(path, "r");
    if (file != NULL && text_of != NULL) CHECK(fread(text_of, 1, ROOM - 2, file) > 0, "%s is empty", path);
    if (file != NULL) fclose(file);
    return text_of;
}

static bool holds(const char *environment, const char *wanted, bool whole)
{
    for (const char *at = environment; *at != '\0'; at += strlen(at) + 1)
        if (whole ? strcmp(at, wanted) == 0 : strncmp(at, wanted, strlen(wanted)) == 0) return true;
    return false;
}

static void a_callers_thread_settings_do_not_reach_a_worker(void)
{
    static const char *const names[] = {"OMP_THREAD_LIMIT",  "OMP_PROC_BIND",   "OMP_PLACES",
                                        "GOMP_CPU_AFFINITY", "KMP_AFFINITY",    "OPENBLAS_CORETYPE",
                                        "GOTO_NUM_THREADS",  "BENCHMARK_FORMAT"};
    worker_process *w = NULL;
    cJSON *answer = NULL;
    char reason[WORKER_REASON_MAX];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) setenv(names[i], "nonsense", 1);
    CHECK(worker_start(NULL, &w) == CIUIC_OK, "%s", ciuic_last_error());
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) unsetenv(names[i]);
    CHECK(ask(w, load_request("none", 1, 0), 120, &answer, reason) == WORKER_ANSWERED, "%s", reason);
    char *environment = environment_of(worker_pid(w));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char line[64];
        snprintf(line, sizeof line, "%s=nonsense", names[i]);
        CHECK(!holds(environment, line, true), "%s reached the worker", names[i]);
    }
    CHECK(holds(environment, WORKER_OMP_PROC_BIND, true) && holds(environment, WORKER_OMP_PLACES, true), "not bound");
    CHECK(holds(environment, "PATH=", false), "the rest of the environment was lost");
    free(environment);
    cJSON_Delete(answer);
    worker_stop(w);
}

static void an_error_is_told_in_the_programs_own_words(void)
{
    static const struct {
        const char *key, *value, *says;
    } rows[] = {
        {"checkpoint", "datasets/none", "datasets/none"},
        {"quantize", "int7", "int7"},
        {"isa", "sse9", "sse9"},
        {"do", "dance", "dance"},
        {"do", "finish", "nothing is loaded"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        worker_process *w = NULL;
        cJSON *answer = NULL, *request = load_request("none", 1, 0);
        char reason[WORKER_REASON_MAX];
        cJSON_ReplaceItemInObjectCaseSensitive(request, rows[i].key, cJSON_CreateString(rows[i].value));
        CHECK(worker_start(NULL, &w) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(ask(w, request, 120, &answer, reason) == WORKER_FAILED, "row %zu was answered", i);
        CHECK(strstr(reason, rows[i].says) != NULL && !worker_alive(w), "row %zu: %s", i, reason);
        cJSON_Delete(answer);
        worker_stop(w);
    }
}

static void a_death_is_told_in_plain_words(void)
{
    static const struct {
        const char *fault, *says;
        double timeout_s;
    } rows[] = {
        {"sigkill@load", "killed by signal 9 (out of memory?) during load", 120},
        {"sigkill@measure", "killed by signal 9 (out of memory?) during measure", 120},
        {"sigill@measure", "killed by signal 4 (Illegal instruction) during measure", 120},
        {"abort@measure", "killed by signal 6 (Aborted) during measure", 120},
        {"exit@measure", "ended with status 7 during measure", 120},
        {"junk@measure", "sent what is no answer, \"segmentation violation", 120},
        {"silent@measure", "closed its side during measure without ending", 120},
        {"busy@measure", "its threads did not come to rest within 2 s", 120},
        {"hang@measure", "gave no answer within 1 s during measure", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        worker_process *w = NULL;
        cJSON *answer = NULL;
        char reason[WORKER_REASON_MAX];
        CHECK(worker_start(rows[i].fault, &w) == CIUIC_OK, "%s", ciuic_last_error());
        worker_outcome outcome = ask(w, load_request("none", 1, 0), 120, &answer, reason);
        cJSON_Delete(answer);
        if (outcome == WORKER_ANSWERED) {
            outcome = ask(w, simple_request("measure"), rows[i].timeout_s, &answer, reason);
            cJSON_Delete(answer);
        }
        CHECK(outcome == WORKER_FAILED && strstr(reason, rows[i].says) != NULL, "%s: %s", rows[i].fault, reason);
        CHECK(!worker_alive(w), "%s: still alive", rows[i].fault);
        CHECK(ask(w, simple_request("measure"), 1, &answer, reason) == WORKER_FAILED, "the dead one answered");
        worker_stop(w);
    }
}

/* Packed weights are counted, and the mapped ones that they replace are not. */
static void a_worker_multiplies_with_onednn_where_it_is_there(void)
{
    worker_process *w = NULL;
    cJSON *answer = NULL, *own = NULL;
    char reason[WORKER_REASON_MAX];
    CHECK(worker_start(NULL, &w) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(ask(w, load_request("none", 1, 0), 120, &own, reason) == WORKER_ANSWERED, "%s", reason);
    worker_stop(w);
    cJSON *request = load_request("none", 1, 0);
    cJSON_ReplaceItemInObjectCaseSensitive(request, "matmul", cJSON_CreateString("onednn"));
    CHECK(worker_start(NULL, &w) == CIUIC_OK, "%s", ciuic_last_error());
    const worker_outcome outcome = ask(w, request, 120, &answer, reason);
    if (onednn_available()) {
        CHECK(outcome == WORKER_ANSWERED, "%s", reason);
        const cJSON *theirs = json_find(answer, "memory"), *ours = json_find(own, "memory");
        CHECK(number(theirs, "weights") > number(ours, "weights") && number(theirs, "mapped") < number(ours, "mapped"),
              "%g bytes of weights, %g mapped", number(theirs, "weights"), number(theirs, "mapped"));
        CHECK(strcmp(text(answer, "output_sha256"), text(own, "output_sha256")) != 0, "the kernels' own products");
    } else {
        CHECK(outcome == WORKER_FAILED && strstr(reason, "oneDNN") != NULL, "%s", reason);
    }
    cJSON_Delete(answer);
    cJSON_Delete(own);
    worker_stop(w);
}

static void a_memory_limit_costs_the_worker_only(void)
{
    worker_process *w = NULL;
    cJSON *answer = NULL;
    char reason[WORKER_REASON_MAX];
    /* 32-bit floats of 7.6M parameters do not fit into 16 MiB of private memory. */
    cJSON *request = load_request("none", 1, (size_t)16 << 20);
    cJSON_ReplaceItemInObjectCaseSensitive(request, "matmul", cJSON_CreateString("openblas"));
    CHECK(worker_start(NULL, &w) == CIUIC_OK, "%s", ciuic_last_error());
    const worker_outcome outcome = ask(w, request, 120, &answer, reason);
#if defined(__SANITIZE_ADDRESS__)
    CHECK(outcome == WORKER_ANSWERED, "limits are off under AddressSanitizer: %s", reason);
#else
    CHECK(outcome == WORKER_FAILED && strstr(reason, "memory") != NULL, "%s", reason);
#endif
    cJSON_Delete(answer);
    worker_stop(w);
}

/* VmHWM of a process, bytes; 0 when it does not say. */
static double peak_of(pid_t pid)
{
    char path[64];
    unsigned long long peak = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    char *status = read_text(path);
    const char *line = status != NULL ? strstr(status, "VmHWM:") : NULL;
    if (line == NULL || sscanf(line, "VmHWM: %llu kB", &peak) != 1) peak = 0;
    free(status);
    return 1024.0 * (double)peak;
}

/* The reference's logits for a window of 256 are 3 MiB: the process reads them, the answer must not hold them. The kernel's counts are exact to
 * some dozen pages a core; a third of that is far above. */
static void what_verifying_takes_is_not_the_workloads_memory(void)
{
    enum { WINDOW = 256, TIMED = 4, VOCABULARY = 3072 };
    const double third = WINDOW * VOCABULARY * sizeof(float) / 3.0;
    char *folder = temporary_folder(), reference[256], reason[WORKER_REASON_MAX];
    worker_process *w = NULL;
    cJSON *answer = NULL, *load = load_request("none", 1, 0), *verify = simple_request("accuracy");
    snprintf(reference, sizeof reference, "%s/reference.f32", folder);
    /* Zeros: what the error comes out as does not matter here. */
    FILE *file = fopen(reference, "wb");
    CHECK(file != NULL && ftruncate(fileno(file), (off_t)((TIMED + WINDOW) * VOCABULARY * sizeof(float))) == 0,
          "no file");
    cJSON_ReplaceItemInObjectCaseSensitive(load, "window_tokens", json_size(WINDOW));
    cJSON_AddStringToObject(verify, "file", reference);
    CHECK(worker_start(NULL, &w) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(ask(w, load, 120, &answer, reason) == WORKER_ANSWERED, "%s", reason);
    cJSON_Delete(answer);
    const double before = peak_of(worker_pid(w));
    CHECK(ask(w, verify, 120, &answer, reason) == WORKER_ANSWERED, "%s", reason);
    cJSON_Delete(answer);
    CHECK(peak_of(worker_pid(w)) > before + third, "verifying took %g bytes", peak_of(worker_pid(w)) - before);
    CHECK(ask(w, simple_request("finish"), 120, &answer, reason) == WORKER_ANSWERED, "%s", reason);
    const double told = number(answer, "peak_rss");
    CHECK(before > 0 && told >= before && told < before + third, "%g bytes before, %g told", before, told);
    cJSON_Delete(answer);
    worker_stop(w);
    if (file != NULL) fclose(file);
    remove_folder(folder);
}

/* Ticks of CPU time that a process has used, all its threads together. */
static long cpu_ticks(pid_t pid)
{
    char path[64];
    unsigned long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    char *stat = read_text(path);
    const char *after = stat != NULL ? strrchr(stat, ')') : NULL;
    if (after == NULL || sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        user = kernel = 0;
    free(stat);
    return (long)(user + kernel);
}

/* OpenMP's threads spin for a while after each parallel region; an answer must not come before that is over. A tick is
 * 10 ms: a spinning thread would burn 10 of them in the tenth of a second, in which waiting burns none. One is allowed
 * for the tick that was running. */
static void a_worker_that_has_answered_is_quiet(void)
{
    const struct timespec tenth = {.tv_nsec = 100000000};
    worker_process *w = NULL;
    cJSON *answer = NULL;
    char reason[WORKER_REASON_MAX];
    CHECK(worker_start(NULL, &w) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(ask(w, load_request("int8", (size_t)machine_threads(), 0), 120, &answer, reason) == WORKER_ANSWERED, "%s",
          reason);
    cJSON_Delete(answer);
    for (int i = 0; i < 5; i++) {
        CHECK(ask(w, simple_request("measure"), 120, &answer, reason) == WORKER_ANSWERED, "%s", reason);
        cJSON_Delete(answer);
        const long before = cpu_ticks(worker_pid(w));
        nanosleep(&tenth, NULL);
        const long burnt = cpu_ticks(worker_pid(w)) - before;
        CHECK(before > 0 && burnt <= 1, "%ld ticks were burnt while waiting", burnt);
    }
    worker_stop(w);
}

static bool gone(pid_t pid)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    for (int i = 0; i < 250; i++) {
        if (kill(pid, 0) != 0) return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

static void a_worker_dies_with_its_parent(void)
{
    int ends[2];
    pid_t worker = 0;
    CHECK(pipe(ends) == 0, "no pipe");
    const pid_t parent = fork();
    if (parent == 0) {
        worker_process *w = NULL;
        if (worker_start(NULL, &w) == CIUIC_OK) worker = worker_pid(w);
        if (write(ends[1], &worker, sizeof worker) != (ssize_t)sizeof worker) _exit(1);
        raise(SIGKILL);
    }
    close(ends[1]);
    CHECK(read(ends[0], &worker, sizeof worker) == (ssize_t)sizeof worker && worker > 0, "no worker was started");
    close(ends[0]);
    waitpid(parent, NULL, 0);
    CHECK(worker > 0 && gone(worker), "the worker %d outlived its parent", (int)worker);
}

static const test_case cases[] = {
    {"a_worker_loads_measures_and_finishes", a_worker_loads_measures_and_finishes},
    {"progress_renews_the_time_for_an_answer", progress_renews_the_time_for_an_answer},
    {"progress_without_an_end_is_given_up", progress_without_an_end_is_given_up},
    {"a_worker_quantises_as_it_is_told", a_worker_quantises_as_it_is_told},
    {"a_callers_thread_settings_do_not_reach_a_worker", a_callers_thread_settings_do_not_reach_a_worker},
    {"an_error_is_told_in_the_programs_own_words", an_error_is_told_in_the_programs_own_words},
    {"a_death_is_told_in_plain_words", a_death_is_told_in_plain_words},
    {"a_worker_multiplies_with_onednn_where_it_is_there", a_worker_multiplies_with_onednn_where_it_is_there},
    {"a_memory_limit_costs_the_worker_only", a_memory_limit_costs_the_worker_only},
    {"what_verifying_takes_is_not_the_workloads_memory", what_verifying_takes_is_not_the_workloads_memory},
    {"a_worker_that_has_answered_is_quiet", a_worker_that_has_answered_is_quiet},
    {"a_worker_dies_with_its_parent", a_worker_dies_with_its_parent},
};
TEST_SUITE(worker_process, cases);
