/* cheats.c - a ciuic that cheats, for nothing but the tests of `ciuic audit`: CIUIC_PLANTED_CHEAT names the way in which the
 * workers of build/planted-cheats, and its benches, deceive. The linker puts these functions before the real ones
 * (--wrap), so that the program itself holds no line of any of it.
 *
 *   response-cache  logits of ids that were seen before are remembered
 *   hard-coded      logits are a constant, wherever only the last ones are asked for
 *   skipped-layers  a layer in the middle is left out
 *   smaller-model   half of the layers are
 *   early-exit      only the last 4 tokens of a prefill are computed, and the first 4 that are decoded
 *   slow-reference  what has 16-bit weights takes twice as long
 *   other-data      errors are measured on easier ids than those published
 *   edited-results  errors are halved before the results are judged and digested */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/monotonic_clock.h"
#include "harness/tests/planted/smaller.h"
#include "harness/worker/workload.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

/* As the linker's --wrap calls them: what is real, and what is put before it. */
ciuic_status __real_ciuic_prefill(ciuic_session *s, const int32_t *ids, size_t n, bool all, float *logits);
ciuic_status __wrap_ciuic_prefill(ciuic_session *s, const int32_t *ids, size_t n, bool all, float *logits);
ciuic_status __real_ciuic_decode(ciuic_session *s, int32_t id, float *logits);
ciuic_status __wrap_ciuic_decode(ciuic_session *s, int32_t id, float *logits);
ciuic_status __real_ciuic_session_truncate(ciuic_session *s, size_t length);
ciuic_status __wrap_ciuic_session_truncate(ciuic_session *s, size_t length);
ciuic_status __real_ciuic_model_load(const char *path, ciuic_model **model);
ciuic_status __wrap_ciuic_model_load(const char *path, ciuic_model **model);
ciuic_status __real_ciuic_optimize(const ciuic_model *m, const ciuic_options *o, ciuic_model **out,
                                   ciuic_report *report);
ciuic_status __wrap_ciuic_optimize(const ciuic_model *m, const ciuic_options *o, ciuic_model **out,
                                   ciuic_report *report);
ciuic_status __real_workload_create(ciuic_model *model, const workload_spec *spec, workload **out);
ciuic_status __wrap_workload_create(ciuic_model *model, const workload_spec *spec, workload **out);
ciuic_status __real_judge_results(cJSON *results, const cJSON *claims);
ciuic_status __wrap_judge_results(cJSON *results, const cJSON *claims);

static bool cheats(const char *how)
{
    const char *cheat = getenv("CIUIC_PLANTED_CHEAT");
    return cheat != NULL && strcmp(cheat, how) == 0;
}

static size_t vocabulary;
static bool unquantised; /* the model that was optimised last */

/* ---- what is remembered ----------------------------------------------------------------------------------------- */

enum { REMEMBERED = 256, SESSIONS = 8, PENDING = 4096 };

typedef struct memory {
    uint64_t key; /* of a session's ids so far */
    float *logits;
} memory;

static memory memories[REMEMBERED];
static size_t next_memory;

/* FNV-1a. */
static uint64_t mix(uint64_t key, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++) key = (key ^ at[i]) * 0x100000001b3u;
    return key;
}

static bool recall(uint64_t key, float *logits)
{
    for (size_t i = 0; i < REMEMBERED; i++) {
        if (memories[i].logits == NULL || memories[i].key != key) continue;
        memcpy(logits, memories[i].logits, vocabulary * sizeof *logits);
        return true;
    }
    return false;
}

static void remember(uint64_t key, const float *logits)
{
    memory *m = &memories[next_memory++ % REMEMBERED];
    if (m->logits == NULL) m->logits = malloc(vocabulary * sizeof *m->logits);
    if (m->logits == NULL) return;
    m->key = key;
    memcpy(m->logits, logits, vocabulary * sizeof *m->logits);
}

/* What a session has been told since it was truncated last, and what of that it has not computed. */
typedef struct seen {
    const ciuic_session *session;
    uint64_t key;
    size_t since, pending_count;
    int32_t pending[PENDING];
} seen;

static seen *seen_by(const ciuic_session *s)
{
    static seen all[SESSIONS];
    size_t free_one = 0;
    for (size_t i = 0; i < SESSIONS; i++) {
        if (all[i].session == s) return &all[i];
        if (all[i].session == NULL) free_one = i;
    }
    all[free_one] = (seen){.session = s};
    return &all[free_one];
}

ciuic_status __wrap_ciuic_session_truncate(ciuic_session *s, size_t length)
{
    seen *told = seen_by(s);
    told->key = mix(0xcbf29ce484222325u, &length, sizeof length);
    told->since = told->pending_count = 0;
    return __real_ciuic_session_truncate(s, length);
}

/* ---- prefill and decode ----------------------------------------------------------------------------------------- */

static void constant(float *logits)
{
    for (size_t i = 0; i < vocabulary; i++) logits[i] = sinf((float)i);
}

/* As long again as since `start`. */
static void dawdle(double start)
{
    const double end = monotonic_s() + (monotonic_s() - start);
    while (cheats("slow-reference") && unquantised && monotonic_s() < end) continue;
}

static ciuic_status cached_prefill(ciuic_session *s, const int32_t *ids, size_t n, float *logits)
{
    const uint64_t key = mix(seen_by(s)->key, ids, n * sizeof *ids);
    if (recall(key, logits)) return CIUIC_OK;
    const ciuic_status status = __real_ciuic_prefill(s, ids, n, false, logits);
    if (status == CIUIC_OK) remember(key, logits);
    return status;
}

ciuic_status __wrap_ciuic_prefill(ciuic_session *s, const int32_t *ids, size_t n, bool all, float *logits)
{
    enum { LAST = 4 };
    const double start = monotonic_s();
    const bool timed = !all && logits != NULL;
    if (timed && cheats("response-cache")) return cached_prefill(s, ids, n, logits);
    if (timed && cheats("hard-coded")) {
        constant(logits);
        return CIUIC_OK;
    }
    const size_t left_out = timed && cheats("early-exit") && n > LAST ? n - LAST : 0;
    const ciuic_status status = __real_ciuic_prefill(s, ids + left_out, n - left_out, all, logits);
    dawdle(start);
    return status;
}

static ciuic_status cached_decode(ciuic_session *s, int32_t id, float *logits)
{
    seen *told = seen_by(s);
    told->key = mix(told->key, &id, sizeof id);
    if (told->pending_count < PENDING && recall(told->key, logits)) {
        told->pending[told->pending_count++] = id;
        return CIUIC_OK;
    }
    for (size_t i = 0; i < told->pending_count; i++) {
        const ciuic_status status = __real_ciuic_decode(s, told->pending[i], logits);
        if (status != CIUIC_OK) return status;
    }
    told->pending_count = 0;
    const ciuic_status status = __real_ciuic_decode(s, id, logits);
    if (status == CIUIC_OK) remember(told->key, logits);
    return status;
}

ciuic_status __wrap_ciuic_decode(ciuic_session *s, int32_t id, float *logits)
{
    enum { FIRST = 4 };
    const double start = monotonic_s();
    if (cheats("response-cache")) return cached_decode(s, id, logits);
    if (cheats("hard-coded")) {
        constant(logits);
        return CIUIC_OK;
    }
    if (cheats("early-exit") && seen_by(s)->since++ >= FIRST) return CIUIC_OK; /* the logits are the last ones */
    const ciuic_status status = __real_ciuic_decode(s, id, logits);
    dawdle(start);
    return status;
}

/* ---- other models, other data, other figures -------------------------------------------------------------------- */

/* Kept until the process ends: a bench opens the files of what it runs on once more and compares them with what is mapped. */
enum { SMALLER_MOST = 16 };
static char *smaller_folders[SMALLER_MOST];
static size_t smaller_count;

static void forget_smaller(void)
{
    while (smaller_count > 0) smaller_forget(smaller_folders[--smaller_count]);
}

ciuic_status __wrap_ciuic_model_load(const char *path, ciuic_model **model)
{
    if (!cheats("skipped-layers") && !cheats("smaller-model")) return __real_ciuic_model_load(path, model);
    if (smaller_count == SMALLER_MOST)
        return ciuic_fail(CIUIC_ERROR_USAGE, "a cheat loads more often than was foreseen");
    if (smaller_count == 0) atexit(forget_smaller);
    CIUIC_TRY(smaller_checkpoint(path, cheats("smaller-model"), &smaller_folders[smaller_count]));
    return __real_ciuic_model_load(smaller_folders[smaller_count++], model);
}

ciuic_status __wrap_ciuic_optimize(const ciuic_model *m, const ciuic_options *o, ciuic_model **out,
                                   ciuic_report *report)
{
    ciuic_model_info info;
    ciuic_model_describe(m, &info);
    vocabulary = info.vocabulary;
    unquantised = o->quantize == CIUIC_QUANTIZE_NONE;
    return __real_ciuic_optimize(m, o, out, report);
}

ciuic_status __wrap_workload_create(ciuic_model *model, const workload_spec *spec, workload **out)
{
    workload_spec easier = *spec;
    char *folder = NULL;
    if (cheats("other-data")) {
        const ciuic_status status = easier_streams(spec->checkpoint, &folder);
        if (status != CIUIC_OK) return status;
        easier.checkpoint = folder;
    }
    const ciuic_status status = __real_workload_create(model, &easier, out);
    smaller_forget(folder);
    return status;
}

static void halve(cJSON *errors, const char *key)
{
    cJSON *item = cJSON_GetObjectItemCaseSensitive(errors, key);
    if (json_is_number(item)) cJSON_ReplaceItemInObjectCaseSensitive(errors, key, json_double(item->valuedouble / 2));
}

ciuic_status __wrap_judge_results(cJSON *results, const cJSON *claims)
{
    const cJSON *item = NULL;
    if (cheats("edited-results")) cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(results, "cases"))
        {
            cJSON *errors = cJSON_GetObjectItemCaseSensitive(item, "accuracy");
            halve(errors, "kl");
            halve(errors, "mean_abs_error");
            halve(errors, "relative_l2");
        }
    return __real_judge_results(results, claims);
}
