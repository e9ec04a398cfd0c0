/* test_durability.c - a bench on a full disk, a journal cut between any two of its lines, durations that no clock gives,
 * and results that were edited by hand. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/judge/claims.h"
#include "harness/judge/content_digest.h"
#include "harness/report/report.h"
#include "harness/report/schema.h"
#include "harness/suite/assemble.h"
#include "harness/suite/journal.h"
#include "harness/tests/bench_fixture.h"
#include "harness/tests/program.h"
#include "harness/tests/results_fixture.h"
#include "harness/tests/suite_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static cJSON *machine;

static bench_options small_bench(const char *path, const char *out)
{
    static char name[] = "bench";
    static char *arguments[] = {name, NULL};
    bench_options o = {.suite_path = path, .directory = out, .argc = 1, .argv = arguments, .machine = machine};
    o.filter.only = "prefill";
    return o;
}

static void remove_all(char *folder)
{
    char command[512];
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK(system(command) == 0, "%s", command);
    free(folder);
}

static size_t file_bytes(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (size_t)status.st_size : 0;
}

static cJSON *reread(const cJSON *tree, bool pretty)
{
    char *text = pretty ? cJSON_Print(tree) : cJSON_PrintUnformatted(tree);
    cJSON *out = NULL;
    CHECK(text != NULL && json_parse(text, strlen(text), "results", &out) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON_free(text);
    return out;
}

/* ---- a full disk ------------------------------------------------------------------------------------------------ */

/* The bench in a process whose files may not grow beyond so many bytes; its exit status. */
static int bench_within(const bench_options *o, size_t bytes)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit limit = {bytes, RLIM_INFINITY};
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(99);
        const ciuic_status status = bench_quietly(o);
        _exit(status != CIUIC_OK && strstr(ciuic_last_error(), "--resume") == NULL ? 98 : (int)status);
    }
    int ended = 0;
    if (waitpid(child, &ended, 0) != child || !WIFEXITED(ended)) return -1;
    return WEXITSTATUS(ended);
}

/* Wherever it is that there is no room any more, in the journal, for the reference's logits or for the results, the bench
 * ends as an interrupted one, and goes on when there is. */
static void a_full_disk_is_an_interruption(void)
{
    if (machine == NULL) machine = bench_machine();
    char *folder = temporary_folder(), *path = write_suite(folder, "small.json", NULL, NULL);
    char *whole = bench_path(folder, "whole");
    bench_options o = small_bench(path, whole);
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    char *journal_path = bench_path(whole, "journal.jsonl"), *results_path = bench_path(whole, "results.json");
    const size_t lines = file_bytes(journal_path), results = file_bytes(results_path);
    cJSON *expected = bench_results(whole);
    const size_t samples_expected = (size_t)cJSON_GetArraySize(json_find(expected, "cases"));
    CHECK(lines > 4000 && results > lines + 3000, "%zu bytes of journal, %zu of results", lines, results);
    const size_t limits[] = {300, lines / 3, lines / 2, lines - 200};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        char *out = bench_path(folder, "out"), *journal_out = bench_path(out, "journal.jsonl");
        o = small_bench(path, out);
        const int status = bench_within(&o, limits[i]);
        CHECK(status == CIUIC_ERROR_INTERRUPTED, "%zu bytes: status %d", limits[i], status);
        char *before = read_text(journal_out);
        o.resume = true;
        CHECK(bench_quietly(&o) == CIUIC_OK, "%zu bytes: %s", limits[i], ciuic_last_error());
        char *after = read_text(journal_out);
        CHECK(before != NULL && after != NULL && strncmp(before, after, strlen(before)) == 0, "%zu bytes: lines lost",
              limits[i]);
        CHECK(bench_count_kind(after, "accuracy") == 5 && bench_count_kind(after, "round") == 3 &&
                  bench_count_kind(after, "done") == 1,
              "%zu bytes: something was done twice", limits[i]);
        cJSON *resumed = bench_results(out);
        CHECK(cJSON_IsTrue(json_find(resumed, "complete")), "%zu bytes: not complete", limits[i]);
        const cJSON *item = NULL;
        size_t ok = 0;
        cJSON_ArrayForEach(item, json_find(resumed, "cases"))
        {
            ok += strcmp(bench_text(item, "status"), "ok") == 0;
            CHECK(cJSON_IsObject(json_find(item, "accuracy")), "%zu bytes: %s was never scored", limits[i],
                  bench_text(item, "id"));
        }
        CHECK(ok == samples_expected, "%zu bytes: %zu cases", limits[i], ok);
        cJSON_Delete(resumed);
        free(before);
        free(after);
        free(journal_out);
        remove_all(out);
    }
    /* Everything was measured, and there is no room for the results: they are made again from the journal. */
    unlink(results_path);
    o = small_bench(path, whole);
    o.resume = true;
    CHECK(bench_within(&o, results - 1000) == CIUIC_ERROR_INTERRUPTED, "results without room");
    CHECK(access(results_path, F_OK) != 0, "half a file was left");
    CHECK(bench_quietly(&o) == CIUIC_OK && access(results_path, F_OK) == 0, "%s", ciuic_last_error());
    cJSON_Delete(expected);
    free(journal_path);
    free(results_path);
    free(whole);
    free(path);
    remove_all(folder);
}

/* ---- cut anywhere ----------------------------------------------------------------------------------------------- */

/* The journal's own test cuts it at every byte, and finds every whole line. Here every number of whole lines is a record,
 * and results that the schema allows. */
static void every_number_of_lines_is_a_record(void)
{
    if (machine == NULL) machine = bench_machine();
    char *folder = temporary_folder(), *path = write_suite(folder, "small.json", NULL, NULL);
    char *out = bench_path(folder, "out");
    bench_options o = small_bench(path, out);
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    journal *j = NULL;
    cJSON *entries = NULL, *claims = NULL;
    suite *s = NULL;
    bench_matrix *m = NULL;
    CU_ASSERT_EQUAL_FATAL(journal_open(out, true, &j, &entries), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(suite_read(path, &s), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(matrix_expand(s, &o.filter, &m), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(claims_read(s->claims, &claims), CIUIC_OK);
    const int lines = cJSON_GetArraySize(entries);
    CHECK(lines > 40, "%d lines", lines);
    for (int cut = 2; cut <= lines; cut++) { /* the run and the machine are there; without them it begins anew */
        bench_record *r = NULL;
        CU_ASSERT_EQUAL_FATAL(record_create(s, m, &r), CIUIC_OK);
        for (int i = 0; i < cut; i++)
            CHECK(record_apply(r, cJSON_GetArrayItem(entries, i)) == CIUIC_OK, "line %d: %s", i + 1,
                  ciuic_last_error());
        cJSON *results = assemble_results(r, claims, false), *read_back = NULL;
        char *text = cJSON_PrintUnformatted(results);
        CHECK(text != NULL && json_parse(text, strlen(text), "results", &read_back) == CIUIC_OK &&
                  schema_check_results(read_back, "results") == CIUIC_OK,
              "after line %d: %s", cut, ciuic_last_error());
        cJSON_free(text);
        cJSON_Delete(read_back);
        cJSON_Delete(results);
        record_free(r);
    }
    cJSON_Delete(claims);
    matrix_free(m);
    suite_free(s);
    cJSON_Delete(entries);
    journal_close(j);
    free(out);
    free(path);
    remove_all(folder);
}

/* ---- durations -------------------------------------------------------------------------------------------------- */

/* What no monotonic clock gives is refused where it would enter the record: in a journal that was tampered with. */
static void impossible_durations_are_refused(void)
{
    static const char *const members[] = {
        "\"seconds\":-0.001,\"cpu_seconds\":0", "\"seconds\":0,\"cpu_seconds\":0",
        "\"seconds\":null,\"cpu_seconds\":0",   "\"seconds\":1,\"cpu_seconds\":-1",
        "\"seconds\":1e300,\"cpu_seconds\":0",
    };
    char *folder = temporary_folder(), *path = write_suite(folder, "small.json", NULL, NULL);
    const matrix_filter all = {0};
    suite *s = NULL;
    bench_matrix *m = NULL;
    bench_record *r = NULL;
    CU_ASSERT_EQUAL_FATAL(suite_read(path, &s), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(matrix_expand(s, &all, &m), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(record_create(s, m, &r), CIUIC_OK);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        cJSON *entry = NULL;
        char text[512];
        snprintf(text, sizeof text,
                 "{\"kind\":\"sample\",\"block\":0,\"slot\":0,\"round\":0,%s,\"output_sha256\":\"%064d\",\"t\":1}",
                 members[i], 0);
        CU_ASSERT_EQUAL_FATAL(json_parse(text, strlen(text), "entry", &entry), CIUIC_OK);
        CHECK(record_apply(r, entry) == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), "seconds") != NULL, "%s: %s",
              members[i], ciuic_last_error());
        CHECK(r->blocks[0].slots[0].samples == 0, "%s became a sample", members[i]);
        cJSON_Delete(entry);
    }
    record_free(r);
    matrix_free(m);
    suite_free(s);
    free(path);
    remove_folder(folder);
}

/* Samples that are taken out of a journal leave a round which nobody has left. */
static void a_complete_round_has_a_sample_of_every_slot(void)
{
    char *folder = temporary_folder(), *path = write_suite(folder, "small.json", NULL, NULL);
    const matrix_filter all = {0};
    suite *s = NULL;
    bench_matrix *m = NULL;
    CU_ASSERT_EQUAL_FATAL(suite_read(path, &s), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(matrix_expand(s, &all, &m), CIUIC_OK);
    const size_t slots = m->blocks[0].slot_count;
    for (size_t missing = 0; missing <= slots; missing++) /* slots: none is */
        for (int failed = 0; failed < 2; failed++) {
            bench_record *r = NULL;
            CU_ASSERT_EQUAL_FATAL(record_create(s, m, &r), CIUIC_OK);
            ciuic_status status = CIUIC_OK;
            for (size_t i = 0; i <= slots; i++) {
                cJSON *entry = cJSON_CreateObject(), *read_back = NULL;
                const bool sampled = i < slots && i != missing;
                cJSON_AddStringToObject(entry, "kind", i == slots ? "round" : sampled ? "sample" : "failed");
                json_add_size(entry, "t", 1);
                json_add_size(entry, "block", 0);
                json_add_size(entry, "slot", i);
                json_add_size(entry, "round", 0);
                json_add_double(entry, "seconds", 1);
                json_add_double(entry, "cpu_seconds", 1);
                char digest[65];
                snprintf(digest, sizeof digest, "%064d", 0);
                cJSON_AddStringToObject(entry, "output_sha256", digest);
                cJSON_AddStringToObject(entry, "reason", "planted");
                read_back = reread(entry, false);
                if (i != missing || failed || i == slots) status = record_apply(r, read_back);
                cJSON_Delete(read_back);
                cJSON_Delete(entry);
            }
            const bool fine = failed || missing == slots;
            CHECK(fine ? status == CIUIC_OK : status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), "neither"),
                  "slot %zu missing, failed %d: status %d", missing, failed, (int)status);
            record_free(r);
        }
    matrix_free(m);
    suite_free(s);
    free(path);
    remove_folder(folder);
}

/* A worker whose clock runs backwards, slow, stands still or jumps ahead, or that thinks longer than it may, costs its own case. */
static void workers_with_impossible_answers(void)
{
    static const struct {
        const char *fault, *reason;
        bool hasty;
    } rows[] = {{"negative@measure:4", "not a number above 0", false},
                {"zero@measure:4", "not a number above 0", false},
                {"long@measure:4", "its clock jumped", false},
                {"short@measure:4", "its clock is slow", false},
                {"fast@measure:4", "or is fast", false},
                {"late@measure:4", "gave no answer within", true},
                {"hang@accuracy", "gave no answer within", true}};
    if (machine == NULL) machine = bench_machine();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *folder = temporary_folder(), *out = bench_path(folder, "out");
        /* The processor time of a whole time slice is needed to contradict a clock. Five seconds are enough for a worker on a busy machine, and the late one takes eight. */
        char *path = rows[i].hasty ? write_suite(folder, "small.json", "\"timeout_s\": 60", "\"timeout_s\": 5")
                                   : write_suite(folder, "small.json", "\"min_time_s\": 0,", "\"min_time_s\": 0.1,");
        bench_options o = small_bench(path, out);
        o.fault_only = "int8+graph+memory+c";
        o.fault = rows[i].fault;
        CHECK(bench_quietly(&o) == CIUIC_OK, "%s: %s", rows[i].fault, ciuic_last_error());
        cJSON *results = bench_results(out);
        const cJSON *item = NULL;
        cJSON_ArrayForEach(item, json_find(results, "cases"))
        {
            const bool failed = strcmp(bench_text(item, "status"), "failed") == 0;
            const bool faulty = strstr(bench_text(item, "id"), o.fault_only) != NULL;
            CHECK(failed == faulty, "%s: %s is %s", rows[i].fault, bench_text(item, "id"), bench_text(item, "status"));
            if (faulty)
                CHECK(strstr(bench_text(item, "reason"), rows[i].reason) != NULL, "%s: %s", rows[i].fault,
                      bench_text(item, "reason"));
        }
        cJSON_Delete(results);
        free(out);
        free(path);
        remove_all(folder);
    }
    cJSON_Delete(machine);
    machine = NULL;
}

/* ---- edited results --------------------------------------------------------------------------------------------- */

/* Made-up results as a bench would have written them: with their digest. */
static cJSON *written_results(void)
{
    cJSON *results = fixture_results(&fixture_usual), *claims = NULL;
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/claims.json", &claims), CIUIC_OK);
    cJSON_AddItemToObject(results, "claims", claims);
    cJSON *read_back = reread(results, false);
    cJSON_Delete(results);
    fixture_seal(read_back);
    return read_back;
}

static void edit_sample(cJSON *results)
{
    cJSON *list = cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(results, "blocks"), 0), "samples")->child;
    cJSON *old = cJSON_GetArrayItem(list, 4);
    cJSON_ReplaceItemInArray(list, 4, json_double(nextafter(old->valuedouble, 0))); /* by the least there is */
}

static void edit_order(cJSON *results)
{
    cJSON *list = cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(results, "blocks"), 0), "samples")->child;
    cJSON_AddItemToArray(list, cJSON_DetachItemFromArray(list, 0));
}

static void edit_flag(cJSON *results)
{
    cJSON_ReplaceItemInObjectCaseSensitive(results, "complete", cJSON_CreateFalse());
}

static void edit_text(cJSON *results)
{
    cJSON_ReplaceItemInObjectCaseSensitive(results, "started", cJSON_CreateString("2000-01-02T00:00:00Z"));
}

static void edit_nothing_left(cJSON *results)
{
    cJSON_DeleteItemFromObjectCaseSensitive(results, "finished");
}

static void edit_kind(cJSON *results) /* a number that becomes a text */
{
    cJSON_ReplaceItemInObjectCaseSensitive(results, "seed", cJSON_CreateString("1"));
}

/* The digests are hashlib's, of the bytes that content_digest.c says: of numbers as they are, and as they were in text. */
static void digests_are_those_of_another_implementation(void)
{
    static const struct {
        const char *digest;
        content_state state;
    } rows[] = {
        {"7a84f57d8de6de98155bebed6f5157fecbac711e4819d28c4ebd13b990d0597b", CONTENT_AS_WRITTEN},
        {"893cba0c315714aac1476b3f7076f2043014d984ea7184123f08a415fc124a48", CONTENT_AS_WRITTEN},
        {"7a84f57d8de6de98155bebed6f5157fecbac711e4819d28c4ebd13b990d05970", CONTENT_EDITED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *tree = cJSON_Parse("{\"a\": 0.1, \"b\": [\"x\", null, true], \"c\": {}}");
        CU_ASSERT_EQUAL(content_check(tree), CONTENT_UNKNOWN);
        CU_ASSERT_PTR_NOT_NULL_FATAL(cJSON_AddStringToObject(tree, CONTENT_DIGEST_KEY, rows[i].digest));
        CHECK(content_check(tree) == rows[i].state, "row %zu: state %d", i, content_check(tree));
        if (i == 0) CU_ASSERT_STRING_EQUAL(content_digest(tree).text, rows[i].digest);
        cJSON_Delete(tree);
    }
}

static void an_edit_is_noticed_and_a_new_layout_is_none(void)
{
    static void (*const edits[])(cJSON *) = {edit_sample, edit_order, edit_flag,
                                             edit_text,   edit_kind,  edit_nothing_left};
    cJSON *results = written_results();
    CU_ASSERT_EQUAL(content_check(results), CONTENT_AS_WRITTEN);
    cJSON *pretty = reread(results, true);
    CU_ASSERT_EQUAL(content_check(pretty), CONTENT_AS_WRITTEN);
    cJSON_Delete(pretty);
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        cJSON *edited = reread(results, true);
        CU_ASSERT_TRUE(json_exact_numbers(edited));
        edits[i](edited);
        CHECK(content_check(edited) == CONTENT_EDITED, "edit %zu was not noticed", i);
        cJSON_Delete(edited);
    }
    cJSON_DeleteItemFromObjectCaseSensitive(results, CONTENT_DIGEST_KEY);
    CU_ASSERT_EQUAL(content_check(results), CONTENT_UNKNOWN);
    cJSON_Delete(results);
}

static void take_digest_out(cJSON *results)
{
    cJSON_DeleteItemFromObjectCaseSensitive(results, CONTENT_DIGEST_KEY);
}

static void leave_it(cJSON *results)
{
    (void)results;
}

static void a_report_says_that_results_were_edited(void)
{
    static const struct {
        void (*edit)(cJSON *results);
        const char *said, *noticed; /* NULL: nothing */
    } rows[] = {
        {leave_it, NULL, NULL},
        {edit_sample, "not as ciuic bench wrote them", "edited"},
        {take_digest_out, "not known to be as written", "not known to be as written"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *folder = temporary_folder(), *path = bench_path(folder, "report.md");
        const char *notice = NULL;
        cJSON *results = written_results();
        rows[i].edit(results);
        CHECK(report_write(results, "made-up.json", &(report_request){.directory = folder}, &notice) == CIUIC_OK, "%s",
              ciuic_last_error());
        char *page = read_text(path);
        for (size_t k = 1; k < sizeof rows / sizeof rows[0]; k++)
            CHECK(page != NULL && (strstr(page, rows[k].said) != NULL) == (i == k), "row %zu: \"%s\"", i, rows[k].said);
        CHECK(rows[i].noticed == NULL ? notice == NULL : notice != NULL && strstr(notice, rows[i].noticed) != NULL,
              "row %zu: noticed %s", i, notice != NULL ? notice : "nothing");
        free(page);
        free(path);
        cJSON_Delete(results);
        remove_all(folder);
    }
}

/* What a bench writes passes its own check, and records the digests of everything that went in and came out. */
static void a_bench_records_what_went_in_and_came_out(void)
{
    machine = bench_machine();
    char *folder = temporary_folder(), *path = write_suite(folder, "small.json", NULL, NULL);
    char *out = bench_path(folder, "out");
    bench_options o = small_bench(path, out);
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON *results = bench_results(out);
    CU_ASSERT_EQUAL(content_check(results), CONTENT_AS_WRITTEN);
    sha256_hex program_digest = {""}, suite_digest = {""};
    CU_ASSERT_EQUAL(sha256_file("/proc/self/exe", &program_digest), CIUIC_OK);
    CU_ASSERT_EQUAL(sha256_file(path, &suite_digest), CIUIC_OK);
    CU_ASSERT_STRING_EQUAL(bench_text(json_find(results, "program"), "sha256"), program_digest.text);
    CU_ASSERT_STRING_EQUAL(bench_text(results, "suite_sha256"), suite_digest.text);
    CU_ASSERT_EQUAL(cJSON_GetArraySize(json_find(results, "references")), 1);
    CU_ASSERT_EQUAL(strlen(bench_text(cJSON_GetArrayItem(json_find(results, "references"), 0), "sha256")), 64);
    const cJSON *item = NULL, *block = cJSON_GetArrayItem(json_find(results, "blocks"), 0), *round = NULL;
    cJSON_ArrayForEach(item, json_find(results, "cases"))
        CHECK(strcmp(bench_text(item, "timed_output_sha256"), bench_text(item, "output_sha256")) == 0, "%s: %s",
              bench_text(item, "id"), bench_text(item, "timed_output_sha256"));
    cJSON_ArrayForEach(round, json_find(block, "schedule")) CU_ASSERT_EQUAL(cJSON_GetArraySize(round), 6);
    cJSON_ArrayForEach(item, json_find(block, "samples")) CU_ASSERT_EQUAL(cJSON_GetArraySize(item), 3);
    cJSON_Delete(results);
    free(out);
    free(path);
    remove_all(folder);
    cJSON_Delete(machine);
    machine = NULL;
}

static const test_case cases[] = {
    {"a full disk is an interruption", a_full_disk_is_an_interruption},
    {"every number of lines is a record", every_number_of_lines_is_a_record},
    {"impossible durations are refused", impossible_durations_are_refused},
    {"a complete round has a sample of every slot", a_complete_round_has_a_sample_of_every_slot},
    {"workers with impossible answers", workers_with_impossible_answers},
    {"digests are those of another implementation", digests_are_those_of_another_implementation},
    {"an edit is noticed, and a new layout is none", an_edit_is_noticed_and_a_new_layout_is_none},
    {"a report says that results were edited", a_report_says_that_results_were_edited},
    {"a bench records what went in and came out", a_bench_records_what_went_in_and_came_out},
};

TEST_SUITE(durability, cases);
