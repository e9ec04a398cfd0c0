/* large_results.c - see large_results.h. */
#include "harness/trials/large_results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/content_digest.h"
#include "harness/judge/results.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { ID = 512 };

/* "model/prefill128@0/b1/t2/x" with k tokens more: after the phase's letters stand the tokens. */
static void rename_id(const char *id, size_t k, char out[ID])
{
    const char *phase = strchr(id, '/');
    const char *tokens = phase != NULL ? strpbrk(phase, "0123456789") : NULL;
    char *rest = NULL;
    if (tokens == NULL) {
        snprintf(out, ID, "%s", id);
        return;
    }
    const size_t n = strtoul(tokens, &rest, 10);
    snprintf(out, ID, "%.*s%zu%s", (int)(tokens - id), id, n + k, rest);
}

static void rename_key(cJSON *item, size_t k)
{
    char id[ID];
    rename_id(item->string, k, id);
    cJSON_free(item->string);
    item->string = strdup(id);
}

static void rename_text(cJSON *item, size_t k)
{
    char id[ID];
    rename_id(item->valuestring, k, id);
    cJSON_SetValuestring(item, id);
}

static void add_to(cJSON *number, size_t k)
{
    if (cJSON_IsNumber(number)) cJSON_SetNumberValue(number, number->valuedouble + (double)k);
}

static void change_case(cJSON *c, size_t k, size_t blocks)
{
    cJSON *block = cJSON_GetObjectItemCaseSensitive(c, "block");
    rename_text(cJSON_GetObjectItemCaseSensitive(c, "id"), k);
    add_to(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(c, "workload"), "tokens"), k);
    add_to(block, k * blocks);
    for (cJSON *item = block != NULL ? block->child : NULL; item != NULL; item = item->next) add_to(item, k * blocks);
}

static void change_block(cJSON *block, size_t k, size_t blocks)
{
    static const char *const by_id[] = {"samples", "iterations", "cpu_samples"};
    add_to(cJSON_GetObjectItemCaseSensitive(block, "index"), k * blocks);
    add_to(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(block, "workload"), "tokens"), k);
    for (size_t i = 0; i < sizeof by_id / sizeof by_id[0]; i++) {
        cJSON *object = cJSON_GetObjectItemCaseSensitive(block, by_id[i]);
        for (cJSON *item = object != NULL ? object->child : NULL; item != NULL; item = item->next) rename_key(item, k);
    }
    cJSON *schedule = cJSON_GetObjectItemCaseSensitive(block, "schedule");
    for (cJSON *round = schedule != NULL ? schedule->child : NULL; round != NULL; round = round->next)
        for (cJSON *item = round->child; item != NULL; item = item->next) rename_text(item, k);
}

static void remove_judgements(cJSON *results)
{
    static const char *const of_all[] = {"noise_floor", "verdicts", "stages",
                                         "attribution", "summary",  CONTENT_DIGEST_KEY};
    for (size_t i = 0; i < sizeof of_all / sizeof of_all[0]; i++)
        cJSON_DeleteItemFromObjectCaseSensitive(results, of_all[i]);
    for (cJSON *c = cJSON_GetObjectItemCaseSensitive(results, "cases")->child; c != NULL; c = c->next)
        cJSON_DeleteItemFromObjectCaseSensitive(c, "ratios");
    for (cJSON *b = cJSON_GetObjectItemCaseSensitive(results, "blocks")->child; b != NULL; b = b->next)
        cJSON_DeleteItemFromObjectCaseSensitive(b, "series");
}

/* Appends copy k of every item of `from` to `to`, changed. */
static bool copy_items(const cJSON *from, cJSON *to, size_t k, size_t blocks, void (*change)(cJSON *, size_t, size_t))
{
    for (const cJSON *item = from->child; item != NULL; item = item->next) {
        cJSON *copy = cJSON_Duplicate(item, true);
        if (copy == NULL || !cJSON_AddItemToArray(to, copy)) return false;
        change(copy, k, blocks);
    }
    return true;
}

ciuic_status large_results(const char *path, size_t cases, cJSON **results)
{
    cJSON *root = NULL, *all_cases = cJSON_CreateArray(), *all_blocks = cJSON_CreateArray();
    CIUIC_TRY(json_read_file(path, (size_t)256 << 20, &root));
    remove_judgements(root);
    cJSON *some_cases = cJSON_GetObjectItemCaseSensitive(root, "cases");
    cJSON *some_blocks = cJSON_GetObjectItemCaseSensitive(root, "blocks");
    const size_t blocks = (size_t)cJSON_GetArraySize(some_blocks), each = (size_t)cJSON_GetArraySize(some_cases);
    bool ok = each > 0 && blocks > 0;
    for (size_t k = 0; ok && k * each < cases; k++)
        ok = copy_items(some_cases, all_cases, k, blocks, change_case) &&
             copy_items(some_blocks, all_blocks, k, blocks, change_block);
    ok = ok && set_member(root, "cases", all_cases) && set_member(root, "blocks", all_blocks);
    const ciuic_status status = ok ? content_seal(root) : ciuic_fail_memory("large results", cases);
    if (status == CIUIC_OK)
        *results = root;
    else
        cJSON_Delete(root);
    return status;
}
