/* test_eval_source.c - what `ciuic eval` measures a model against: a quantised folder's source, found, changed or gone, and
 * references that do not fit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/tests/place_fixture.h"
#include "optimizer/tests/changed_checkpoint.h"
#include "optimizer/tests/runner.h"

#define QWEN2 "datasets/golden/r1-distill-qwen"
#define V3 "datasets/golden/deepseek-v3"

enum { VOCABULARY = 512 };

/* Ids, a copy of a checkpoint called "source", and what was quantised from that, called "made". */
static test_place place_with_made(void)
{
    test_place p = place_open();
    char path[PLACE_PATH];
    place_scatter_ids(&p, "ids.safetensors", 2, 24, VOCABULARY, 1);
    snprintf(path, sizeof path, "%s/source", p.folder);
    CU_ASSERT_EQUAL_FATAL(mkdir(path, 0777), 0);
    changed_checkpoint_write(QWEN2, NULL, 0, path);
    cJSON *json = place_run_json(&p, (const char *const[]){"optimize", "@/source", "-o", "@/made", "--quantize=int8",
                                                           "--quantizer=rtn", "--verify", "@/ids.safetensors:ids",
                                                           "--json", NULL});
    cJSON_Delete(json);
    return p;
}

static const char *text(const cJSON *object, const char *key)
{
    const char *found = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return found != NULL ? found : "null";
}

#define EVAL_MADE "eval", "@/made", "--ids", "@/ids.safetensors:ids"

/* By itself, and by a copy of the same bytes elsewhere. */
static void a_source_is_found_or_given(void)
{
    test_place p = place_with_made();
    double kl[2];
    for (int given = 0; given < 2; given++) {
        cJSON *json =
            place_run_json(&p, (const char *const[]){EVAL_MADE, "--json", given ? "--reference" : NULL, QWEN2, NULL});
        CHECK(strcmp(text(json, "reference"), "fp16+c") == 0 && strcmp(text(json, "variant"), "stored+c") == 0,
              "%s against %s", text(json, "variant"), text(json, "reference"));
        kl[given] = place_number(json, "kl");
        cJSON_Delete(json);
    }
    CHECK(kl[0] > 0 && kl[0] == kl[1], "KL %g and %g", kl[0], kl[1]);
    place_close(&p);
}

static void another_source_is_refused(void)
{
    static const char *const more[] = {"--json", "--per-layer", NULL};
    test_place p = place_with_made();
    char says[2 * PLACE_PATH], path[PLACE_PATH];
    snprintf(says, sizeof says, V3 ": is not what %s/made was made from: sha256 ", p.folder);
    place_check_refused(&p, (const char *const[]){EVAL_MADE, "--reference", V3, NULL}, 3, says, 3);
    place_check_refused(&p, (const char *const[]){EVAL_MADE, "--reference", "@/no-such", NULL}, 3,
                        "no-such: cannot be opened", 3);
    /* The one it names has changed since, by one bit of a weight. */
    const checkpoint_change edit = {POKE, "model.norm.weight", "5 1.0078125"};
    snprintf(path, sizeof path, "%s/source/model.safetensors", p.folder);
    CU_ASSERT_EQUAL_FATAL(unlink(path), 0);
    snprintf(path, sizeof path, "%s/source", p.folder);
    changed_checkpoint_write(QWEN2, &edit, 1, path);
    snprintf(says, sizeof says, "%s/source: is not what %s/made was made from: sha256 ", p.folder, p.folder);
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        place_check_refused(&p, (const char *const[]){EVAL_MADE, more[i], NULL}, 3, says, 3);
    place_close(&p);
}

/* Then there is nothing to compare with: that is said, with what to give, and nothing is called the reference. */
static void a_source_that_is_gone_is_asked_for(void)
{
    test_place p = place_with_made();
    char path[PLACE_PATH];
    snprintf(path, sizeof path, "%s/source", p.folder);
    remove_folder(strdup(path));
    program_run run = place_run(&p, (const char *const[]){EVAL_MADE, "--json", NULL});
    CHECK(run.status == 0 && count_lines(run.err) == 1 && strstr(run.err, "/made: what it was made from") != NULL &&
              strstr(run.err, "give it with --reference") != NULL && strstr(run.err, path) != NULL,
          "status %d: %s", run.status, run.err);
    cJSON *json = cJSON_Parse(run.out);
    CHECK(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "reference")), "reference %s", text(json, "reference"));
    CHECK(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "kl")) && place_number(json, "nll") > 0, "%s", run.out);
    cJSON_Delete(json);
    program_run_free(&run);
    run = place_run(&p, (const char *const[]){EVAL_MADE, NULL});
    CHECK(run.status == 0 && strstr(run.out, "stored+c ran without the reference") != NULL, "status %d: %s", run.status,
          run.out);
    program_run_free(&run);
    run = place_run(&p, (const char *const[]){EVAL_MADE, "--no-reference", NULL});
    CHECK(run.status == 0 && run.err[0] == '\0', "status %d: %s", run.status, run.err);
    program_run_free(&run);
    place_check_refused(&p, (const char *const[]){EVAL_MADE, "--per-layer", NULL}, 3, "give it with --reference", 2);
    place_close(&p);
}

/* Of an ordinary checkpoint any other may be the reference that has the same vocabulary. */
static void a_reference_of_another_vocabulary_is_refused(void)
{
    test_place p = place_open();
    place_scatter_ids(&p, "ids.safetensors", 1, 24, VOCABULARY, 1);
    place_check_refused(&p,
                        (const char *const[]){"eval", QWEN2, "--ids", "@/ids.safetensors:ids", "--reference",
                                              "datasets/qwen2-tiny", NULL},
                        3, "datasets/qwen2-tiny: has a vocabulary of 3072; expected 512, that of " QWEN2, 1);
    place_check_refused(&p,
                        (const char *const[]){"eval", "datasets/qwen2-tiny", "--ids", "@/ids.safetensors:ids",
                                              "--reference", QWEN2, NULL},
                        3, QWEN2 ": has a vocabulary of 512; expected 3072, that of datasets/qwen2-tiny", 1);
    cJSON *json = place_run_json(
        &p, (const char *const[]){"eval", QWEN2, "--ids", "@/ids.safetensors:ids", "--reference", V3, "--json", NULL});
    CHECK(place_number(json, "kl") > 0 && strcmp(text(json, "reference"), "fp16+c") == 0, "KL %g against %s",
          place_number(json, "kl"), text(json, "reference"));
    cJSON_Delete(json);
    place_close(&p);
}

static void a_quantised_reference_is_called_so(void)
{
    test_place p = place_with_made();
    cJSON *json = place_run_json(&p, (const char *const[]){"eval", QWEN2, "--ids", "@/ids.safetensors:ids",
                                                           "--reference", "@/made", "--json", NULL});
    CHECK(place_number(json, "kl") > 0 && strcmp(text(json, "reference"), "stored+c") == 0, "KL %g against %s",
          place_number(json, "kl"), text(json, "reference"));
    cJSON_Delete(json);
    place_close(&p);
}

static const test_case cases[] = {
    {"a source is found or given", a_source_is_found_or_given},
    {"another source is refused", another_source_is_refused},
    {"a source that is gone is asked for", a_source_that_is_gone_is_asked_for},
    {"a reference of another vocabulary is refused", a_reference_of_another_vocabulary_is_refused},
    {"a quantised reference is called so", a_quantised_reference_is_called_so},
};
TEST_SUITE(eval_source, cases);
