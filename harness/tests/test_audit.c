/* test_audit.c - `ciuic audit` on honest results, on those of build/planted-cheats, and on files that are none. What needs a
 * quiet clock is in ci/trial-audit.sh. */
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness/audit/checks.h"
#include "harness/audit/probe.h"
#include "harness/audit/timing.h"
#include "harness/report/schema.h"
#include "harness/tests/bench_fixture.h"
#include "harness/tests/program.h"
#include "harness/tests/suite_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static const char checkpoint_folder[] = "datasets/deepseek-v3-tiny";

/* ---- results to audit ------------------------------------------------------------------------------------------- */

/* Nothing is timed, one workload: what an audit without a clock needs. */
static const char changed[] = "\"rounds\": 3,\n  \"min_rounds\": 3,\n";

typedef struct subject_place {
    char *folder, *suite, *results;
} subject_place;

static const char *own_binary(void)
{
    const char *binary = getenv("CIUIC_BINARY");
    return binary != NULL ? binary : "build/ciuic";
}

/* build/planted-cheats, beside the program. */
static void planted(char path[512])
{
    const char *own = own_binary(), *slash = strrchr(own, '/');
    snprintf(path, 512, "%.*splanted-cheats", slash != NULL ? (int)(slash - own) + 1 : 0, own);
}

static void setting_of(const char *cheat, char setting[64])
{
    snprintf(setting, 64, "CIUIC_PLANTED_CHEAT=%s", cheat);
}

/* Results of a bench by the program itself, or by the one that cheats so. */
static subject_place place_of(const char *cheat)
{
    char binary[512], setting[64];
    subject_place p = {.folder = temporary_folder()};
    const char *own = getenv("CIUIC_BINARY");
    char *kept = own != NULL ? strdup(own) : NULL;
    p.suite = write_suite(p.folder, "audited.json", changed, "\"rounds\": 0,\n");
    p.results = bench_path(p.folder, "out");
    planted(binary);
    if (cheat != NULL) setenv("CIUIC_BINARY", binary, 1);
    setting_of(cheat != NULL ? cheat : "", setting);
    program_run run = program(
        (const char *const[]){"bench", p.suite, "-o", p.results, "--only", "prefill*int8+graph+memory", NULL}, setting);
    CHECK(run.status == 0, "bench: status %d: %s", run.status, run.err);
    program_run_free(&run);
    if (kept != NULL)
        setenv("CIUIC_BINARY", kept, 1);
    else
        unsetenv("CIUIC_BINARY");
    free(kept);
    return p;
}

static void place_forget(subject_place *p)
{
    remove_folder(p->results);
    free(p->suite);
    remove_folder(p->folder);
}

static subject_place honest_place;

static void forget_honest(void)
{
    if (honest_place.folder != NULL) place_forget(&honest_place);
}

/* Measured once, by the program itself, for all cases. */
static const subject_place *honest(void)
{
    if (honest_place.folder == NULL) {
        honest_place = place_of(NULL);
        atexit(forget_honest);
    }
    return &honest_place;
}

static cJSON *parse(const program_run *run)
{
    cJSON *json = cJSON_ParseWithOpts(run->out, NULL, true);
    CHECK(cJSON_IsObject(json), "no JSON object: %s%s", run->out, run->err);
    return json;
}

/* The first finding of this test with this outcome; NULL: none. */
static const cJSON *finding(const cJSON *report, const char *test, const char *outcome)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item,
                       json_find(report, "tests")) if (strcmp(bench_text(item, "test"), test) == 0 &&
                                                       strcmp(bench_text(item, "outcome"), outcome) == 0) return item;
    return NULL;
}

/* ---- honest and not --------------------------------------------------------------------------------------------- */

static void check_schema(const cJSON *report)
{
    cJSON *schema = NULL;
    CHECK(json_read_file("reports/audit.schema.json", (size_t)1 << 20, &schema) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(schema_check(report, schema, "audit") == CIUIC_OK, "%s", ciuic_last_error());
    cJSON_Delete(schema);
}

static void an_honest_program_passes(void)
{
    const subject_place *p = honest();
    const char *const arguments[] = {"audit",   p->results, "--seed", "5",         "--cases", "1",
                                     "--suite", p->suite,   "--json", "--untimed", NULL};
    program_run run = program(arguments, NULL), again = program(arguments, NULL);
    cJSON *report = parse(&run);
    CHECK(run.status == 0 && cJSON_IsTrue(json_find(report, "passed")), "status %d: %s", run.status, run.out);
    CHECK(strcmp(run.out, again.out) == 0, "the same seed found something else");
    static const char *const passed[] = {"content", "hashes", "outputs", "errors", "other-data", "memory", "weights"};
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
        CHECK(finding(report, passed[i], "pass") != NULL, "%s did not pass", passed[i]);
        /* A handful of windows say little of a loss: guessing might pass, too, which is said. */
        const bool few = strcmp(passed[i], "other-data") == 0;
        CHECK(few || finding(report, passed[i], "inconclusive") == NULL, "%s is inconclusive", passed[i]);
    }
    check_schema(report);
    cJSON_Delete(report);
    program_run_free(&run);
    program_run_free(&again);
}

typedef struct planted_cheat {
    const char *name, *test; /* and the test that has to see it */
    bool own_results;        /* it shows in what it measured; otherwise in what it does when it is asked */
    int attempts;            /* more than one where a clock decides: noise may hide it once, not again and again */
} planted_cheat;

/* Whether the audit, asked of the program that cheats, fails in the test. */
static bool caught(const planted_cheat *c, const subject_place *p, int seed)
{
    char binary[512], setting[64], number[16];
    planted(binary);
    setting_of(c->name, setting);
    snprintf(number, sizeof number, "%d", seed);
    program_run run = program((const char *const[]){"audit", p->results, "--binary", binary, "--seed", number,
                                                    "--cases", "1", "--only", c->test, "--json", NULL},
                              setting);
    cJSON *report = parse(&run);
    const bool failed = run.status == 1 && finding(report, c->test, "fail") != NULL;
    if (!failed) printf("    %s, status %d: %s%s\n", c->name, run.status, run.out, run.err);
    cJSON_Delete(report);
    program_run_free(&run);
    return failed;
}

static void planted_cheats_are_caught(void)
{
    static const planted_cheat cheats[] = {
        {"hard-coded", "outputs", false, 1},   {"skipped-layers", "weights", false, 1},
        {"smaller-model", "memory", false, 1}, {"early-exit", "outputs", false, 1},
        {"other-data", "errors", true, 1},     {"edited-results", "errors", true, 1},
        {"response-cache", "cache", false, 3},
    };
    for (size_t i = 0; i < sizeof cheats / sizeof cheats[0]; i++) {
        const bool own = cheats[i].own_results;
        subject_place p = own ? place_of(cheats[i].name) : *honest();
        bool seen = false;
        for (int attempt = 0; attempt < cheats[i].attempts && !seen; attempt++) seen = caught(&cheats[i], &p, attempt);
        CHECK(seen, "%s was not caught by '%s'", cheats[i].name, cheats[i].test);
        if (own) place_forget(&p);
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

/* Results with the first `from` of their text replaced; returns what an audit of them says. */
static program_run audit_changed(const subject_place *p, const char *from, const char *to, const char *only)
{
    char *path = bench_path(p->results, "results.json"), *other = bench_path(p->folder, "changed.json");
    char *text = read_text(path), *at = text != NULL ? strstr(text, from) : NULL;
    FILE *file = fopen(other, "w");
    CHECK(at != NULL, "%s is not in %s", from, path);
    CU_ASSERT_FATAL(at != NULL && file != NULL);
    fprintf(file, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(file);
    program_run run =
        program((const char *const[]){"audit", other, "--cases", "1", "--seed", "1", "--only", only, NULL}, NULL);
    unlink(other);
    free(text);
    free(other);
    free(path);
    return run;
}

static void changed_files_are_told(void)
{
    const struct {
        const char *from, *to, *only;
        int status;
        const char *says;
    } rows[] = {
        {"\"seed\":\t7", "\"seed\":\t8", "content", 1, "edited after it was written"},
        {"\"content_sha256\":\t", "\"was\":\t", "content", 1, "carry no digest of themselves"},
        {"\"schema_version\":\t1", "\"schema_version\":\t2", "content", 3, "schema_version 2"},
        {"\"quantize\":\t\"int8\"", "\"quantize\":\t\"int4\"", "content", 1, "its settings are those of"},
        {"\"suite_sha256\":\t\"", "\"suite_sha256\":\t\"00", "hashes", 1, "the results name 00"},
        {"\"suite_file\":\t\"/", "\"suite_file\":\t\"/dev/zero/", "errors", 4, "not one case can be run again"},
        {"\"suite_file\":\t\"/", "\"suite_file\":\t\"/proc/self/mem\",\"was\":\t\"", "errors", 4,
         "not one case can be run again"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        program_run run = audit_changed(honest(), rows[i].from, rows[i].to, rows[i].only);
        /* Words are broken into lines: compared without white space. */
        char *said = NULL;
        CHECK(asprintf(&said, "%s%s", run.out, run.err) >= 0, "no memory");
        size_t n = 0;
        for (size_t j = 0; said[j] != '\0'; j++) {
            const bool blank = said[j] == ' ' || said[j] == '\n';
            if (!blank || n == 0 || said[n - 1] != ' ') said[n++] = blank ? ' ' : said[j];
        }
        said[n] = '\0';
        CHECK(run.status == rows[i].status && strstr(said, rows[i].says) != NULL, "row %zu: status %d: %s", i,
              run.status, said);
        free(said);
        program_run_free(&run);
    }
}

/* In a published run, since the small ones of these tests have no claims. */
static void figures_that_were_taken_out_are_told(void)
{
    static char published[] = "reports/published/quick-emerald-rapids-16-cores";
    subject_place p = *honest();
    p.results = published;
    const struct {
        const char *from, *says;
    } rows[] = {
        {"\"verdicts\":\t", "the verdicts are not those that the samples give, or not"},
        {"\"latency_s\":\t", "what its samples give, or not there"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        program_run run = audit_changed(&p, rows[i].from, "\"was\":\t", "content");
        CHECK(run.status != 0 && strstr(run.out, rows[i].says) != NULL, "row %zu: status %d: %s%s", i, run.status,
              run.out, run.err);
        program_run_free(&run);
    }
}

static void what_is_no_result_is_refused(void)
{
    char fifo[512];
    char *folder = temporary_folder();
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    CU_ASSERT_EQUAL_FATAL(mkfifo(fifo, 0600), 0);
    const struct {
        const char *arguments[6];
        int status;
    } rows[] = {
        {{"audit", "no-such-results.json"}, 3},
        {{"audit", "Makefile"}, 3},
        {{"audit", fifo}, 3},
        {{"audit", "suites/quick.json"}, 3},
        {{"audit", "Makefile", "--only", "everything"}, 2},
        {{"audit", "Makefile", "--cases", "0"}, 2},
        {{"audit", "reports/published/quick-zen4-2-cores", "--binary", "datasets"}, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        program_run run = program(rows[i].arguments, NULL);
        CHECK(run.status == rows[i].status && count_lines(run.err) == 1, "row %zu: status %d: %s", i, run.status,
              run.err);
        program_run_free(&run);
    }
    remove_folder(folder);
}

static size_t audit_folders(const char *folder)
{
    size_t n = 0;
    DIR *entries = opendir(folder);
    for (const struct dirent *e; entries != NULL && (e = readdir(entries)) != NULL;)
        n += strncmp(e->d_name, "ciuic-audit-", 12) == 0;
    if (entries != NULL) closedir(entries);
    return n;
}

static void an_interruption_leaves_nothing(void)
{
    char setting[600];
    const struct timespec pause_for = {.tv_nsec = 20000000};
    const subject_place *p = honest();
    snprintf(setting, sizeof setting, "TMPDIR=%s", p->folder);
    CU_ASSERT_FATAL(strlen(setting) < 250); /* program.h keeps so much of it */
    program_process process = program_start(
        (const char *const[]){"audit", p->results, "--suite", p->suite, "--cases", "1", "--only", "weights", NULL},
        setting);
    for (int i = 0; i < 1500 && audit_folders(p->folder) == 0; i++) nanosleep(&pause_for, NULL);
    CHECK(audit_folders(p->folder) == 1, "it has not begun");
    kill(process.pid, SIGINT);
    program_run run = program_wait(&process);
    CHECK(run.status == 5 && strstr(run.err, "interrupted") != NULL, "status %d: %s", run.status, run.err);
    CHECK(audit_folders(p->folder) == 0, "a folder was left");
    program_run_free(&run);
}

/* ---- parts ------------------------------------------------------------------------------------------------------ */

static void other_inputs_give_other_outputs(void)
{
    const counter_support none = {.source = COUNTERS_NONE, .reason = "test"};
    const audit_options options = {0};
    const audit_subject s = {.options = &options};
    const load_order order = {.checkpoint = checkpoint_folder,
                              .phase = PHASE_PREFILL,
                              .tokens = 4,
                              .windows = 0,
                              .window_tokens = 1,
                              .threads = 1,
                              .support = &none};
    const bench_variant v = {.options = {.isa = "c"}, .isa = KERNEL_ISA_C, .baseline = BASELINE_NAIVE};
    const int32_t ids[2][8] = {{1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 3, 4, 5, 6, 7, 9}},
                  beyond[8] = {1, 2, 3, 4, 5, 6, 7, 1 << 30};
    probe p = {0};
    probe_sample own, first, again, other, back;
    CU_ASSERT_EQUAL_FATAL(probe_load(&s, PROBE_OWN, &order, &v, &p), CIUIC_OK);
    probe_measure(&p, 1, NULL, 0, NULL, &own);
    probe_measure(&p, 1, ids[0], 4, NULL, &first);
    probe_measure(&p, 1, ids[0], 4, NULL, &again);
    probe_measure(&p, 1, ids[1], 4, NULL, &other);
    probe_measure(&p, 1, NULL, 0, NULL, &back);
    CHECK(p.failed[0] == '\0', "%s", p.failed);
    CHECK(strcmp(own.output, probe_output(&p)) == 0 && strcmp(own.output, back.output) == 0, "its own ids changed");
    CHECK(strcmp(first.output, again.output) == 0, "the same ids, another output");
    CHECK(strcmp(first.output, own.output) != 0 && strcmp(first.output, other.output) != 0,
          "other ids, the same output");
    probe_measure(&p, 1, beyond, 4, NULL, &other);
    CHECK(strstr(p.failed, "expected 0 to") != NULL, "an id outside the vocabulary: %s", p.failed);
    probe_stop(&p);
}

static void noise_never_fails(void)
{
    static const struct {
        double low, median, high, floor, band;
        bool either_way;
        audit_outcome expected;
    } rows[] = {
        {0.98, 1.00, 1.02, 0.01, 0.25, true, AUDIT_PASSED},
        {1.30, 1.40, 1.50, 0.01, 0.25, true, AUDIT_FAILED},
        {0.50, 0.60, 0.70, 0.01, 0.25, true, AUDIT_FAILED},
        {0.50, 0.60, 0.70, 0.01, 0.25, false, AUDIT_PASSED},      /* faster is no matter */
        {1.20, 1.40, 1.50, 0.01, 0.25, true, AUDIT_INCONCLUSIVE}, /* straddles the margin */
        {1.30, 1.40, 1.50, 0.40, 0.25, true, AUDIT_PASSED},       /* within two floors of 1 */
        {0.90, 1.00, 1.10, 0.70, 0.25, true, AUDIT_INCONCLUSIVE}, /* a doubling would not have been seen */
        {5.00, 8.00, 9.00, 0.70, 0.25, true, AUDIT_FAILED},       /* this much is seen nevertheless */
        {(double)NAN, 3.00, (double)NAN, 0.01, 0.25, true, AUDIT_INCONCLUSIVE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const timed_ratio ratio = {
            .value = {.n = 10, .median = rows[i].median, .low = rows[i].low, .high = rows[i].high},
            .floor = rows[i].floor};
        const audit_outcome outcome = timing_alike(&ratio, rows[i].band, rows[i].either_way);
        CHECK(outcome == rows[i].expected, "row %zu: %s, expected %s", i, audit_outcome_name(outcome),
              audit_outcome_name(rows[i].expected));
    }
}

/* An interval that excludes nothing passes nothing. */
static void a_loss_is_held_against_guessing(void)
{
    static const struct {
        double published, low, high, guessing;
        audit_outcome expected;
    } rows[] = {
        {2.6, 2.3, 2.9, 5.5, AUDIT_PASSED},
        {2.2, 2.3, 2.9, 5.5, AUDIT_FAILED},
        {3.0, 2.3, 2.9, 5.5, AUDIT_FAILED},
        {2.6, 0.4, 6.9, 5.5, AUDIT_INCONCLUSIVE},
        {0.3, 0.4, 6.9, 5.5, AUDIT_FAILED},
        {5.6, 5.5, 5.7, (double)NAN, AUDIT_PASSED},
        {0.01, 0.001, 0.1, (double)NAN, AUDIT_PASSED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const audit_outcome found = loss_alike(rows[i].published, rows[i].low, rows[i].high, rows[i].guessing);
        CHECK(found == rows[i].expected, "row %zu: %s", i, audit_outcome_name(found));
    }
}

static const test_case cases[] = {
    {"a loss is held against guessing", a_loss_is_held_against_guessing},
    {"an honest program passes", an_honest_program_passes},
    {"planted cheats are caught", planted_cheats_are_caught},
    {"changed files are told", changed_files_are_told},
    {"figures that were taken out are told", figures_that_were_taken_out_are_told},
    {"what is no result is refused", what_is_no_result_is_refused},
    {"an interruption leaves nothing", an_interruption_leaves_nothing},
    {"other inputs give other outputs", other_inputs_give_other_outputs},
    {"noise never fails", noise_never_fails},
};
TEST_SUITE(audit, cases);
