/* prefix_cache.h - rows of key/value caches by the tokens that they are of: the beginnings of earlier prompts, which a new
 * prompt that begins alike need not compute again.
 *
 * A row depends on the tokens up to its own and on nothing after them, so that rows of a common beginning are the same
 * whatever follows. Bounded in bytes; the least recently used goes first. For several threads. */
#ifndef CIUIC_PREFIX_CACHE_H
#define CIUIC_PREFIX_CACHE_H

#include "optimizer/memory/kv_cache.h"

typedef struct prefix_cache prefix_cache;

/* For caches whose rows are of that shape, however many positions they have. */
ciuic_status prefix_cache_create(const kv_cache_shape *shape, size_t capacity, prefix_cache **out);
void prefix_cache_free(prefix_cache *c); /* NULL is allowed */

/* Copies the rows of the longest beginning of `ids` that is known, at most `n` tokens, into positions [0, result) of `kv`,
 * which has grown to n; the number of tokens, 0: none. */
size_t prefix_cache_take(prefix_cache *c, const int32_t *ids, size_t n, kv_cache *kv);
/* Keeps the rows of `ids`, positions [0, n) of kv, or of as many of them as fit; of what is a beginning of something kept
 * already, nothing. Copied before what has to go for them is freed: both are there for a moment. Where memory is out, the cache
 * stays as it is. */
void prefix_cache_put(prefix_cache *c, const int32_t *ids, size_t n, const kv_cache *kv);

void prefix_cache_describe(prefix_cache *c, ciuic_prefix_use *use);

#endif
