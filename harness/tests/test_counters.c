/* test_counters.c - likwid's groups, by a library that stands for it, good and bad; threads that are moved; and what is computed
 * where nothing is counted. */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/measure/computed_work.h"
#include "harness/measure/counters.h"
#include "harness/measure/counters_likwid.h"
#include "harness/measure/machine_state.h"
#include "harness/measure/migrations.h"
#include "harness/report/schema.h"
#include "harness/tests/bench_fixture.h"
#include "harness/tests/suite_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

/* ---- likwid ----------------------------------------------------------------------------------------------------- */

/* build/fake-likwid, beside the program. */
static void fake_folder(char path[TEST_PATH])
{
    const char *binary = getenv("CIUIC_BINARY"), *own = binary != NULL ? binary : "build/ciuic";
    const char *slash = strrchr(own, '/');
    snprintf(path, TEST_PATH, "%.*sfake-likwid", slash != NULL ? (int)(slash - own) + 1 : 0, own);
}

/* From here to `end_fake` whoever loads liblikwid.so.5.2 gets the fake: forked children because it is loaded by that name
 * already, workers because they look there first. */
static void *begin_fake(const char *behaviour)
{
    char folder[TEST_PATH], file[TEST_PATH + 32], *whole;
    fake_folder(folder);
    whole = realpath(folder, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(whole);
    snprintf(file, sizeof file, "%s/liblikwid.so.5.2", folder);
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL, "%s", dlerror());
    setenv("LD_LIBRARY_PATH", whole, 1);
    setenv("FAKE_LIKWID", behaviour, 1);
    free(whole);
    return library;
}

static void end_fake(void *library)
{
    unsetenv("LD_LIBRARY_PATH");
    unsetenv("FAKE_LIKWID");
    if (library != NULL) dlclose(library);
}

/* Whatever likwid does, a group is measured, refused with those that there are, or there is a reason; and nothing is lost. */
static void a_group_is_measured_refused_or_explained(void)
{
    static const struct {
        const char *behaviour, *group;
        ciuic_status status;
        counter_source source;
        const char *says;
    } rows[] = {
        {"works", "MEM", CIUIC_OK, COUNTERS_LIKWID, ""},
        {"works", "L2", CIUIC_OK, COUNTERS_LIKWID, ""},
        {"works", "MEN", CIUIC_ERROR_USAGE, COUNTERS_NONE,
         "likwid has no group MEN on this processor; it has CLOCK, L2, MEM"},
        {"forbidden", "MEN", CIUIC_ERROR_USAGE, COUNTERS_NONE, "it has CLOCK, L2, MEM"},
        {"forbidden", "MEM", CIUIC_OK, COUNTERS_NONE,
         "not available here, because likwid's perfmon_init fails with -13"},
        {"silent", "MEM", CIUIC_OK, COUNTERS_NONE, "lists no groups for this processor (-22)"},
        {"exits", "MEM", CIUIC_OK, COUNTERS_NONE, "ends the process"},
        {"exits", "MEM", CIUIC_OK, COUNTERS_NONE, "likwid has a group MEM on this processor could not be checked"},
        {"crashes", "MEM", CIUIC_OK, COUNTERS_NONE, "crashes"},
        {"hangs", "MEM", CIUIC_OK, COUNTERS_NONE, "hangs"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        counter_support support;
        void *fake = begin_fake(rows[i].behaviour);
        const ciuic_status status = counters_probe_group(rows[i].group, &support);
        end_fake(fake);
        const char *said = status != CIUIC_OK ? ciuic_last_error() : support.reason;
        CHECK(status == rows[i].status && support.source == rows[i].source, "row %zu: status %d, source %s: %s", i,
              (int)status, counter_source_name(support.source), said);
        CHECK(strstr(said, rows[i].says) != NULL, "row %zu: %s", i, said);
    }
}

/* Where likwid cannot be asked, its files are looked for: below the folder of every architecture. */
static void a_groups_file_is_looked_for(void)
{
    temporary_folder root;
    temporary_folder_create(&root);
    char there[TEST_PATH], zen[TEST_PATH + 16], file[TEST_PATH + 32];
    temporary_path(&root, "groups", there);
    snprintf(zen, sizeof zen, "%s/zen9", there);
    snprintf(file, sizeof file, "%s/MEM.txt", zen);
    CU_ASSERT_EQUAL_FATAL(mkdir(there, 0777), 0);
    CU_ASSERT_EQUAL_FATAL(mkdir(zen, 0777), 0);
    write_bytes(file, "SHORT x\n", 8);
    const struct {
        const char *folders[2], *group;
        likwid_group_file found;
    } rows[] = {
        {{there, "/no/such/folder"}, "MEM", LIKWID_GROUP_FOUND},
        {{"", there}, "MEM", LIKWID_GROUP_FOUND},
        {{there, ""}, "MEN", LIKWID_GROUP_NOWHERE},
        {{"", there}, "ME", LIKWID_GROUP_NOWHERE},
        {{"", "/no/such/folder"}, "MEM", LIKWID_GROUP_UNCHECKED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK(likwid_group_look(rows[i].folders, 2, rows[i].group) == rows[i].found, "row %zu", i);
    unlink(file);
    rmdir(zen);
    rmdir(there);
    temporary_folder_remove(&root);
}

static cJSON *bench_with(const char *folder, const char *whose, ciuic_status expected)
{
    static char name[] = "bench", *arguments[] = {name, NULL};
    char out[TEST_PATH + 8];
    snprintf(out, sizeof out, "%s/out", folder);
    char *suite_path = write_suite(folder, "suite.json", NULL, NULL);
    cJSON *machine = bench_machine();
    const bench_options o = {.suite_path = suite_path,
                             .directory = out,
                             .argc = 1,
                             .argv = arguments,
                             .machine = machine,
                             .filter.only = "decode*int8+graph+memory+c",
                             .counters = whose,
                             .rounds = 1};
    const ciuic_status status = bench_quietly(&o);
    CHECK(status == expected, "%s: status %d: %s", whose, (int)status, ciuic_last_error());
    cJSON_Delete(machine);
    free(suite_path);
    return status == CIUIC_OK ? bench_results(out) : NULL;
}

/* A span of the fake's is 0.25 s and 2 GB, and a repetition of this suite one span: what grows is of one, and what does not stays. */
static void a_groups_metrics_are_in_the_results(void)
{
    temporary_folder folder;
    temporary_folder_create(&folder);
    void *fake = begin_fake("works");
    cJSON *results = bench_with(folder.path, "likwid:MEM", CIUIC_OK);
    end_fake(fake);
    const cJSON *counted = json_find(bench_case_of(results, "int8+graph+memory+c"), "counters");
    const cJSON *metrics = json_find(counted, "metrics"), *cpi = json_find(metrics, "CPI");
    char *printed = cJSON_PrintUnformatted(counted);
    CHECK(strcmp(bench_text(counted, "source"), "likwid") == 0 && strcmp(bench_text(counted, "group"), "MEM") == 0,
          "%s", printed);
    CHECK(json_number(json_find(metrics, "Memory data volume [GBytes]"), "sum") == 2, "%s", printed);
    CHECK(json_number(json_find(metrics, "Runtime (RDTSC) [s]"), "max") == 0.25, "%s", printed);
    CHECK(json_number(json_find(metrics, "Memory bandwidth [MBytes/s]"), "sum") == 8000, "%s", printed);
    CHECK(json_number(cpi, "mean") == 0.5 && json_number(cpi, "min") == 0.5, "a core without a ratio counts: %s",
          printed);
    CHECK(json_number(json_find(counted, "events"), "CAS_COUNT_RD") == 5e5, "%s", printed);
    CHECK(schema_check_results(results, "results") == CIUIC_OK, "%s", ciuic_last_error());
    cJSON_free(printed);
    cJSON_Delete(results);
    temporary_folder_remove(&folder);
}

/* Refused before anything is written; a likwid that may not count costs no bench. */
static void a_bench_refuses_a_wrong_group_and_does_without_access(void)
{
    temporary_folder folder;
    temporary_folder_create(&folder);
    void *fake = begin_fake("works");
    bench_with(folder.path, "likwid:MEN", CIUIC_ERROR_USAGE);
    CHECK(strstr(ciuic_last_error(), "it has CLOCK, L2, MEM") != NULL, "%s", ciuic_last_error());
    bench_with(folder.path, "likwid:", CIUIC_ERROR_USAGE);
    bench_with(folder.path, "likwid:MEM;ls", CIUIC_ERROR_USAGE);
    bench_with(folder.path, "likwid", CIUIC_ERROR_USAGE);
    CHECK(temporary_folder_entries(&folder) == 1, "files beside the suite were left");
    end_fake(fake);
    fake = begin_fake("forbidden");
    cJSON *results = bench_with(folder.path, "likwid:MEM", CIUIC_OK);
    end_fake(fake);
    const cJSON *c = bench_case_of(results, "int8+graph+memory+c"), *counted = json_find(c, "counters");
    CHECK(json_find(counted, "source") == NULL && strstr(bench_text(counted, "reason"), "fails with -13") != NULL, "%s",
          bench_text(counted, "reason"));
    CHECK(strcmp(bench_text(json_find(c, "computed"), "source"), "computed") == 0, "nothing was computed");
    cJSON_Delete(results);
    temporary_folder_remove(&folder);
}

static void counters_are_read_as_written(void)
{
    static const struct {
        const char *written, *group;
        ciuic_status status;
        suite_counters counters;
    } rows[] = {
        {"hardware", "", CIUIC_OK, SUITE_COUNTERS_HARDWARE},
        {"simulated", "", CIUIC_OK, SUITE_COUNTERS_SIMULATED},
        {"likwid:FLOPS_SP", "FLOPS_SP", CIUIC_OK, SUITE_COUNTERS_GROUP},
        {"likwid:A234567890123456789012345678901", "A234567890123456789012345678901", CIUIC_OK, SUITE_COUNTERS_GROUP},
        {"likwid:A2345678901234567890123456789012", "", CIUIC_ERROR_INPUT, SUITE_COUNTERS_HARDWARE},
        {"likwid:", "", CIUIC_ERROR_INPUT, SUITE_COUNTERS_HARDWARE},
        {"likwid:mem", "", CIUIC_ERROR_INPUT, SUITE_COUNTERS_HARDWARE},
        {"likwid:MEM ", "", CIUIC_ERROR_INPUT, SUITE_COUNTERS_HARDWARE},
        {"likwid:../MEM", "", CIUIC_ERROR_INPUT, SUITE_COUNTERS_HARDWARE},
        {"", "", CIUIC_ERROR_INPUT, SUITE_COUNTERS_HARDWARE},
    };
    cJSON *schema = NULL;
    CHECK(json_read_file("suites/suite.schema.json", 1 << 20, &schema) == CIUIC_OK, "%s", ciuic_last_error());
    const cJSON *member = json_find(json_find(schema, "properties"), "counters");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        suite s = {.counters = SUITE_COUNTERS_HARDWARE};
        char text[SUITE_GROUP_MAX + 8];
        const ciuic_status status = suite_set_counters(&s, "test", "counters", rows[i].written);
        CHECK(status == rows[i].status && s.counters == rows[i].counters &&
                  strcmp(s.counters_group, rows[i].group) == 0,
              "'%s': status %d, '%s'", rows[i].written, (int)status, s.counters_group);
        suite_counters_text(&s, text);
        if (status == CIUIC_OK)
            CHECK(strcmp(text, rows[i].written) == 0, "'%s' is written '%s'", rows[i].written, text);
        cJSON *value = cJSON_CreateString(rows[i].written);
        CHECK(schema_check(value, member, "test") == status, "the schema says otherwise of '%s'", rows[i].written);
        cJSON_Delete(value);
    }
    cJSON_Delete(schema);
}

/* All three forms are told, no form that is far from what was written, and of that as much as one can read. */
static void what_is_no_source_is_refused_in_one_line(void)
{
    static const char forms[] = "expected one of \"hardware\", \"simulated\", \"likwid:GROUP\"";
    static char long_word[5001], long_group[5001];
    const struct {
        const char *written, *says, *says_not;
    } rows[] = {
        {"bogus", "test: counters: found \"bogus\", expected one of", "did you mean"},
        {"bogus", forms, NULL},
        {"", forms, "did you mean"},
        {"likwid", forms, NULL},
        {"hardware,simulated", forms, "did you mean"},
        {"simulated,hardware", forms, "did you mean"},
        {"simulate", "did you mean \"simulated\"?", NULL},
        {"hadrware", "did you mean \"hardware\"?", NULL},
        {"likwit:MEM", forms, NULL},
        {long_word, "found \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\", expected one of", "did you mean"},
        {long_group, "found \"likwid:MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM\", expected likwid: and the name", NULL},
        {"likwid:", "found \"likwid:\", expected likwid: and the name of a group, 1 to 31 capital", NULL},
    };
    memset(long_word, 'x', sizeof long_word - 1);
    memset(long_group, 'M', sizeof long_group - 1);
    memcpy(long_group, "likwid:", 7);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        suite s = {.counters = SUITE_COUNTERS_HARDWARE};
        CHECK(suite_set_counters(&s, "test", "counters", rows[i].written) == CIUIC_ERROR_INPUT, "row %zu", i);
        const char *said = ciuic_last_error();
        CHECK(strstr(said, rows[i].says) != NULL, "row %zu: '%s' is not in: %s", i, rows[i].says, said);
        CHECK(rows[i].says_not == NULL || strstr(said, rows[i].says_not) == NULL, "row %zu: %s", i, said);
        CHECK(strlen(said) < 200, "row %zu: %zu characters", i, strlen(said));
    }
}

/* ---- migrations ------------------------------------------------------------------------------------------------- */

static void put_thread(const temporary_folder *root, int thread, const char *kind, const char *format, int value)
{
    char path[2 * TEST_PATH], text[1024];
    static const char *const parts[] = {"/proc", "/proc/self", "/proc/self/task"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", root->path, parts[i]);
        mkdir(path, 0777);
    }
    snprintf(path, sizeof path, "%s/proc/self/task/%d", root->path, thread);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/proc/self/task/%d/%s", root->path, thread, kind);
    const int length = snprintf(text, sizeof text, format, value);
    write_bytes(path, text, (size_t)length);
}

#define SCHED "ciuic (7, #threads: 2)\n-----\nse.exec_start   :  4.2\nse.nr_migrations        :            %d\n"
/* A name may hold anything, a parenthesis and digits among it; the 39th field is the core. */
#define STAT                                                                                                           \
    "7 (a) 9 (b) S 1 7 7 0 -1 4194304 1 0 0 0 1 1 0 0 20 0 2 0 100 1000 10 18446744073709551615 1 1 0 0 0 0 0 0 0 0 "  \
    "0 0 17 %d 0 0 0 0 0\n"

static void moves_are_told_by_the_kernels_files(void)
{
    static const struct {
        const char *kind, *format;
        int before[2], after[2]; /* of two threads */
        int third;               /* of one that began meanwhile; -1: there is none */
        migration_source source;
        double moves;
    } rows[] = {
        {"sched", SCHED, {3, 10}, {3, 10}, -1, MIGRATIONS_SCHED, 0},
        {"sched", SCHED, {3, 10}, {4, 15}, -1, MIGRATIONS_SCHED, 6},
        {"sched", SCHED, {3, 10}, {4, 15}, 2, MIGRATIONS_SCHED, 8},
        {"stat", STAT, {0, 1}, {0, 1}, -1, MIGRATIONS_STAT, 0},
        {"stat", STAT, {0, 1}, {1, 0}, -1, MIGRATIONS_STAT, 2},
        {"stat", STAT, {0, 1}, {0, 3}, 5, MIGRATIONS_STAT, 1},
        {"stat", "no stat %d", {0, 1}, {1, 0}, -1, MIGRATIONS_NONE, NAN},
        {"sched", "se.nr_migrations : none %d", {0, 1}, {1, 0}, -1, MIGRATIONS_NONE, NAN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        temporary_folder root;
        migration_meter m;
        temporary_folder_create(&root);
        for (int t = 0; t < 2; t++) put_thread(&root, 7 + t, rows[i].kind, rows[i].format, rows[i].before[t]);
        migrations_open(&m, root.path);
        CHECK(m.source == rows[i].source, "row %zu: source %d", i, (int)m.source);
        migrations_start(&m);
        for (int t = 0; t < 2; t++) put_thread(&root, 7 + t, rows[i].kind, rows[i].format, rows[i].after[t]);
        if (rows[i].third >= 0) put_thread(&root, 9, rows[i].kind, rows[i].format, rows[i].third);
        migrations_stop(&m);
        cJSON *json = migrations_json(&m, 2, 0.5);
        const double moves = json_number(json, "moves"), rate = json_number(json, "per_cpu_second");
        CHECK(isnan(rows[i].moves) ? isnan(moves) && bench_text(json, "reason")[0] != '\0' : moves == rows[i].moves,
              "row %zu: %g moves", i, moves);
        CHECK(isnan(moves) || (rate == 2 * moves && json_number(json, "per_repetition") == moves / 2), "row %zu: %g", i,
              rate);
        CHECK(cJSON_IsTrue(json_find(json, "lower_bound")) == (m.source == MIGRATIONS_STAT), "row %zu: a bound?", i);
        cJSON_Delete(json);
        migrations_close(&m);
        temporary_folder_remove(&root);
    }
}

/* This machine has one of the sources, whichever. */
static void this_machine_says_where_it_looks(void)
{
    migration_meter m;
    migrations_open(&m, "");
    migrations_start(&m);
    migrations_stop(&m);
    cJSON *json = migrations_json(&m, 1, 1);
    const double moves = json_number(json, "moves");
    CHECK(moves >= 0 && bench_text(json, "source")[0] != '\0', "%g moves by '%s'", moves, bench_text(json, "source"));
    cJSON_Delete(json);
    migrations_close(&m);
}

static void frequent_moves_are_warned_of(void)
{
    static const struct {
        const char *migrations, *says;
    } rows[] = {
        {"{\"source\":\"perf_event\",\"lower_bound\":false,\"moves\":100,\"per_cpu_second\":50}", "50 times a second"},
        {"{\"source\":\"perf_event\",\"lower_bound\":false,\"moves\":100,\"per_cpu_second\":50}", "OMP_PROC_BIND="},
        {"{\"source\":\"/proc/self/task/stat\",\"lower_bound\":true,\"moves\":9,\"per_cpu_second\":11}", "at least 11"},
        {"{\"source\":\"perf_event\",\"moves\":4,\"per_cpu_second\":50}", NULL},   /* chance */
        {"{\"source\":\"perf_event\",\"moves\":1000,\"per_cpu_second\":9}", NULL}, /* seldom */
        {"{\"source\":null,\"reason\":\"none\"}", NULL},
        {"null", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *warnings = cJSON_CreateArray(), *migrations = cJSON_Parse(rows[i].migrations);
        CHECK(machine_state_warn_moves("decode/int4", migrations, warnings), "out of memory");
        const char *said = cJSON_GetStringValue(cJSON_GetArrayItem(warnings, 0));
        CHECK((said != NULL) == (rows[i].says != NULL), "row %zu: %s", i, said != NULL ? said : "nothing");
        if (said != NULL && rows[i].says != NULL)
            CHECK(strstr(said, rows[i].says) != NULL && strstr(said, "decode/int4") != NULL, "row %zu: %s", i, said);
        cJSON_Delete(migrations);
        cJSON_Delete(warnings);
    }
    CHECK(machine_state_warn_moves("", NULL, NULL), "no list of warnings is no failure");
}

/* ---- computed --------------------------------------------------------------------------------------------------- */

static ciuic_session *session_of(const char *path, const ciuic_options *options, size_t context, size_t chunk,
                                 ciuic_model_info *info)
{
    ciuic_model *plain = NULL, *model = NULL;
    ciuic_session *session = NULL;
    const ciuic_session_options so = {.context = context, .threads = 1, .chunk = chunk};
    CHECK(ciuic_model_load(path, &plain) == CIUIC_OK && ciuic_optimize(plain, options, &model, NULL) == CIUIC_OK, "%s",
          ciuic_last_error());
    CHECK(ciuic_session_create(model, &so, &session) == CIUIC_OK, "%s", ciuic_last_error());
    ciuic_model_describe(model, info);
    ciuic_model_free(model); /* the session keeps it */
    ciuic_model_free(plain);
    return session;
}

static kind_cost sum_of(const kind_cost costs[GRAPH_OP_KINDS])
{
    kind_cost sum = {0};
    for (int k = 0; k < GRAPH_OP_KINDS; k++) {
        sum.flops += costs[k].flops;
        sum.weight_bytes += costs[k].weight_bytes;
        sum.cache_bytes += costs[k].cache_bytes;
        sum.activation_bytes += costs[k].activation_bytes;
        sum.written_bytes += costs[k].written_bytes;
    }
    return sum;
}

/* The weight bytes of a decoded token are those that the model itself counts, which ceilings are made of: in every format, with
 * and without a graph. That count cuts fractions of a byte off at each matrix: as many bytes may be missing there as there are
 * operations' parts, under 1,000. */
static void a_tokens_weight_bytes_are_the_models(void)
{
    static const char *const checkpoints[] = {"datasets/deepseek-v3-tiny", "datasets/golden/deepseek-v2"};
    static const ciuic_options variants[] = {
        {.quantize = CIUIC_QUANTIZE_NONE, .isa = "c"},
        {.quantize = CIUIC_QUANTIZE_NONE, .graph = true, .memory = CIUIC_MEMORY_ON, .isa = "c"},
        {.quantize = CIUIC_QUANTIZE_INT8, .graph = true, .memory = CIUIC_MEMORY_ON, .isa = "c"},
        {.quantize = CIUIC_QUANTIZE_INT4, .graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "c"},
        {.quantize = CIUIC_QUANTIZE_AFFINE4, .memory = CIUIC_MEMORY_ON, .isa = "c"},
    };
    for (size_t i = 0; i < sizeof checkpoints / sizeof checkpoints[0]; i++)
        for (size_t k = 0; k < sizeof variants / sizeof variants[0]; k++) {
            kind_cost costs[GRAPH_OP_KINDS] = {{0}};
            ciuic_model_info info;
            ciuic_session *s = session_of(checkpoints[i], &variants[k], 64, 0, &info);
            session_cost(s, true, 10, 4, costs);
            const kind_cost sum = sum_of(costs);
            const double expected = 4.0 * (double)info.decode_bytes;
            CHECK(expected > 0 && fabs(sum.weight_bytes - expected) < 4 * 1000,
                  "%s, variant %zu: %.0f bytes, the model says %.0f", checkpoints[i], k, sum.weight_bytes, expected);
            CHECK(sum.flops >= 4 * info.decode_flops, "fewer operations than its matmuls alone");
            ciuic_session_free(s);
        }
}

/* By hand, for MLA's latent cache of 16 bits: 3 layers, 64 latent and 16 rotated values a position. Four tokens behind ten read
 * 11 + 12 + 13 + 14 positions and write 4. Of INT8 a position is 80 values and 2 scales of two bytes. */
static void cache_bytes_are_those_of_the_rows(void)
{
    static const struct {
        ciuic_memory memory;
        double row;
    } rows[] = {{CIUIC_MEMORY_ON, 160}, {CIUIC_MEMORY_AGGRESSIVE, 84}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const ciuic_options options = {.graph = true, .memory = rows[i].memory, .isa = "c"};
        kind_cost costs[GRAPH_OP_KINDS] = {{0}};
        ciuic_model_info info;
        ciuic_session *s = session_of("datasets/golden/deepseek-v2", &options, 64, 0, &info);
        session_cost(s, true, 10, 4, costs);
        const kind_cost sum = sum_of(costs);
        CHECK(fabs(sum.cache_bytes - 3 * rows[i].row * (50 + 4)) < 1e-6, "%.1f bytes of cache, expected %.1f",
              sum.cache_bytes, 3 * rows[i].row * (50 + 4));
        CHECK(fabs(costs[GRAPH_CACHE_WRITE].written_bytes - 3 * rows[i].row * 4) < 1e-6, "%.1f bytes written",
              costs[GRAPH_CACHE_WRITE].written_bytes);
        ciuic_session_free(s);
    }
}

/* A prefill in two chunks is two prefills, one behind the other: matrices are read once more. */
static void chunks_are_calls_of_their_own(void)
{
    const ciuic_options options = {.graph = true, .memory = CIUIC_MEMORY_ON, .isa = "c"};
    kind_cost whole[GRAPH_OP_KINDS] = {{0}}, cut[GRAPH_OP_KINDS] = {{0}}, parts[GRAPH_OP_KINDS] = {{0}};
    ciuic_model_info info;
    ciuic_session *s = session_of("datasets/golden/deepseek-v2", &options, 64, 0, &info);
    session_cost(s, false, 0, 32, whole);
    session_cost(s, false, 0, 16, parts);
    session_cost(s, false, 16, 16, parts);
    ciuic_session_free(s);
    s = session_of("datasets/golden/deepseek-v2", &options, 64, 16, &info);
    session_cost(s, false, 0, 32, cut);
    ciuic_session_free(s);
    const kind_cost a = sum_of(whole), b = sum_of(cut), c = sum_of(parts);
    CHECK(b.weight_bytes == c.weight_bytes && b.flops == c.flops && b.cache_bytes == c.cache_bytes,
          "chunks add up to less");
    CHECK(b.weight_bytes > 1.9 * a.weight_bytes - 1e5 && b.weight_bytes > a.weight_bytes,
          "%.0f bytes in one, %.0f in two", a.weight_bytes, b.weight_bytes);
}

/* 100 bytes of weights, 30 of cache and 70 of activations, 20 of them written: 180 read, 1.8 for each byte of weights. */
static void classes_add_up(void)
{
    const kind_cost costs[GRAPH_OP_KINDS] = {
        [GRAPH_MATMUL] = {.flops = 200, .weight_bytes = 60, .activation_bytes = 30, .written_bytes = 10},
        [GRAPH_EXPERT_SWIGLU] = {.flops = 80, .weight_bytes = 40, .activation_bytes = 10},
        [GRAPH_ATTENTION] = {.flops = 50, .cache_bytes = 30, .activation_bytes = 20, .written_bytes = 5},
        [GRAPH_ROPE] = {.flops = 6, .activation_bytes = 10, .written_bytes = 5},
    };
    cJSON *work = computed_work_json(costs);
    const cJSON *classes = json_find(work, "by_class"), *matmul = json_find(classes, "matmul");
    char *printed = cJSON_PrintUnformatted(work);
    CHECK(strcmp(bench_text(work, "source"), "computed") == 0, "%s", printed);
    CHECK(json_number(work, "read_bytes") == 180 && json_number(work, "written_bytes") == 20, "%s", printed);
    CHECK(json_number(work, "bytes_read_per_weight_byte") == 1.8, "%s", printed);
    CHECK(json_number(matmul, "weight_bytes") == 100 && json_number(matmul, "operations") == 280, "%s", printed);
    CHECK(json_number(json_find(classes, "attention"), "cache_bytes") == 30, "%s", printed);
    CHECK(json_number(json_find(classes, "norm and elementwise"), "read_bytes") == 5, "%s", printed);
    CHECK(cJSON_GetArraySize(classes) == 3, "classes without any: %s", printed);
    cJSON_free(printed);
    cJSON_Delete(work);
}

static void counted_bytes_name_their_source(void)
{
    static const struct {
        const char *counters, *source;
        double bytes, matmul;
    } rows[] = {
        {"{\"source\":\"simulated\",\"caches\":{\"line_bytes\":64},\"d1_read_misses\":10,\"by_class\":{\"matmul\":"
         "{\"d1_read_misses\":7}}}",
         "simulated", 640, 448},
        {"{\"source\":\"perf_event\",\"cache_misses\":5}", "perf_event", 320, NAN},
        {"{\"source\":\"perf_event\",\"cycles\":5}", NULL, NAN, NAN},
        {"{\"source\":\"likwid\",\"metrics\":{\"Memory data volume [GBytes]\":{\"sum\":2}}}", "likwid", 2e9, NAN},
        {"{\"source\":\"likwid\",\"metrics\":{\"L2 data volume [GBytes]\":{\"sum\":3},\"Memory read data volume "
         "[GBytes]\":"
         "{\"sum\":1}}}",
         "likwid", 1e9, NAN},
        {"{\"source\":\"likwid\",\"metrics\":{\"CPI\":{\"sum\":2}}}", NULL, NAN, NAN},
        {"{\"source\":null,\"reason\":\"none\",\"cache_misses\":5}", NULL, NAN, NAN},
        {"7", NULL, NAN, NAN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *counted = cJSON_Parse(rows[i].counters);
        const measured_bytes m = measured_bytes_of(counted), of_class = measured_bytes_of_class(counted, "matmul");
        CHECK((m.source == NULL) == (rows[i].source == NULL) &&
                  (m.source == NULL || strcmp(m.source, rows[i].source) == 0),
              "row %zu: source %s", i, m.source != NULL ? m.source : "none");
        CHECK(m.source == NULL || m.bytes == rows[i].bytes, "row %zu: %g bytes", i, m.bytes);
        CHECK((of_class.source == NULL) == isnan(rows[i].matmul), "row %zu: a class", i);
        CHECK(of_class.source == NULL || of_class.bytes == rows[i].matmul, "row %zu: %g bytes", i, of_class.bytes);
        cJSON_Delete(counted);
    }
}

static const test_case cases[] = {
    {"a_group_is_measured_refused_or_explained", a_group_is_measured_refused_or_explained},
    {"a_groups_file_is_looked_for", a_groups_file_is_looked_for},
    {"a_groups_metrics_are_in_the_results", a_groups_metrics_are_in_the_results},
    {"a_bench_refuses_a_wrong_group_and_does_without_access", a_bench_refuses_a_wrong_group_and_does_without_access},
    {"what_is_no_source_is_refused_in_one_line", what_is_no_source_is_refused_in_one_line},
    {"counters_are_read_as_written", counters_are_read_as_written},
    {"moves_are_told_by_the_kernels_files", moves_are_told_by_the_kernels_files},
    {"this_machine_says_where_it_looks", this_machine_says_where_it_looks},
    {"frequent_moves_are_warned_of", frequent_moves_are_warned_of},
    {"a_tokens_weight_bytes_are_the_models", a_tokens_weight_bytes_are_the_models},
    {"cache_bytes_are_those_of_the_rows", cache_bytes_are_those_of_the_rows},
    {"chunks_are_calls_of_their_own", chunks_are_calls_of_their_own},
    {"classes_add_up", classes_add_up},
    {"counted_bytes_name_their_source", counted_bytes_name_their_source},
};
TEST_SUITE(counters, cases);
