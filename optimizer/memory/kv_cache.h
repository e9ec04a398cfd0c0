/* kv_cache.h - what attention remembers: for every layer and position one row of two halves, [keys | values] of all heads,
 * or [latent | k_pe] for MLA. */
#ifndef CIUIC_KV_CACHE_H
#define CIUIC_KV_CACHE_H

#include "kernels/kernels.h"
#include "optimizer/ciuic.h"

typedef struct kv_cache {
    kernel_cache format;
    size_t layers, positions;
    size_t width[2]; /* values of the halves */
    void *data;      /* [layers][positions][width[0] + width[1]] */
    size_t bytes;
} kv_cache;

/* Reserves room for all positions. With `touch` every page is written at once, as a framework's static cache is;
 * otherwise pages cost memory when their positions are used. */
ciuic_status kv_cache_create(kv_cache *cache, kernel_cache format, size_t layers, size_t positions,
                             const size_t width[2], bool touch);
void kv_cache_free(kv_cache *cache);
/* Values between one position and the next. */
size_t kv_cache_stride(const kv_cache *cache);
/* The first value of a half at a position. */
void *kv_cache_at(const kv_cache *cache, size_t layer, size_t position, int half);

#endif
