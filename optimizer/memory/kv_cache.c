/* kv_cache.c - one anonymous mapping for all layers. */
#include "optimizer/memory/kv_cache.h"

#include <string.h>
#include <sys/mman.h>

#include "optimizer/error.h"

static size_t element_bytes(kernel_cache format)
{
    return format == KERNEL_CACHE_F16 ? sizeof(uint16_t) : sizeof(float);
}

ciuic_status kv_cache_create(kv_cache *cache, kernel_cache format, size_t layers, size_t positions,
                             const size_t width[2], bool touch)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(width[0] + width[1], element_bytes(format), &bytes) ||
        __builtin_mul_overflow(bytes, positions, &bytes) || __builtin_mul_overflow(bytes, layers, &bytes))
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "a cache of %zu layers and %zu positions is too large to address",
                          layers, positions);
    void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return ciuic_fail_memory("the key/value cache", bytes);
    if (touch) memset(data, 0, bytes);
    *cache = (kv_cache){.format = format,
                        .layers = layers,
                        .positions = positions,
                        .width = {width[0], width[1]},
                        .data = data,
                        .bytes = bytes};
    return CIUIC_OK;
}

void kv_cache_free(kv_cache *cache)
{
    if (cache->data != NULL) munmap(cache->data, cache->bytes);
    cache->data = NULL;
}

size_t kv_cache_stride(const kv_cache *cache)
{
    return cache->width[0] + cache->width[1];
}

void *kv_cache_at(const kv_cache *cache, size_t layer, size_t position, int half)
{
    const size_t index =
        (layer * cache->positions + position) * kv_cache_stride(cache) + (half == 1 ? cache->width[0] : 0);
    return (char *)cache->data + index * element_bytes(cache->format);
}
