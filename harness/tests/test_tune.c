/* test_tune.c - the search for the fewest bits within a limit: what it finds, what it says where nothing will do, and that
 * nothing of its attempts is left. */
#include "harness/optimize/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/tests/place_fixture.h"
#include "optimizer/error.h"
#include "optimizer/tests/runner.h"

#define SOURCE "datasets/golden/r1-distill-qwen"
#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { VOCABULARY = 512, ROWS = 8, LENGTH = 64 };

/* Ids of both kinds, which have no row in common. */
static test_place place_with_ids(void)
{
    test_place p = place_open();
    place_scatter_ids(&p, "calibration.safetensors", ROWS, LENGTH, VOCABULARY, 1);
    place_scatter_ids(&p, "verify.safetensors", 1, LENGTH, VOCABULARY, 2);
    return p;
}

/* ---- as a user sees it ------------------------------------------------------------------------------------------ */

#define SEARCH(limit, output)                                                                                          \
    "optimize", SOURCE, "-o", output, "--max-error", limit, "--metric=kl", "--threads=1", "--calibration",             \
        "@/calibration.safetensors:ids", "--verify", "@/verify.safetensors:ids"

/* KL of all int4 is above the limit and of all int8 below it, by a factor of two and of ten at least: the search goes on in
 * between. */
static void a_search_ends_at_the_fewest_bits_within_the_limit(void)
{
    const double limit = 0.03;
    test_place p = place_with_ids();
    cJSON *json = place_run_json(&p, (const char *const[]){SEARCH("0.03", "@/made"), "--json", NULL});
    const double bits = place_number(json, "bits_per_weight");
    const double kl = place_number(cJSON_GetObjectItemCaseSensitive(json, "verified"), "kl");
    const cJSON *tried = cJSON_GetObjectItemCaseSensitive(json, "tried"), *step;
    const int attempts = cJSON_GetArraySize(tried);
    CHECK(attempts > 2 && attempts <= TUNE_ATTEMPTS, "%d attempts", attempts);
    CHECK(kl > 0 && kl <= limit, "KL %g", kl);
    size_t made = 0;
    cJSON_ArrayForEach(step, tried)
    {
        const double step_bits = place_number(step, "bits"), error = place_number(step, "error");
        made += step_bits == bits && error == kl;
        CHECK(error <= limit ? step_bits >= bits : step_bits < bits, "KL %g at %g bits, and %g bits were taken", error,
              step_bits, bits);
    }
    CHECK(made == 1, "what was taken was tried %zu times", made);
    CHECK(bits > 4.1 && bits < 8.5, "%g bits a weight", bits); /* those of int4 in groups of 128, and of int8 of 32 */
    CHECK(count_files(p.folder) == 3, "%zu entries, expected two of ids and the folder", count_files(p.folder));
    cJSON_Delete(json);
    place_close(&p);
}

static void a_limit_that_nothing_meets_names_the_tensors(void)
{
    test_place p = place_with_ids();
    program_run run = place_run(&p, (const char *const[]){SEARCH("1e-9", "@/new/made"), NULL});
    CHECK(run.status == 1 && run.out[0] == '\0', "status %d, stdout holds: %s", run.status, run.out);
    CHECK(strncmp(run.err, "the tensors that hurt most, each alone (KL in nats):\n", 53) == 0 &&
              count_lines(run.err) == 1 + 5 + 1,
          "expected a line, five tensors and a line: %s", run.err);
    CHECK(strstr(run.err, " model.layers.") != NULL && strstr(run.err, " int8 ") != NULL, "no names: %s", run.err);
    CHECK(strstr(run.err, " bits a weight, the most that is tried, above the limit of 1e-09; nothing was written") !=
              NULL,
          "%s", run.err);
    CHECK(count_files(p.folder) == 2, "%zu entries, expected those of ids", count_files(p.folder));
    program_run_free(&run);
    place_close(&p);
}

/* What --layers-only leaves as it was hurts nothing: of a model this small the head, quantised, is among the worst. */
static void what_is_left_alone_is_not_named(void)
{
    for (int alone = 0; alone < 2; alone++) {
        test_place p = place_with_ids();
        program_run run =
            place_run(&p, (const char *const[]){"optimize", SOURCE, "-o", "@/made", "--quantize=int4",
                                                "--quantizer=clip", "--max-error", "1e-9", "--threads=1",
                                                "--calibration", "@/calibration.safetensors:ids", "--verify",
                                                "@/verify.safetensors:ids", alone ? "--layers-only" : NULL, NULL});
        CHECK(run.status == 1 && count_lines(run.err) == 1 + 5 + 1, "status %d: %s", run.status, run.err);
        CHECK((strstr(run.err, "  lm_head ") == NULL) == alone && (!alone || strstr(run.err, "embed_tokens") == NULL),
              "with%s --layers-only: %s", alone ? "" : "out", run.err);
        program_run_free(&run);
        place_close(&p);
    }
}

/* ---- attempts that come to nothing ------------------------------------------------------------------------------ */

/* Ends the search when attempt `ends` begins to be verified; 0: never. */
typedef struct attempts {
    size_t begun, ends;
} attempts;

static ciuic_status count_attempts(void *context, const char *what, size_t done, size_t total)
{
    attempts *a = context;
    (void)total;
    if (strcmp(what, "verifying") != 0 || done > 0) return CIUIC_OK;
    return ++a->begun == a->ends ? ciuic_fail(CIUIC_ERROR_INTERRUPTED, "stopped") : CIUIC_OK;
}

typedef struct searching {
    checkpoint *source;
    ciuic_model *reference;
    token_windows windows;
    char output[PLACE_PATH];
    attempts attempts;
    tune_request request;
} searching;

/* Rounds to nearest, and has made-up losses: the more bytes, the less. */
static searching search_open(const test_place *p, double limit, size_t ends)
{
    searching s = {.attempts = {.ends = ends}};
    char ids[PLACE_PATH];
    snprintf(ids, sizeof ids, "%s/verify.safetensors:ids", p->folder);
    snprintf(s.output, sizeof s.output, "%s/new/parents/made", p->folder);
    CU_ASSERT_EQUAL_FATAL(checkpoint_open(SOURCE, &s.source), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(ciuic_model_load(SOURCE, &s.reference), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(token_windows_read(ids, 0, VOCABULARY, LENGTH, &s.windows), CIUIC_OK);
    const sensitivity_request listed = {
        .source = s.source, .settings = mixed_settings, .count = mixed_setting_count, .anchor = mixed_anchor};
    CU_ASSERT_EQUAL_FATAL(sensitivity_units(&listed, &s.request.units, &s.request.count), CIUIC_OK);
    for (size_t i = 0; i < s.request.count; i++)
        for (size_t j = 0; j < s.request.units[i].count; j++)
            s.request.units[i].choices[j].kl = 1.0 / (double)s.request.units[i].choices[j].bytes;
    s.request.metric = ERROR_KL;
    s.request.limit = limit;
    return s;
}

static ciuic_status search_run(searching *s, tuned *found)
{
    s->request.attempt = (attempt_request){.source = s->source,
                                           .output = s->output,
                                           .windows = &s->windows,
                                           .window_count = 1,
                                           .reference = s->reference,
                                           .provenance = {.made_by = "ciuic of the tests", .source_sha256 = SHA256},
                                           .threads = 1,
                                           .progress = count_attempts,
                                           .progress_context = &s->attempts};
    return tune_bits(&s->request, found);
}

static void search_close(searching *s)
{
    free(s->request.units);
    token_windows_free(&s->windows);
    ciuic_model_free(s->reference);
    checkpoint_release(s->source);
}

/* In whichever attempt: the folders made for it are gone as well, though later attempts found them there. */
static void an_interrupted_search_leaves_nothing(void)
{
    test_place p = place_with_ids();
    size_t ends = 1;
    for (ciuic_status status = CIUIC_ERROR_INTERRUPTED; status == CIUIC_ERROR_INTERRUPTED; ends++) {
        searching s = search_open(&p, 0.045, ends);
        tuned found = {0};
        status = search_run(&s, &found);
        CHECK(status == CIUIC_ERROR_INTERRUPTED || status == CIUIC_OK, "attempt %zu: %s", ends, ciuic_last_error());
        CHECK((status == CIUIC_OK) == (s.attempts.begun < ends), "attempt %zu of %zu", ends, s.attempts.begun);
        tuned_free(&found); /* never committed */
        CHECK(count_files(p.folder) == 2, "ended in attempt %zu: something is left", ends);
        search_close(&s);
    }
    CHECK(ends > 4, "the search never had a better one: %zu attempts", ends);
    place_close(&p);
}

/* Then the largest is the result, and one attempt was enough to know. */
static void above_the_limit_the_largest_is_the_result(void)
{
    test_place p = place_with_ids();
    searching s = search_open(&p, 1e-9, 0);
    tuned found = {0};
    CHECK(search_run(&s, &found) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(found.step_count == 1 && found.best.writer != NULL, "%zu attempts", found.step_count);
    CHECK(error_metric_of(ERROR_KL, &found.best.accuracy) == found.steps[0].error && found.steps[0].error > 1e-9,
          "KL %g", found.steps[0].error);
    CHECK(found.best.bits_per_weight > 8.5, "%g bits a weight", found.best.bits_per_weight);
    for (size_t i = 0; i < s.request.count; i++) {
        const allocation_unit *u = &s.request.units[i];
        CHECK(u->choices[u->chosen].bytes >= u->choices[mixed_anchor].bytes, "%s has less than most", u->unit);
    }
    tuned_free(&found);
    CHECK(count_files(p.folder) == 2, "something is left");
    search_close(&s);
    place_close(&p);
}

static const test_case cases[] = {
    {"a search ends at the fewest bits within the limit", a_search_ends_at_the_fewest_bits_within_the_limit},
    {"a limit that nothing meets names the tensors", a_limit_that_nothing_meets_names_the_tensors},
    {"what is left alone is not named", what_is_left_alone_is_not_named},
    {"an interrupted search leaves nothing", an_interrupted_search_leaves_nothing},
    {"above the limit the largest is the result", above_the_limit_the_largest_is_the_result},
};
TEST_SUITE(tune, cases);
