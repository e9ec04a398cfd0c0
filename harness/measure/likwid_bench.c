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

enum { TRIES = 3, REASON = 256 };

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

/* The widest loads that both have. */
static const char *test_name(void)
{
#if defined(__x86_64__)
    if ((cpu_flags() & CPU_AVX512) != 0) return "load_avx512";
    if ((cpu_flags() & CPU_AVX2) != 0) return "load_avx";
#endif
    return "load";
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
 * this program may well be faster. */
static ciuic_status compare(cJSON *machine, cJSON *by_threads, const char *test, int threads, size_t bytes,
                            double known, char reason[REASON], bool *apart)
{
    double own = known, plain = NAN, theirs = NAN, once = NAN;
    for (int attempt = 0; attempt < TRIES; attempt++) {
        CIUIC_TRY(run_likwid(test, threads, bytes, own, &once, reason));
        if (isnan(once)) return CIUIC_OK;
        theirs = fmax(theirs, once);
        plain = fmax(plain, ceiling_plain_bandwidth(threads, bytes, pass_s / 2));
        own = fmax(fmax(own, plain), ceiling_load_bandwidth(threads, bytes, pass_s / 2));
        if (fabs(plain / theirs - 1) <= LIKWID_BENCH_APART) break;
    }
    char key[16];
    snprintf(key, sizeof key, "%d", threads);
    cJSON *item = cJSON_AddObjectToObject(by_threads, key);
    cJSON_AddNumberToObject(item, "own", own); /* printed as it is where the machine's bandwidth stands */
    json_add_double(item, "own_plain", plain);
    json_add_double(item, "likwid_bench", theirs);
    machine_raise_bandwidth(machine, threads, own);
    *apart = fabs(plain / theirs - 1) > LIKWID_BENCH_APART;
    return CIUIC_OK;
}

static void warn_apart(cJSON *machine, const cJSON *by_threads, int threads)
{
    char key[16], text[400];
    snprintf(key, sizeof key, "%d", threads);
    const cJSON *item = json_find(by_threads, key), *plain = json_find(item, "own_plain"),
                *theirs = json_find(item, "likwid_bench");
    cJSON *warnings = cJSON_GetObjectItemCaseSensitive(machine, "warnings");
    if (warnings == NULL || plain == NULL || theirs == NULL) return;
    snprintf(text, sizeof text,
             "bandwidth with %d thread%s, in one stream and without huge pages, is %.1f GB/s here and %.1f GB/s by "
             "likwid-bench: more than %.0f%% apart; measure again on a quiet machine before trusting a ceiling",
             threads, threads == 1 ? "" : "s", strtod(plain->valuestring, NULL) / 1e9,
             strtod(theirs->valuestring, NULL) / 1e9, 100 * LIKWID_BENCH_APART);
    cJSON_AddItemToArray(warnings, cJSON_CreateString(text));
}

static double number(const cJSON *item)
{
    return cJSON_IsRaw(item) ? strtod(item->valuestring, NULL) : cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

ciuic_status machine_cross_check(cJSON *machine, int threads)
{
    const size_t bytes = (size_t)number(json_find(machine, "bandwidth_buffer_bytes"));
    const cJSON *known = json_find(machine, "bandwidth_bytes_per_s");
    const char *test = test_name();
    char reason[REASON] = "";
    cJSON *check = cJSON_AddObjectToObject(machine, "cross_check"), *by_threads = cJSON_CreateObject();
    ciuic_status status = check != NULL && by_threads != NULL ? CIUIC_OK : ciuic_fail_memory("the machine record", 0);
    for (int pass = 0; pass < 2 && status == CIUIC_OK && reason[0] == '\0'; pass++) {
        const int count = pass == 0 ? 1 : threads;
        char key[16];
        bool apart = false;
        if (pass == 1 && threads == 1) break;
        snprintf(key, sizeof key, "%d", count);
        status = compare(machine, by_threads, test, count, bytes, number(json_find(known, key)), reason, &apart);
        if (status == CIUIC_OK && apart) warn_apart(machine, by_threads, count);
    }
    if (status == CIUIC_OK && reason[0] == '\0') {
        cJSON_AddStringToObject(check, "tool", "likwid-bench");
        cJSON_AddStringToObject(check, "test", test);
        json_add_size(check, "buffer_bytes", bytes);
        cJSON_AddItemToObject(check, "bandwidth", by_threads);
        return CIUIC_OK;
    }
    if (status == CIUIC_OK) cJSON_AddStringToObject(check, "reason", reason);
    cJSON_Delete(by_threads);
    return status;
}
