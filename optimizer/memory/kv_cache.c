/* kv_cache.c - one mapping for all layers, of which as much may be written as was asked for. Addresses that may not be
 * written count neither towards what the kernel lends out (overcommit) nor towards a group's memory (cgroups), so that a
 * limit of that sort is met when positions are used. A limit of addresses (RLIMIT_AS) counts all of them at once. */
#include "optimizer/memory/kv_cache.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "optimizer/error.h"

/* Positions that become usable together: a call to the kernel for each layer once in so many tokens. */
enum { GROWTH = 256 };

static size_t element_bytes(kernel_cache format)
{
    return format == KERNEL_CACHE_F32 ? sizeof(float) : format == KERNEL_CACHE_F16 ? sizeof(uint16_t) : sizeof(int8_t);
}

static size_t groups_of(size_t width)
{
    return (width + KERNEL_CACHE_GROUP - 1) / KERNEL_CACHE_GROUP;
}

/* Scales before those of `half`; half 2 gives those of a row. */
static size_t scales_before(const kv_cache_shape *s, int half)
{
    if (s->joined) return half < 2 ? 0 : groups_of(s->width[0] + s->width[1]);
    const size_t first = s->heads * groups_of(s->width[0] / s->heads);
    return half == 0 ? 0 : half == 1 ? first : first + s->heads * groups_of(s->width[1] / s->heads);
}

/* Where the scales of a row begin: an even byte. */
static size_t scales_at(const kv_cache_shape *s)
{
    return (s->width[0] + s->width[1] + 1) / 2 * 2;
}

size_t kv_cache_row_bytes(const kv_cache_shape *s)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(s->width[0] + s->width[1], element_bytes(s->format), &bytes)) return SIZE_MAX;
    return s->format == KERNEL_CACHE_INT8 ? scales_at(s) + scales_before(s, 2) * sizeof(uint16_t) : bytes;
}

ciuic_status kv_cache_bytes(const kv_cache_shape *s, size_t *bytes)
{
    size_t all = 0;
    /* Half of the address space at most, so that rounding up to pages cannot wrap. */
    if (__builtin_mul_overflow(kv_cache_row_bytes(s), s->positions, &all) ||
        __builtin_mul_overflow(all, s->layers, &all) || all > SIZE_MAX / 2)
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "a cache of %zu layers and %zu positions is too large to address",
                          s->layers, s->positions);
    *bytes = all;
    return CIUIC_OK;
}

static size_t whole_pages(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

ciuic_status kv_cache_create(kv_cache *cache, const kv_cache_shape *shape, bool touch)
{
    kv_cache made = {.shape = *shape, .row_bytes = kv_cache_row_bytes(shape)};
    CIUIC_TRY(kv_cache_bytes(shape, &made.bytes));
    made.layer_bytes = whole_pages(shape->positions * made.row_bytes);
    size_t all = 0;
    if (__builtin_mul_overflow(made.layer_bytes, shape->layers, &all))
        return ciuic_fail_memory("the key/value cache", made.bytes);
    const size_t mapped = all > 0 ? all : 1;
    void *data = mmap(NULL, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) return ciuic_fail_memory("the key/value cache", made.bytes);
    made.data = data;
    if (touch) {
        const ciuic_status status = kv_cache_grow(&made, shape->positions);
        if (status != CIUIC_OK) {
            kv_cache_free(&made);
            return status;
        }
        for (size_t layer = 0; layer < shape->layers; layer++)
            memset(made.data + layer * made.layer_bytes, 0, shape->positions * made.row_bytes);
    }
    *cache = made;
    return CIUIC_OK;
}

void kv_cache_free(kv_cache *cache)
{
    const size_t all = cache->layer_bytes * cache->shape.layers;
    if (cache->data != NULL) munmap(cache->data, all > 0 ? all : 1);
    cache->data = NULL;
}

ciuic_status kv_cache_grow(kv_cache *cache, size_t positions)
{
    const kv_cache_shape *s = &cache->shape;
    if (positions > s->positions)
        return ciuic_fail(CIUIC_ERROR_USAGE, "the key/value cache cannot grow to %zu positions: it was made for %zu",
                          positions, s->positions);
    if (positions > cache->committed) {
        size_t wanted = (positions + GROWTH - 1) / GROWTH * GROWTH;
        if (wanted > s->positions) wanted = s->positions;
        const size_t bytes = whole_pages(wanted * cache->row_bytes);
        for (size_t layer = 0; layer < s->layers && bytes > 0; layer++)
            if (mprotect(cache->data + layer * cache->layer_bytes, bytes, PROT_READ | PROT_WRITE) != 0)
                return ciuic_fail_memory("more positions of the key/value cache", s->layers * bytes);
        cache->committed = wanted;
    }
    if (positions > cache->used) cache->used = positions;
    return CIUIC_OK;
}

size_t kv_cache_stride(const kv_cache *cache)
{
    return cache->row_bytes / element_bytes(cache->shape.format);
}

size_t kv_cache_scale_stride(const kv_cache *cache)
{
    return cache->row_bytes / sizeof(uint16_t);
}

void *kv_cache_at(const kv_cache *cache, size_t layer, size_t position, int half)
{
    const size_t before = half == 1 ? cache->shape.width[0] * element_bytes(cache->shape.format) : 0;
    return cache->data + layer * cache->layer_bytes + position * cache->row_bytes + before;
}

uint16_t *kv_cache_scales(const kv_cache *cache, size_t layer, size_t position, int half, size_t head)
{
    const kv_cache_shape *s = &cache->shape;
    const size_t groups = s->joined ? 0 : groups_of(s->width[half] / s->heads);
    char *row = cache->data + layer * cache->layer_bytes + position * cache->row_bytes;
    return (uint16_t *)(void *)(row + scales_at(s)) + scales_before(s, half) + head * groups;
}
