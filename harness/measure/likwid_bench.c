/* likwid_bench.c - see likwid_bench.h. */
#include "harness/measure/likwid_bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/child_process.h"
#include "harness/measure/machine.h"
#include "kernels/ceiling.h"
#include "kernels/kernels.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { TRIES = 3, TRIES_NARROWER = 2, REASON = 256 };

/* One measurement of either takes about so long. */
static const double pass_s = 0.4, timeout_s = 10;

double likwid_bench_parse(const char *output)
{
    static const char mark[] = "MByte/s:";
    for (const char *line = output; line != NULL && *line != '\0';) {
        if (strncmp(line, mark, sizeof mark - 1) == 0) {
            const char *start = line + sizeof mark - 1;
            char *end = NULL;
            start += strspn(start, " \t");
            const double value = *start >= '0' && *start <= '9' ? strtod(start, &end) : NAN;
            const bool whole = end != NULL && (*end == '\n' || *end == '\r' || *end == '\0');
            return whole && value > 0 && value < 1e9 ? value * 1e6 : NAN; /* a petabyte a second is none */
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return NAN;
}

/* Like is held against like, the widest last. What the base set of x86-64 loads is as wide as SSE's. */
typedef struct load_test {
    kernel_isa isa;
    const char *name;
} load_test;
static const load_test tests[] = {
#if defined(__x86_64__)
    {KERNEL_ISA_C, "load_sse"},
    {KERNEL_ISA_AVX2, "load_avx"},
    {KERNEL_ISA_AVX512, "load_avx512"},
#elif defined(__aarch64__)
    {KERNEL_ISA_NEON, "load"},
#else
    {KERNEL_ISA_C, "load"},
#endif
};

/* The widest loads that both have. */
static const load_test *widest_test(void)
{
    const load_test *widest = tests;
    for (size_t i = 1; i < sizeof tests / sizeof *tests; i++)
        if (kernel_isa_available(tests[i].isa)) widest = &tests[i];
    return widest;
}

/* NaN with a reason where it fails. */
static ciuic_status run_likwid(const char *test, int threads, size_t bytes, double expected, double *bandwidth,
                               char reason[REASON])
{
    extern char **environ;
    char name[16], group[64], iterations[24], words[160];
    static char program_name[] = "likwid-bench", t[] = "-t", w[] = "-w", i[] = "-i";
    const double passes = pass_s * expected / (double)bytes; /* its own choice takes seconds to be found */
    snprintf(name, sizeof name, "%s", test);
    snprintf(group, sizeof group, "N:%zukB:%d", bytes / 1000, threads);
    snprintf(iterations, sizeof iterations, "%.0f", passes < 4 ? 4 : passes > 1e6 ? 1e6 : passes);
    char *const arguments[] = {program_name, t, name, w, group, i, iterations, NULL};
    const child_program program = {.arguments = arguments, .environment = environ, .timeout_s = timeout_s};
    child_result *result = malloc(sizeof *result);
    *bandwidth = NAN;
    if (result == NULL) return ciuic_fail_memory("what a program says", sizeof *result);
    ciuic_status status = child_run(&program, result);
    if (status == CIUIC_OK && result->end == CHILD_INTERRUPTED)
        status = ciuic_fail(CIUIC_ERROR_INTERRUPTED, "interrupted");
    if (status == CIUIC_OK) {
        child_describe(&program, result, words, sizeof words);
        if (words[0] == '\0') *bandwidth = likwid_bench_parse(result->output);
        if (words[0] != '\0')
            snprintf(reason, REASON, "likwid-bench %s", words);
        else if (isnan(*bandwidth))
            snprintf(reason, REASON, "likwid-bench printed no bandwidth");
    }
    free(result);
    return status;
}

/* Like is held against like: likwid-bench reads in one stream and asks for no huge pages. With both, which ceilings stand on,
 * this program may well be faster: beside the widest loads stands that as "own". */
static ciuic_status compare(cJSON *machine, cJSON *by_threads, const load_test *test, int threads, char reason[REASON])
{
    char key[16];
    snprintf(key, sizeof key, "%d", threads);
    const bool widest = test == widest_test();
    const int tries =
        widest ? TRIES : TRIES_NARROWER; /* all of them, however near: to stop at the first would be to choose */
    const size_t bytes = (size_t)json_number(machine, "bandwidth_buffer_bytes");
    double plain = NAN, theirs = NAN, once = NAN;
    for (int attempt = 0; attempt < tries; attempt++) {
        plain = fmax(plain, ceiling_plain_bandwidth(test->isa, threads, bytes, pass_s / 2));
        CIUIC_TRY(run_likwid(test->name, threads, bytes, plain, &once, reason));
        if (isnan(once)) return CIUIC_OK;
        theirs = fmax(theirs, once);
    }
    machine_raise_bandwidth(machine, test->isa, threads, plain);
    const double best = json_number(json_find(machine, "bandwidth_bytes_per_s"), key); /* of any rung */
    cJSON *item = cJSON_AddObjectToObject(by_threads, key);
    if (widest) cJSON_AddNumberToObject(item, "own", best); /* printed as it is where that stands */
    json_add_double(item, "own_plain", plain);
    json_add_double(item, "likwid_bench", theirs);
    json_add_size(item, "tries", (size_t)tries);
    return CIUIC_OK;
}

/* Adds "test" and "bandwidth" to `check`, or the reason why they cannot be had. */
static ciuic_status check_loads(cJSON *machine, cJSON *check, const load_test *test, int threads)
{
    char reason[REASON] = "";
    cJSON *by_threads = cJSON_CreateObject();
    ciuic_status status = check != NULL && by_threads != NULL ? CIUIC_OK : ciuic_fail_memory("the machine record", 0);
    if (status == CIUIC_OK) status = compare(machine, by_threads, test, 1, reason);
    if (status == CIUIC_OK && reason[0] == '\0' && threads > 1)
        status = compare(machine, by_threads, test, threads, reason);
    if (status == CIUIC_OK && reason[0] == '\0') {
        cJSON_AddStringToObject(check, "test", test->name);
        cJSON_AddItemToObject(check, "bandwidth", by_threads);
        return CIUIC_OK;
    }
    if (status == CIUIC_OK) cJSON_AddStringToObject(check, "reason", reason);
    cJSON_Delete(by_threads);
    return status;
}

/* Appends those figures of a rung's loads that are apart. */
static void say_apart(const char *loads, const cJSON *by_threads, char *text, size_t size)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, by_threads)
    {
        const double plain = json_number(item, "own_plain"), theirs = json_number(item, "likwid_bench");
        const size_t used = strlen(text);
        if (fabs(plain / theirs - 1) <= LIKWID_BENCH_APART) continue;
        snprintf(text + used, size - used, "%s%.1f and %.1f GB/s by %s loads with %s thread%s", used > 0 ? ", " : "",
                 plain / 1e9, theirs / 1e9, loads, item->string, strcmp(item->string, "1") == 0 ? "" : "s");
    }
}

static void warn_apart(cJSON *machine, const cJSON *check)
{
    char figures[400] = "", text[640];
    const cJSON *narrower = NULL;
    cJSON *warnings = cJSON_GetObjectItemCaseSensitive(machine, "warnings");
    say_apart(kernel_isa_name(widest_test()->isa), json_find(check, "bandwidth"), figures, sizeof figures);
    cJSON_ArrayForEach(narrower, json_find(check, "narrower_loads"))
        say_apart(narrower->string, json_find(narrower, "bandwidth"), figures, sizeof figures);
    if (warnings == NULL || figures[0] == '\0') return;
    snprintf(text, sizeof text,
             "bandwidth in one stream and without huge pages, here and by likwid-bench, is %s: more than %.0f%% apart; "
             "measure again on a quiet machine before trusting a ceiling",
             figures, 100 * LIKWID_BENCH_APART);
    cJSON_AddItemToArray(warnings, cJSON_CreateString(text));
}

ciuic_status machine_cross_check(cJSON *machine, int threads, cross_checked loads)
{
    const load_test *widest = widest_test();
    cJSON *check = cJSON_AddObjectToObject(machine, "cross_check");
    CIUIC_TRY(check_loads(machine, check, widest, threads));
    if (json_find(check, "bandwidth") == NULL) return CIUIC_OK;
    cJSON_AddStringToObject(check, "tool", "likwid-bench");
    json_add_size(check, "buffer_bytes", (size_t)json_number(machine, "bandwidth_buffer_bytes"));
    cJSON *narrower = loads == CROSS_CHECK_EVERY_RUNG ? cJSON_AddObjectToObject(check, "narrower_loads") : NULL;
    for (const load_test *test = tests; narrower != NULL && test < widest; test++)
        if (kernel_isa_available(test->isa))
            CIUIC_TRY(
                check_loads(machine, cJSON_AddObjectToObject(narrower, kernel_isa_name(test->isa)), test, threads));
    warn_apart(machine, check);
    return CIUIC_OK;
}
