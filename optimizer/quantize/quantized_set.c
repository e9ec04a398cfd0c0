/* quantized_set.c - see quantized_set.h: a table in order of adding, and a hash of names into it. */
#include "optimizer/quantize/quantized_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/array_room.h"
#include "optimizer/error.h"

typedef struct member {
    char *name;
    kernel_matrix *matrix; /* allocated by itself: callers keep its address */
    void *values;
    uint16_t *scales, *minimums;
    size_t bytes;
} member;

struct quantized_set {
    member *members;
    size_t count, capacity;
    size_t *slots; /* [slot_count]: index + 1, 0 for none; open addressing */
    size_t slot_count, bytes;
};

quantized_set *quantized_set_create(void)
{
    return calloc(1, sizeof(quantized_set));
}

static void free_member(member *m)
{
    free(m->name);
    free(m->matrix);
    free(m->values);
    free(m->scales);
    free(m->minimums);
}

void quantized_set_free(quantized_set *set)
{
    if (set == NULL) return;
    for (size_t i = 0; i < set->count; i++) free_member(&set->members[i]);
    free(set->members);
    free(set->slots);
    free(set);
}

/* FNV-1a. */
static size_t hash_of(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name != '\0'; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return (size_t)hash;
}

/* The slot that holds `name`, or the free one where it would be put. */
static size_t slot_of(const quantized_set *set, const char *name)
{
    size_t slot = hash_of(name) % set->slot_count;
    while (set->slots[slot] != 0 && strcmp(set->members[set->slots[slot] - 1].name, name) != 0)
        slot = (slot + 1) % set->slot_count;
    return slot;
}

static bool rehash(quantized_set *set, size_t slot_count)
{
    size_t *slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL) return false;
    free(set->slots);
    set->slots = slots;
    set->slot_count = slot_count;
    for (size_t i = 0; i < set->count; i++) set->slots[slot_of(set, set->members[i].name)] = i + 1;
    return true;
}

static bool reserve(quantized_set *set)
{
    member *grown = array_with_room(set->members, set->count, &set->capacity, sizeof *grown);
    if (grown == NULL) return false;
    set->members = grown;
    return 2 * (set->count + 1) < set->slot_count || rehash(set, 4 * set->capacity);
}

static size_t find(const quantized_set *set, const char *name)
{
    if (set == NULL || set->count == 0) return SIZE_MAX;
    const size_t at = set->slots[slot_of(set, name)];
    return at > 0 ? at - 1 : SIZE_MAX;
}

const kernel_matrix *quantized_set_find(const quantized_set *set, const char *name)
{
    const size_t at = find(set, name);
    return at != SIZE_MAX ? set->members[at].matrix : NULL;
}

void quantized_set_remove(quantized_set *set, const char *name)
{
    const size_t at = find(set, name);
    if (at == SIZE_MAX) return;
    set->bytes -= set->members[at].bytes;
    free_member(&set->members[at]);
    memmove(set->members + at, set->members + at + 1, (set->count - at - 1) * sizeof *set->members);
    set->count--;
    memset(set->slots, 0, set->slot_count * sizeof *set->slots);
    for (size_t i = 0; i < set->count; i++) set->slots[slot_of(set, set->members[i].name)] = i + 1;
}

/* Zeroed: padding of codes is part of what is written to files. */
static void *zeroed(size_t bytes)
{
    return calloc(bytes > 0 ? bytes : 1, 1);
}

ciuic_status quantized_set_add(quantized_set *set, const char *name, const kernel_matrix *like, void **values,
                               uint16_t **scales, uint16_t **minimums, kernel_matrix **added)
{
    quantized_set_remove(set, name);
    const size_t scale_bytes = like->rows * kernel_row_scales(like) * sizeof(uint16_t);
    const size_t value_bytes = like->rows * kernel_row_bytes(like->format, like->columns);
    const bool asymmetric = like->minimums != NULL;
    member m = {.name = strdup(name), .matrix = calloc(1, sizeof *m.matrix), .values = zeroed(value_bytes)};
    if (scale_bytes > 0) m.scales = zeroed(scale_bytes);
    if (scale_bytes > 0 && asymmetric) m.minimums = zeroed(scale_bytes);
    m.bytes = value_bytes + scale_bytes * (asymmetric ? 2 : 1);
    const bool got = m.name && m.matrix && m.values && (scale_bytes == 0 || m.scales) &&
                     (scale_bytes == 0 || !asymmetric || m.minimums);
    if (!got || !reserve(set)) {
        free_member(&m);
        return ciuic_fail_memory(name, m.bytes);
    }
    *m.matrix = *like;
    m.matrix->interleave = 0;
    m.matrix->values = m.values;
    m.matrix->scales = m.scales;
    m.matrix->minimums = m.minimums;
    m.matrix->bias = NULL;
    m.matrix->block_scales = NULL;
    set->members[set->count++] = m;
    set->slots[slot_of(set, name)] = set->count;
    set->bytes += m.bytes;
    *values = m.values;
    if (scales != NULL) *scales = m.scales;
    if (minimums != NULL) *minimums = m.minimums;
    if (added != NULL) *added = m.matrix;
    return CIUIC_OK;
}

size_t quantized_set_count(const quantized_set *set)
{
    return set->count;
}

const kernel_matrix *quantized_set_at(const quantized_set *set, size_t index, const char **name)
{
    *name = set->members[index].name;
    return set->members[index].matrix;
}

size_t quantized_set_bytes(const quantized_set *set)
{
    return set->bytes;
}
