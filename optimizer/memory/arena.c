/* arena.c - greedy-by-size offset assignment. */
#include "optimizer/memory/arena.h"

#include <stdint.h>
#include <stdlib.h>

#include "optimizer/error.h"

static size_t align_up(size_t bytes)
{
    return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

/* Larger first; equal sizes in order of first use, so that plans are the same on every machine. */
static int by_size(const void *a, const void *b)
{
    const arena_value *x = *(const arena_value *const *)a, *y = *(const arena_value *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool alive_together(const arena_value *a, const arena_value *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which `v` overlaps none of the placed values that are alive with it. Every candidate is 0 or the
 * end of a placed value. */
static size_t lowest_fit(const arena_value *v, arena_value *const *placed, size_t count)
{
    size_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < count; i++) {
            const arena_value *p = placed[i];
            if (!alive_together(v, p)) continue;
            if (offset < p->offset + align_up(p->bytes) && p->offset < offset + align_up(v->bytes)) {
                offset = p->offset + align_up(p->bytes);
                moved = true;
            }
        }
    }
    return offset;
}

ciuic_status arena_plan(arena_value *values, size_t count, size_t *total, size_t *lower_bound)
{
    *total = *lower_bound = 0;
    if (count == 0) return CIUIC_OK;
    for (size_t i = 0; i < count; i++) /* sums below cannot wrap */
        if (values[i].bytes > SIZE_MAX / 4 / count) return ciuic_fail_memory("activations", values[i].bytes);
    arena_value **order = malloc(count * sizeof *order);
    if (order == NULL) return ciuic_fail_memory("planning the arena", count * sizeof *order);
    for (size_t i = 0; i < count; i++) order[i] = &values[i];
    qsort(order, count, sizeof *order, by_size);
    for (size_t i = 0; i < count; i++) {
        order[i]->offset = lowest_fit(order[i], order, i);
        const size_t end = order[i]->offset + align_up(order[i]->bytes);
        if (end > *total) *total = end;
    }
    for (size_t i = 0; i < count; i++) { /* the number of live bytes can only rise where a value begins */
        size_t alive = 0;
        for (size_t j = 0; j < count; j++)
            if (values[j].first <= values[i].first && values[i].first <= values[j].last)
                alive += align_up(values[j].bytes);
        if (alive > *lower_bound) *lower_bound = alive;
    }
    free(order);
    return CIUIC_OK;
}
