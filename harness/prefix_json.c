/* prefix_json.c - see prefix_json.h. */
#include "harness/prefix_json.h"

#include "optimizer/json.h"

bool prefix_json_add(cJSON *object, const ciuic_prefix_use *use, size_t computed)
{
    if (use == NULL) return cJSON_AddNullToObject(object, "prefix_cache") != NULL;
    cJSON *cache = cJSON_AddObjectToObject(object, "prefix_cache");
    return cache != NULL && json_add_size(cache, "capacity", use->capacity) &&
           json_add_size(cache, "bytes", use->bytes) && json_add_size(cache, "entries", use->entries) &&
           json_add_size(cache, "lookups", use->lookups) && json_add_size(cache, "hits", use->hits) &&
           json_add_size(cache, "tokens_reused", use->tokens) && json_add_size(cache, "tokens_computed", computed);
}
