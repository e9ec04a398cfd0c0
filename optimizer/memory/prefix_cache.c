/* prefix_cache.c - a list of token sequences with their rows, the most recently used first. */
#include "optimizer/memory/prefix_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"

typedef struct entry {
    struct entry *next;
    size_t n;
    int32_t *ids; /* [n] */
    char *rows;   /* [layers][n][row_bytes] */
} entry;

struct prefix_cache {
    pthread_mutex_t lock;
    size_t layers, row_bytes;
    entry *entries;
    ciuic_prefix_use use;
};

ciuic_status prefix_cache_create(const kv_cache_shape *shape, size_t capacity, prefix_cache **out)
{
    prefix_cache *c = calloc(1, sizeof *c);
    if (c == NULL) return ciuic_fail_memory("a cache of prefixes", sizeof *c);
    if (pthread_mutex_init(&c->lock, NULL) != 0) {
        free(c);
        return ciuic_fail_memory("a cache of prefixes", sizeof *c);
    }
    c->layers = shape->layers;
    c->row_bytes = kv_cache_row_bytes(shape);
    c->use.capacity = capacity;
    *out = c;
    return CIUIC_OK;
}

static void free_entry(entry *e)
{
    free(e->ids);
    free(e->rows);
    free(e);
}

void prefix_cache_free(prefix_cache *c)
{
    if (c == NULL) return;
    for (entry *e = c->entries, *next; e != NULL; e = next) {
        next = e->next;
        free_entry(e);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static size_t token_bytes(const prefix_cache *c)
{
    return c->layers * c->row_bytes + sizeof(int32_t);
}

static size_t entry_bytes(const prefix_cache *c, size_t n)
{
    return sizeof(entry) + n * token_bytes(c);
}

static size_t common(const entry *e, const int32_t *ids, size_t n)
{
    size_t i = 0;
    while (i < n && i < e->n && e->ids[i] == ids[i]) i++;
    return i;
}

/* The place of the entry that begins most like `ids`, and how many tokens long that is; NULL when none does. */
static entry **find(prefix_cache *c, const int32_t *ids, size_t n, size_t *length)
{
    entry **best = NULL;
    *length = 0;
    for (entry **at = &c->entries; *at != NULL; at = &(*at)->next) {
        const size_t same = common(*at, ids, n);
        if (same <= *length) continue;
        *length = same;
        best = at;
    }
    return best;
}

static void remove_entry(prefix_cache *c, entry **at)
{
    entry *e = *at;
    *at = e->next;
    c->use.bytes -= entry_bytes(c, e->n);
    c->use.entries--;
    free_entry(e);
}

static void move_to_front(prefix_cache *c, entry **at)
{
    entry *e = *at;
    *at = e->next;
    e->next = c->entries;
    c->entries = e;
}

size_t prefix_cache_take(prefix_cache *c, const int32_t *ids, size_t n, kv_cache *kv)
{
    size_t length = 0;
    pthread_mutex_lock(&c->lock);
    entry **at = find(c, ids, n, &length);
    c->use.lookups++;
    if (at != NULL) {
        const entry *e = *at;
        for (size_t layer = 0; layer < c->layers; layer++)
            memcpy(kv_cache_at(kv, layer, 0, 0), e->rows + layer * e->n * c->row_bytes, length * c->row_bytes);
        c->use.hits++;
        c->use.tokens += length;
        move_to_front(c, at);
    }
    pthread_mutex_unlock(&c->lock);
    return length;
}

/* Drops what a sequence makes superfluous, and then the least recently used, until there is room to keep it. */
static void make_room(prefix_cache *c, const int32_t *ids, size_t n)
{
    for (entry **at = &c->entries; *at != NULL;) {
        if (common(*at, ids, n) == (*at)->n)
            remove_entry(c, at);
        else
            at = &(*at)->next;
    }
    while (c->entries != NULL && c->use.bytes + entry_bytes(c, n) > c->use.capacity) {
        entry **last = &c->entries;
        while ((*last)->next != NULL) last = &(*last)->next;
        remove_entry(c, last);
    }
}

static entry *copy_entry(const prefix_cache *c, const int32_t *ids, size_t n, const kv_cache *kv)
{
    entry *e = calloc(1, sizeof *e);
    if (e == NULL) return NULL;
    e->n = n;
    e->ids = malloc(n * sizeof *e->ids);
    e->rows = malloc(c->layers * n * c->row_bytes);
    if (e->ids == NULL || e->rows == NULL) {
        free_entry(e);
        return NULL;
    }
    memcpy(e->ids, ids, n * sizeof *ids);
    for (size_t layer = 0; layer < c->layers; layer++)
        memcpy(e->rows + layer * n * c->row_bytes, kv_cache_at(kv, layer, 0, 0), n * c->row_bytes);
    return e;
}

void prefix_cache_put(prefix_cache *c, const int32_t *ids, size_t n, const kv_cache *kv)
{
    const size_t capacity = c->use.capacity, room = capacity > sizeof(entry) ? capacity - sizeof(entry) : 0;
    const size_t most = room / token_bytes(c);
    if (n > most) n = most;
    if (n == 0) return;
    pthread_mutex_lock(&c->lock);
    size_t length = 0;
    entry **at = find(c, ids, n, &length);
    if (at != NULL && length == n) {
        move_to_front(c, at);
    } else {
        entry *e = copy_entry(c, ids, n, kv); /* first: where memory is out, what is kept stays */
        if (e != NULL) {
            make_room(c, ids, n);
            e->next = c->entries;
            c->entries = e;
            c->use.bytes += entry_bytes(c, n);
            c->use.entries++;
        }
    }
    pthread_mutex_unlock(&c->lock);
}

void prefix_cache_describe(prefix_cache *c, ciuic_prefix_use *use)
{
    pthread_mutex_lock(&c->lock);
    *use = c->use;
    pthread_mutex_unlock(&c->lock);
}
