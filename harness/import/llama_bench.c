/* llama_bench.c - what `llama-bench -o json` writes: an array of tests, each with n_prompt tokens of prefill, then n_gen of
 * decoding, behind n_depth (later versions), and the nanoseconds of every repetition. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/import/formats.h"
#include "harness/plain_text.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

bool is_llama_bench(const cJSON *root)
{
    if (!cJSON_IsArray(root) || root->child == NULL) return false;
    return json_find(root->child, "n_prompt") != NULL && json_find(root->child, "n_gen") != NULL;
}

static const char *text_or(const cJSON *object, const char *key, const char *otherwise)
{
    const char *text = cJSON_GetStringValue(json_find(object, key));
    return text != NULL ? text : otherwise;
}

static ciuic_status get_count(const cJSON *test, const char *where, const char *key, bool required, size_t *out)
{
    *out = 0;
    if (!required && json_find(test, key) == NULL) return CIUIC_OK;
    return json_get_size(test, where, key, 0, (size_t)1 << 40, out);
}

static ciuic_status read_samples(const cJSON *test, const char *where, const imported_timing *like, imported_set *set)
{
    const cJSON *samples = json_find(test, "samples_ns");
    double average = 0.0;
    if (samples == NULL) { /* old versions have the mean only */
        CIUIC_TRY(json_get_double(test, where, "avg_ns", 0.0, 1e18, &average));
        return imported_add(set, where, like, average * 1e-9);
    }
    CIUIC_TRY(json_get_array(test, where, "samples_ns", &samples));
    for (const cJSON *sample = samples->child; sample != NULL; sample = sample->next) {
        if (!json_is_number(sample))
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: samples_ns holds something that is no number", where);
        CIUIC_TRY(imported_add(set, where, like, sample->valuedouble * 1e-9));
    }
    return CIUIC_OK;
}

static double number_or(const cJSON *object, const char *key, double otherwise)
{
    const cJSON *item = json_find(object, key);
    return json_is_number(item) ? item->valuedouble : otherwise;
}

/* ---- configurations --------------------------------------------------------------------------------------------- */

enum { MEMBERS = 200, VARYING = 32 };

/* Settings that are not the same in all tests of a file: what tells one timing from another, and a repetition from neither. */
typedef struct varying_keys {
    const char *list[VARYING];
    size_t count;
} varying_keys;

/* Whether the member may make two tests of the same length different ones: all that llama-bench says of a test does but for what
 * was measured, when, and what has a column of its own. Members that it will have one day do, too. */
static bool is_setting(const cJSON *member)
{
    static const char *const others[] = {"avg_ns",       "stddev_ns", "avg_ts", "stddev_ts", "test_time",
                                         "build_number", "n_prompt",  "n_gen",  "n_depth",   "n_threads"};
    if (cJSON_IsArray(member) || cJSON_IsObject(member)) return false;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(member->string, others[i]) == 0) return false;
    return true;
}

/* Adds the settings of `test` that `other` has otherwise or not at all. */
static ciuic_status add_varying(const cJSON *test, const cJSON *other, const char *where, varying_keys *varying)
{
    if (cJSON_GetArraySize(test) > MEMBERS)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: a test of more than %d members", where, MEMBERS);
    for (const cJSON *member = test->child; member != NULL; member = member->next) {
        const cJSON *theirs = json_find(other, member->string);
        bool known = false;
        if (!is_setting(member) || (theirs != NULL && cJSON_Compare(member, theirs, true))) continue;
        for (size_t i = 0; i < varying->count && !known; i++) known = strcmp(varying->list[i], member->string) == 0;
        if (known) continue;
        if (varying->count == VARYING)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tests differ in more than %d settings; expected a file for each",
                              where, VARYING);
        varying->list[varying->count++] = member->string;
    }
    return CIUIC_OK;
}

static ciuic_status find_varying(const cJSON *root, const char *path, varying_keys *varying)
{
    const cJSON *first = root->child;
    size_t position = 0;
    for (const cJSON *test = first; test != NULL; test = test->next, position++) {
        char where[320];
        snprintf(where, sizeof where, "%.255s: [%zu]", path, position);
        if (!cJSON_IsObject(test)) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: not an object; expected a test", where);
        CIUIC_TRY(add_varying(test, first, where, varying));
        CIUIC_TRY(add_varying(first, test, where, varying));
    }
    return CIUIC_OK;
}

/* What every test is called by, and its own value of each setting that varies. */
static ciuic_status describe(const cJSON *test, const char *where, const varying_keys *varying,
                             char name[IMPORTED_NAME])
{
    snprintf(name, IMPORTED_NAME,
             "llama-bench %.20s, %.100s, %.20s, %.0f layers on a GPU, cache %.8s/%.8s, batch %.0f/%.0f",
             text_or(test, "build_commit", "unknown"),
             text_or(test, "model_type", text_or(test, "model_filename", "an unknown model")),
             text_or(test, "backends", "unknown backend"), number_or(test, "n_gpu_layers", 0.0),
             text_or(test, "type_k", "?"), text_or(test, "type_v", "?"), number_or(test, "n_batch", 0.0),
             number_or(test, "n_ubatch", 0.0));
    for (size_t i = 0; i < varying->count; i++) {
        const cJSON *member = json_find(test, varying->list[i]);
        char *value = member != NULL ? cJSON_PrintUnformatted(member) : NULL;
        if (member != NULL && value == NULL) return ciuic_fail_memory("a setting", 0);
        plain_append(name, IMPORTED_NAME, ", %s %s", varying->list[i], value != NULL ? value : "not said");
        cJSON_free(value);
    }
    if (strlen(name) < IMPORTED_NAME - 1) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: what it differs in takes more than %d bytes; expected a file for each",
                      where, IMPORTED_NAME - 2);
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

static ciuic_status read_test(const cJSON *test, const char *where, const varying_keys *varying, imported_set *set)
{
    size_t prompt = 0, generated = 0;
    char name[IMPORTED_NAME];
    imported_timing like = {.name = name, .tokens_per_s = NAN};
    CIUIC_TRY(get_count(test, where, "n_prompt", true, &prompt));
    CIUIC_TRY(get_count(test, where, "n_gen", true, &generated));
    CIUIC_TRY(get_count(test, where, "n_depth", false, &like.depth));
    CIUIC_TRY(get_count(test, where, "n_threads", false, &like.threads));
    CIUIC_TRY(describe(test, where, varying, name));
    like.tokens = prompt + generated;
    like.phase = generated == 0 ? "prefill" : prompt == 0 ? "decode" : NULL;
    if (like.tokens == 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: n_prompt and n_gen are 0; expected tokens that were timed", where);
    return read_samples(test, where, &like, set);
}

ciuic_status read_llama_bench(const cJSON *root, imported_set *set)
{
    size_t position = 0;
    varying_keys varying = {.count = 0};
    set->format = "llama-bench";
    CIUIC_TRY(find_varying(root, set->path, &varying));
    for (const cJSON *test = root->child; test != NULL; test = test->next, position++) {
        char where[320];
        snprintf(where, sizeof where, "%.255s: [%zu]", set->path, position);
        CIUIC_TRY(read_test(test, where, &varying, set));
    }
    return CIUIC_OK;
}
