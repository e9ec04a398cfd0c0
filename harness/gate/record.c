/* record.c - see record.h. */
#include "harness/gate/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/gate/findings.h"
#include "harness/json_layout.h"
#include "harness/plain_text.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

/* What one run of --update prints to and counts. */
typedef struct recorder {
    const result_set *r;
    FILE *changes;
    size_t count;
} recorder;

static ciuic_status out_of_memory(void)
{
    return ciuic_fail_memory("recorded values", sizeof(cJSON));
}

/* NaN for what is not there. */
static void tell(recorder *all, const gate_limit *limit, const char *key, double before, double after)
{
    char line[512] = "", old[40], new[40];
    gate_format(&limit->metric, before, old, sizeof old);
    gate_format(&limit->metric, after, new, sizeof new);
    plain_append(line, sizeof line, "%.80s: %.240s: %s -> %s", limit->id, key, isnan(before) ? "nothing" : old,
                 isnan(after) ? "nothing" : new);
    plain_text(line);
    fprintf(all->changes, "%s\n", line);
    all->count++;
}

/* ---- one limit -------------------------------------------------------------------------------------------------- */

static bool is_worse(const gate_metric *metric, double a, double b)
{
    return isnan(b) || (metric->small_is_worse ? a < b : a > b);
}

/* Gathers the worst reading for each key into `fresh`, in which the keys that are kept have null at first. */
static ciuic_status gather(const gate_limit *limit, const result_set *r, cJSON *fresh)
{
    for (size_t i = 0; i < r->case_count; i++) {
        const result_case *c = &r->cases[i];
        if (!gate_covers(limit, c) || strcmp(c->status, "skipped") == 0) continue;
        const cJSON *recorded = gate_recorded(limit, c->id);
        const char *key = recorded != NULL ? recorded->string : c->id;
        gate_reading reading;
        CIUIC_TRY(gate_read(limit, r, c, &reading));
        const cJSON *held = json_find(fresh, key);
        double value = reading.problem[0] == '\0' ? reading.value : recorded != NULL ? recorded->valuedouble : NAN;
        if (isnan(value) || (held != NULL && !is_worse(&limit->metric, value, held->valuedouble))) continue;
        if (!set_member(fresh, key, json_double(value))) return out_of_memory();
    }
    return CIUIC_OK;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

/* A copy of `object` with its members in order of their keys' bytes; NULL when out of memory. */
static cJSON *sorted(const cJSON *object)
{
    const size_t n = (size_t)cJSON_GetArraySize(object);
    const cJSON **items = calloc(n + 1, sizeof *items);
    cJSON *copy = cJSON_CreateObject();
    size_t i = 0;
    for (const cJSON *item = object->child; item != NULL && items != NULL; item = item->next) items[i++] = item;
    if (items != NULL) qsort(items, n, sizeof *items, compare_keys);
    bool ok = copy != NULL && items != NULL;
    for (i = 0; i < n && ok; i++) ok = set_member(copy, items[i]->string, cJSON_Duplicate(items[i], true));
    free(items);
    if (ok) return copy;
    cJSON_Delete(copy);
    return NULL;
}

static void tell_changes(recorder *all, const gate_limit *limit, const cJSON *fresh)
{
    for (const cJSON *item = fresh->child; item != NULL; item = item->next) {
        const cJSON *old = limit->recorded != NULL ? json_find(limit->recorded, item->string) : NULL;
        if (old == NULL || old->valuedouble != item->valuedouble)
            tell(all, limit, item->string, old != NULL ? old->valuedouble : NAN, item->valuedouble);
    }
    for (const cJSON *item = limit->recorded != NULL ? limit->recorded->child : NULL; item != NULL; item = item->next)
        if (json_find(fresh, item->string) == NULL) tell(all, limit, item->string, item->valuedouble, NAN);
}

static ciuic_status record_limit(const gate_limit *limit, recorder *all)
{
    cJSON *gathered = cJSON_CreateObject(), *fresh = NULL;
    ciuic_status status = gathered != NULL ? gather(limit, all->r, gathered) : out_of_memory();
    if (status == CIUIC_OK) fresh = sorted(gathered);
    cJSON_Delete(gathered);
    CIUIC_TRY(status);
    if (fresh == NULL) return out_of_memory();
    tell_changes(all, limit, fresh);
    return set_member(limit->json, "recorded", fresh) ? CIUIC_OK : out_of_memory();
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------ */

/* NULL for what is not there. */
static void tell_digest(recorder *all, const char *name, const char *before, const char *after)
{
    char line[256] = "";
    plain_append(line, sizeof line, "checkpoints: %.80s: %.12s -> %.12s", name, before != NULL ? before : "nothing",
                 after != NULL ? after : "nothing");
    plain_text(line);
    fprintf(all->changes, "%s\n", line);
    all->count++;
}

static ciuic_status record_checkpoints(const gate_file *file, recorder *all)
{
    const cJSON *list = json_find(all->r->root, "checkpoints");
    cJSON *fresh = cJSON_CreateObject();
    bool ok = fresh != NULL;
    for (const cJSON *item = cJSON_IsArray(list) ? list->child : NULL; item != NULL && ok; item = item->next) {
        const char *name = cJSON_GetStringValue(json_find(item, "name"));
        const char *digest = cJSON_GetStringValue(json_find(item, "sha256"));
        const char *old = cJSON_GetStringValue(json_find(file->checkpoints, name));
        ok = set_member(fresh, name, cJSON_CreateString(digest));
        if (old != NULL && strcmp(old, digest) == 0) continue;
        tell_digest(all, name, old, digest);
    }
    for (const cJSON *item = file->checkpoints != NULL ? file->checkpoints->child : NULL; item != NULL && ok;
         item = item->next)
        if (fresh->child != NULL && json_find(fresh, item->string) == NULL)
            tell_digest(all, item->string, item->valuestring, NULL);
    if (!ok || fresh->child == NULL) { /* results of a version that recorded none: what was known stays */
        cJSON_Delete(fresh);
        return ok ? CIUIC_OK : out_of_memory();
    }
    cJSON *old = cJSON_GetObjectItemCaseSensitive(file->root, "checkpoints");
    if (old != NULL)
        ok = cJSON_ReplaceItemInObjectCaseSensitive(file->root, "checkpoints", fresh);
    else
        ok = cJSON_AddItemToObject(file->root, "checkpoints", fresh);
    return ok ? CIUIC_OK : out_of_memory();
}

/* Simulated counts are of what one compiler makes. */
static ciuic_status record_compiler(const gate_file *file, recorder *all)
{
    const char *compiler = cJSON_GetStringValue(json_find(json_find(all->r->root, "program"), "compiler"));
    bool wanted = false;
    for (size_t i = 0; i < file->count; i++)
        wanted = wanted || (gate_limit_recorded(&file->limits[i]) && file->limits[i].metric.kind == GATE_COUNTER &&
                            strcmp(file->limits[i].source, "simulated") == 0);
    if (!wanted || compiler == NULL || (file->compiler != NULL && strcmp(file->compiler, compiler) == 0))
        return CIUIC_OK;
    char line[256] = "";
    plain_append(line, sizeof line, "compiler: %.80s -> %.80s", file->compiler != NULL ? file->compiler : "nothing",
                 compiler);
    plain_text(line);
    fprintf(all->changes, "%s\n", line);
    all->count++;
    cJSON *fresh = cJSON_CreateString(compiler);
    const bool ok =
        fresh != NULL && (file->compiler != NULL ? cJSON_ReplaceItemInObjectCaseSensitive(file->root, "compiler", fresh)
                                                 : cJSON_AddItemToObject(file->root, "compiler", fresh));
    return ok ? CIUIC_OK : out_of_memory();
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

ciuic_status gate_record(gate_file *file, const char *name, const result_set *r, FILE *changes, size_t *count)
{
    recorder all = {.r = r, .changes = changes};
    CIUIC_TRY(record_checkpoints(file, &all));
    CIUIC_TRY(record_compiler(file, &all));
    for (size_t i = 0; i < file->count; i++)
        if (gate_limit_recorded(&file->limits[i])) CIUIC_TRY(record_limit(&file->limits[i], &all));
    *count = all.count;
    cJSON *root = file->root;
    free(file->limits);
    return gate_file_take(root, name, file);
}

ciuic_status gate_file_write(const char *path, gate_file *file)
{
    static const char *const spread[] = {"recorded", "checkpoints"};
    return json_layout_write(path, file->root, spread, sizeof spread / sizeof spread[0]);
}
