/* test_precision.c - rounds are added until every ratio is known well enough or the time ends; which of the two is said,
 * and a bench that was cut meanwhile goes on with the same decision. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/judge/statistics.h"
#include "harness/report/schema.h"
#include "harness/split_mix.h"
#include "harness/suite/matrix.h"
#include "harness/suite/precision.h"
#include "harness/tests/bench_fixture.h"
#include "harness/tests/program.h"
#include "harness/tests/suite_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

enum { SLOTS = 6 };

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = json_find(object, key);
    return json_is_number(item) ? item->valuedouble : NAN;
}

/* ---- how narrow ------------------------------------------------------------------------------------------------- */

typedef struct measured {
    char *folder, *path;
    suite *s;
    bench_matrix *m;
    bench_record *r;
} measured;

static void begin(measured *b)
{
    static const matrix_filter prefill = {.only = "prefill"};
    *b = (measured){.folder = temporary_folder()};
    b->path = write_suite(b->folder, "small.json", NULL, NULL);
    CU_ASSERT_EQUAL_FATAL(suite_read(b->path, &b->s), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(matrix_expand(b->s, &prefill, &b->m), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(record_create(b->s, b->m, &b->r), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(b->m->block_count, 1);
    CU_ASSERT_EQUAL_FATAL(b->m->blocks[0].slot_count, SLOTS);
}

static void end(measured *b)
{
    record_free(b->r);
    matrix_free(b->m);
    suite_free(b->s);
    free(b->path);
    remove_folder(b->folder);
}

static ciuic_status sample(bench_record *r, size_t slot, size_t round, double seconds)
{
    static const char digest[] = "0000000000000000000000000000000000000000000000000000000000000000";
    cJSON *entry = NULL;
    char text[512];
    snprintf(text, sizeof text,
             "{\"kind\":\"sample\",\"block\":0,\"slot\":%zu,\"round\":%zu,\"seconds\":%.17g,\"cpu_seconds\":1,"
             "\"output_sha256\":\"%s\",\"t\":1}",
             slot, round, seconds, digest);
    if (json_parse(text, strlen(text), "entry", &entry) != CIUIC_OK) return CIUIC_ERROR_INPUT;
    const ciuic_status status = record_apply(r, entry);
    cJSON_Delete(entry);
    return status;
}

static void fail_slot(bench_record *r, size_t slot)
{
    cJSON *entry = NULL;
    char text[128];
    snprintf(text, sizeof text, "{\"kind\":\"failed\",\"block\":0,\"slot\":%zu,\"reason\":\"test\",\"t\":1}", slot);
    CHECK(json_parse(text, strlen(text), "entry", &entry) == CIUIC_OK && record_apply(r, entry) == CIUIC_OK, "%s",
          ciuic_last_error());
    cJSON_Delete(entry);
}

static size_t tuned(const measured *b)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (b->m->cases[b->m->blocks[0].slots[i].index].variant.baseline == BASELINE_TUNED &&
            !b->m->blocks[0].slots[i].again)
            return i;
    return SLOTS;
}

static void widths_are_those_of_the_interval(void)
{
    measured b;
    begin(&b);
    const size_t base = tuned(&b), last = SLOTS - 1;
    bool reached = true;
    double precision = 0;
    /* tuned takes 1 s in every round, the last slot 1.00 to 1.05, the others 2. */
    for (size_t round = 0; round < 6; round++) {
        for (size_t slot = 0; slot < SLOTS; slot++) {
            const double seconds = slot == base ? 1 : slot == last ? 1 + 0.01 * (double)round : 2;
            CHECK(sample(b.r, slot, round, seconds) == CIUIC_OK, "%s", ciuic_last_error());
        }
        CHECK(precision_of_slot(b.r, 0, last, &precision) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(isnan(precision) == (round < 5), "round %zu: %g", round, precision); /* six rounds for an interval */
    }
    /* Six values: the interval is from the least to the largest. */
    CHECK(fabs(precision - (sqrt(1.05) - 1)) < 1e-12, "precision %.15g", precision);
    CHECK(precision_of_slot(b.r, 0, base, &precision) == CIUIC_OK && isnan(precision), "tuned over itself");
    CHECK(precision_reached(b.r, 0, 0.0247, &reached) == CIUIC_OK && reached, "2.47%% are reached"); /* 2.4695% */
    CHECK(precision_reached(b.r, 0, 0.0246, &reached) == CIUIC_OK && !reached, "2.46%% are not");
    fail_slot(b.r, last); /* nobody waits for the dead */
    CHECK(!precision_applies(b.r, 0, last), "it applies to a failed slot");
    CHECK(precision_reached(b.r, 0, 1e-4, &reached) == CIUIC_OK && reached, "the others are exact");
    fail_slot(b.r, base);
    for (size_t slot = 0; slot < SLOTS; slot++) CHECK(!precision_applies(b.r, 0, slot), "slot %zu without tuned", slot);
    CHECK(precision_reached(b.r, 0, 1e-4, &reached) == CIUIC_OK && reached, "without tuned there is nothing to reach");
    end(&b);
}

/* ---- coverage --------------------------------------------------------------------------------------------------- */

static double uniform(uint64_t *state)
{
    return ((double)(split_mix_next(state) >> 11) + 0.5) * 0x1p-53;
}

/* Both of standard deviation near 1 and median 0. */
static double normal_noise(uint64_t *state)
{
    const double radius = sqrt(-2 * log(uniform(state)));
    return radius * cos(6.283185307179586 * uniform(state));
}

static double laplace_noise(uint64_t *state)
{
    const double x = uniform(state);
    return x < 0.5 ? log(2 * x) : -log(2 - 2 * x);
}

enum { MOST_ROUNDS = 384 };

/* Adds rounds until the interval is narrow; whether it then holds the median. */
static bool holds_at_its_stop(double (*noise)(uint64_t *), uint64_t *state, size_t planned, double wanted,
                              double confidence, bool every_round)
{
    double values[MOST_ROUNDS];
    interval found = {.low = (double)NAN};
    for (size_t n = 0; n < MOST_ROUNDS;) {
        values[n++] = noise(state);
        if (n < planned || !(every_round || precision_looks(planned, n))) continue;
        found = median_interval(values, n, confidence);
        if ((found.high - found.low) / 2 <= wanted) break;
    }
    return found.low <= 0 && 0 <= found.high;
}

/* Of intervals that were added to until they were narrow, 95% hold the median; by a look after every round at 95% they do not. */
static void what_stops_covers_what_it_says(void)
{
    enum { BENCHES = 4000 };
    double (*const noises[])(uint64_t *) = {normal_noise, laplace_noise};
    static const double wanted[] = {1, 0.5, 0.35};
    size_t hasty = 0;
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 3; k++) {
            uint64_t state = 1 + 3 * i + k;
            size_t held = 0;
            for (size_t bench = 0; bench < BENCHES; bench++) {
                held += holds_at_its_stop(noises[i], &state, 12, wanted[k], PRECISION_CONFIDENCE, false) ? 1 : 0;
                if (k == 2 && holds_at_its_stop(noises[i], &state, 12, wanted[k], CONFIDENCE, true)) hasty++;
            }
            CHECK((double)held >= CONFIDENCE * BENCHES, "noise %zu, width %g: %zu of %d hold the median", i, wanted[k],
                  held, BENCHES);
        }
    CHECK((double)hasty < 0.945 * 2 * BENCHES, "%zu of %d of the old rule", hasty, 2 * BENCHES);
}

static void looks_double(void)
{
    static const size_t looks[] = {3, 6, 12, 24, 48};
    for (size_t n = 0, k = 0; n < 60; n++) {
        const bool expected = k < 5 && looks[k] == n;
        CHECK(precision_looks(3, n) == expected, "after %zu rounds", n);
        k += expected ? 1 : 0;
    }
    CHECK(!precision_looks(0, 4), "without a plan");
}

/* ---- whole benches ---------------------------------------------------------------------------------------------- */

/* A budget of ten minutes, of which none is needed; or one second, which is over before the second round. */
static char *precise_suite(const char *folder, bool time)
{
    return write_suite(folder, "small.json", "\"time_budget_s\": 1",
                       time ? "\"time_budget_s\": 600, \"precision\": 0.5"
                            : "\"time_budget_s\": 1, \"precision\": 0.5");
}

static bench_options precise_bench(const char *path, const char *out, const cJSON *machine)
{
    static char name[] = "bench";
    static char *arguments[] = {name, NULL};
    bench_options o = {.suite_path = path, .directory = out, .argc = 1, .argv = arguments, .machine = machine};
    o.filter.only = "prefill";
    return o;
}

static void check_stopped(const cJSON *results, const char *expected)
{
    size_t cases = 0;
    const cJSON *item = NULL, *block = cJSON_GetArrayItem(json_find(results, "blocks"), 0);
    CHECK(strcmp(bench_text(block, "stopped_by"), expected) == 0, "the block was stopped by \"%s\", expected %s",
          bench_text(block, "stopped_by"), expected);
    cJSON_ArrayForEach(item, json_find(results, "cases"))
    {
        const cJSON *precision = json_find(item, "precision"), *variant = json_find(item, "variant");
        const bool is_tuned =
            strcmp(bench_text(variant, "baseline"), "tuned") == 0 && strstr(bench_text(item, "id"), "#again") == NULL;
        CHECK((precision == NULL) == is_tuned, "%s: precision", bench_text(item, "id"));
        if (precision == NULL) continue;
        cases++;
        const char *by = number(precision, "reached") <= number(precision, "asked") ? "precision" : expected;
        CHECK(strcmp(bench_text(precision, "stopped_by"), by) == 0, "%s: %g of %g, by %s", bench_text(item, "id"),
              number(precision, "reached"), number(precision, "asked"), bench_text(precision, "stopped_by"));
    }
    CHECK(cases == SLOTS - 1, "%zu cases have a precision", cases);
}

static void rounds_end_by_one_of_three(void)
{
    static const struct {
        bool time;        /* there is enough of it */
        double precision; /* 0: the suite's own 50% */
        size_t rounds;
        const char *stopped;
        size_t least, most;
    } rows[] = {
        {true, 0, 0, "precision", 6, 1000000},
        {false, 1e-4, 0, "time", 3, 1000000},
        {true, 1e-4, 7, "rounds", 7, 7},
    };
    cJSON *machine = bench_machine();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *folder = temporary_folder(), *path = precise_suite(folder, rows[i].time),
             *out = bench_path(folder, "out");
        bench_options o = precise_bench(path, out, machine);
        o.precision = rows[i].precision;
        o.rounds = rows[i].rounds;
        CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
        cJSON *results = bench_results(out);
        CHECK(schema_check_results(results, "results.json") == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(number(results, "precision") == (rows[i].precision > 0 ? rows[i].precision : 0.5), "precision %g",
              number(results, "precision"));
        const double rounds = number(cJSON_GetArrayItem(json_find(results, "blocks"), 0), "rounds");
        CHECK(rounds >= (double)rows[i].least && rounds <= (double)rows[i].most, "row %zu: %g rounds", i, rounds);
        check_stopped(results, rows[i].stopped);
        cJSON_Delete(results);
        remove_folder(out);
        free(path);
        remove_folder(folder);
    }
    cJSON_Delete(machine);
}

/* The end of the n-th line of this kind, counted from 1; 0 when there is none. */
static size_t end_of_line(const char *journal, const char *kind, size_t n)
{
    char *mark = NULL;
    const char *at = journal;
    if (asprintf(&mark, "{\"kind\":\"%s\"", kind) < 0) return 0;
    for (size_t i = 0; i < n && at != NULL; i++) at = strstr(i > 0 ? at + 1 : at, mark);
    free(mark);
    return at != NULL ? (size_t)(strchr(at, '\n') - journal) + 1 : 0;
}

/* Cut among the rounds that were added, and around the line that says that no more are. */
static void a_cut_bench_keeps_its_decision(void)
{
    cJSON *machine = bench_machine();
    char *folder = temporary_folder(), *path = precise_suite(folder, true), *out = bench_path(folder, "out");
    char *journal_path = bench_path(out, "journal.jsonl"), *result_path = bench_path(out, "results.json");
    bench_options o = precise_bench(path, out, machine);
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    char *journal = read_text(journal_path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(journal);
    const size_t stop = end_of_line(journal, "stop", 1), rounds = bench_count_kind(journal, "round");
    CHECK(stop > 0 && bench_count_kind(journal, "stop") == 1, "%zu stops", bench_count_kind(journal, "stop"));
    const struct {
        size_t cut;
        bool decided; /* the decision stands: no round more than there were */
    } rows[] = {
        {end_of_line(journal, "sample", 5 * SLOTS + 2), false}, /* in the sixth round, which was not planned */
        {end_of_line(journal, "round", rounds), false},
        {stop - 3, false},
        {stop, true},
        {end_of_line(journal, "finished", 2), true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        FILE *file = fopen(journal_path, "w");
        CHECK(file != NULL && fwrite(journal, 1, rows[i].cut, file) == rows[i].cut, "row %zu", i);
        if (file != NULL) fclose(file);
        unlink(result_path);
        o.resume = true;
        CHECK(bench_quietly(&o) == CIUIC_OK, "row %zu: %s", i, ciuic_last_error());
        cJSON *results = bench_results(out);
        char *after = read_text(journal_path);
        CHECK(schema_check_results(results, "results.json") == CIUIC_OK, "%s", ciuic_last_error());
        check_stopped(results, "precision");
        CHECK(bench_count_kind(after, "stop") == 1, "row %zu: %zu stops", i, bench_count_kind(after, "stop"));
        CHECK(!rows[i].decided || bench_count_kind(after, "round") == rounds, "row %zu: %zu rounds, first %zu", i,
              bench_count_kind(after, "round"), rounds);
        free(after);
        cJSON_Delete(results);
    }
    o.precision = 0.25;
    CHECK(bench_quietly(&o) == CIUIC_ERROR_USAGE && strstr(ciuic_last_error(), "--precision is another") != NULL, "%s",
          ciuic_last_error());
    free(journal);
    free(journal_path);
    free(result_path);
    remove_folder(out);
    free(path);
    remove_folder(folder);
    cJSON_Delete(machine);
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static void only_percentages_are_taken(void)
{
    static const char *const bad[] = {"1", "", "%", "0%", "51%", "-1%", "1 %", "1%%", "nan%", "inf%", "0x1%", "0.001%"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *const arguments[] = {"bench", "suites/quick.json", "--precision", bad[i], NULL};
        program_run run = program(arguments, NULL);
        CHECK(run.status == CIUIC_ERROR_USAGE && strstr(run.err, "percentage") != NULL, "'%s': status %d: %s", bad[i],
              run.status, run.err);
        program_run_free(&run);
    }
}

static const test_case cases[] = {
    {"widths are those of the interval", widths_are_those_of_the_interval},
    {"what stops covers what it says", what_stops_covers_what_it_says},
    {"looks double", looks_double},
    {"rounds end by one of three", rounds_end_by_one_of_three},
    {"a cut bench keeps its decision", a_cut_bench_keeps_its_decision},
    {"only percentages are taken", only_percentages_are_taken},
};

TEST_SUITE(precision, cases);
