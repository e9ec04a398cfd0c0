/* counters_simulated.c - see counters_simulated.h. */
#include "harness/measure/counters_simulated.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/child_process.h"
#include "harness/measure/cachegrind.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

cJSON *counters_absent(const char *reason)
{
    cJSON *object = cJSON_CreateObject();
    if (object != NULL && cJSON_AddNullToObject(object, "source") != NULL &&
        cJSON_AddStringToObject(object, "reason", reason) != NULL)
        return object;
    cJSON_Delete(object);
    return NULL;
}

const char *counters_simulated_refusal(const char *isa, bool library)
{
    if (library)
        return "not simulated, because a library chooses its kernels by CPUID, and under valgrind others than were "
               "timed";
    if (strcmp(isa, "c") == 0 || strcmp(isa, "avx2") == 0) return NULL;
    return "not simulated, because valgrind knows no instruction set above AVX2: cases with kernels c and avx2 are "
           "counted";
}

/* ---- the child -------------------------------------------------------------------------------------------------- */

/* Nothing of this process's environment but where valgrind and libraries lie: names and lengths of variables move the stack,
 * and with it what shares a cache line. */
typedef struct environment {
    char path[1024], library[1024], lib_path[1024];
    char *list[8];
} environment;

static char *variable(const char *name, char *text, size_t size)
{
    const char *value = getenv(name);
    if (value == NULL) return NULL;
    const int length = snprintf(text, size, "%s=%s", name, value);
    return length > 0 && (size_t)length < size ? text : NULL;
}

static void make_environment(environment *e)
{
    static char bind[] = "LD_BIND_NOW=1", omp[] = "OMP_NUM_THREADS=1", openblas[] = "OPENBLAS_NUM_THREADS=1",
                stack[] = "OMP_STACKSIZE=8M";
    char *const found[] = {bind,
                           omp,
                           openblas,
                           stack,
                           variable("PATH", e->path, sizeof e->path),
                           variable("VALGRIND_LIB", e->library, sizeof e->library),
                           variable("LD_LIBRARY_PATH", e->lib_path, sizeof e->lib_path)};
    size_t n = 0;
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++)
        if (found[i] != NULL) e->list[n++] = found[i];
    e->list[n] = NULL;
}

/* Runs the program; "" in `reason` when it ended well. */
static ciuic_status run_child(char *const *arguments, const char *input, double timeout_s, child_result *result,
                              char reason[COUNTER_REASON_MAX])
{
    environment e;
    char words[256];
    make_environment(&e);
    const child_program program = {
        .arguments = arguments, .environment = e.list, .input = input, .timeout_s = timeout_s, .same_addresses = true};
    CIUIC_TRY(child_run(&program, result));
    if (result->end == CHILD_INTERRUPTED) return ciuic_fail(CIUIC_ERROR_INTERRUPTED, "interrupted");
    child_describe(&program, result, words, sizeof words);
    reason[0] = '\0';
    if (words[0] != '\0')
        snprintf(reason, COUNTER_REASON_MAX, "not available here, because valgrind %s%s", words,
                 result->end == CHILD_MISSING ? " ('apt-get install valgrind' brings it)" : "");
    return CIUIC_OK;
}

void counters_simulated_probe(simulated_support *support)
{
    static char valgrind[] = "valgrind", version[] = "--version";
    char *const arguments[] = {valgrind, version, NULL};
    child_result *result = malloc(sizeof *result);
    *support = (simulated_support){.reason = "not available here, because valgrind cannot be asked for its version"};
    if (result != NULL && run_child(arguments, NULL, 10, result, support->reason) == CIUIC_OK &&
        support->reason[0] == '\0') {
        result->output[strcspn(result->output, "\r\n")] = '\0';
        support->works = strncmp(result->output, "valgrind-", 9) == 0;
        if (support->works)
            snprintf(support->tool, sizeof support->tool, "%.63s", result->output);
        else
            snprintf(support->reason, sizeof support->reason,
                     "not available here, because what is called valgrind says that it is '%.40s'", result->output);
    }
    free(result);
}

/* ---- its files -------------------------------------------------------------------------------------------------- */

/* The line that `worker --count` prints, which is the last one: valgrind's own words may stand before it. */
static ciuic_status read_answer(const char *output, cJSON **answer)
{
    const char *start = strstr(output, "{\"output_sha256\":");
    if (start == NULL) return ciuic_fail(CIUIC_ERROR_INPUT, "the program under it said nothing of its repetition");
    return json_parse(start, strcspn(start, "\r\n"), "what was counted", answer);
}

static ciuic_status read_profiles(const cJSON *answer, const char *directory, cachegrind_profile *repetition)
{
    static const int64_t factors[COUNT_CHILDREN] = {0, 1, -2, 1};
    const cJSON *children = json_find(answer, "children");
    *repetition = (cachegrind_profile){0};
    for (int i = 0; i < COUNT_CHILDREN; i++) {
        char path[4096];
        cachegrind_profile profile;
        const cJSON *child = cJSON_GetArrayItem(children, i);
        if (!cJSON_IsNumber(child)) return ciuic_fail(CIUIC_ERROR_INPUT, "the program under it named no children");
        snprintf(path, sizeof path, "%s/cachegrind.%d", directory, child->valueint);
        CIUIC_TRY(cachegrind_read(path, &profile));
        cachegrind_add(repetition, &profile, factors[i]);
    }
    if (cachegrind_total(repetition, CACHEGRIND_INSTRUCTIONS) > 0) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "a repetition without instructions: the runs were not alike");
}

/* A miss more or less between two children, where a class has none of its own, may leave one below 0. */
static double at_least_0(int64_t count)
{
    return count > 0 ? (double)count : 0;
}

static double both(const cachegrind_profile *repetition, cachegrind_event a, cachegrind_event b)
{
    return at_least_0(cachegrind_total(repetition, a)) + at_least_0(cachegrind_total(repetition, b));
}

static cJSON *counts_json(const cachegrind_profile *repetition, const char *tool, const cJSON *answer)
{
    cJSON *object = cJSON_CreateObject();
    bool ok = object != NULL && cJSON_AddStringToObject(object, "source", "simulated") != NULL &&
              cJSON_AddStringToObject(object, "tool", tool) != NULL && json_add_size(object, "threads", 1);
    cJSON *caches = ok ? cJSON_AddObjectToObject(object, "caches") : NULL;
    ok = caches != NULL && json_add_size(caches, "line_bytes", SIMULATED_LINE) &&
         json_add_size(caches, "d1_bytes", SIMULATED_L1) && json_add_size(caches, "ll_bytes", SIMULATED_LL);
    for (int e = 0; e < CACHEGRIND_EVENTS && ok; e++)
        ok = json_add_double(object, cachegrind_event_name((cachegrind_event)e),
                             at_least_0(cachegrind_total(repetition, (cachegrind_event)e)));
    const cachegrind_profile *r = repetition;
    ok = ok && json_add_double(object, "d1_misses", both(r, CACHEGRIND_D1_READ_MISSES, CACHEGRIND_D1_WRITE_MISSES)) &&
         json_add_double(object, "ll_misses", both(r, CACHEGRIND_LL_READ_MISSES, CACHEGRIND_LL_WRITE_MISSES));
    cJSON *classes = ok ? cJSON_AddObjectToObject(object, "by_class") : NULL;
    ok = classes != NULL;
    for (int c = 0; c < OPERATION_CLASSES && ok; c++) {
        const int64_t *counts = repetition->counts[c];
        if (counts[CACHEGRIND_INSTRUCTIONS] == 0) continue;
        cJSON *item = cJSON_AddObjectToObject(classes, operation_class_name((operation_class)c));
        ok = item != NULL;
        for (int e = 0; e < CACHEGRIND_EVENTS && ok; e++)
            ok = json_add_double(item, cachegrind_event_name((cachegrind_event)e), at_least_0(counts[e]));
    }
    const char *digest = cJSON_GetStringValue(json_find(answer, "output_sha256"));
    ok = ok && cJSON_AddStringToObject(object, "output_sha256", digest != NULL ? digest : "") != NULL;
    if (ok) return object;
    cJSON_Delete(object);
    return NULL;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

/* A folder's own '%' would be read as the beginning of %p. */
static void file_option(const char *folder, char *text, size_t size)
{
    int used = snprintf(text, size, "--cachegrind-out-file=");
    for (const char *at = folder; *at != '\0' && (size_t)used + 16 < size; at++) {
        if (*at == '%') text[used++] = '%';
        text[used++] = *at;
    }
    snprintf(text + used, size - (size_t)used, "/cachegrind.%%p");
}

static ciuic_status count_in(const simulated_support *support, const char *request, const char *folder,
                             double timeout_s, cJSON **out)
{
    char program[4096] = "", file[8192], l1[48], d1[48], ll[48], reason[COUNTER_REASON_MAX];
    static char valgrind[] = "valgrind", tool[] = "--tool=cachegrind", only[] = "--command-line-only=yes",
                vgdb[] = "--vgdb=no", quiet[] = "-q", cache[] = "--cache-sim=yes", worker[] = "worker",
                count[] = "--count";
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0) return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "/proc/self/exe cannot be read");
    file_option(folder, file, sizeof file);
    snprintf(l1, sizeof l1, "--I1=%d,8,%d", SIMULATED_L1, SIMULATED_LINE);
    snprintf(d1, sizeof d1, "--D1=%d,8,%d", SIMULATED_L1, SIMULATED_LINE);
    snprintf(ll, sizeof ll, "--LL=%d,16,%d", SIMULATED_LL, SIMULATED_LINE);
    char *const arguments[] = {valgrind, tool, only, vgdb,    quiet,  cache, file,
                               l1,       d1,   ll,   program, worker, count, NULL};
    child_result *result = malloc(sizeof *result);
    cJSON *answer = NULL;
    cachegrind_profile repetition;
    if (result == NULL) return ciuic_fail_memory("what a program says", sizeof *result);
    ciuic_status status = run_child(arguments, request, timeout_s, result, reason);
    if (status == CIUIC_OK && reason[0] == '\0' &&
        (read_answer(result->output, &answer) != CIUIC_OK || read_profiles(answer, folder, &repetition) != CIUIC_OK))
        snprintf(reason, sizeof reason, "not available here, because counting under valgrind failed: %.300s",
                 ciuic_last_error());
    if (status == CIUIC_OK)
        *out = reason[0] != '\0' ? counters_absent(reason) : counts_json(&repetition, support->tool, answer);
    if (status == CIUIC_OK && *out == NULL) status = ciuic_fail_memory("counters", 0);
    cJSON_Delete(answer);
    free(result);
    return status;
}

/* The folder holds files of cachegrind only, whatever became of the run. */
static void remove_folder(const char *folder)
{
    char path[4096];
    DIR *files = opendir(folder);
    for (const struct dirent *f = files != NULL ? readdir(files) : NULL; f != NULL; f = readdir(files)) {
        const int length = snprintf(path, sizeof path, "%s/%s", folder, f->d_name);
        if (strncmp(f->d_name, "cachegrind.", 11) == 0 && length < (int)sizeof path) unlink(path);
    }
    if (files != NULL) closedir(files);
    rmdir(folder);
}

ciuic_status counters_simulated(const simulated_support *support, const cJSON *request, const char *directory,
                                double timeout_s, cJSON **out)
{
    char folder[4000];
    *out = NULL;
    if (!support->works) {
        *out = counters_absent(support->reason);
        return *out != NULL ? CIUIC_OK : ciuic_fail_memory("counters", 0);
    }
    char *text = cJSON_PrintUnformatted(request);
    if (text == NULL) return ciuic_fail_memory("a request", 0);
    const int length = snprintf(folder, sizeof folder, "%s/counting-XXXXXX", directory);
    ciuic_status status = CIUIC_OK;
    if (length >= (int)sizeof folder || mkdtemp(folder) == NULL)
        status = ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: no folder for counting can be made: %s", directory,
                            strerror(errno));
    if (status == CIUIC_OK) {
        status = count_in(support, text, folder, timeout_s, out);
        remove_folder(folder);
    }
    cJSON_free(text);
    return status;
}
