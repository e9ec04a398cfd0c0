/* test_measure.c - timing, memory, counters and ceilings: what they say, and what they say when they cannot. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <math.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/measure/case_ceiling.h"
#include "harness/measure/counters.h"
#include "harness/measure/gbench_shim.h"
#include "harness/measure/machine.h"
#include "harness/measure/memory.h"
#include "kernels/ceiling.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

/* ---- Google Benchmark ------------------------------------------------------------------------------------------- */

typedef struct sleeper {
    size_t calls, fails_at;
} sleeper;

static bool sleep_a_little(void *context)
{
    sleeper *s = context;
    const struct timespec two_ms = {.tv_nsec = 2000000};
    nanosleep(&two_ms, NULL);
    return ++s->calls != s->fails_at;
}

static void the_body_runs_as_often_as_asked(void)
{
    const struct timespec settling = {.tv_nsec = 300000000}; /* OpenBLAS's threads spin when the program has started */
    nanosleep(&settling, NULL);
    for (size_t iterations = 1; iterations <= 9; iterations += 4) {
        sleeper s = {0};
        gbench_time time = {0};
        CHECK(gbench_run(iterations, sleep_a_little, &s, &time), "no time for %zu iterations", iterations);
        CHECK(s.calls == iterations && time.iterations == iterations, "%zu calls, %zu iterations, expected %zu",
              s.calls, time.iterations, iterations);
        /* A sleep lasts at least as long as it was asked to; that it takes no CPU time tells the clocks apart. */
        CHECK(time.real_s >= 0.002 && time.real_s < 2, "%g s an iteration", time.real_s);
        CHECK(time.cpu_s < 0.5 * time.real_s, "%g s of CPU time in %g s", time.cpu_s, time.real_s);
    }
}

static void a_body_that_fails_gives_no_time(void)
{
    sleeper s = {.fails_at = 2};
    gbench_time time = {.real_s = -1};
    CHECK(!gbench_run(5, sleep_a_little, &s, &time), "a time was given");
    CHECK(s.calls == 2 && time.real_s == -1, "%zu calls, %g s", s.calls, time.real_s);
    s = (sleeper){0};
    CHECK(gbench_run(2, sleep_a_little, &s, &time) && s.calls == 2, "the next one fails too");
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static void the_peak_is_the_kernels(void)
{
    enum { BYTES = 64 << 20 };
    process_memory before, during, after;
    CHECK(memory_read(&before) && before.peak_rss > 0 && before.rss_file > 0, "no figures");
    void *block = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(block != MAP_FAILED, "no memory");
    if (block == MAP_FAILED) return;
    memset(block, 1, BYTES);
    CHECK(memory_read(&during) && during.rss_anon > BYTES, "anonymous memory %zu", during.rss_anon);
    munmap(block, BYTES);
    CHECK(memory_read(&after) && after.peak_rss >= during.rss_anon, "the peak fell to %zu", after.peak_rss);
}

/* ---- counters --------------------------------------------------------------------------------------------------- */

static void counters_that_are_not_there_say_why(void)
{
    counter_support support;
    counters_probe(&support);
    counters *c = counters_open(&support);
    CHECK(c != NULL, "no memory");
    counters_start(c);
    volatile char *page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < 1 << 20; i += 4096) page[i] = 1;
    counters_stop(c);
    munmap((void *)(uintptr_t)page, 1 << 20);
    cJSON *object = counters_json(c, 1);
    const cJSON *source = cJSON_GetObjectItemCaseSensitive(object, "source"), *reason = json_find(object, "reason");
    if (support.source == COUNTERS_NONE) {
        CHECK(cJSON_IsNull(source), "a source in spite of: %s", support.reason);
        CHECK(cJSON_IsString(reason) && strstr(reason->valuestring, "not available here, because ") != NULL,
              "no reason");
    } else {
        CHECK(cJSON_IsString(source) && strcmp(source->valuestring, counter_source_name(support.source)) == 0,
              "the source is another");
    }
    const cJSON *faults = json_find(json_find(object, "software"), "page_faults");
    char *printed = cJSON_PrintUnformatted(object);
    CHECK(faults != NULL, "no page faults in %s", printed);
    cJSON_free(printed);
    cJSON_Delete(object);
    counters_close(c);
}

/* What a library may do to whoever asks it. */
static bool ends_the_process(const char *subject, char *reason, size_t size)
{
    (void)subject, (void)reason, (void)size;
    exit(3);
}

static bool crashes(const char *subject, char *reason, size_t size)
{
    (void)subject, (void)reason, (void)size;
    signal(SIGSEGV, SIG_DFL); /* a sanitizer has its own ideas */
    raise(SIGSEGV);
    return true;
}

static bool hangs(const char *subject, char *reason, size_t size)
{
    (void)subject, (void)reason, (void)size;
    while (pause() != 0) continue;
    return false;
}

static bool refuses(const char *subject, char *reason, size_t size)
{
    (void)subject;
    snprintf(reason, size, "no access");
    return false;
}

static bool has_nothing_to_say(const char *subject, char *reason, size_t size)
{
    (void)subject, (void)reason, (void)size;
    return false;
}

static bool agrees(const char *subject, char *reason, size_t size)
{
    snprintf(reason, size, "a remark");
    return strcmp(subject, "MEM") == 0;
}

static void a_probe_survives_whatever_likwid_does(void)
{
    static const struct {
        counter_trial *works;
        int patience_ms;
        const char *reason;
        bool works_here;
    } rows[] = {{ends_the_process, 20000, "ends the process", false},
                {crashes, 20000, "crashes", false},
                {hangs, 100, "hangs", false},
                {refuses, 20000, "no access", false},
                {has_nothing_to_say, 20000, "ends the process", false},
                {agrees, 20000, "", true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char reason[200] = "";
        const bool works = counters_try(rows[i].works, "MEM", rows[i].patience_ms, reason, sizeof reason);
        CHECK(works == rows[i].works_here, "row %zu: %d", i, works);
        CHECK(strstr(reason, rows[i].reason) != NULL, "row %zu: %s", i, reason);
    }
}

/* From here on perf_event_open fails with EACCES in this process and its children, as in a locked-down container. */
static bool forbid_perf_events(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void forbidden_counters_say_what_would_allow_them(void)
{
    enum { NO_SECCOMP = 2, LIKWID_WORKS = 3 };
    const pid_t pid = fork();
    if (pid == 0) {
        counter_support support = {.source = COUNTERS_NONE};
        if (!forbid_perf_events()) _exit(NO_SECCOMP);
        counters_probe(&support);
        if (support.source == COUNTERS_LIKWID) _exit(LIKWID_WORKS);
        const bool told = support.source == COUNTERS_NONE && strstr(support.reason, "is forbidden") != NULL &&
                          strstr(support.reason, "perf_event_paranoid") != NULL;
        _exit(told ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    CHECK(code == 0 || code == NO_SECCOMP || code == LIKWID_WORKS, "the probe ended with %d", code);
}

/* ---- machine and ceilings --------------------------------------------------------------------------------------- */

static void the_machine_is_described(void)
{
    static const char *const keys[] = {"cpu",        "cores",    "threads", "memory_bytes", "kernel",       "compiler",
                                       "flags",      "isa",      "caches",  "governor",     "load_average", "hugepages",
                                       "hypervisor", "openblas", "onednn",  "counters",     "warnings"};
    cJSON *machine = machine_describe();
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        CHECK(cJSON_GetObjectItemCaseSensitive(machine, keys[i]) != NULL, "no %s", keys[i]);
    const cJSON *first = cJSON_GetArrayItem(json_find(machine, "isa"), 0);
    CHECK(cJSON_IsString(first) && strcmp(first->valuestring, "c") == 0, "the lowest rung is not c");
    cJSON_Delete(machine);
}

static cJSON *parsed(const char *text)
{
    cJSON *object = NULL;
    CHECK(json_parse(text, strlen(text), "test", &object) == CIUIC_OK, "%s", ciuic_last_error());
    return object;
}

/* Of every rung that this machine can run, with each number of threads; of no other. */
static void each_rung_has_a_bandwidth(void)
{
    static const struct {
        int threads;
        size_t bytes;
        bool measured;
    } rows[] = {{1, 1 << 20, true}, {2, 1 << 20, true}, {3, 1, true}, {0, 1 << 20, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double by_isa[KERNEL_ISAS];
        ceiling_bandwidth_by_isa(rows[i].threads, rows[i].bytes, 0.002, by_isa);
        for (int isa = 0; isa < KERNEL_ISAS; isa++) {
            const bool expected = rows[i].measured && kernel_isa_available((kernel_isa)isa);
            const double plain = ceiling_plain_bandwidth((kernel_isa)isa, rows[i].threads, rows[i].bytes, 0.002);
            CHECK(expected ? isfinite(by_isa[isa]) && by_isa[isa] > 0 : by_isa[isa] == 0, "row %zu, %s: %g", i,
                  kernel_isa_name((kernel_isa)isa), by_isa[isa]);
            CHECK(expected ? isfinite(plain) && plain > 0 : plain == 0, "row %zu, %s: %g in one run", i,
                  kernel_isa_name((kernel_isa)isa), plain);
            CHECK(by_isa[isa] == 0 || by_isa[isa] == by_isa[ceiling_loads_of((kernel_isa)isa)] ||
                      ceiling_loads_of((kernel_isa)isa) == (kernel_isa)isa,
                  "row %zu: %s does not read as its loads do", i, kernel_isa_name((kernel_isa)isa));
        }
        const double best = ceiling_load_bandwidth(rows[i].threads, rows[i].bytes, 0.002);
        CHECK(rows[i].measured ? isfinite(best) && best > 0 : best == 0, "row %zu: %g", i, best);
    }
}

/* The machine's bandwidth is the best of its rungs': one record, one figure. */
static void the_machines_bandwidth_is_its_best_rungs(void)
{
    cJSON *machine = machine_describe();
    CHECK(machine_measure(machine, 2) == CIUIC_OK, "%s", ciuic_last_error());
    const cJSON *by_isa = json_find(machine, "bandwidth_by_isa_bytes_per_s"), *figure = NULL, *isa = NULL;
    CHECK(cJSON_GetArraySize(by_isa) == cJSON_GetArraySize(json_find(machine, "isa")),
          "a rung is missing, or too many");
    CHECK(cJSON_GetArraySize(json_find(machine, "bandwidth_bytes_per_s")) == 2, "not with 1 and 2 threads");
    cJSON_ArrayForEach(figure, json_find(machine, "bandwidth_bytes_per_s"))
    {
        double best = 0;
        cJSON_ArrayForEach(isa, by_isa)
        {
            CHECK(json_number(isa, figure->string) > 0, "%s with %s: %g", isa->string, figure->string,
                  json_number(isa, figure->string));
            best = fmax(best, json_number(isa, figure->string));
        }
        CHECK(best == figure->valuedouble, "with %s: %g, the best rung %g", figure->string, figure->valuedouble, best);
    }
    cJSON_Delete(machine);
}

/* Worked by hand. Decode at depth 100 of 50 tokens with 200 bytes of cache a position: the mean token sees 125.5
 * positions, so it reads 1,000,000 + 25,100 bytes; at 10 GB/s that is 102.51 us. 4,000,000 operations at 100 G/s are
 * 40 us: bound by memory. A prefill of 50 reads 1,000,000 / 50 bytes a token (2 us) and computes 4,000,000 minus 49/50 of
 * the head's 1,000,000 = 3,020,000 operations: 30.2 us, bound by arithmetic. */
static void ceilings_are_what_bytes_and_operations_allow(void)
{
    cJSON *loaded = parsed("{\"decode_bytes\":1000000,\"decode_flops\":4000000,\"head_flops\":1000000,"
                           "\"kv_cache\":30000}");
    cJSON *machine = parsed("{\"peak_flops_per_s\":{\"c\":{\"1\":1e9,\"2\":2e9},\"avx2\":{\"1\":5e10,\"2\":1e11}},"
                            "\"peak_bf16_ops_per_s\":{\"avx512\":{\"1\":8e10,\"2\":1.5e11}},"
                            "\"peak_int8_ops_per_s\":{\"avx2\":{\"1\":1e11,\"2\":2e11}}}");
    const suite_workload decode = {.phase = PHASE_DECODE, .tokens = 50, .depth = 100};
    const suite_workload prefill = {.phase = PHASE_PREFILL, .tokens = 50};
    case_ceiling c =
        ceiling_of_case(loaded, machine, &decode, &(const ciuic_options){.quantize = CIUIC_QUANTIZE_NONE}, 2, 1e10);
    CHECK(c.memory_bound && fabs(c.bytes_per_token - 1025100) < 1e-6, "%g bytes", c.bytes_per_token);
    CHECK(fabs(c.tokens_per_s - 1e10 / 1025100) < 1e-6, "%g tokens/s", c.tokens_per_s);
    c = ceiling_of_case(loaded, machine, &prefill, &(const ciuic_options){.quantize = CIUIC_QUANTIZE_NONE}, 2, 1e10);
    CHECK(!c.memory_bound && fabs(c.flops_per_token - 3020000) < 1e-6, "%g operations", c.flops_per_token);
    CHECK(fabs(c.tokens_per_s - 1e11 / 3020000) < 1e-6, "%g tokens/s", c.tokens_per_s);
    cJSON *bf16 = parsed("{\"decode_bytes\":1000000,\"decode_flops\":4000000,\"head_flops\":1000000,"
                         "\"kv_cache\":30000,\"bfloat16\":true}");
    c = ceiling_of_case(bf16, machine, &prefill, &(const ciuic_options){.quantize = CIUIC_QUANTIZE_NONE}, 2, 1e10);
    CHECK(fabs(c.peak - 1.5e11) < 1, "bfloat16 has the peak %g", c.peak);
    cJSON_Delete(bf16);
    c = ceiling_of_case(loaded, machine, &prefill, &(const ciuic_options){.quantize = CIUIC_QUANTIZE_INT4}, 2, 1e10);
    CHECK(fabs(c.peak - 2e11) < 1, "int4 has the peak %g", c.peak);
    c = ceiling_of_case(loaded, machine, &prefill, &(const ciuic_options){.quantize = CIUIC_QUANTIZE_AFFINE4}, 2, 1e10);
    CHECK(fabs(c.peak - 1e11) < 1, "affine4 has the peak %g", c.peak);
    c = ceiling_of_case(loaded, machine, &decode, &(const ciuic_options){.quantize = CIUIC_QUANTIZE_NONE}, 2, NAN);
    CHECK(isnan(c.tokens_per_s), "a ceiling without bandwidth: %g", c.tokens_per_s);
    CHECK(ceiling_buffer_bytes(loaded) == 786432, "a buffer of %zu bytes", ceiling_buffer_bytes(loaded));
    cJSON_Delete(loaded);
    cJSON_Delete(machine);
}

static const test_case cases[] = {
    {"the_body_runs_as_often_as_asked", the_body_runs_as_often_as_asked},
    {"a_body_that_fails_gives_no_time", a_body_that_fails_gives_no_time},
    {"the_peak_is_the_kernels", the_peak_is_the_kernels},
    {"counters_that_are_not_there_say_why", counters_that_are_not_there_say_why},
    {"a_probe_survives_whatever_likwid_does", a_probe_survives_whatever_likwid_does},
    {"forbidden_counters_say_what_would_allow_them", forbidden_counters_say_what_would_allow_them},
    {"the_machine_is_described", the_machine_is_described},
    {"each_rung_has_a_bandwidth", each_rung_has_a_bandwidth},
    {"the_machines_bandwidth_is_its_best_rungs", the_machines_bandwidth_is_its_best_rungs},
    {"ceilings_are_what_bytes_and_operations_allow", ceilings_are_what_bytes_and_operations_allow},
};
TEST_SUITE(measure, cases);
