/* test_bench.c - whole benches on a small suite: what is in the results, what a dying worker costs, and that a bench that
 * was killed anywhere goes on without losing or repeating a measurement. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness/report/schema.h"
#include "harness/sha256.h"
#include "harness/tests/bench_fixture.h"
#include "harness/tests/program.h"
#include "harness/tests/suite_fixture.h"
#include "harness/worker/bench.h"
#include "optimizer/atomic_file.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

enum { SLOTS = 6, ROUNDS = 3 };

/* ---- running ---------------------------------------------------------------------------------------------------- */

/* As the first bench measured it: that takes longer than the small suite itself. NULL before. */
static cJSON *measured_machine;

/* The prefill half of the small suite: one block of SLOTS workers. */
static bench_options small_bench(const char *suite_path, const char *folder)
{
    static char name[] = "bench";
    static char *arguments[] = {name, NULL};
    bench_options o = {.suite_path = suite_path, .directory = folder, .argc = 1, .argv = arguments};
    o.machine = measured_machine;
    o.filter.only = "prefill";
    return o;
}

static size_t count_cases(const cJSON *results, const char *status)
{
    size_t n = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, json_find(results, "cases")) n += strcmp(bench_text(item, "status"), status) == 0;
    return n;
}

static int sample_count(const cJSON *item)
{
    return cJSON_GetArraySize(json_find(json_find(item, "latency_s"), "samples"));
}

/* ---- a bench ---------------------------------------------------------------------------------------------------- */

static void check_case(const cJSON *item)
{
    const char *id = bench_text(item, "id");
    const cJSON *memory = json_find(item, "memory_bytes"), *accuracy = json_find(item, "accuracy");
    const cJSON *peak = json_find(memory, "peak_rss"), *total = json_find(memory, "total");
    const cJSON *ceiling = json_find(item, "ceiling_tokens_per_s");
    CHECK(strcmp(bench_text(item, "status"), "ok") == 0, "%s: %s", id, bench_text(item, "reason"));
    CHECK(sample_count(item) == ROUNDS, "%s has %d samples", id, sample_count(item));
    CHECK(cJSON_IsTrue(json_find(item, "outputs_match")), "%s: the timed output is another", id);
    CHECK(strlen(bench_text(item, "output_sha256")) == 64, "%s: no digest", id);
    CHECK(cJSON_IsNumber(peak) && cJSON_IsNumber(total) && peak->valuedouble > total->valuedouble, "%s: memory", id);
    const cJSON *steady = json_find(memory, "after_load"), *seen = json_find(json_find(steady, "kernel"), "rss");
    CHECK(json_number(steady, "weights") == json_number(memory, "weights") &&
              json_number(steady, "total") <= json_number(memory, "total"),
          "%s: after loading %g bytes, later %g", id, json_number(steady, "total"), json_number(memory, "total"));
    CHECK(cJSON_IsNumber(seen) && seen->valuedouble > 0 && seen->valuedouble <= peak->valuedouble,
          "%s: the kernel saw %g bytes after loading", id, json_number(json_find(steady, "kernel"), "rss"));
    CHECK(json_find(steady, "needed") == NULL, "%s: a plan after loading", id);
    /* What was planned before loading is what there is then; a library's copies of weights are its own. */
    const cJSON *needed = json_find(memory, "needed"), *baseline = json_find(json_find(item, "variant"), "baseline");
    const bool library = cJSON_IsString(baseline) && strncmp(baseline->valuestring, "o", 1) == 0;
    CHECK(cJSON_IsNumber(needed) && (library || needed->valuedouble == total->valuedouble), "%s: planned %g, found %g",
          id, needed->valuedouble, total->valuedouble);
    CHECK(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(item, "prefix_cache")), "%s: a cache of prefixes", id);
    CHECK(cJSON_IsNumber(ceiling) && ceiling->valuedouble > 0, "%s: no ceiling", id);
    CHECK(cJSON_IsTrue(json_find(accuracy, "finite")), "%s: no accuracy", id);
}

/* The A/A twin does what tuned does, as often. */
static void check_twins(const cJSON *block)
{
    const cJSON *iterations = json_find(block, "iterations"), *item = NULL;
    cJSON_ArrayForEach(item, iterations)
    {
        char twin[256];
        snprintf(twin, sizeof twin, "%s#again", item->string);
        const cJSON *again = json_find(iterations, twin);
        CHECK(item->valuedouble >= 1, "%s: no iterations", item->string);
        if (again != NULL) CHECK(again->valuedouble == item->valuedouble, "%s: other iterations", twin);
    }
}

static void check_checkpoint(const cJSON *checkpoint)
{
    static const char *const expected[] = {"config.json", "model.safetensors", "streams.safetensors"};
    const cJSON *files = json_find(checkpoint, "files");
    CHECK(strcmp(bench_text(checkpoint, "name"), "deepseek-v3-tiny") == 0, "checkpoint \"%s\"",
          bench_text(checkpoint, "name"));
    CHECK(cJSON_GetArraySize(files) == 3, "%d files", cJSON_GetArraySize(files));
    for (int i = 0; i < 3; i++) {
        char path[128];
        sha256_hex digest = {""};
        const cJSON *file = cJSON_GetArrayItem(files, i);
        snprintf(path, sizeof path, "datasets/deepseek-v3-tiny/%s", expected[i]);
        CHECK(sha256_file(path, &digest) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(strcmp(bench_text(file, "file"), expected[i]) == 0 &&
                  strcmp(bench_text(file, "sha256"), digest.text) == 0,
              "%s: %s", bench_text(file, "file"), bench_text(file, "sha256"));
        CHECK(strcmp(bench_text(file, "covers"), "file") == 0, "%s covers %s", expected[i], bench_text(file, "covers"));
    }
}

static void a_bench_leaves_results_that_fit_the_schema(void)
{
    char *folder = temporary_folder(), *path = write_suite(folder, "small.json", NULL, NULL),
         *out = bench_path(folder, "out");
    bench_options options = small_bench(path, out);
    options.filter.only = NULL;
    CHECK(bench_quietly(&options) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON *results = bench_results(out);
    CHECK(schema_check_results(results, "results.json") == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(cJSON_IsTrue(json_find(results, "complete")), "it is not complete");
    CHECK(count_cases(results, "ok") == (size_t)cJSON_GetArraySize(json_find(results, "cases")), "a case is missing");
    CHECK(count_cases(results, "ok") == 2 * SLOTS, "%zu cases", count_cases(results, "ok"));
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, json_find(results, "cases")) check_case(item);
    /* The reference is the naive baseline's own code: a prefill reproduces it exactly. */
    const cJSON *naive = json_find(bench_case_of(results, "prefill8@0/b1/t1/fp16+c"), "accuracy");
    const cJSON *error = json_find(naive, "max_abs_error");
    CHECK(cJSON_IsNumber(error) && error->valuedouble == 0, "naive differs from the reference");
    CHECK(bench_case_of(results, "#again") != NULL, "no twin");
    check_checkpoint(cJSON_GetArrayItem(json_find(results, "checkpoints"), 0));
    if (measured_machine == NULL) measured_machine = cJSON_Duplicate(json_find(results, "machine"), 1);
    cJSON_ArrayForEach(item, json_find(results, "blocks")) check_twins(item);
    cJSON_Delete(results);
    char *journal = bench_path(out, "journal.jsonl"), *left = bench_path(out, "reference-0.f32");
    CHECK(access(journal, F_OK) == 0 && access(left, F_OK) != 0, "the reference's logits were left behind");
    free(journal);
    free(left);
    CHECK(bench_quietly(&options) == CIUIC_ERROR_USAGE, "a second bench in the same folder");
    remove_folder(out);
    free(path);
    remove_folder(folder);
}

static void a_worker_that_fails_costs_one_case(void)
{
    static const struct {
        const char *fault, *reason;
    } rows[] = {
        /* Two trials come first; then three rounds. */
        {"sigkill@load", "killed by signal 9"},    {"sigill@measure:4", "killed by signal 4"},
        {"nan@measure:4", "not a number above 0"}, {"junk@accuracy", "no answer"},
        {"exit@finish", "ended with status 7"},    {"wrong@measure:4", "wrong output"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *folder = temporary_folder(), *path = write_suite(folder, "small.json", NULL, NULL);
        char *out = bench_path(folder, "out");
        bench_options options = small_bench(path, out);
        options.fault_only = "int8+graph+memory+c";
        options.fault = rows[i].fault;
        CHECK(bench_quietly(&options) == CIUIC_OK, "%s: %s", rows[i].fault, ciuic_last_error());
        cJSON *results = bench_results(out);
        const cJSON *failed = bench_case_of(results, "int8+graph+memory+c");
        CHECK(schema_check_results(results, "results.json") == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(count_cases(results, "failed") == 1 && count_cases(results, "ok") == SLOTS - 1, "%s: %zu failed, %zu ok",
              rows[i].fault, count_cases(results, "failed"), count_cases(results, "ok"));
        CHECK(strcmp(bench_text(failed, "status"), "failed") == 0 &&
                  strstr(bench_text(failed, "reason"), rows[i].reason) != NULL,
              "%s: %s", rows[i].fault, bench_text(failed, "reason"));
        CHECK(cJSON_IsTrue(json_find(results, "complete")), "%s: it is not complete", rows[i].fault);
        const bool wrong = strncmp(rows[i].fault, "wrong", 5) == 0;
        CHECK(cJSON_IsFalse(json_find(failed, "outputs_match")) == wrong, "%s: outputs_match", rows[i].fault);
        cJSON_Delete(results);
        remove_folder(out);
        free(path);
        remove_folder(folder);
    }
}

static void no_measurement_at_all_is_a_failure(void)
{
    char *folder = temporary_folder(), *path = write_suite(folder, "small.json", NULL, NULL),
         *out = bench_path(folder, "out");
    bench_options options = small_bench(path, out);
    options.fault_only = "/";
    options.fault = "exit@load";
    CHECK(bench_quietly(&options) == CIUIC_ERROR_UNSUPPORTED, "it succeeded");
    CHECK(strstr(ciuic_last_error(), "not one case was measured") != NULL, "%s", ciuic_last_error());
    cJSON *results = bench_results(out);
    CHECK(schema_check_results(results, "results.json") == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(count_cases(results, "failed") == SLOTS, "%zu failed", count_cases(results, "failed"));
    cJSON_Delete(results);
    remove_folder(out);
    free(path);
    remove_folder(folder);
}

/* `bytes` bytes of a file of the test checkpoint into a folder, all when SIZE_MAX. */
static void copy_part(const char *name, const char *folder, size_t bytes)
{
    char *from = bench_path("datasets/deepseek-v3-tiny", name), *to = bench_path(folder, name);
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    CHECK(in != NULL && out != NULL, "%s cannot be copied", name);
    for (int c = 0; in != NULL && out != NULL && bytes > 0 && (c = fgetc(in)) != EOF; bytes--) fputc(c, out);
    if (in != NULL) fclose(in);
    if (out != NULL) fclose(out);
    free(from);
    free(to);
}

/* A copy of the test checkpoint beside a suite in `folder`, the weights cut at `bytes`; and the suite. */
static char *copied_checkpoint(const char *folder, size_t bytes, char **suite_path)
{
    char *copy = bench_path(folder, "deepseek-v3-tiny");
    CHECK(mkdir(copy, 0777) == 0, "%s cannot be made", copy);
    copy_part("config.json", copy, SIZE_MAX);
    copy_part("streams.safetensors", copy, SIZE_MAX);
    copy_part("model.safetensors", copy, bytes);
    *suite_path = write_suite(folder, "small.json", "@ROOT@/datasets/deepseek-v3-tiny", "deepseek-v3-tiny");
    return copy;
}

static void a_checkpoint_that_is_not_sound_is_refused_first(void)
{
    char *folder = temporary_folder(), *path = NULL, *out = bench_path(folder, "out");
    char *copy = copied_checkpoint(folder, 1000000, &path);
    bench_options options = small_bench(path, out);
    CHECK(bench_quietly(&options) == CIUIC_ERROR_INPUT, "it was accepted");
    CHECK(strstr(ciuic_last_error(), "model.safetensors") != NULL, "%s", ciuic_last_error());
    CHECK(access(out, F_OK) != 0, "something was written");
    free(out);
    free(path);
    remove_folder(copy);
    remove_folder(folder);
}

/* ---- going on --------------------------------------------------------------------------------------------------- */

/* Everything about a case that does not depend on the clock is the same. */
static void check_same_facts(const cJSON *before, const cJSON *after, size_t cut)
{
    static const char *const facts[] = {"status",       "variant",        "workload",      "threads",
                                        "block",        "accuracy",       "output_sha256", "outputs_match",
                                        "weight_bytes", "bits_per_weight"};
    const cJSON *item = NULL;
    CHECK(cJSON_GetArraySize(json_find(before, "cases")) == cJSON_GetArraySize(json_find(after, "cases")), "cases");
    cJSON_ArrayForEach(item, json_find(before, "cases"))
    {
        const cJSON *other = bench_case_of(after, bench_text(item, "id"));
        for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
            CHECK(cJSON_Compare(json_find(item, facts[i]), json_find(other, facts[i]), true), "cut at %zu: %s of %s",
                  cut, facts[i], bench_text(item, "id"));
        CHECK(sample_count(other) >= ROUNDS, "cut at %zu: %d samples of %s", cut, sample_count(other),
              bench_text(item, "id"));
    }
}

/* Under a limit of everything a case that needs more fails by what it needs, before it is loaded; the others run, and are
 * compared with a reference that need not fit itself. */
static void a_limit_of_everything_refuses_by_name(void)
{
    char *folder = temporary_folder(), *out = bench_path(folder, "out");
    char *path = write_suite(folder, "limited.json", "\"memory_bytes\": 1073741824}",
                             "\"total_bytes\": 32000000}, \"cold_start\": true");
    bench_options options = small_bench(path, out);
    options.filter.only = "prefill8@0/b1/t1/int8+graph+memory";
    /* The suite's own claims are about vector kernels, and this one has none: the user's take their place. */
    char *claims = bench_path(folder, "claims.json");
    static const char own[] =
        "[{\"id\": \"fits\", \"question\": \"q\", \"sentence\": \"s\", \"source\": \"t\", \"metric\": "
        "\"memory_of_limit\", \"max\": 1, \"phases\": [\"prefill\"], \"variant\": {}, \"baselines\": "
        "[\"naive\", \"tuned\"]}]";
    CHECK(atomic_file_write(claims, own, sizeof own - 1) == CIUIC_OK, "%s", ciuic_last_error());
    options.claims = claims;
    CHECK(bench_quietly(&options) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON *results = bench_results(out);
    const cJSON *item = NULL;
    size_t fitting = 0, refused = 0;
    cJSON_ArrayForEach(item, json_find(results, "cases"))
    {
        const bool ok = strcmp(bench_text(item, "status"), "ok") == 0;
        fitting +=
            ok && cJSON_IsObject(json_find(item, "accuracy")) && json_is_number(json_find(item, "first_token_s"));
        refused += !ok && strstr(bench_text(item, "reason"), "needs") != NULL &&
                   strstr(bench_text(item, "reason"), "limit") != NULL &&
                   json_number(json_find(item, "refused"), "limit_bytes") == 32000000 &&
                   json_number(json_find(item, "refused"), "needed_bytes") > 32000000;
    }
    CHECK(fitting == 3, "%zu cases fit: tuned, its twin, int8 with memory on", fitting);
    CHECK(refused == 2, "%zu cases were refused: naive and openblas", refused);
    const cJSON *limit = json_find(json_find(results, "limits"), "total_bytes");
    CHECK(json_is_number(limit) && limit->valuedouble == 32000000, "the limit is not recorded");
    /* The claim about the limit is judged: naive exceeds it, and tuned does not. */
    size_t held = 0, not_exceeded = 0;
    cJSON_ArrayForEach(item, json_find(results, "verdicts"))
    {
        CHECK(strcmp(bench_text(item, "claim"), "fits") == 0, "%s was judged", bench_text(item, "claim"));
        held +=
            strcmp(bench_text(item, "baseline"), "naive") == 0 && strcmp(bench_text(item, "verdict"), "supported") == 0;
        not_exceeded += strcmp(bench_text(item, "baseline"), "tuned") == 0 &&
                        strcmp(bench_text(item, "verdict"), "inconclusive") == 0;
    }
    CHECK(held == 1 && not_exceeded == 1, "supported against naive: %zu, undecided against tuned: %zu", held,
          not_exceeded);
    cJSON_Delete(results);
    remove_folder(out);
    free(claims);
    free(path);
    remove_folder(folder);
}

/* Puts the first `cut` bytes of a journal into a folder of its own and goes on from there. */
static void resume_from(const char *suite_path, const char *folder, const char *journal, size_t cut,
                        const cJSON *expected)
{
    char *out = bench_path(folder, "cut");
    char *path = bench_path(out, "journal.jsonl");
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fwrite(journal, 1, cut, file) == cut, "%s cannot be written", path);
    if (file != NULL) fclose(file);
    bench_options options = small_bench(suite_path, out);
    options.resume = true;
    CHECK(bench_quietly(&options) == CIUIC_OK, "cut at %zu: %s", cut, ciuic_last_error());
    cJSON *results = bench_results(out);
    check_same_facts(expected, results, cut);
    char *after = read_text(path);
    size_t whole = cut;
    while (whole > 0 && journal[whole - 1] != '\n') whole--;
    CHECK(after != NULL && strncmp(after, journal, whole) == 0, "cut at %zu: what was written has changed", cut);
    /* Nothing finished is repeated: one accuracy a case, and not one round more than were wanted. */
    CHECK(bench_count_kind(after, "accuracy") == SLOTS - 1, "cut at %zu: %zu accuracies", cut,
          bench_count_kind(after, "accuracy"));
    CHECK(bench_count_kind(after, "round") == ROUNDS, "cut at %zu: %zu rounds", cut, bench_count_kind(after, "round"));
    CHECK(bench_count_kind(after, "done") == 1, "cut at %zu: the block is done twice", cut);
    free(after);
    cJSON_Delete(results);
    unlink(path);
    free(path);
    free(out);
}

/* The end of the n-th line of this kind, counted from 1. */
static size_t end_of_line(const char *journal, const char *kind, int n)
{
    const char *at = journal;
    char *mark = NULL;
    if (asprintf(&mark, "{\"kind\":\"%s\"", kind) < 0) return 0;
    for (int i = 0; i < n && at != NULL; i++) at = strstr(i > 0 ? at + 1 : at, mark);
    free(mark);
    return at != NULL ? (size_t)(strchr(at, '\n') - journal) + 1 : 0;
}

static void a_cut_bench_goes_on_where_it_was(void)
{
    static const struct {
        const char *kind;
        int n;
        size_t beyond; /* bytes of the line after it that were written too */
    } cuts[] = {
        {"run", 1, 0},      {"start", 1, 5},  {"loaded", 2, 0}, {"accuracy", 3, 40},
        {"plan", 1, 0},     {"sample", 4, 0}, {"round", 1, 17}, {"sample", 2 * SLOTS + 1, 0},
        {"finished", 2, 0}, {"done", 1, 0},
    };
    char *folder = temporary_folder(), *path = write_suite(folder, "small.json", NULL, NULL);
    char *out = bench_path(folder, "cut"), *journal_path = bench_path(out, "journal.jsonl"),
         *result_path = bench_path(out, "results.json");
    bench_options options = small_bench(path, out);
    CHECK(bench_quietly(&options) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON *expected = bench_results(out);
    char *journal = read_text(journal_path);
    CHECK(journal != NULL && bench_count_kind(journal, "sample") == ROUNDS * SLOTS, "the journal lacks samples");
    for (size_t i = 0; journal != NULL && i < sizeof cuts / sizeof cuts[0]; i++) {
        const size_t end = end_of_line(journal, cuts[i].kind, cuts[i].n);
        CHECK(end > 0, "no %s number %d", cuts[i].kind, cuts[i].n);
        unlink(result_path);
        if (end > 0) resume_from(path, folder, journal, end + cuts[i].beyond, expected);
    }
    free(journal);
    cJSON_Delete(expected);
    free(journal_path);
    free(result_path);
    remove_folder(out);
    free(path);
    remove_folder(folder);
}

/* One weight, by one bit. */
static void change_weights(const char *checkpoint)
{
    char *path = bench_path(checkpoint, "model.safetensors");
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL && fseek(file, -2, SEEK_END) == 0, "%s cannot be changed", path);
    const int byte = file != NULL ? fgetc(file) : EOF;
    if (file != NULL) {
        CHECK(fseek(file, -2, SEEK_END) == 0 && fputc(byte ^ 1, file) != EOF, "%s cannot be changed", path);
        fclose(file);
    }
    free(path);
}

static void another_bench_is_not_gone_on_with(void)
{
    char *folder = temporary_folder(), *path = NULL, *copy = copied_checkpoint(folder, SIZE_MAX, &path);
    char *other = write_suite(folder, "other.json", "\"seed\": 7", "\"seed\": 8"), *out = bench_path(folder, "out");
    bench_options first = small_bench(path, out);
    CHECK(bench_quietly(&first) == CIUIC_OK, "%s", ciuic_last_error());
    bench_options seed = first, suite_file = first, matrix = first, rounds = first, machine = first, weights = first;
    cJSON *other_machine = cJSON_Duplicate(measured_machine, 1);
    cJSON_ReplaceItemInObjectCaseSensitive(other_machine, "cpu", cJSON_CreateString("Z80"));
    machine.machine = other_machine;
    seed.seed_given = true, seed.seed = 9;
    suite_file.suite_path = other;
    matrix.filter.only = "prefill8@0/b1/t1/int8+graph+c";
    rounds.rounds = 2;
    const struct {
        bench_options *options;
        const char *says;
    } rows[] = {
        {&seed, "--seed"},     {&suite_file, "suite file has changed"}, {&matrix, "--only"},
        {&rounds, "--rounds"}, {&machine, "another machine"},           {&weights, "checkpoint's files have changed"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rows[i].options->resume = true;
        if (rows[i].options == &weights) change_weights(copy);
        const ciuic_status status = bench_quietly(rows[i].options);
        CHECK(status == CIUIC_ERROR_USAGE && strstr(ciuic_last_error(), rows[i].says) != NULL, "row %zu: status %d: %s",
              i, (int)status, ciuic_last_error());
    }
    cJSON_Delete(other_machine);
    remove_folder(copy);
    free(other);
    remove_folder(out);
    free(path);
    remove_folder(folder);
}

/* ---- killed from outside ---------------------------------------------------------------------------------------- */

static size_t lines_in(const char *path)
{
    char *journal = read_text(path);
    const size_t n = journal != NULL ? count_lines(journal) : 0;
    free(journal);
    return n;
}

static void wait_for_lines(const char *path, size_t lines)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    for (int i = 0; i < 20000 && lines_in(path) < lines; i++) nanosleep(&pause, NULL);
    CHECK(lines_in(path) >= lines, "the journal does not grow");
}

static void a_signal_from_outside_loses_nothing(void)
{
    static const struct {
        int number, status;
        bool results;
    } rows[] = {{SIGKILL, 128 + SIGKILL, false},
                {SIGINT, CIUIC_ERROR_INTERRUPTED, true},
                {SIGTERM, CIUIC_ERROR_INTERRUPTED, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *folder = temporary_folder(), *path = write_suite(folder, "small.json", "\"rounds\": 3", "\"rounds\": 40");
        char *out = bench_path(folder, "out"), *journal = bench_path(out, "journal.jsonl"),
             *result = bench_path(out, "results.json");
        const char *const begin[] = {"bench", path, "-o", out, "--only", "prefill", "--rounds", "40", NULL};
        const char *const go_on[] = {"bench", path, "-o", out, "--only", "prefill", "--rounds", "40", "--resume", NULL};
        program_process process = program_start(begin, NULL);
        wait_for_lines(journal, 8);
        kill(process.pid, rows[i].number);
        program_run cut = program_wait(&process);
        CHECK(cut.status == rows[i].status, "signal %d: status %d: %s", rows[i].number, cut.status, cut.err);
        CHECK((access(result, F_OK) == 0) == rows[i].results, "signal %d: results.json", rows[i].number);
        if (rows[i].results) {
            CHECK(strstr(cut.err, "--resume") != NULL, "no advice in: %s", cut.err);
            cJSON *results = bench_results(out);
            CHECK(cJSON_IsFalse(json_find(results, "complete")), "it claims to be complete");
            CHECK(schema_check_results(results, "results.json") == CIUIC_OK, "%s", ciuic_last_error());
            cJSON_Delete(results);
        }
        program_run_free(&cut);
        program_run done = program(go_on, NULL);
        CHECK(done.status == 0 && strstr(done.out, "ciuic report") != NULL, "status %d: %s", done.status, done.err);
        CHECK(done.err[0] == '\0', "progress although stderr is no terminal: %s", done.err);
        program_run_free(&done);
        cJSON *results = bench_results(out);
        CHECK(cJSON_IsTrue(json_find(results, "complete")) && count_cases(results, "ok") == SLOTS, "not all is there");
        CHECK(cJSON_GetArraySize(json_find(results, "resumed")) == 1, "that it was resumed is not recorded");
        cJSON_Delete(results);
        free(journal);
        free(result);
        remove_folder(out);
        free(path);
        remove_folder(folder);
    }
}

/* No rounds: errors and bytes of every case, no time of any, and a worker that dies costs its own case only. */
static void without_rounds_there_are_errors_and_bytes(void)
{
    char *folder = temporary_folder(), *out = bench_path(folder, "out");
    char *path = write_suite(folder, "untimed.json", "\"rounds\": 3,\n  \"min_rounds\": 3", "\"rounds\": 0");
    bench_options o = small_bench(path, out);
    o.fault_only = "int8+graph+memory";
    o.fault = "sigkill@accuracy";
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON *results = bench_results(out);
    CHECK(schema_check_results(results, path) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(cJSON_IsFalse(json_find(results, "timed")), "it does not say that nothing was timed");
    CHECK(count_cases(results, "ok") == 4 && count_cases(results, "failed") == 1, "%zu ok", count_cases(results, "ok"));
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, json_find(results, "cases"))
    {
        const char *id = bench_text(item, "id");
        CHECK(strstr(id, "#again") == NULL && json_find(item, "latency_s") == NULL, "%s was timed", id);
        CHECK(json_find(item, "outputs_match") == NULL, "%s: nothing was timed that could match", id);
        if (strstr(id, "int8+graph+memory") != NULL) {
            CHECK(strstr(bench_text(item, "reason"), "signal 9") != NULL, "%s: %s", id, bench_text(item, "reason"));
            continue;
        }
        const cJSON *kl = json_find(json_find(item, "accuracy"), "kl"), *bits = json_find(item, "bits_per_weight");
        CHECK(cJSON_IsNumber(kl) && cJSON_IsNumber(bits) && json_find(item, "ceiling") == NULL, "%s: no error", id);
    }
    const cJSON *int8 = json_find(bench_case_of(results, "/int8+graph+c"), "variant");
    CHECK(strcmp(bench_text(int8, "quantizer"), "rtn") == 0 && strcmp(bench_text(int8, "activations"), "int8") == 0,
          "no quantizer");
    const cJSON *group = json_find(int8, "group");
    CHECK(cJSON_IsNumber(group) && group->valuedouble == 32, "no group");
    cJSON_Delete(results);
    remove_folder(out);
    free(path);
    remove_folder(folder);
}

/* Where portable C would not end, a suite says so, and errors are left out with the reason. */
static void without_a_reference_there_are_times_and_bytes(void)
{
    char *folder = temporary_folder(), *out = bench_path(folder, "out");
    char *path = write_suite(folder, "unreferred.json", "\"windows\": 1, \"tokens\": 8",
                             "\"windows\": 0, \"tokens\": 8, \"reference\": false");
    bench_options o = small_bench(path, out);
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON *results = bench_results(out);
    CHECK(schema_check_results(results, path) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(count_cases(results, "ok") == (size_t)cJSON_GetArraySize(json_find(results, "cases")), "a case is missing");
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, json_find(results, "cases"))
    {
        const char *id = bench_text(item, "id");
        CHECK(json_find(item, "accuracy") == NULL && json_find(item, "latency_s") != NULL, "%s: an error", id);
        CHECK(strstr(bench_text(item, "accuracy_reason"), "no reference") != NULL, "%s: no reason", id);
    }
    cJSON_ArrayForEach(item, json_find(results, "verdicts")) CHECK(
        strstr(bench_text(item, "metric"), "error") == NULL && strstr(bench_text(item, "metric"), "perplexity") == NULL,
        "%s was judged", bench_text(item, "claim"));
    cJSON_Delete(results);
    free(path);
    free(out);
    remove_folder(folder);
}

static const test_case cases[] = {
    {"a_limit_of_everything_refuses_by_name", a_limit_of_everything_refuses_by_name},
    {"without_rounds_there_are_errors_and_bytes", without_rounds_there_are_errors_and_bytes},
    {"without_a_reference_there_are_times_and_bytes", without_a_reference_there_are_times_and_bytes},
    {"a_bench_leaves_results_that_fit_the_schema", a_bench_leaves_results_that_fit_the_schema},
    {"a_worker_that_fails_costs_one_case", a_worker_that_fails_costs_one_case},
    {"no_measurement_at_all_is_a_failure", no_measurement_at_all_is_a_failure},
    {"a_checkpoint_that_is_not_sound_is_refused_first", a_checkpoint_that_is_not_sound_is_refused_first},
    {"a_cut_bench_goes_on_where_it_was", a_cut_bench_goes_on_where_it_was},
    {"another_bench_is_not_gone_on_with", another_bench_is_not_gone_on_with},
    {"a_signal_from_outside_loses_nothing", a_signal_from_outside_loses_nothing},
};
TEST_SUITE(bench, cases);
