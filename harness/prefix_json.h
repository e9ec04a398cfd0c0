/* prefix_json.h - the member "prefix_cache" of every result: a figure that a cache made is never told without it. */
#ifndef CIUIC_PREFIX_JSON_H
#define CIUIC_PREFIX_JSON_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

/* Adds "prefix_cache": {capacity, bytes, entries, lookups, hits, tokens_reused, tokens_computed}; null where `use` is NULL:
 * none was used. `computed`: tokens of all prompts that were. False: out of memory. */
bool prefix_json_add(cJSON *object, const ciuic_prefix_use *use, size_t computed);

#endif
