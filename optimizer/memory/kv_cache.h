/* kv_cache.h - what attention remembers: for every layer and position one row of two halves, [keys | values] of all heads,
 * or [latent | k_pe] for MLA.
 *
 * INT8 (KERNEL_CACHE_INT8): a vector of a row - one head's key or value; for MLA the latent and k_pe together, which
 * absorbed attention reads as one key - is int8 in groups of KERNEL_CACHE_GROUP with a binary16 scale each. A row is its
 * values, then its scales: width + 2 * ceil(vector / 64) * vectors bytes.
 *
 * The whole context is reserved as address space and grows in place: no row ever moves, and pages cost memory when their
 * positions are used. */
#ifndef CIUIC_KV_CACHE_H
#define CIUIC_KV_CACHE_H

#include "kernels/kernels.h"
#include "optimizer/ciuic.h"

typedef struct kv_cache_shape {
    kernel_cache format;
    size_t layers, positions;
    size_t width[2]; /* values of the halves */
    size_t heads;    /* vectors that each half is cut into */
    bool joined;     /* the halves are one vector: MLA's latent and k_pe */
} kv_cache_shape;

typedef struct kv_cache {
    kv_cache_shape shape;
    size_t row_bytes;
    char *data; /* [layers][layer_bytes]: rows, then room up to a whole page */
    size_t layer_bytes;
    size_t bytes;     /* of the rows of all positions */
    size_t committed; /* positions that may be written */
    size_t used;      /* most positions that were asked for so far */
} kv_cache;

/* Bytes of the row of one position in one layer; SIZE_MAX when that cannot be said. */
size_t kv_cache_row_bytes(const kv_cache_shape *shape);
/* Bytes of all rows; a cache too large to address is CIUIC_ERROR_UNSUPPORTED. */
ciuic_status kv_cache_bytes(const kv_cache_shape *shape, size_t *bytes);

/* Reserves addresses for all positions. With `touch` every page is written at once, as a framework's static cache is;
 * otherwise positions become usable by kv_cache_grow. */
ciuic_status kv_cache_create(kv_cache *cache, const kv_cache_shape *shape, bool touch);
void kv_cache_free(kv_cache *cache);
/* Makes the positions [0, positions) usable; what they held stays where it is. More than were reserved is
 * CIUIC_ERROR_USAGE; no memory is CIUIC_ERROR_UNSUPPORTED. Either leaves the cache as it was. */
ciuic_status kv_cache_grow(kv_cache *cache, size_t positions);

/* Elements of the format between one position's values and the next's, and scales between one position's and the next's. */
size_t kv_cache_stride(const kv_cache *cache);
size_t kv_cache_scale_stride(const kv_cache *cache);
/* The first value of a half at a position. */
void *kv_cache_at(const kv_cache *cache, size_t layer, size_t position, int half);
/* INT8: the scales of vector `head` of a half; of the joined vector for either half. */
uint16_t *kv_cache_scales(const kv_cache *cache, size_t layer, size_t position, int half, size_t head);

#endif
