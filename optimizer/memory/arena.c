/* arena.c - greedy offset assignment in several orders, of which the best is kept. */
#include "optimizer/memory/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"

/* A value on its way to a place. */
typedef struct item {
    arena_value *value;
    size_t bytes;  /* rounded up to the alignment */
    size_t load;   /* most bytes alive at an operation of its life */
    size_t offset; /* in the plan that is tried */
    size_t index;  /* of the caller's; the last word in every order, so that plans are the same on every machine */
} item;

static size_t align_up(size_t bytes)
{
    return (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

static int ascending(size_t a, size_t b)
{
    return a < b ? -1 : a > b;
}

static int by_first_use(const void *a, const void *b)
{
    const item *x = a, *y = b;
    if (x->value->first != y->value->first) return x->value->first < y->value->first ? -1 : 1;
    return x->bytes != y->bytes ? ascending(y->bytes, x->bytes) : ascending(x->index, y->index);
}

static int by_size(const void *a, const void *b)
{
    const item *x = a, *y = b;
    return x->bytes != y->bytes ? ascending(y->bytes, x->bytes) : by_first_use(a, b);
}

static size_t life(const item *x)
{
    return (size_t)(x->value->last - x->value->first) + 1;
}

/* A long life first, since it stands in the way of most others; what lives alike by size. */
static int by_life(const void *a, const void *b)
{
    const item *x = a, *y = b;
    return life(x) != life(y) ? ascending(life(y), life(x)) : by_size(a, b);
}

static int by_area(const void *a, const void *b)
{
    const item *x = a, *y = b;
    const double p = (double)x->bytes * (double)life(x), q = (double)y->bytes * (double)life(y);
    return p != q ? (p < q ? 1 : -1) : by_size(a, b);
}

static int by_breadth(const void *a, const void *b)
{
    const item *x = a, *y = b;
    return x->load != y->load ? ascending(y->load, x->load) : by_size(a, b);
}

/* As by breadth, the longest lives of the same operations lowest. */
static int by_breadth_and_life(const void *a, const void *b)
{
    const item *x = a, *y = b;
    return x->load != y->load ? ascending(y->load, x->load) : by_life(a, b);
}

static bool alive_together(const arena_value *a, const arena_value *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which `x` overlaps none of the placed ones that are alive with it; those are in order of their
 * offsets. */
static size_t lowest_fit(const item *x, item *const *placed, size_t count)
{
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        const item *p = placed[i];
        if (!alive_together(x->value, p->value)) continue;
        if (offset + x->bytes <= p->offset) return offset;
        if (p->offset + p->bytes > offset) offset = p->offset + p->bytes;
    }
    return offset;
}

/* Places the items in their order; the size of the buffer. */
static size_t place_all(item *items, item **placed, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        item *x = &items[i];
        x->offset = lowest_fit(x, placed, i);
        size_t at = i;
        for (; at > 0 && placed[at - 1]->offset > x->offset; at--) placed[at] = placed[at - 1];
        placed[at] = x;
        if (x->offset + x->bytes > total) total = x->offset + x->bytes;
    }
    return total;
}

/* The bytes alive at each operation, and with them every item's load; the most of all. */
static ciuic_status find_loads(item *items, size_t count, size_t *most)
{
    int first = items[0].value->first, last = items[0].value->last;
    for (size_t i = 1; i < count; i++) {
        const arena_value *v = items[i].value;
        first = v->first < first ? v->first : first;
        last = v->last > last ? v->last : last;
    }
    const size_t operations = (size_t)(last - first) + 1;
    size_t *alive = calloc(operations, sizeof *alive);
    if (alive == NULL) return ciuic_fail_memory("planning the arena", operations * sizeof *alive);
    for (size_t i = 0; i < count; i++)
        for (int at = items[i].value->first; at <= items[i].value->last; at++) alive[at - first] += items[i].bytes;
    for (size_t i = 0; i < count; i++)
        for (int at = items[i].value->first; at <= items[i].value->last; at++)
            if (alive[at - first] > items[i].load) items[i].load = alive[at - first];
    *most = 0;
    for (size_t i = 0; i < count; i++)
        if (items[i].load > *most) *most = items[i].load;
    free(alive);
    return CIUIC_OK;
}

/* A search in progress: the order that is tried, and the least size so far, whose offsets the values have. */
typedef struct search {
    item *items, **placed;
    size_t count, bound, total;
} search;

/* Places the items in their order; whether that is the best plan so far, which is then kept. */
static size_t try_order(search *s)
{
    const size_t size = place_all(s->items, s->placed, s->count);
    if (size < s->total) {
        s->total = size;
        for (size_t i = 0; i < s->count; i++) s->items[i].value->offset = s->items[i].offset;
    }
    return size;
}

/* Whoever lies on top comes earlier the next time, and with it its like in other layers: those of its size and length of
 * life. `spare` has room for all. */
static void promote(search *s, size_t size, item *spare)
{
    size_t top = 0, front = 0;
    while (s->items[top].offset + s->items[top].bytes != size) top++;
    const item like = s->items[top];
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < s->count; i++)
            if ((s->items[i].bytes == like.bytes && life(&s->items[i]) == life(&like)) == (pass == 0))
                spare[front++] = s->items[i];
    memcpy(s->items, spare, s->count * sizeof *spare);
}

/* Placing takes the square of the count: at most this many steps are spent, a fraction of a second. */
enum { SEARCH_STEPS = 1 << 26 };

static void search_orders(search *s, item *spare)
{
    static int (*const orders[])(const void *, const void *) = {by_size, by_breadth, by_breadth_and_life,
                                                                by_area, by_life,    by_first_use};
    enum { ORDERS = sizeof orders / sizeof orders[0] };
    const size_t tries = SEARCH_STEPS / (s->count * s->count) / ORDERS + 1;
    for (size_t o = 0; o < ORDERS && s->total > s->bound; o++) {
        qsort(s->items, s->count, sizeof *s->items, orders[o]);
        try_order(s);
    }
    for (size_t o = 0; o < ORDERS; o++) {
        qsort(s->items, s->count, sizeof *s->items, orders[o]);
        for (size_t i = 0; i < tries && s->total > s->bound; i++) promote(s, try_order(s), spare);
    }
}

ciuic_status arena_plan(arena_value *values, size_t count, size_t *total, size_t *lower_bound)
{
    *total = *lower_bound = 0;
    if (count == 0) return CIUIC_OK;
    for (size_t i = 0; i < count; i++) /* sums below cannot wrap */
        if (values[i].bytes > SIZE_MAX / 4 / count) return ciuic_fail_memory("activations", values[i].bytes);
    item *items = calloc(count, sizeof *items), *spare = calloc(count, sizeof *spare);
    item **placed = calloc(count, sizeof *placed);
    ciuic_status status = items && spare && placed
                              ? CIUIC_OK
                              : ciuic_fail_memory("planning the arena", count * (2 * sizeof *items + sizeof *placed));
    if (status == CIUIC_OK) {
        for (size_t i = 0; i < count; i++)
            items[i] = (item){.value = &values[i], .bytes = align_up(values[i].bytes), .index = i};
        status = find_loads(items, count, lower_bound);
    }
    search s = {.items = items, .placed = placed, .count = count, .bound = *lower_bound, .total = SIZE_MAX};
    if (status == CIUIC_OK) {
        search_orders(&s, spare);
        *total = s.total;
    }
    free(items);
    free(spare);
    free(placed);
    return status;
}
