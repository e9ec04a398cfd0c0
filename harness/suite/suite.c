/* suite.c - reads a suite file and refuses everything that it does not understand. */
#include "harness/suite/suite.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/commands.h"
#include "harness/suite/suite_lists.h"
#include "harness/suite/suite_variants.h"
#include "kernels/kernels.h"
#include "optimizer/checkpoint/config.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { WHERE_MAX = 512, SUITE_BYTES_MAX = 1 << 20 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const phase_names[] = {"prefill", "decode"};
/* The last is a form, not a name: suite_set_counters reads what begins like it by itself. */
static const char *const counters_forms[] = {"hardware", "simulated", "likwid:GROUP"};
static const char *const baseline_names[] = {"naive", "tuned", "openblas", "onednn"};

const char *suite_phase_name(suite_phase phase)
{
    return phase_names[phase];
}

const char *suite_baseline_name(suite_baseline baseline)
{
    return baseline < BASELINE_COUNT ? baseline_names[baseline] : NULL;
}

/* `path` as seen from the folder of `file`; NULL when out of memory. */
static char *beside(const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    const size_t folder = path[0] == '/' || slash == NULL ? 0 : (size_t)(slash - file) + 1;
    const size_t length = strlen(path);
    char *joined = malloc(folder + length + 1);
    if (joined == NULL) return NULL;
    memcpy(joined, file, folder);
    memcpy(joined + folder, path, length + 1);
    return joined;
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------ */

static ciuic_status name_checkpoint(suite_checkpoint *c, const char *where, const char *written)
{
    size_t end = strlen(written);
    while (end > 0 && written[end - 1] == '/') end--;
    size_t start = end;
    while (start > 0 && written[start - 1] != '/') start--;
    if (end == start || end - start > SUITE_NAME_MAX)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: found \"%s\", expected a checkpoint folder whose name has 1 to %d characters", where,
                          written, SUITE_NAME_MAX);
    memcpy(c->name, written + start, end - start);
    c->name[end - start] = '\0';
    return CIUIC_OK;
}

/* An entry of "checkpoints": a path; or a path and how `ciuic synth` makes what is to be there. */
typedef struct checkpoint_entry {
    const char *path;
    const char *like;    /* NULL: nothing makes it */
    size_t layers, seed; /* layers 0: all */
} checkpoint_entry;

static ciuic_status read_entry(const char *where, const cJSON *item, checkpoint_entry *entry)
{
    static const char *const keys[] = {"path", "like", "layers", "seed"};
    *entry = (checkpoint_entry){.seed = 1};
    if (cJSON_IsString(item)) {
        entry->path = item->valuestring;
        return CIUIC_OK;
    }
    if (!cJSON_IsObject(item))
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: expected a string, the path of a checkpoint folder, or an object with \"path\" and "
                          "\"like\"",
                          where);
    CIUIC_TRY(json_only_keys(item, where, keys, COUNT(keys)));
    CIUIC_TRY(json_get_string(item, where, "path", &entry->path));
    CIUIC_TRY(json_get_string(item, where, "like", &entry->like));
    if (json_find(item, "layers") != NULL) CIUIC_TRY(json_get_size(item, where, "layers", 1, 1 << 16, &entry->layers));
    if (json_find(item, "seed") != NULL)
        CIUIC_TRY(json_get_size(item, where, "seed", 0, (size_t)1 << 53, &entry->seed));
    return CIUIC_OK;
}

/* Drops every "name/../": "suites/../build" is "build", and easier to read. */
static void fold_parents(char *path)
{
    for (char *up = strstr(path, "/../"); up != NULL && up != path; up = strstr(up + 1, "/../")) {
        char *name = up;
        while (name > path && name[-1] != '/') name--;
        if (strncmp(name, "../", 3) == 0 || strncmp(name, "./", 2) == 0) continue;
        memmove(name, up + 4, strlen(up + 4) + 1);
        fold_parents(path);
        return;
    }
}

/* The checkpoint is not there, and one line makes it. */
static ciuic_status tell_synth(const suite *s, const char *where, const checkpoint_entry *entry)
{
    char layers[32] = "";
    char *like = beside(s->file, entry->like), *path = beside(s->file, entry->path);
    ciuic_status status = CIUIC_ERROR_INPUT;
    if (entry->layers > 0) snprintf(layers, sizeof layers, " --layers %zu", entry->layers);
    if (like == NULL || path == NULL) {
        status = ciuic_fail_memory("a checkpoint's path", strlen(entry->path));
    } else {
        fold_parents(like);
        fold_parents(path);
        status = ciuic_fail(CIUIC_ERROR_INPUT,
                            "%s: \"%s\" is not there; 'ciuic synth --like %s%s --seed %zu -o %s' makes it", where,
                            entry->path, like, layers, entry->seed, path);
    }
    free(like);
    free(path);
    return status;
}

static ciuic_status read_checkpoint(suite *s, size_t index, const cJSON *item)
{
    char where[WHERE_MAX];
    snprintf(where, sizeof where, "%s: checkpoints[%zu]", s->file, index);
    suite_checkpoint *c = &s->checkpoints[index];
    checkpoint_entry entry;
    CIUIC_TRY(read_entry(where, item, &entry));
    CIUIC_TRY(name_checkpoint(c, where, entry.path));
    for (size_t i = 0; i < index; i++)
        if (strcmp(s->checkpoints[i].name, c->name) == 0)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: a second checkpoint called \"%s\"; names must differ", where,
                              c->name);
    c->path = beside(s->file, entry.path);
    if (c->path == NULL) return ciuic_fail_memory("a checkpoint's path", strlen(entry.path));
    s->checkpoint_count = index + 1;
    struct stat status;
    if (entry.like != NULL && stat(c->path, &status) != 0 && errno == ENOENT) return tell_synth(s, where, &entry);
    char *config_path = NULL;
    const int length = asprintf(&config_path, "%s/config.json", c->path);
    if (length < 0) return ciuic_fail_memory("a checkpoint's path", strlen(c->path));
    ciuic_status result = CIUIC_OK;
    if (stat(config_path, &status) != 0)
        result = ciuic_fail(CIUIC_ERROR_INPUT,
                            "%s: \"%s\" is no checkpoint: %s: %s; paths are relative to the suite's folder", where,
                            entry.path, config_path, strerror(errno));
    model_config config;
    if (result == CIUIC_OK) result = model_config_read(config_path, &config);
    if (result == CIUIC_OK) c->max_context = config.max_position;
    free(config_path);
    return result;
}

static ciuic_status read_checkpoints(suite *s)
{
    const cJSON *list = NULL, *item = NULL;
    CIUIC_TRY(suite_list(s->json, s->file, "checkpoints", 1, SUITE_LIST_MAX, &list));
    size_t index = 0;
    cJSON_ArrayForEach(item, list) CIUIC_TRY(read_checkpoint(s, index++, item));
    return CIUIC_OK;
}

/* ---- workloads -------------------------------------------------------------------------------------------------- */

static ciuic_status find_checkpoint(const suite *s, const char *where, const char *name, size_t *index)
{
    const char *names[SUITE_LIST_MAX];
    for (size_t i = 0; i < s->checkpoint_count; i++) names[i] = s->checkpoints[i].name;
    return suite_one_of(where, "checkpoint", name, names, s->checkpoint_count, index);
}

static ciuic_status read_workload(suite *s, size_t index, const cJSON *item)
{
    static const char *const keys[] = {"checkpoint", "phase", "tokens", "depth", "batch", "prefix"};
    char where[WHERE_MAX];
    snprintf(where, sizeof where, "%s: workloads[%zu]", s->file, index);
    if (!cJSON_IsObject(item)) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: expected an object", where);
    CIUIC_TRY(json_only_keys(item, where, keys, COUNT(keys)));
    suite_workload *w = &s->workloads[index];
    const char *checkpoint = NULL, *phase = NULL;
    size_t phase_index = 0, batch = 1;
    CIUIC_TRY(json_get_string(item, where, "checkpoint", &checkpoint));
    CIUIC_TRY(find_checkpoint(s, where, checkpoint, &w->checkpoint));
    CIUIC_TRY(json_get_string(item, where, "phase", &phase));
    CIUIC_TRY(suite_one_of(where, "phase", phase, phase_names, COUNT(phase_names), &phase_index));
    w->phase = (suite_phase)phase_index;
    const size_t context = s->checkpoints[w->checkpoint].max_context;
    CIUIC_TRY(json_get_size(item, where, "tokens", 1, context, &w->tokens));
    if (json_find(item, "depth") != NULL) CIUIC_TRY(json_get_size(item, where, "depth", 0, context, &w->depth));
    if (w->phase == PHASE_PREFILL && w->depth > 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: depth: found %zu, expected 0 or none: a prefill starts from nothing",
                          where, w->depth);
    if (w->depth > context - w->tokens)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: depth + tokens: found %zu + %zu, expected at most the %zu positions that %s has", where,
                          w->depth, w->tokens, context, s->checkpoints[w->checkpoint].name);
    if (json_find(item, "prefix") != NULL && w->phase != PHASE_PREFILL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: prefix: expected none: it is what prompts of a prefill share", where);
    if (json_find(item, "prefix") != NULL)
        CIUIC_TRY(json_get_size(item, where, "prefix", 1, w->tokens - 1, &w->prefix));
    if (json_find(item, "batch") != NULL) CIUIC_TRY(json_get_size(item, where, "batch", 1, 1, &batch));
    for (size_t i = 0; i < index; i++) {
        const suite_workload *o = &s->workloads[i];
        if (o->checkpoint == w->checkpoint && o->phase == w->phase && o->tokens == w->tokens && o->depth == w->depth)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: the same as workloads[%zu]; each workload once", where, i);
    }
    s->workload_count = index + 1;
    return CIUIC_OK;
}

static ciuic_status read_workloads(suite *s)
{
    const cJSON *list = NULL, *item = NULL;
    CIUIC_TRY(suite_list(s->json, s->file, "workloads", 1, SUITE_LIST_MAX, &list));
    size_t index = 0;
    cJSON_ArrayForEach(item, list) CIUIC_TRY(read_workload(s, index++, item));
    return CIUIC_OK;
}

/* ---- the rest --------------------------------------------------------------------------------------------------- */

static ciuic_status read_baselines(suite *s)
{
    size_t chosen[BASELINE_COUNT], count = 0;
    CIUIC_TRY(suite_choices(s->json, s->file, "baselines", baseline_names, BASELINE_COUNT, chosen, &count));
    for (size_t i = 0; i < count; i++) s->baselines[chosen[i]] = true;
    if (!s->baselines[BASELINE_TUNED])
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: baselines: \"tuned\" is missing: headline and noise floor are taken against it",
                          s->file);
    return CIUIC_OK;
}

static ciuic_status read_threads(suite *s)
{
    const cJSON *list = NULL, *item = NULL;
    CIUIC_TRY(suite_list(s->json, s->file, "threads", 1, SUITE_LIST_MAX, &list));
    cJSON_ArrayForEach(item, list)
    {
        size_t threads = 0;
        const bool all = cJSON_IsString(item) && strcmp(item->valuestring, "all") == 0;
        if (!all) {
            const double value = cJSON_IsNumber(item) ? item->valuedouble : 0;
            if (!(value >= 1 && value <= 1024) || value != (double)(size_t)value)
                return ciuic_fail(CIUIC_ERROR_INPUT,
                                  "%s: threads[%zu]: expected \"all\" or a whole number from 1 to 1024", s->file,
                                  s->thread_count);
            threads = (size_t)value;
        }
        for (size_t i = 0; i < s->thread_count; i++)
            if (s->threads[i] == threads)
                return ciuic_fail(CIUIC_ERROR_INPUT, "%s: threads[%zu]: given twice", s->file, s->thread_count);
        s->threads[s->thread_count++] = threads;
    }
    return CIUIC_OK;
}

/* Whether limits are searched for under total_bytes, and what holds the workers of the search to theirs. */
static ciuic_status read_search(suite *s, const cJSON *limits, const char *where)
{
    static const char *const searches[] = {"whole", "ends"}, *const hows[] = {"rlimit", "cgroup"};
    const char *text = NULL;
    size_t chosen = 0;
    if (json_find(limits, "search") != NULL) {
        CIUIC_TRY(json_get_string(limits, where, "search", &text));
        CIUIC_TRY(suite_one_of(where, "search", text, searches, COUNT(searches), &chosen));
        s->search = chosen == 0 ? SEARCH_WHOLE : SEARCH_ENDS;
        if (s->total_limit == 0)
            return ciuic_fail(CIUIC_ERROR_INPUT,
                              "%s: search: expected \"total_bytes\" beside it, the limit that a context is to fit",
                              where);
    }
    if (json_find(limits, "how") == NULL) return CIUIC_OK;
    CIUIC_TRY(json_get_string(limits, where, "how", &text));
    CIUIC_TRY(suite_one_of(where, "how", text, hows, COUNT(hows), &chosen));
    s->limit_by_cgroup = chosen == 1;
    if (s->search == SEARCH_NONE)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: how: expected \"search\" beside it: it is about its limits", where);
    return CIUIC_OK;
}

static ciuic_status read_limits(suite *s)
{
    static const char *const keys[] = {"workers", "timeout_s", "memory_bytes", "total_bytes", "search", "how"};
    s->worker_limit = 12;
    s->timeout_s = 60;
    const cJSON *limits = NULL;
    if (json_find(s->json, "limits") == NULL) return CIUIC_OK;
    char where[WHERE_MAX];
    snprintf(where, sizeof where, "%s: limits", s->file);
    CIUIC_TRY(json_get_object(s->json, s->file, "limits", &limits));
    CIUIC_TRY(json_only_keys(limits, where, keys, COUNT(keys)));
    /* The baselines, of which tuned counts twice, and at least one variant to compare with them. */
    size_t least = 2;
    for (int b = 0; b < BASELINE_COUNT; b++) least += s->baselines[b];
    if (json_find(limits, "workers") != NULL)
        CIUIC_TRY(json_get_size(limits, where, "workers", least, 256, &s->worker_limit));
    if (json_find(limits, "timeout_s") != NULL)
        CIUIC_TRY(json_get_double(limits, where, "timeout_s", 0.1, 86400, &s->timeout_s));
    if (json_find(limits, "memory_bytes") != NULL)
        CIUIC_TRY(json_get_size(limits, where, "memory_bytes", (size_t)1 << 24, (size_t)1 << 46, &s->memory_limit));
    if (json_find(limits, "total_bytes") != NULL)
        CIUIC_TRY(json_get_size(limits, where, "total_bytes", (size_t)1 << 20, (size_t)1 << 46, &s->total_limit));
    return read_search(s, limits, where);
}

static ciuic_status read_accuracy(suite *s)
{
    static const char *const keys[] = {"windows", "tokens", "reference"};
    char where[WHERE_MAX];
    bool reference = true;
    snprintf(where, sizeof where, "%s: accuracy", s->file);
    const cJSON *accuracy = NULL;
    CIUIC_TRY(json_get_object(s->json, s->file, "accuracy", &accuracy));
    CIUIC_TRY(json_only_keys(accuracy, where, keys, COUNT(keys)));
    size_t longest = SIZE_MAX;
    for (size_t i = 0; i < s->checkpoint_count; i++)
        if (s->checkpoints[i].max_context < longest) longest = s->checkpoints[i].max_context;
    CIUIC_TRY(json_get_size(accuracy, where, "windows", 0, 4096, &s->accuracy_windows));
    if (json_find(accuracy, "reference") != NULL) CIUIC_TRY(json_get_bool(accuracy, where, "reference", &reference));
    s->no_reference = !reference;
    if (s->no_reference && (s->accuracy_windows > 0 || s->rounds == 0))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: reference: found false, expected true where %s", where,
                          s->rounds == 0 ? "nothing is timed" : "there are windows to compare with it");
    return json_get_size(accuracy, where, "tokens", 1, longest, &s->accuracy_tokens);
}

static ciuic_status read_effort(suite *s)
{
    CIUIC_TRY(json_get_size(s->json, s->file, "rounds", 0, 100000, &s->rounds));
    /* A 95% interval of a median takes 6 rounds; corrected for a hundred cases at once (Holm), 2 * 100 / 2^n is to be
     * below 0.05. */
    const size_t least = 12;
    s->min_rounds = s->rounds < least ? s->rounds : least;
    if (json_find(s->json, "min_rounds") != NULL && s->rounds == 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: min_rounds: expected none, because rounds is 0", s->file);
    if (json_find(s->json, "min_rounds") != NULL)
        CIUIC_TRY(json_get_size(s->json, s->file, "min_rounds", 1, s->rounds, &s->min_rounds));
    if (json_find(s->json, "precision") != NULL && s->rounds == 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: precision: expected none, because rounds is 0", s->file);
    if (json_find(s->json, "precision") != NULL)
        CIUIC_TRY(
            json_get_double(s->json, s->file, "precision", SUITE_PRECISION_LEAST, SUITE_PRECISION_MOST, &s->precision));
    CIUIC_TRY(json_get_double(s->json, s->file, "min_time_s", 0, 60, &s->min_time_s));
    return json_get_double(s->json, s->file, "time_budget_s", 1, 1e7, &s->time_budget_s);
}

/* The name becomes part of a folder's name. */
static ciuic_status read_name(suite *s)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    CIUIC_TRY(json_get_string(s->json, s->file, "name", &s->name));
    CIUIC_TRY(json_get_string(s->json, s->file, "description", &s->description));
    const size_t length = strlen(s->name);
    if (length == 0 || length > SUITE_NAME_MAX || strspn(s->name, allowed) != length || s->name[0] == '.')
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: name: found \"%s\", expected 1 to %d letters, digits, '-', '_' or '.', no dot first",
                          s->file, s->name, SUITE_NAME_MAX);
    return CIUIC_OK;
}

static const char group_prefix[] = "likwid:";

ciuic_status suite_set_counters(suite *s, const char *where, const char *key, const char *written)
{
    const size_t prefix = sizeof group_prefix - 1;
    size_t index = SUITE_COUNTERS_GROUP;
    const char *group = strncmp(written, group_prefix, prefix) == 0 ? written + prefix : "";
    if (group[0] == '\0' && strncmp(written, group_prefix, prefix) != 0) {
        CIUIC_TRY(suite_one_of(where, key, written, counters_forms, COUNT(counters_forms), &index));
    } else {
        const size_t length = strspn(group, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        if (length == 0 || length > SUITE_GROUP_MAX || group[length] != '\0')
            return ciuic_fail(
                CIUIC_ERROR_INPUT,
                "%s: %s: found \"%.40s\", expected likwid: and the name of a group, 1 to %d capital letters, "
                "digits or '_', such as likwid:MEM",
                where, key, written, SUITE_GROUP_MAX);
    }
    s->counters = (suite_counters)index;
    snprintf(s->counters_group, sizeof s->counters_group, "%s", group);
    return CIUIC_OK;
}

void suite_counters_text(const suite *s, char text[SUITE_GROUP_MAX + 8])
{
    if (s->counters == SUITE_COUNTERS_GROUP)
        snprintf(text, SUITE_GROUP_MAX + 8, "%s%s", group_prefix, s->counters_group);
    else
        snprintf(text, SUITE_GROUP_MAX + 8, "%s", counters_forms[s->counters]);
}

static ciuic_status read_counters(suite *s)
{
    const char *written = NULL;
    if (json_find(s->json, "counters") == NULL) return CIUIC_OK;
    CIUIC_TRY(json_get_string(s->json, s->file, "counters", &written));
    return suite_set_counters(s, s->file, "counters", written);
}

static ciuic_status read_all(suite *s)
{
    static const char *const keys[] = {"schema_version", "name",      "description", "seed",     "checkpoints",
                                       "workloads",      "variants",  "baselines",   "threads",  "rounds",
                                       "min_rounds",     "precision", "min_time_s",  "accuracy", "limits",
                                       "time_budget_s",  "claims",    "cold_start",  "counters"};
    if (!cJSON_IsObject(s->json)) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: expected an object", s->file);
    CIUIC_TRY(json_only_keys(s->json, s->file, keys, COUNT(keys)));
    size_t version = 0, seed = 0;
    CIUIC_TRY(json_get_size(s->json, s->file, "schema_version", 1, 1, &version));
    CIUIC_TRY(json_get_size(s->json, s->file, "seed", 0, (size_t)1 << 53, &seed));
    s->seed = seed;
    CIUIC_TRY(read_name(s));
    CIUIC_TRY(read_checkpoints(s));
    CIUIC_TRY(read_workloads(s));
    CIUIC_TRY(suite_read_variants(s));
    CIUIC_TRY(read_baselines(s));
    CIUIC_TRY(read_threads(s));
    CIUIC_TRY(read_effort(s));
    CIUIC_TRY(read_accuracy(s));
    CIUIC_TRY(read_limits(s));
    if (json_find(s->json, "cold_start") != NULL)
        CIUIC_TRY(json_get_bool(s->json, s->file, "cold_start", &s->cold_start));
    CIUIC_TRY(read_counters(s));
    const char *claims = NULL;
    CIUIC_TRY(json_get_string(s->json, s->file, "claims", &claims));
    s->claims = beside(s->file, claims);
    return s->claims != NULL ? CIUIC_OK : ciuic_fail_memory("the path of the claims", strlen(claims));
}

ciuic_status suite_read(const char *path, suite **out)
{
    suite *s = calloc(1, sizeof *s);
    if (s == NULL) return ciuic_fail_memory("a suite", sizeof *s);
    ciuic_status status = CIUIC_OK;
    s->file = strdup(path);
    if (s->file == NULL) status = ciuic_fail_memory("a path", strlen(path));
    if (status == CIUIC_OK) status = json_read_file(path, SUITE_BYTES_MAX, &s->json);
    if (status == CIUIC_OK) status = sha256_file(path, &s->sha256);
    if (status == CIUIC_OK) status = read_all(s);
    if (status == CIUIC_OK)
        *out = s;
    else
        suite_free(s);
    return status;
}

void suite_free(suite *s)
{
    if (s == NULL) return;
    for (size_t i = 0; i < s->checkpoint_count; i++) free(s->checkpoints[i].path);
    free(s->product);
    cJSON_Delete(s->json);
    free(s->claims);
    free(s->file);
    free(s);
}
