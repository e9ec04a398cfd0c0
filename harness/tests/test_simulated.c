/* test_simulated.c - simulated counters: what cachegrind writes and what it does not, which function belongs where, programs that
 * hang, crash, are missing or lie, and that two runs count the same. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/child_process.h"
#include "harness/measure/cachegrind.h"
#include "harness/measure/counters_simulated.h"
#include "harness/suite/case_counters.h"
#include "harness/tests/bench_fixture.h"
#include "harness/tests/suite_fixture.h"
#include "kernels/kernels.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

/* ---- files ------------------------------------------------------------------------------------------------------ */

#define EVENTS "events: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw \n"

/* Two functions in three files' lines; zeros at the end of a line may be left out. */
static const char sound[] = "desc: I1 cache:         32768 B, 64 B, 8-way associative\n"
                            "cmd: ciuic worker --count\n" EVENTS "fl=kernels/simd/matmul_q8.h\n"
                            "fn=matmul_int4_avx2\n"
                            "10 100 1 1 20 3 2 10 4 1\n"
                            "fl=kernels/avx2/vector.h\n"
                            "fn=matmul_int4_avx2\n"
                            "11 50\n"
                            "fl=kernels/c/rms_norm.c\n"
                            "fn=rms_norm_c\n"
                            "0 7 0 0 5 1 0 2\n"
                            "summary: 157 1 1 25 4 2 12 4 1\n";

static void a_profile_is_read_by_class(void)
{
    static const int64_t matmul[CACHEGRIND_EVENTS] = {150, 20, 10, 3, 4, 2, 1};
    static const int64_t norm[CACHEGRIND_EVENTS] = {7, 5, 2, 1, 0, 0, 0};
    cachegrind_profile p, twice;
    CHECK(cachegrind_parse(sound, strlen(sound), "test", &p) == CIUIC_OK, "%s", ciuic_last_error());
    for (int e = 0; e < CACHEGRIND_EVENTS; e++) {
        const char *name = cachegrind_event_name((cachegrind_event)e);
        CHECK(p.counts[OPERATION_MATMUL][e] == matmul[e], "%s of matmul: %lld", name,
              (long long)p.counts[OPERATION_MATMUL][e]);
        CHECK(p.counts[OPERATION_ELEMENTWISE][e] == norm[e], "%s of norms: %lld", name,
              (long long)p.counts[OPERATION_ELEMENTWISE][e]);
        CHECK(cachegrind_total(&p, (cachegrind_event)e) == matmul[e] + norm[e], "%s in all", name);
    }
    twice = p;
    cachegrind_add(&twice, &p, -2);
    CHECK(cachegrind_total(&twice, CACHEGRIND_INSTRUCTIONS) == -157, "p - 2 p is not -p");
}

/* A file that was cut at any byte but the last, its newline, is refused: the summary says what is missing. */
static void a_profile_that_is_cut_is_refused(void)
{
    const size_t length = strlen(sound);
    cachegrind_profile p;
    for (size_t cut = 0; cut + 1 < length; cut++)
        CHECK(cachegrind_parse(sound, cut, "test", &p) != CIUIC_OK, "cut at %zu of %zu bytes it is read", cut, length);
    CHECK(cachegrind_parse(sound, length - 1, "test", &p) == CIUIC_OK, "%s", ciuic_last_error());
}

static void junk_is_refused(void)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "without a summary"},
        {"\n\n", "without a summary"},
        {"segmentation violation\n", "no known kind"},
        {"summary: 1 1 1\n", "before the names"},
        {"10 5\n" EVENTS, "before the names"},
        {"events: Ir\nfn=a\n1 5\nsummary: 5\n", "no event"},
        {EVENTS "fn=a\n1 5\nsummary: 6\n", "add up to other"},
        {EVENTS "fn=a\n1 5\n", "without a summary"},
        {EVENTS "fn=a\n1 -5\nsummary: 0\n", "no count"},
        {EVENTS "fn=a\n1 5x\nsummary: 5\n", "no count"},
        {EVENTS "fn=a\n1 nan\nsummary: 5\n", "no count"},
        {EVENTS "fn=a\n1 1e3\nsummary: 1000\n", "no count"},
        {EVENTS "fn=a\n1 99999999999999999999\nsummary: 0\n", "no count"},
        {EVENTS "fn=a\n1 9223372036854775807\nsummary: 9223372036854775807\n", "no count"},
        {EVENTS "fn=a\n1 1 2 3 4 5 6 7 8 9 10\nsummary: 1\n", "more counts"},
        {EVENTS "fn=a\n+1 5\nsummary: 5\n", "no known kind"},
        {EVENTS "fn=a\n1\nsummary: 0\n", "no known kind"},
        {EVENTS "summary: 0\nfn=a\n1 5\n", "after the summary"},
        {"events: a b c d e f g h i j k l m n o p q r s t u v w x y z Ir Dr Dw D1mr D1mw DLmr DLmw\n", "too many"},
    };
    cachegrind_profile p;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CHECK(cachegrind_parse(rows[i].text, strlen(rows[i].text), "file", &p) == CIUIC_ERROR_INPUT, "row %zu is read",
              i);
        CHECK(strstr(ciuic_last_error(), rows[i].says) != NULL, "row %zu: '%s' is not in: %s", i, rows[i].says,
              ciuic_last_error());
    }
    static const char nul[] = EVENTS "fn=a\n1 5\0\nsummary: 5\n";
    CHECK(cachegrind_parse(nul, sizeof nul - 1, "file", &p) == CIUIC_ERROR_INPUT, "a NUL is read");
    CHECK(cachegrind_read("/nowhere/at/all", &p) == CIUIC_ERROR_INPUT, "a file that is not there is read");
}

/* Bytes of a sound file changed at random: whatever it says, it ends, and never with counts below 0. */
static void a_changed_profile_is_no_danger(void)
{
    const unsigned seed = 20240611;
    unsigned state = seed;
    char text[sizeof sound];
    cachegrind_profile p;
    for (int i = 0; i < 20000; i++) {
        memcpy(text, sound, sizeof sound);
        for (int k = 0; k < 3; k++) {
            state = state * 1103515245u + 12345u;
            const size_t at = (state >> 8) % (sizeof sound - 1);
            state = state * 1103515245u + 12345u;
            text[at] = (char)(state >> 16);
        }
        if (cachegrind_parse(text, sizeof sound - 1, "test", &p) != CIUIC_OK) continue;
        for (int e = 0; e < CACHEGRIND_EVENTS; e++)
            CHECK(cachegrind_total(&p, (cachegrind_event)e) >= 0, "seed %u, step %d: below 0", seed, i);
    }
}

static void functions_have_a_class(void)
{
    static const struct {
        const char *function;
        operation_class class;
    } rows[] = {
        {"matmul_int4_avx2", OPERATION_MATMUL},
        {"matmul_converted", OPERATION_MATMUL},
        {"matvec_transposed_c", OPERATION_MATMUL},
        {"widen_matmul_int4_c", OPERATION_MATMUL},
        {"run_expert_matmul", OPERATION_MATMUL},
        {"multiply_gated", OPERATION_MATMUL},
        {"quantize_q8_avx2", OPERATION_QUANTISE},
        {"attention_f16_avx2", OPERATION_ATTENTION},
        {"score.constprop.0", OPERATION_ATTENTION},
        {"run_cache_write", OPERATION_ATTENTION},
        {"rms_norm_avx2", OPERATION_ELEMENTWISE},
        {"swiglu_c", OPERATION_ELEMENTWISE},
        {"rope_interleaved_avx2", OPERATION_ELEMENTWISE},
        {"run_add_norm", OPERATION_ELEMENTWISE},
        {"route_c", OPERATION_ROUTING},
        {"top_k_c", OPERATION_ROUTING},
        {"run_combine", OPERATION_ROUTING},
        {"execute._omp_fn.0", OPERATION_OTHER},
        {"__expf_fma", OPERATION_OTHER},
        {"???", OPERATION_OTHER},
        {"", OPERATION_OTHER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK(operation_class_of(rows[i].function) == rows[i].class, "%s is %s", rows[i].function,
              operation_class_name(operation_class_of(rows[i].function)));
}

/* ---- programs --------------------------------------------------------------------------------------------------- */

static void programs_end_in_every_way(void)
{
    static const struct {
        const char *script, *says;
        child_end end;
    } rows[] = {
        {"exit 0", "", CHILD_EXITED},
        {"echo well; exit 0", "", CHILD_EXITED},
        {"echo 'no such counter'; exit 3", "ended with status 3: no such counter", CHILD_EXITED},
        {"kill -SEGV $$", "crashed (signal 11)", CHILD_SIGNALLED},
        {"sleep 30 & wait", "hung and was killed after 0.3 s", CHILD_TIMED_OUT},
        {"yes | head -c 2000000; exit 1", "ended with status 1: y", CHILD_EXITED},
        {"printf 'a\\033[31mb\\n' >&2; exit 1", "ended with status 1: a?[31mb", CHILD_EXITED},
        {"printf -- '--1-- warning\\n==1== \\n\\nfailed\\n'; exit 1", "ended with status 1: failed", CHILD_EXITED},
        {"printf '====='; exit 1", "ended with status 1", CHILD_EXITED},
    };
    char *const environment[] = {(char[]){"PATH=/usr/bin:/bin"}, NULL};
    child_result *result = malloc(sizeof *result);
    CU_ASSERT_PTR_NOT_NULL_FATAL(result);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char script[128], words[256];
        snprintf(script, sizeof script, "%s", rows[i].script);
        char *const arguments[] = {(char[]){"sh"}, (char[]){"-c"}, script, NULL};
        const child_program program = {arguments, environment, "input", rows[i].end == CHILD_TIMED_OUT ? 0.3 : 20,
                                       i % 2 == 0};
        CHECK(child_run(&program, result) == CIUIC_OK, "%s", ciuic_last_error());
        child_describe(&program, result, words, sizeof words);
        CHECK(result->end == rows[i].end && strcmp(words, rows[i].says) == 0, "'%s': %d, '%s'", rows[i].script,
              result->end, words);
        CHECK(strlen(result->output) < CHILD_OUTPUT_MAX, "more output than there is room for");
    }
    char *const cat[] = {(char[]){"cat"}, NULL}, *const missing[] = {(char[]){"/nowhere/at/all"}, NULL};
    const child_program echo = {cat, environment, "given", 20, false},
                        nothing = {missing, environment, NULL, 20, false};
    CHECK(child_run(&echo, result) == CIUIC_OK && strcmp(result->output, "given") == 0, "input: '%s'", result->output);
    CHECK(child_run(&nothing, result) == CIUIC_OK && result->end == CHILD_MISSING, "a program that is not there: %d",
          result->end);
    free(result);
}

/* Whoever started this program may have ignored SIGCHLD: a child's status is there all the same, and at once. */
static void children_are_waited_for_where_sigchld_was_ignored(void)
{
    char *const environment[] = {(char[]){"PATH=/usr/bin:/bin"}, NULL};
    char *const arguments[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"exit 3"}, NULL};
    const child_program program = {arguments, environment, NULL, 5, false};
    child_result *result = malloc(sizeof *result);
    CU_ASSERT_PTR_NOT_NULL_FATAL(result);
    signal(SIGCHLD, SIG_IGN);
    CHECK(child_run(&program, result) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(result->end == CHILD_EXITED && result->code == 3, "ended %d with %d", result->end, result->code);
    signal(SIGCHLD, SIG_DFL);
    free(result);
}

static void put_process(const temporary_folder *proc, const char *process, const char *stat, const char *thread,
                        const char *schedstat)
{
    char path[2 * TEST_PATH];
    snprintf(path, sizeof path, "%s/%s", proc->path, process);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/stat", proc->path, process);
    write_bytes(path, stat, strlen(stat));
    snprintf(path, sizeof path, "%s/%s/task", proc->path, process);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/task/%s", proc->path, process, thread);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/task/%s/schedstat", proc->path, process, thread);
    write_bytes(path, schedstat, strlen(schedstat));
}

/* The longest wait of a thread of the group, of no other group's, and none where a file says nothing. */
static void starving_is_not_hanging(void)
{
    temporary_folder proc;
    temporary_folder_create(&proc);
    CHECK(child_starved_s(proc.path, 70) == 0, "an empty folder starves");
    put_process(&proc, "70", "70 (sh) S 1 70 70 0 -1\n", "70", "100 2000000000 5\n");
    put_process(&proc, "71", "71 (a) 9 (b) R 70 70 70 0 -1\n", "71", "100 7500000000 5\n");
    put_process(&proc, "71", "71 (a) 9 (b) R 70 70 70 0 -1\n", "72", "100 1000000000 5\n");
    put_process(&proc, "80", "80 (other) R 1 80 80 0 -1\n", "80", "100 90000000000 5\n");
    put_process(&proc, "90", "junk", "90", "100 90000000000 5\n");
    put_process(&proc, "91", "91 (x) R 70 70 70 0 -1\n", "91", "junk");
    put_process(&proc, "notes", "7 (x) R 70 70 70 0 -1\n", "1", "100 90000000000 5\n");
    CHECK(child_starved_s(proc.path, 70) == 7.5, "%g s", child_starved_s(proc.path, 70));
    CHECK(child_starved_s("/nowhere/at/all", 70) == 0, "no /proc at all starves");
    temporary_folder_remove(&proc);
}

/* ---- valgrind --------------------------------------------------------------------------------------------------- */

static void put_tool(const temporary_folder *folder, const char *script)
{
    char path[TEST_PATH], text[256];
    const int length = snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
    temporary_path(folder, "valgrind", path);
    write_bytes(path, text, (size_t)length);
    CU_ASSERT_EQUAL_FATAL(chmod(path, 0755), 0);
}

/* Whatever is called valgrind: a case has counts, or a reason. */
static void a_bad_valgrind_is_told_by_name(void)
{
    static const char said[] = "echo '{\"output_sha256\":\"00\",\"children\":[1,2,3,4]}'";
    static const struct {
        const char *script, *says;
    } probes[] =
        {
            {"exit 0", "says that it is ''"},
            {"echo gdb 13", "says that it is 'gdb 13'"},
            {"kill -ABRT $$", "crashed (signal 6)"},
            {"exit 2", "ended with status 2"},
        },
      runs[] = {
          {"exit 0", "said nothing"},
          {"exit 1", "ended with status 1"},
          {"echo 'ciuic: no kernels \"avx9\"'; exit 2", "ended with status 2: ciuic: no kernels"},
          {"kill -KILL $$", "crashed (signal 9)"},
          {"sleep 60", "hung and was killed"},
          {"yes junk | head -c 300000", "said nothing"},
          {"echo '{\"output_sha256\":'", "failed"},
          {"echo '{\"output_sha256\":\"00\",\"children\":[]}'", "named no children"},
          {said, "cannot be opened"},
      };
    temporary_folder folder;
    temporary_folder_create(&folder);
    char *before = strdup(getenv("PATH")), path[TEST_PATH + 16], tool[TEST_PATH];
    cJSON *request = cJSON_Parse("{\"do\":\"load\"}");
    simulated_support support;
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", folder.path);
    setenv("PATH", path, 1);
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        put_tool(&folder, probes[i].script);
        counters_simulated_probe(&support);
        CHECK(!support.works && strstr(support.reason, probes[i].says) != NULL, "'%s' gave: %s", probes[i].script,
              support.reason);
    }
    support = (simulated_support){.works = true, .tool = "valgrind-test"};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        cJSON *counted = NULL;
        put_tool(&folder, runs[i].script);
        const double timeout_s =
            strstr(runs[i].says, "hung") != NULL ? 1 : 60; /* which none of the others comes near */
        CHECK(counters_simulated(&support, request, folder.path, timeout_s, &counted) == CIUIC_OK, "%s",
              ciuic_last_error());
        const char *reason = bench_text(counted, "reason");
        CHECK(json_find(counted, "source") == NULL && strstr(reason, runs[i].says) != NULL, "'%s' gave: %s",
              runs[i].script, reason);
        cJSON_Delete(counted);
    }
    CHECK(temporary_folder_entries(&folder) == 1, "files were left");
    setenv("PATH", folder.path, 1); /* and now there is none at all */
    unlink(temporary_path(&folder, "valgrind", tool));
    counters_simulated_probe(&support);
    CHECK(!support.works && strstr(support.reason, "is not installed") != NULL, "without one: %s", support.reason);
    setenv("PATH", before, 1);
    cJSON_Delete(request);
    free(before);
    temporary_folder_remove(&folder);
}

/* Four tokens of a tiny checkpoint, by the kernels `isa`. */
static cJSON *tiny_request(const char *isa)
{
    cJSON *request = cJSON_Parse(
        "{\"do\":\"load\",\"checkpoint\":\"datasets/golden/deepseek-v2\",\"phase\":\"decode\",\"tokens\":4,\"depth\":4,"
        "\"windows\":0,\"window_tokens\":1,\"seed\":1,\"quantize\":\"none\",\"graph\":true,\"memory\":\"on\","
        "\"matmul\":\"own\",\"threads\":1,\"memory_limit\":0,\"total_limit\":0,\"cold_start\":false,"
        "\"counters\":\"none\",\"counters_reason\":\"\"}");
    if (request != NULL) cJSON_AddStringToObject(request, "isa", isa);
    return request;
}

/* Instructions of one repetition are those of one repetition, exactly, whatever the folder is called. The repetition itself
 * is counted: the classes it is made of add up to it, and matmuls are most of it. */
static void two_runs_count_the_same(void)
{
    simulated_support support;
    counters_simulated_probe(&support);
#if defined(__SANITIZE_ADDRESS__)
    support.works = false; /* valgrind and AddressSanitizer exclude each other */
#endif
    temporary_folder folder;
    temporary_folder_create(&folder);
    char *first = NULL, percent[TEST_PATH];
    CU_ASSERT_EQUAL_FATAL(mkdir(temporary_path(&folder, "100%", percent), 0777), 0);
    for (int run = 0; run < 2 && support.works; run++) {
        cJSON *request = tiny_request("c"), *counted = NULL;
        CHECK(counters_simulated(&support, request, run == 0 ? folder.path : percent, 120, &counted) == CIUIC_OK, "%s",
              ciuic_last_error());
        CHECK(strcmp(bench_text(counted, "source"), "simulated") == 0, "no counts: %s", bench_text(counted, "reason"));
        CHECK(strcmp(bench_text(counted, "tool"), support.tool) == 0, "by %s", bench_text(counted, "tool"));
        char *printed = cJSON_PrintUnformatted(counted);
        if (first != NULL) CHECK(strcmp(first, printed) == 0, "%s\nthen %s", first, printed);
        free(first);
        first = printed;
        cJSON *read = cJSON_Parse(printed);
        double sum = 0;
        const cJSON *class = NULL, *classes = json_find(read, "by_class");
        cJSON_ArrayForEach(class, classes) sum += json_find(class, "instructions")->valuedouble;
        const cJSON *instructions = json_find(read, "instructions"), *matmul = json_find(classes, "matmul");
        const double all = cJSON_IsNumber(instructions) ? instructions->valuedouble : 0;
        CHECK(all > 1e4 && sum == all, "%g instructions, %g by class", all, sum);
        CHECK(matmul != NULL && json_find(matmul, "instructions")->valuedouble > 0.3 * all, "%s", printed);
        cJSON_Delete(read);
        cJSON_Delete(counted);
        cJSON_Delete(request);
    }
    cJSON *request = tiny_request("none such"), *counted = NULL; /* what the program under it says is passed on */
    if (support.works && counters_simulated(&support, request, folder.path, 120, &counted) == CIUIC_OK)
        CHECK(strstr(bench_text(counted, "reason"), "none such") != NULL, "%s", bench_text(counted, "reason"));
    cJSON_Delete(counted);
    cJSON_Delete(request);
    free(first);
    CHECK(temporary_folder_entries(&folder) == 1, "files were left");
    temporary_folder_remove(&folder);
}

static void refusals_name_what_is_missing(void)
{
    CHECK(counters_simulated_refusal("c", false) == NULL && counters_simulated_refusal("avx2", false) == NULL,
          "c and avx2 are refused");
    static const char *const above[] = {"avx512", "amx", "neon"};
    for (size_t i = 0; i < sizeof above / sizeof above[0]; i++) {
        const char *why = counters_simulated_refusal(above[i], false);
        CHECK(why != NULL && strstr(why, "c and avx2") != NULL, "%s", above[i]);
    }
    const char *why = counters_simulated_refusal("avx2", true);
    CHECK(why != NULL && strstr(why, "library") != NULL, "a library's kernels");
}

/* ---- benches ---------------------------------------------------------------------------------------------------- */

static size_t counted_entries(const char *folder)
{
    char *path = bench_path(folder, "journal.jsonl");
    size_t bytes = 0;
    char *journal = read_bytes(path, &bytes);
    const size_t n = bench_count_kind(journal, "counted");
    free(journal);
    free(path);
    return n;
}

/* Without a valgrind that works every case says why, each once in the journal; a run that goes on counts nothing again, and
 * one that asks for other counters is refused. */
static void a_bench_without_valgrind_says_so(void)
{
    static char name[] = "bench", *arguments[] = {name, NULL};
    temporary_folder folder;
    temporary_folder_create(&folder);
    char *suite_path = write_suite(folder.path, "suite.json", "\"min_time_s\": 0",
                                   "\"min_time_s\": 0, \"counters\": \"simulated\""),
         *before = strdup(getenv("PATH")), out[TEST_PATH], path[TEST_PATH + 16];
    cJSON *machine = bench_machine();
    put_tool(&folder, "echo no valgrind today; exit 9");
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", folder.path);
    setenv("PATH", path, 1);
    bench_options o = {.suite_path = suite_path,
                       .directory = temporary_path(&folder, "out", out),
                       .argc = 1,
                       .argv = arguments,
                       .machine = machine,
                       .filter.only = "prefill",
                       .rounds = 1};
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON *results = bench_results(out);
    const cJSON *item = NULL;
    size_t measured = 0;
    cJSON_ArrayForEach(item, json_find(results, "cases"))
    {
        const cJSON *counted = json_find(item, "counters");
        if (strcmp(bench_text(item, "status"), "ok") != 0) continue;
        const bool library = strstr(bench_text(item, "id"), "/o") != NULL;
        const char *reason = bench_text(counted, "reason");
        const bool best = kernel_isa_best() > KERNEL_ISA_AVX2 && strstr(bench_text(item, "id"), "+c") == NULL;
        CHECK(strstr(reason, library ? "library"
                             : best  ? "AVX2"
                                     : "no valgrind today") != NULL,
              "%s: %s", bench_text(item, "id"), reason);
        CHECK(json_find(counted, "software") != NULL, "%s: no page faults", bench_text(item, "id"));
        measured++;
    }
    const size_t entries = counted_entries(out);
    CHECK(measured > 2 && entries == measured - 1, "%zu cases with the twin, %zu counted", measured, entries);
    o.resume = true;
    CHECK(bench_quietly(&o) == CIUIC_OK && counted_entries(out) == entries, "a finished bench counts again");
    o.counters = "hardware";
    CHECK(bench_quietly(&o) == CIUIC_ERROR_USAGE && strstr(ciuic_last_error(), "--counters is another") != NULL, "%s",
          ciuic_last_error());
    setenv("PATH", before, 1);
    cJSON_Delete(results);
    cJSON_Delete(machine);
    free(suite_path);
    free(before);
    temporary_folder_remove(&folder);
}

/* ---- cases ------------------------------------------------------------------------------------------------------ */

/* By hand: 3 misses of 64 bytes for 2 tokens of 96 bytes each is one byte for every byte of weights. */
static void bytes_of_a_weight_byte(void)
{
    static const char counted_text[] =
        "{\"source\":\"simulated\",\"caches\":{\"line_bytes\":64},\"by_class\":{\"matmul\":{\"d1_read_misses\":3}}}";
    cJSON *counted = cJSON_Parse(counted_text), *loaded = cJSON_Parse("{\"decode_bytes\":96}"),
          *read = cJSON_Parse("{\"source\":null,\"reason\":\"none\",\"software\":{\"source\":\"getrusage\"},\"energy\":"
                              "{\"source\":\"powercap\",\"joules\":3}}");
    const suite_workload decode = {.phase = PHASE_DECODE, .tokens = 2}, prefill = {.phase = PHASE_PREFILL, .tokens = 2};
    cJSON *c = case_counters(counted, read, loaded, &decode);
    char *printed = cJSON_PrintUnformatted(c);
    CHECK(strstr(printed, "\"bytes_per_weight_byte\":1") != NULL && strstr(printed, "\"weight_bytes\":192") != NULL &&
              strstr(printed, "getrusage") != NULL && strstr(printed, "\"joules_per_token\":1.5") != NULL,
          "%s", printed);
    cJSON_free(printed);
    cJSON_Delete(c);
    c = case_counters(counted, NULL, loaded, &prefill);
    CHECK(json_find(c, "bytes_per_weight_byte") == NULL, "a prefill reads weights once for many tokens");
    cJSON_Delete(c);
    c = case_counters(NULL, NULL, loaded, &decode);
    CHECK(json_find(c, "source") == NULL && bench_text(c, "reason")[0] != '\0', "nobody counted, and nothing is said");
    cJSON_Delete(c);
    cJSON_Delete(counted);
    cJSON_Delete(loaded);
    cJSON_Delete(read);
}

static const test_case cases[] = {
    {"a_profile_is_read_by_class", a_profile_is_read_by_class},
    {"a_profile_that_is_cut_is_refused", a_profile_that_is_cut_is_refused},
    {"junk_is_refused", junk_is_refused},
    {"a_changed_profile_is_no_danger", a_changed_profile_is_no_danger},
    {"functions_have_a_class", functions_have_a_class},
    {"programs_end_in_every_way", programs_end_in_every_way},
    {"children_are_waited_for_where_sigchld_was_ignored", children_are_waited_for_where_sigchld_was_ignored},
    {"starving_is_not_hanging", starving_is_not_hanging},
    {"a_bad_valgrind_is_told_by_name", a_bad_valgrind_is_told_by_name},
    {"two_runs_count_the_same", two_runs_count_the_same},
    {"refusals_name_what_is_missing", refusals_name_what_is_missing},
    {"a_bench_without_valgrind_says_so", a_bench_without_valgrind_says_so},
    {"bytes_of_a_weight_byte", bytes_of_a_weight_byte},
};
TEST_SUITE(simulated, cases);
