/* bench.c - see bench.h. */
#include "harness/worker/bench.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/judge/claims.h"
#include "harness/judge/content_digest.h"
#include "harness/judge/judge.h"
#include "harness/measure/likwid_bench.h"
#include "harness/measure/machine.h"
#include "harness/monotonic_clock.h"
#include "harness/report/gbench_json.h"
#include "harness/suite/assemble.h"
#include "harness/suite/checkpoint_digest.h"
#include "harness/suite/suite_lists.h"
#include "harness/worker/block.h"
#include "harness/worker/limit_search.h"
#include "harness/worker/packed_folders.h"
#include "harness/worker/process.h"
#include "optimizer/atomic_file.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

/* ---- entries ---------------------------------------------------------------------------------------------------- */

double bench_elapsed_s(const bench *b)
{
    return monotonic_s() - b->started_s;
}

cJSON *bench_entry(const char *kind)
{
    cJSON *entry = cJSON_CreateObject();
    if (entry != NULL) cJSON_AddStringToObject(entry, "kind", kind);
    return entry;
}

/* The object as a reader of its text sees it: numbers that were added as exact text are numbers there. */
static ciuic_status as_read_back(const cJSON *object, cJSON **out)
{
    char *text = cJSON_PrintUnformatted(object);
    if (text == NULL) return ciuic_fail_memory("a copy of an object", 0);
    const ciuic_status status = json_parse(text, strlen(text), "this program's own output", out);
    cJSON_free(text);
    return status;
}

ciuic_status bench_note(bench *b, cJSON *entry)
{
    if (entry == NULL) return ciuic_fail_memory("a journal entry", 0);
    cJSON *read_back = NULL;
    json_add_double(entry, "t", bench_elapsed_s(b));
    ciuic_status status = journal_append(b->journal, entry);
    b->disk_full = status == CIUIC_ERROR_INTERRUPTED;
    if (status == CIUIC_OK) status = as_read_back(entry, &read_back);
    if (status == CIUIC_OK) status = record_apply(b->record, read_back);
    cJSON_Delete(read_back);
    cJSON_Delete(entry);
    return status;
}

/* ---- beginning, or going on ------------------------------------------------------------------------------------- */

static void add_command(cJSON *entry, const bench_options *o)
{
    cJSON *command = cJSON_AddArrayToObject(entry, "command");
    for (int i = 0; i < o->argc; i++) cJSON_AddItemToArray(command, cJSON_CreateString(o->argv[i]));
}

/* The first entry: what a journal has to agree on for a bench to go on with it. */
static cJSON *run_entry(const bench *b, const char *program)
{
    char now[32];
    const cJSON *cpu = json_find(b->machine, "cpu");
    cJSON *entry = bench_entry("run");
    if (entry == NULL) return NULL;
    format_time(now);
    cJSON_AddStringToObject(entry, "suite_file", b->suite->file);
    cJSON_AddStringToObject(entry, "suite_sha256", b->suite->sha256.text);
    cJSON_AddStringToObject(entry, "matrix_sha256", b->matrix->sha256.text);
    cJSON_AddStringToObject(entry, "program_sha256", program);
    cJSON_AddItemToObject(entry, "checkpoints", cJSON_Duplicate(b->checkpoints, 1));
    cJSON_AddStringToObject(entry, "cpu", cJSON_IsString(cpu) ? cpu->valuestring : "unknown");
    json_add_size(entry, "seed", b->suite->seed);
    json_add_size(entry, "max_rounds", b->options->rounds);
    json_add_double(entry, "precision", b->suite->precision);
    char whose[SUITE_GROUP_MAX + 8];
    suite_counters_text(b->suite, whose);
    cJSON_AddStringToObject(entry, "counters", whose);
    cJSON_AddStringToObject(entry, "started", now);
    add_command(entry, b->options);
    return entry;
}

static ciuic_status check_same(const cJSON *before, const cJSON *now, const char *directory)
{
    static const struct {
        const char *key, *what;
    } checks[] = {
        {"suite_sha256", "the suite file has changed"},
        {"program_sha256", "this is another build of the program"},
        {"checkpoints", "a checkpoint's files have changed"},
        {"cpu", "this is another machine"},
        {"seed", "--seed is another"},
        {"max_rounds", "--rounds is another"},
        {"precision", "--precision is another"},
        {"counters", "--counters is another"},
        {"matrix_sha256", "--only, --isa, --threads, CIUIC_ISA or the machine's cores are other"},
    };
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (!cJSON_Compare(json_find(before, checks[i].key), json_find(now, checks[i].key), true))
            return ciuic_fail(
                CIUIC_ERROR_USAGE,
                "%s: --resume cannot go on with this journal: %s; make it the same again, or start afresh "
                "with another -o",
                directory, checks[i].what);
    return CIUIC_OK;
}

/* It takes seconds, which a suite that times nothing, or not for long, has no use for. */
static ciuic_status cross_check(const bench *b, cJSON *machine)
{
    const double least_budget_s = 30;
    if (b->suite->rounds == 0 || b->suite->time_budget_s < least_budget_s) return CIUIC_OK;
    return machine_cross_check(machine, machine_threads(), CROSS_CHECK_WIDEST);
}

/* Of the workers that have finished, the one whose threads were moved most often. */
static bool warn_of_moves(const bench *b, cJSON *machine)
{
    const cJSON *worst = NULL;
    char id[SLOT_ID_MAX] = "";
    for (size_t i = 0; i < b->matrix->block_count; i++)
        for (size_t k = 0; k < b->matrix->blocks[i].slot_count; k++) {
            const cJSON *read = json_find(b->record->blocks[i].slots[k].finished, "counters");
            const cJSON *moves = json_find(json_find(read, "software"), "migrations");
            const double rate = json_number(moves, "per_cpu_second"), most = json_number(worst, "per_cpu_second");
            if (isnan(rate) || rate <= most) continue;
            worst = moves;
            matrix_slot_id(b->matrix, &b->matrix->blocks[i].slots[k], id);
        }
    return machine_state_warn_moves(id, worst, cJSON_GetObjectItemCaseSensitive(machine, "warnings"));
}

/* At the beginning, and again at the end: the higher figures are the machine's, whatever disturbed the others. What held the
 * machine up is counted since this process began: before a --resume it may have been for others for hours. */
static ciuic_status note_machine(bench *b)
{
    const cJSON *known = b->record->machine;
    progress_step(b->progress, "measuring the machine", bench_elapsed_s(b));
    cJSON *entry = bench_entry("machine"), *machine = cJSON_Duplicate(known != NULL ? known : b->machine, 1);
    ciuic_status status = entry != NULL && machine != NULL ? CIUIC_OK : ciuic_fail_memory("the machine record", 0);
    const bool real = b->options->machine == NULL;
    if (status == CIUIC_OK && real) status = machine_measure(machine, machine_threads());
    if (status == CIUIC_OK && real && known == NULL) status = cross_check(b, machine);
    if (status == CIUIC_OK && real && known != NULL &&
        !(background_load_add(machine, &b->load, "") && machine_state_add_held_up(machine, b->machine, "")))
        status = ciuic_fail_memory("the machine record", 0);
    if (status == CIUIC_OK && known != NULL && !warn_of_moves(b, machine))
        status = ciuic_fail_memory("the machine record", 0);
    if (status != CIUIC_OK) {
        cJSON_Delete(entry);
        cJSON_Delete(machine);
        return status;
    }
    cJSON_AddItemToObject(entry, "machine", machine);
    return bench_note(b, entry);
}

static ciuic_status replay(bench *b, const cJSON *entries, const cJSON *run)
{
    const cJSON *entry = NULL;
    CIUIC_TRY(check_same(cJSON_GetArrayItem(entries, 0), run, b->directory));
    cJSON_ArrayForEach(entry, entries) CIUIC_TRY(record_apply(b->record, entry));
    b->started_s = monotonic_s() - b->record->elapsed_s;
    char now[32];
    format_time(now);
    cJSON *resumed = bench_entry("resume");
    cJSON_AddStringToObject(resumed, "at", now);
    add_command(resumed, b->options);
    return bench_note(b, resumed);
}

static ciuic_status begin(bench *b, const cJSON *entries)
{
    sha256_hex program;
    const cJSON *known = b->options->machine;
    b->machine = known != NULL ? cJSON_Duplicate(known, 1) : machine_describe();
    if (b->machine == NULL) return ciuic_fail_memory("the machine record", 0);
    if (known == NULL)
        cJSON_AddStringToObject(b->machine, "thread_binding", WORKER_OMP_PROC_BIND " " WORKER_OMP_PLACES " in workers");
    CIUIC_TRY(sha256_file("/proc/self/exe", &program));
    cJSON *run = run_entry(b, program.text), *read_back = NULL;
    if (run == NULL) return ciuic_fail_memory("a journal entry", 0);
    if (cJSON_GetArraySize(entries) == 0) {
        CIUIC_TRY(bench_note(b, run));
    } else {
        ciuic_status status = as_read_back(run, &read_back);
        if (status == CIUIC_OK) status = replay(b, entries, read_back);
        cJSON_Delete(read_back);
        cJSON_Delete(run);
        CIUIC_TRY(status);
    }
    if (b->record->machine == NULL) CIUIC_TRY(note_machine(b));
    if (b->suite->counters == SUITE_COUNTERS_SIMULATED) {
        b->support = (counter_support){.reason = "the suite asks for simulated counters"};
        counters_simulated_probe(&b->simulated);
        return CIUIC_OK;
    }
    if (b->suite->counters == SUITE_COUNTERS_GROUP) { /* probed before anything was written */
        if (b->support.source == COUNTERS_NONE) progress_say(b->progress, b->support.reason);
        return CIUIC_OK;
    }
    /* What the workers may count with was probed for the machine record. */
    const cJSON *found = json_find(b->record->machine, "counters");
    const cJSON *source = json_find(found, "source"), *reason = json_find(found, "reason");
    b->support = (counter_support){.source = COUNTERS_NONE};
    for (counter_source s = COUNTERS_PERF_EVENT; s <= COUNTERS_LIKWID; s++)
        if (cJSON_IsString(source) && strcmp(source->valuestring, counter_source_name(s)) == 0) b->support.source = s;
    if (cJSON_IsString(reason)) snprintf(b->support.reason, sizeof b->support.reason, "%s", reason->valuestring);
    return CIUIC_OK;
}

/* ---- ending ----------------------------------------------------------------------------------------------------- */

static void remove_references(const bench *b)
{
    for (size_t w = 0; w < b->suite->workload_count; w++) {
        char *path = NULL;
        if (asprintf(&path, "%s/reference-%zu.f32", b->directory, w) < 0) return;
        unlink(path);
        free(path);
    }
}

static void print_text(const cJSON *summary, const char *key)
{
    const cJSON *text = json_find(summary, key);
    if (cJSON_IsString(text) && text->valuestring[0] != '\0') printf("%s\n", text->valuestring);
}

static size_t count_cases(const cJSON *results, const char *wanted)
{
    size_t n = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, json_find(results, "cases"))
    {
        const cJSON *status = json_find(item, "status");
        n += cJSON_IsString(status) && strcmp(status->valuestring, wanted) == 0;
    }
    return n;
}

static void print_summary(const bench *b, const cJSON *results)
{
    const size_t failed = count_cases(results, "failed"), skipped = count_cases(results, "skipped");
    const cJSON *summary = json_find(results, "summary");
    printf("%zu cases measured", count_cases(results, "ok"));
    if (failed > 0) printf(", %zu failed", failed);
    if (skipped > 0) printf(", %zu skipped", skipped);
    printf(", in %.0f s\n", b->record->elapsed_s);
    print_text(summary, "headline");
    print_text(summary, "joint");
    print_text(summary, "stages");
    printf("results: %s/results.json; next: ciuic report %s\n", b->directory, b->directory);
}

/* Results without a single measurement are a failure, whatever they explain. */
static ciuic_status check_measured(const cJSON *results, const char *path)
{
    const cJSON *first = cJSON_GetArrayItem(json_find(results, "cases"), 0);
    const cJSON *id = json_find(first, "id"), *reason = json_find(first, "reason");
    if (count_cases(results, "ok") > 0) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: not one case was measured; %s: %s", path,
                      cJSON_IsString(id) ? id->valuestring : "the first",
                      cJSON_IsString(reason) ? reason->valuestring : "no reason");
}

/* Of the results as a reader of the file will see them. */
static ciuic_status add_digest(cJSON **results)
{
    cJSON *read_back = NULL;
    CIUIC_TRY(as_read_back(*results, &read_back));
    cJSON_Delete(*results);
    *results = read_back;
    if (!json_exact_numbers(read_back)) return ciuic_fail_memory("the results", 0);
    return content_seal(read_back);
}

/* Everything that results hold is in the journal: a disk without room for them loses nothing. */
static ciuic_status write_file(const char *path, const cJSON *results)
{
    char words[512];
    const ciuic_status status = json_write_file(path, results);
    if (status == CIUIC_OK) return status;
    snprintf(words, sizeof words, "%s", ciuic_last_error());
    if (!journal_no_space(words)) return status;
    return ciuic_fail(CIUIC_ERROR_INTERRUPTED,
                      "%s; the journal has all that was measured: free some space, then go on with --resume", words);
}

static ciuic_status write_gbench(const bench *b, const cJSON *results)
{
    cJSON *rows = NULL;
    if (b->options->gbench_out == NULL) return CIUIC_OK;
    CIUIC_TRY(gbench_json_make(results, &rows));
    const ciuic_status status = write_file(b->options->gbench_out, rows);
    cJSON_Delete(rows);
    return status;
}

static ciuic_status write_results(const bench *b, const cJSON *claims, bool complete)
{
    char *path = NULL;
    if (asprintf(&path, "%s/results.json", b->directory) < 0) return ciuic_fail_memory("a path", strlen(b->directory));
    cJSON *assembled = assemble_results(b->record, claims, complete), *results = NULL;
    ciuic_status status = assembled != NULL ? as_read_back(assembled, &results) : ciuic_fail_memory("the results", 0);
    cJSON_Delete(assembled);
    if (status == CIUIC_OK) status = judge_results(results, claims);
    if (status == CIUIC_OK) status = add_digest(&results);
    if (status == CIUIC_OK) status = write_file(path, results);
    if (status == CIUIC_OK && complete) status = write_gbench(b, results);
    if (status == CIUIC_OK && complete) print_summary(b, results);
    if (status == CIUIC_OK && complete) status = check_measured(results, path);
    cJSON_Delete(results);
    free(path);
    return status;
}

/* Before hours are spent on it: whether the file can be made at all. */
static ciuic_status try_gbench_out(const bench_options *o)
{
    atomic_file file;
    if (o->gbench_out == NULL) return CIUIC_OK;
    CIUIC_TRY(atomic_file_open(o->gbench_out, &file));
    atomic_file_abort(&file);
    return CIUIC_OK;
}

static ciuic_status explain_interruption(const bench *b)
{
    size_t done = 0;
    for (size_t i = 0; i < b->matrix->block_count; i++) done += b->record->blocks[i].done;
    return ciuic_fail(
        CIUIC_ERROR_INTERRUPTED,
        "interrupted after %zu of %zu blocks; what was measured is kept: run the same command with --resume "
        "(-o %s) to go on",
        done, b->matrix->block_count, b->directory);
}

/* When all that is timed is: nothing else runs beside a search, and it disturbs nobody. */
static ciuic_status run_searches(bench *b)
{
    for (size_t i = 0; i < b->matrix->case_count && b->suite->search != SEARCH_NONE; i++)
        if (b->record->cases[i].search == NULL) CIUIC_TRY(limit_search_run(b, i));
    return CIUIC_OK;
}

static ciuic_status run_blocks(bench *b, const cJSON *claims)
{
    ciuic_status status = CIUIC_OK;
    for (size_t i = 0; i < b->matrix->block_count && status == CIUIC_OK; i++)
        if (!b->record->blocks[i].done) status = command_interrupted() ? CIUIC_ERROR_INTERRUPTED : block_run(b, i);
    if (status == CIUIC_OK) status = run_searches(b);
    if (status == CIUIC_OK && b->record->machines < 2) status = note_machine(b); /* not again of a finished bench */
    progress_free(b->progress);
    b->progress = NULL;
    if (status == CIUIC_ERROR_INTERRUPTED && !b->disk_full) {
        CIUIC_TRY(write_results(b, claims, false));
        return explain_interruption(b);
    }
    CIUIC_TRY(status);
    if (!b->options->keep_packed) packed_folders_remove(b);
    remove_references(b); /* made again should they ever be needed; until then there is more room for the results */
    return write_results(b, claims, true);
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static ciuic_status read_inputs(bench *b, char **default_directory, cJSON **claims)
{
    const bench_options *o = b->options;
    CIUIC_TRY(try_gbench_out(o));
    CIUIC_TRY(suite_read(o->suite_path, &b->suite));
    if (o->seed_given) b->suite->seed = o->seed;
    if (o->precision > 0 && b->suite->rounds == 0)
        return ciuic_fail(CIUIC_ERROR_USAGE, "bench: --precision: %s times nothing: its rounds are 0", o->suite_path);
    if (o->precision > 0) b->suite->precision = o->precision;
    if (o->counters != NULL && suite_set_counters(b->suite, "bench", "--counters", o->counters) != CIUIC_OK)
        return CIUIC_ERROR_USAGE;
    if (b->suite->counters == SUITE_COUNTERS_GROUP)
        CIUIC_TRY(counters_probe_group(b->suite->counters_group, &b->support));
    CIUIC_TRY(claims_read(o->claims != NULL ? o->claims : b->suite->claims, claims));
    CIUIC_TRY(checkpoint_digests(b->suite, &b->checkpoints));
    CIUIC_TRY(matrix_expand(b->suite, &o->filter, &b->matrix));
    CIUIC_TRY(record_create(b->suite, b->matrix, &b->record));
    b->packings_seen = calloc(b->matrix->packing_count + 1, sizeof *b->packings_seen);
    if (b->packings_seen == NULL) return ciuic_fail_memory("the packed folders", b->matrix->packing_count);
    if (o->directory == NULL && asprintf(default_directory, "build/bench-%s", b->suite->name) < 0)
        return ciuic_fail_memory("a path", 0);
    b->directory = o->directory != NULL ? o->directory : *default_directory;
    b->progress = progress_create(b->matrix->block_count, b->suite->time_budget_s);
    return b->progress != NULL ? CIUIC_OK : ciuic_fail_memory("the progress line", 0);
}

ciuic_status bench_run(const bench_options *options)
{
    bench b = {.options = options, .started_s = monotonic_s(), .load = background_load_now("")};
    signal(SIGXFSZ, SIG_IGN); /* a file that grows beyond a limit is then an error like a full disk, and no end */
    char *default_directory = NULL;
    cJSON *entries = NULL, *claims = NULL;
    ciuic_status status = read_inputs(&b, &default_directory, &claims);
    if (status == CIUIC_OK) status = journal_open(b.directory, options->resume, &b.journal, &entries);
    if (status == CIUIC_OK) status = begin(&b, entries);
    if (status == CIUIC_OK) status = run_blocks(&b, claims);
    progress_free(b.progress);
    cJSON_Delete(entries);
    cJSON_Delete(claims);
    cJSON_Delete(b.machine);
    cJSON_Delete(b.checkpoints);
    journal_close(b.journal);
    free(b.packings_seen);
    record_free(b.record);
    matrix_free(b.matrix);
    suite_free(b.suite);
    free(default_directory);
    return status;
}
