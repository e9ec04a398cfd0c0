/* buffers.c - sizes and lifetimes of values, the arena, and the pointers that an execution reads. */
#include "optimizer/runtime/buffers.h"

#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/memory/arena.h"

/* Of all tables, for each value. */
enum {
    TABLE_BYTES = sizeof(value_life) + sizeof(value_place) + 2 * sizeof(size_t) + 2 * sizeof(void *) +
                  sizeof(kernel_q8) + 2 * sizeof(const char *)
};

ciuic_status buffers_create(buffers *b, const graph *g, bool in_place)
{
    const size_t n = (size_t)g->value_count;
    *b = (buffers){.g = g, .in_place = in_place};
    b->life = calloc(n, sizeof *b->life);
    b->place = calloc(n, sizeof *b->place);
    b->offset = calloc(n, sizeof *b->offset);
    b->owned = calloc(n, sizeof *b->owned);
    b->values = calloc(n, sizeof *b->values);
    b->stride = calloc(n, sizeof *b->stride);
    b->q8 = calloc(n, sizeof *b->q8);
    b->begin = calloc(n, sizeof *b->begin);
    b->end = calloc(n, sizeof *b->end);
    b->barrier = calloc((size_t)g->op_count, sizeof *b->barrier);
    if (!b->life || !b->place || !b->offset || !b->owned || !b->values || !b->stride || !b->q8 || !b->begin ||
        !b->end || !b->barrier) {
        buffers_free(b);
        return ciuic_fail_memory("a session's tables", n * TABLE_BYTES);
    }
    value_lives(g, b->life);
    value_places(g, b->life, in_place, b->place);
    return CIUIC_OK;
}

size_t buffers_table_bytes(const graph *g)
{
    return (size_t)g->value_count * TABLE_BYTES + (size_t)g->op_count * sizeof(bool);
}

static void free_owned(buffers *b)
{
    for (int i = 0; b->owned != NULL && i < b->g->value_count; i++) {
        free(b->owned[i]);
        b->owned[i] = NULL;
    }
    b->tokens = b->context = b->planned_tokens = 0;
    b->bytes = 0;
}

void buffers_free(buffers *b)
{
    if (b->g == NULL) return;
    free_owned(b);
    free(b->life);
    free(b->place);
    free(b->offset);
    free(b->owned);
    free(b->stride);
    free(b->values);
    free(b->q8);
    free((void *)b->begin);
    free((void *)b->end);
    free(b->barrier);
    *b = (buffers){0};
}

static size_t value_rows(const graph *g, const graph_value *v, size_t tokens, size_t context)
{
    if (v->rows == GRAPH_CONTEXT) return context;
    return (v->last ? 1 : tokens) * (v->rows == GRAPH_ROUTED ? g->experts_per_token : 1);
}

/* The operation that quantises into `value`: its heads are rows of their own. */
static const graph_op *quantizer(const graph *g, int value)
{
    return &g->ops[graph_producer(g, value)];
}

/* Rows, groups and bytes of a row of a quantised value. */
static void q8_shape(const graph *g, int value, size_t tokens, size_t context, size_t *rows, size_t *groups,
                     size_t *row_bytes)
{
    const graph_op *op = quantizer(g, value);
    *rows = value_rows(g, &g->values[value], tokens, context) * op->heads;
    *groups = kernel_groups(op->head_width, op->group);
    *row_bytes = kernel_row_bytes(KERNEL_INT8, op->head_width);
}

/* Bytes of a value; overflow gives SIZE_MAX, which no allocator grants. */
static size_t value_bytes(const graph *g, int value, size_t tokens, size_t context)
{
    const graph_value *v = &g->values[value];
    size_t rows = 0, width = 0, bytes = 0;
    if (v->dtype == GRAPH_ROUTING || graph_producer(g, value) == GRAPH_NONE) return 0;
    if (v->dtype == GRAPH_Q8) {
        size_t groups = 0;
        q8_shape(g, value, tokens, context, &rows, &groups, &width);
        width += groups * (sizeof(float) + sizeof(int32_t));
    } else {
        rows = value_rows(g, v, tokens, context);
        width = v->width * sizeof(float);
    }
    return __builtin_mul_overflow(rows, width, &bytes) ? SIZE_MAX : bytes;
}

/* The bytes and the life of every value with memory of its own: of those that lie in it, too. */
static void find_blocks(const buffers *b, size_t tokens, size_t context, arena_value *all)
{
    const graph *g = b->g;
    for (int v = 0; v < g->value_count; v++)
        all[v] = (arena_value){.bytes = b->place[v].root == v ? value_bytes(g, v, tokens, context) : 0,
                               .first = b->life[v].first,
                               .last = b->life[v].last};
    for (int v = 0; v < g->value_count; v++) {
        arena_value *root = &all[b->place[v].root];
        if (b->place[v].root != v && b->life[v].last > root->last) root->last = b->life[v].last;
    }
}

static ciuic_status plan_offsets(buffers *b, size_t tokens, size_t context)
{
    const size_t n = (size_t)b->g->value_count;
    arena_value *all = calloc(n, sizeof *all), *live = calloc(n, sizeof *live);
    size_t count = 0;
    ciuic_status status = all && live ? CIUIC_OK : ciuic_fail_memory("planning the arena", 2 * n * sizeof *all);
    if (status == CIUIC_OK) {
        find_blocks(b, tokens, context, all);
        for (size_t v = 0; v < n; v++)
            if (all[v].bytes > 0) live[count++] = all[v];
        status = arena_plan(live, count, &b->bytes, &b->lower_bound);
    }
    count = 0;
    for (size_t v = 0; v < n && status == CIUIC_OK; v++)
        if (all[v].bytes > 0) b->offset[v] = live[count++].offset;
    free(all);
    free(live);
    return status;
}

static ciuic_status plan_arena(buffers *b, size_t tokens, size_t context, arena_block *arena)
{
    CIUIC_TRY(plan_offsets(b, tokens, context));
    if (b->bytes <= arena->bytes) return CIUIC_OK;
    free(arena->data);
    arena->data = aligned_alloc(ARENA_ALIGNMENT, b->bytes);
    arena->bytes = arena->data != NULL ? b->bytes : 0;
    arena->generation++;
    return arena->data != NULL ? CIUIC_OK : ciuic_fail_memory("activations", b->bytes);
}

ciuic_status buffers_plan(const graph *g, bool in_place, bool arena, size_t tokens, size_t context, size_t *bytes,
                          size_t *lower_bound)
{
    buffers b = {0};
    *bytes = *lower_bound = 0;
    CIUIC_TRY(buffers_create(&b, g, in_place));
    ciuic_status status = arena ? plan_offsets(&b, tokens, context) : CIUIC_OK;
    for (int v = 0; v < g->value_count && !arena && status == CIUIC_OK; v++)
        if (__builtin_add_overflow(b.bytes, value_bytes(g, v, tokens, context), &b.bytes))
            status = ciuic_fail_memory("activations", SIZE_MAX);
    if (status == CIUIC_OK) *bytes = b.bytes, *lower_bound = b.lower_bound;
    buffers_free(&b);
    return status;
}

static ciuic_status allocate_each(buffers *b, size_t tokens, size_t context)
{
    for (int v = 0; v < b->g->value_count; v++) {
        const size_t bytes = value_bytes(b->g, v, tokens, context);
        if (bytes == 0) continue;
        b->owned[v] = malloc(bytes);
        if (b->owned[v] == NULL) return ciuic_fail_memory("activations", bytes);
        b->bytes += bytes;
    }
    return CIUIC_OK;
}

ciuic_status buffers_prepare(buffers *b, size_t tokens, size_t context, arena_block *arena)
{
    /* Another phase may have failed to grow the arena: then it is gone, and this phase plans anew. */
    const bool holds = arena == NULL || arena->bytes >= b->bytes;
    if (tokens <= b->tokens && context <= b->context && holds) return CIUIC_OK;
    free_owned(b);
    const ciuic_status status =
        arena != NULL ? plan_arena(b, tokens, context, arena) : allocate_each(b, tokens, context);
    if (status != CIUIC_OK) {
        free_owned(b);
        return status;
    }
    b->tokens = tokens;
    b->context = context;
    b->generation = 0;
    return CIUIC_OK;
}

/* Where a value begins: in its own buffer, or in the arena, where it may lie in another one's rows. */
static char *place_of(const buffers *b, int v, const arena_block *arena)
{
    if (arena == NULL || b->owned[v] != NULL) return b->owned[v];
    return (char *)arena->data + b->offset[b->place[v].root] + b->place[v].offset * sizeof(float);
}

static void bind_values(buffers *b, const arena_block *arena, const routing *route)
{
    const graph *g = b->g;
    for (int v = 0; v < g->value_count; v++) {
        const size_t bytes = value_bytes(g, v, b->tokens, b->context);
        char *at = bytes > 0 ? place_of(b, v, arena) : NULL;
        const value_place *p = &b->place[v];
        const size_t rows = value_rows(g, &g->values[v], b->tokens, b->context);
        b->values[v] = at;
        b->stride[v] = p->stride;
        b->begin[v] = at;
        b->end[v] = at == NULL     ? NULL
                    : p->root == v ? at + bytes
                                   : at + ((rows - 1) * p->stride + g->values[v].width) * sizeof(float);
        if (g->values[v].dtype == GRAPH_ROUTING) { /* one object serves all layers in turn */
            b->begin[v] = (const char *)route;
            b->end[v] = (const char *)(route + 1);
        }
        if (g->values[v].dtype == GRAPH_Q8 && bytes > 0) {
            size_t q8_rows = 0, groups = 0, row_bytes = 0;
            q8_shape(g, v, b->tokens, b->context, &q8_rows, &groups, &row_bytes);
            /* Scales and sums first: they need the alignment of float, which the block has. */
            b->q8[v] = (kernel_q8){.scales = (float *)(void *)at,
                                   .sums = (int32_t *)(void *)((float *)(void *)at + q8_rows * groups),
                                   .values = (int8_t *)((float *)(void *)at + 2 * q8_rows * groups)};
        }
    }
}

void buffers_bind(buffers *b, size_t tokens, size_t context, const arena_block *arena, const routing *route)
{
    const bool moved = b->generation == 0 || (arena != NULL && b->generation != arena->generation);
    if (moved) {
        bind_values(b, arena, route);
        b->generation = arena != NULL ? arena->generation : 1;
        b->planned_tokens = 0;
    }
    /* What is serial depends on sizes: rows of this call, and of the cache where an operation expands it. */
    if (tokens != b->planned_tokens || context != b->planned_context) {
        plan_barriers(b->g, b->begin, b->end, tokens, context, b->barrier);
        b->planned_tokens = tokens;
        b->planned_context = context;
    }
}
