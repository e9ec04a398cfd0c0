/* results_file.c - see results_file.h. */
#include "harness/results_file.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/judge/content_digest.h"
#include "harness/judge/judge.h"
#include "harness/report/schema.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { SCHEMA_VERSION = 1 };

static const size_t results_max = (size_t)256 << 20;

/* Asked before anything else: results of another version break the schema in ways that help nobody. */
static ciuic_status check_version(const cJSON *root, const char *name)
{
    const cJSON *version = json_find(root, "schema_version");
    if (!json_is_number(version) || version->valuedouble == SCHEMA_VERSION) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: schema_version %g; expected %d: read it with the ciuic that wrote it",
                      name, version->valuedouble, SCHEMA_VERSION);
}

/* Members that earlier versions called otherwise get the name that they have now. After the digest, which covers names. */
static ciuic_status rename_members(cJSON *root)
{
    cJSON *machine = cJSON_GetObjectItemCaseSensitive(root, "machine");
    cJSON *load = cJSON_DetachItemFromObjectCaseSensitive(machine, "company");
    if (load == NULL) return CIUIC_OK;
    if (cJSON_AddItemToObject(machine, "background_load", load)) return CIUIC_OK;
    cJSON_Delete(load);
    return ciuic_fail_memory("the machine record", 0);
}

typedef struct content_look {
    const cJSON *root;
    content_state state;
} content_look;

static void *look_at_content(void *look)
{
    content_look *l = look;
    l->state = content_check(l->root);
    return NULL;
}

/* The digest and the schema each walk through all of a large file: side by side. */
ciuic_status results_check(cJSON *root, const char *name, content_state *content)
{
    pthread_t thread;
    content_look look = {.root = root};
    CIUIC_TRY(check_version(root, name));
    const bool beside = pthread_create(&thread, NULL, look_at_content, &look) == 0;
    const ciuic_status status = schema_check_results(root, name);
    if (beside)
        pthread_join(thread, NULL);
    else
        look_at_content(&look);
    *content = look.state;
    return status == CIUIC_OK ? rename_members(root) : status;
}

ciuic_status results_judge(cJSON *root, const char *name)
{
    static const char subject[] = "results: ";
    char said[1024];
    const ciuic_status status = judge_results(root, json_find(root, "claims"));
    if (status != CIUIC_ERROR_INPUT || strncmp(ciuic_last_error(), subject, sizeof subject - 1) != 0) return status;
    snprintf(said, sizeof said, "%s", ciuic_last_error() + sizeof subject - 1);
    return ciuic_fail(status, "%s: %s", name, said);
}

/* From what judging has left in noise_floor[]. */
static void set_noise_floors(result_set *set)
{
    double worst = NAN;
    const cJSON *floors = json_find(set->root, "noise_floor");
    for (const cJSON *item = cJSON_IsArray(floors) ? floors->child : NULL; item != NULL; item = item->next) {
        const cJSON *block = json_find(item, "block"), *floor = json_find(item, "floor");
        if (!json_is_number(block) || !json_is_number(floor)) continue;
        worst = fmax(worst, floor->valuedouble);
        const double index = block->valuedouble;
        if (index >= 0.0 && index < (double)set->block_count)
            set->blocks[(size_t)index].noise_floor = floor->valuedouble;
    }
    for (size_t b = 0; b < set->block_count; b++)
        if (isnan(set->blocks[b].noise_floor)) set->blocks[b].noise_floor = worst;
}

/* What is edited may be looked at, with `report`, and decides nothing. */
static ciuic_status refuse_edited(content_state content, const char *name, bool edited_too)
{
    if (content != CONTENT_EDITED || edited_too) return CIUIC_OK;
    return ciuic_fail(
        CIUIC_ERROR_INPUT,
        "%s: was edited after it was written: %s is that of other content; give the file as bench left it", name,
        CONTENT_DIGEST_KEY);
}

static ciuic_status take(cJSON *root, const char *name, bool edited_too, results_file *file)
{
    *file = (results_file){.path = strdup(name), .root = root};
    if (file->path == NULL) return ciuic_fail_memory("a path", strlen(name));
    CIUIC_TRY(results_check(root, name, &file->content));
    CIUIC_TRY(refuse_edited(file->content, name, edited_too));
    CIUIC_TRY(results_judge(root, name));
    CIUIC_TRY(results_index(root, &file->set));
    set_noise_floors(&file->set);
    return CIUIC_OK;
}

ciuic_status results_file_take(cJSON *root, const char *name, results_file *file)
{
    return take(root, name, false, file);
}

ciuic_status results_file_take_any(cJSON *root, const char *name, results_file *file)
{
    return take(root, name, true, file);
}

ciuic_status results_file_load(const char *operand, char **path, cJSON **root)
{
    struct stat status;
    const bool folder = stat(operand, &status) == 0 && S_ISDIR(status.st_mode);
    char *joined = NULL;
    if (asprintf(&joined, folder ? "%s/results.json" : "%s", operand) < 0)
        return ciuic_fail_memory("a path", strlen(operand));
    const ciuic_status read = json_read_file(joined, results_max, root);
    if (read == CIUIC_OK)
        *path = joined;
    else
        free(joined);
    return read;
}

ciuic_status results_file_read(const char *operand, results_file *file)
{
    char *path = NULL;
    cJSON *root = NULL;
    *file = (results_file){0};
    CIUIC_TRY(results_file_load(operand, &path, &root));
    const ciuic_status read = results_file_take(root, path, file);
    free(path);
    return read;
}

void results_file_free(results_file *file)
{
    results_free(&file->set);
    cJSON_Delete(file->root);
    free(file->path);
    *file = (results_file){0};
}
