/* ops_attention.c - the cache, and attention split into tasks: of one key head and a block of queries, or, where one query
 * row attends to a long cache, of one key head and a part of its positions, which are merged afterwards (flash-decoding:
 * Dao, Haziza, Massa and Sizov 2023). */
#include <string.h>

#include "optimizer/runtime/execute.h"

static size_t element_bytes(kernel_cache format)
{
    return format == KERNEL_CACHE_F32 ? sizeof(float) : format == KERNEL_CACHE_F16 ? sizeof(uint16_t) : sizeof(int8_t);
}

/* One vector of floats to where the cache keeps it. */
static void store_vector(const execution *e, size_t width, const float *x, void *values, uint16_t *scales)
{
    switch (e->cache->shape.format) {
    case KERNEL_CACHE_F16:
        e->kernels->to_f16(width, x, values);
        break;
    case KERNEL_CACHE_INT8:
        e->kernels->cache_int8(width, x, values, scales);
        break;
    default:
        memcpy(values, x, width * sizeof *x);
        break;
    }
}

/* A half of the row, in the operation's heads or as one piece; *stride: from one head to the next. A half that is rotated on
 * its way is put into `rotated`. */
static const float *row_half(const execution *e, const graph_op *op, size_t r, int half, float *rotated, size_t *stride)
{
    const float *x = operand_row(e, op, &op->in[half], r);
    const graph_rotation *rotation = &op->rotation;
    *stride = op->in[half].stride;
    if (rotation->heads == 0 || rotation->input != half) return x;
    rotate_heads(e, row_position(e, op, r), rotation->heads, rotation->width, x,
                 op->heads > 1 ? *stride : rotation->width, rotated, rotation->width);
    *stride = rotation->width;
    return rotated;
}

/* Both halves of the row as one vector; scratch holds it. */
static void store_joined(const execution *e, const graph_op *op, size_t r, float *scratch)
{
    const size_t *width = e->cache->shape.width, layer = (size_t)op->layer, position = e->position + r;
    for (int half = 0; half < 2; half++) {
        float *place = scratch + (half == 1 ? width[0] : 0);
        size_t stride;
        const float *x = row_half(e, op, r, half, place, &stride);
        if (x != place) memcpy(place, x, width[half] * sizeof *place);
    }
    store_vector(e, width[0] + width[1], scratch, kv_cache_at(e->cache, layer, position, 0),
                 kv_cache_scales(e->cache, layer, position, 0, 0));
}

/* The operation has the half in heads of its own, or as one piece. */
static void store_half(const execution *e, const graph_op *op, size_t r, int half, float *scratch)
{
    const kv_cache_shape *shape = &e->cache->shape;
    const bool int8 = shape->format == KERNEL_CACHE_INT8;
    const size_t heads = int8 ? shape->heads : op->heads, width = shape->width[half] / heads;
    const size_t layer = (size_t)op->layer, position = e->position + r, bytes = width * element_bytes(shape->format);
    size_t stride;
    const float *x = row_half(e, op, r, half, scratch, &stride);
    if (op->heads == 1) stride = width;
    char *row = kv_cache_at(e->cache, layer, position, half);
    for (size_t h = 0; h < heads; h++) {
        uint16_t *scales = int8 ? kv_cache_scales(e->cache, layer, position, half, h) : NULL;
        store_vector(e, width, x + h * stride, row + h * bytes, scales);
    }
}

void run_cache_write(const execution *e, const graph_op *op, int thread, int threads)
{
    const share s = share_rows(e, op, thread, threads);
    const kv_cache_shape *shape = &e->cache->shape;
    for (size_t r = s.first; r < s.end; r++) {
        if (shape->joined && shape->format == KERNEL_CACHE_INT8) {
            store_joined(e, op, r, e->scratch[thread]);
            continue;
        }
        store_half(e, op, r, 0, e->scratch[thread]);
        store_half(e, op, r, 1, e->scratch[thread]);
    }
}

/* Values [first, first + count) of a joined row. */
static void load_int8(const execution *e, size_t layer, size_t position, size_t first, size_t count, float *y)
{
    const int8_t *q = kv_cache_at(e->cache, layer, position, 0);
    const uint16_t *scales = kv_cache_scales(e->cache, layer, position, 0, 0);
    for (size_t i = first; i < first + count;) {
        const size_t group = i / KERNEL_CACHE_GROUP, end = (group + 1) * KERNEL_CACHE_GROUP;
        float scale = 0.0f;
        e->kernels->from_f16(1, scales + group, &scale);
        for (; i < end && i < first + count; i++) *y++ = (float)q[i] * scale;
    }
}

/* Only a latent cache is read so, whose halves are one head each. */
void run_cache_read(const execution *e, const graph_op *op, int thread, int threads)
{
    const share s = share_rows(e, op, thread, threads);
    const kv_cache_shape *shape = &e->cache->shape;
    for (size_t r = s.first; r < s.end; r++) {
        const void *row = kv_cache_at(e->cache, (size_t)op->layer, r, op->half);
        float *y = operand_row(e, op, &op->out, r);
        if (shape->format == KERNEL_CACHE_F16)
            e->kernels->from_f16(op->head_width, row, y);
        else if (shape->format == KERNEL_CACHE_INT8)
            load_int8(e, (size_t)op->layer, r, op->half == 1 ? shape->width[0] : 0, op->head_width, y);
        else
            memcpy(y, row, op->head_width * sizeof *y);
    }
}

size_t cache_write_scratch(const graph *g, const kv_cache_shape *shape)
{
    size_t most = shape->joined && shape->format == KERNEL_CACHE_INT8 ? shape->width[0] + shape->width[1] : 0;
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (op->kind != GRAPH_CACHE_WRITE || op->rotation.heads == 0) continue;
        const size_t width = shape->width[op->rotation.input];
        if (width > most) most = width;
    }
    return most;
}

/* The value is the first part of the key: absorbed MLA attends to the latent itself. */
static bool attends_latent(const graph *g, const graph_op *op)
{
    return op->in[1].value == GRAPH_NONE && g->cache == GRAPH_CACHE_LATENT;
}

/* Keys and values of one key head from position `first` on: from expanded values, or from the cache. */
static kernel_cache bind_keys(const execution *e, const graph_op *op, size_t kv_head, size_t first, kernel_attention *a)
{
    if (op->in[1].value != GRAPH_NONE) {
        a->key_stride = operand_stride(e, &op->in[1]);
        a->value_stride = operand_stride(e, &op->in[2]);
        a->key = operand_row(e, op, &op->in[1], 0) + kv_head * op->in[1].stride + first * a->key_stride;
        a->value = operand_row(e, op, &op->in[2], 0) + kv_head * op->in[2].stride + first * a->value_stride;
        return KERNEL_CACHE_F32;
    }
    const kv_cache *cache = e->cache;
    const size_t element = element_bytes(cache->shape.format), layer = (size_t)op->layer;
    const int value_half = attends_latent(e->p->g, op) ? 0 : 1;
    a->key = (const char *)kv_cache_at(cache, layer, first, 0) + kv_head * op->key_width * element;
    a->value = (const char *)kv_cache_at(cache, layer, first, value_half) + kv_head * op->value_width * element;
    a->key_stride = a->value_stride = kv_cache_stride(cache);
    if (cache->shape.format == KERNEL_CACHE_INT8) {
        a->key_scales = kv_cache_scales(cache, layer, first, 0, kv_head);
        a->value_scales = kv_cache_scales(cache, layer, first, value_half, kv_head);
        a->key_scale_stride = a->value_scale_stride = kv_cache_scale_stride(cache);
    }
    return cache->shape.format;
}

static size_t divide_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* How an attention is cut: heads of one key head (decode with fewer key heads than threads), and blocks of queries. */
typedef struct attention_tasks {
    size_t head_parts, blocks;
} attention_tasks;

static attention_tasks cut(const graph_op *op, size_t tokens, int threads)
{
    const size_t group = op->heads / op->kv_heads, blocks = (tokens + ATTENTION_BLOCK - 1) / ATTENTION_BLOCK;
    size_t parts = 1;
    while (op->kv_heads * blocks * parts < (size_t)threads && 2 * parts <= group && group % (2 * parts) == 0)
        parts *= 2;
    return (attention_tasks){.head_parts = parts, .blocks = blocks};
}

/* What every task of the operation has in common; scratch is the thread's own. */
static kernel_attention common_call(const execution *e, const graph_op *op, int thread)
{
    return (kernel_attention){.key_width = op->key_width,
                              .value_width = op->value_width,
                              .query_token_stride = operand_stride(e, &op->in[0]),
                              .query_head_stride = op->in[0].stride,
                              .scale = op->scale,
                              .out_token_stride = operand_stride(e, &op->out),
                              .out_head_stride = op->out.stride,
                              .workspace = e->scratch[thread]};
}

/* Floats of workspace that a task's queries take where they are rotated as they are loaded: whole cache lines. */
static size_t rotated_query_floats(const graph_op *op)
{
    enum { LINE = 64 / sizeof(float) };
    return op->rotation.heads == 0 ? 0 : divide_up(op->heads / op->kv_heads * op->key_width, LINE) * LINE;
}

/* Queries of a->heads heads from `head` on, row `first` and those behind it; rotated, they are a copy at the beginning of the
 * thread's scratch, and there is one row. */
static void bind_queries(const execution *e, const graph_op *op, size_t head, size_t first, int thread,
                         kernel_attention *a)
{
    const graph_rotation *rotation = &op->rotation;
    const float *x = operand_row(e, op, &op->in[0], first) + head * op->in[0].stride;
    a->query = x;
    if (rotation->heads == 0) return;
    const size_t width = op->key_width, behind = rotation->first + rotation->width;
    float *copy = e->scratch[thread];
    for (size_t h = 0; h < a->heads; h++) {
        const float *from = x + h * op->in[0].stride;
        memcpy(copy + h * width, from, rotation->first * sizeof *copy);
        memcpy(copy + h * width + behind, from + behind, (width - behind) * sizeof *copy);
    }
    rotate_heads(e, row_position(e, op, first), a->heads, rotation->width, x + rotation->first, op->in[0].stride,
                 copy + rotation->first, width);
    a->query = copy;
    a->query_head_stride = a->query_token_stride = width;
    a->workspace = copy + rotated_query_floats(op);
}

static void attend_by_heads(const execution *e, const graph_op *op, size_t tokens, int thread, int threads)
{
    const size_t first_position = e->position + e->tokens - tokens;
    const attention_tasks tasks = cut(op, tokens, threads);
    kernel_attention a = common_call(e, op, thread);
    a.heads = op->heads / op->kv_heads / tasks.head_parts;
    for (size_t kv_head = 0; kv_head < op->kv_heads; kv_head++) {
        const kernel_cache format = bind_keys(e, op, kv_head, 0, &a);
        for (size_t task = 0; task < tasks.blocks * tasks.head_parts; task++) {
            /* Later blocks see more keys: the sum spreads them, whatever the numbers of heads and blocks. */
            if ((kv_head + task) % (size_t)threads != (size_t)thread) continue;
            const size_t part = task / tasks.blocks, block = task % tasks.blocks, first = block * ATTENTION_BLOCK;
            const size_t head = (kv_head * tasks.head_parts + part) * a.heads;
            a.tokens = tokens - first < ATTENTION_BLOCK ? tokens - first : ATTENTION_BLOCK;
            a.keys = first_position + first + 1;
            bind_queries(e, op, head, first, thread, &a);
            a.out = operand_row(e, op, &op->out, first) + head * op->out.stride;
            e->kernels->attention[format](&a);
        }
    }
}

/* A cache shorter than this is shared out by heads; and no part is shorter than the block of keys that kernels take at a
 * time. */
enum { SPLIT_POSITIONS = 256, PART_POSITIONS = 64 };

/* The fewest parts of each key head's positions that make tasks for all threads alike. */
static size_t most_parts(const graph_op *op, size_t positions, int threads)
{
    size_t a = op->kv_heads, b = (size_t)threads;
    while (b != 0) {
        const size_t rest = a % b;
        a = b;
        b = rest;
    }
    const size_t even = (size_t)threads / a, room = positions / PART_POSITIONS;
    return positions < SPLIT_POSITIONS ? 1 : even < room ? even : room;
}

/* By bytes, since the arithmetic is the same: what the thread with most to do reads and writes, counting what meets a
 * query's partial outputs as well as keys and values.
 * - By heads, it reads all positions for each of its tasks; two tasks that share a key head both read it.
 * - By positions, it reads its part of each of them once, writes a partial output for each query head of a task, and reads
 *   the partial outputs of the heads that it merges.
 * With key heads enough for the threads, positions gain nothing but evenness; with one key head for many threads (absorbed
 * MLA), they win as soon as the cache outweighs the partial outputs: many wide heads over a short cache do not. */
size_t attention_parts(const graph_op *op, size_t position_bytes, size_t positions, int threads)
{
    const size_t parts = most_parts(op, positions, threads), all = (size_t)threads;
    if (parts <= 1) return 1;
    const size_t head_bytes = op->value_width * sizeof(float);
    const size_t head_tasks = op->kv_heads * cut(op, 1, threads).head_parts;
    const size_t by_heads = divide_up(head_tasks, all) * positions * position_bytes;
    const size_t read = divide_up(positions, parts) * position_bytes;
    const size_t written = op->heads / op->kv_heads * head_bytes;
    const size_t merged = divide_up(op->heads, all) * parts * head_bytes;
    const size_t by_positions = divide_up(op->kv_heads * parts, all) * (read + written) + merged;
    return by_positions < by_heads ? parts : 1;
}

/* Bytes of one key head's key and value at a position. */
static size_t position_bytes(const graph *g, const graph_op *op, kernel_cache cache)
{
    const size_t values = op->key_width + (attends_latent(g, op) ? 0 : op->value_width);
    return values * element_bytes(op->in[1].value != GRAPH_NONE ? KERNEL_CACHE_F32 : cache);
}

/* Floats of a task's outputs, [heads of a key head][value_width] and then [heads of a key head][2] as the kernel leaves them:
 * whole cache lines in pairs, as they are fetched, since a kernel adds to its outputs at every block of keys and must not
 * share a line with another thread. */
static size_t task_floats(const graph_op *op)
{
    enum { LINES = PARTIALS_ALIGNMENT / sizeof(float) };
    return divide_up(op->heads / op->kv_heads * (op->value_width + 2), LINES) * LINES;
}

size_t attention_partials(const graph *g, size_t context, int threads)
{
    size_t most = 0;
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (op->kind != GRAPH_ATTENTION) continue;
        const size_t parts = most_parts(op, context, threads), floats = op->kv_heads * parts * task_floats(op);
        if (parts > 1 && floats > most) most = floats;
    }
    return most;
}

static void attend_by_positions(const execution *e, const graph_op *op, size_t parts, int thread, int threads)
{
    const size_t positions = e->position + 1, width = op->value_width, group = op->heads / op->kv_heads;
    const size_t stride = task_floats(op);
    for (size_t task = 0; task < op->kv_heads * parts; task++) {
        if (task % (size_t)threads != (size_t)thread) continue;
        const size_t kv_head = task / parts, part = task % parts;
        const share s = share_of(positions, 1, (int)part, (int)parts);
        kernel_attention a = common_call(e, op, thread);
        const kernel_cache format = bind_keys(e, op, kv_head, s.first, &a);
        a.heads = group, a.tokens = 1, a.keys = s.end - s.first;
        bind_queries(e, op, kv_head * group, 0, thread, &a);
        a.out = e->partials + task * stride;
        a.out_head_stride = width;
        a.partial = a.out + group * width;
        e->kernels->attention[format](&a);
    }
    meeting_wait(e->place, threads);
    const share mine = share_of(op->heads, 1, thread, threads);
    for (size_t head = mine.first; head < mine.end; head++) {
        const float *first = e->partials + head / group * parts * stride;
        const float *out = first + head % group * width, *pair = first + group * width + head % group * 2;
        float *y = operand_row(e, op, &op->out, 0) + head * op->out.stride;
        e->kernels->attention_merge(parts, width, out, stride, pair, stride, y);
    }
}

void run_attention(const execution *e, const graph_op *op, int thread, int threads)
{
    const size_t tokens = op->last ? 1 : e->tokens;
    /* The room for partial outputs is that of a decoded token and of the threads that were asked for. */
    const bool may_split = e->tokens == 1 && threads == e->threads;
    const size_t bytes = position_bytes(e->p->g, op, e->cache->shape.format);
    const size_t parts = may_split ? attention_parts(op, bytes, e->position + 1, threads) : 1;
    if (parts > 1)
        attend_by_positions(e, op, parts, thread, threads);
    else
        attend_by_heads(e, op, tokens, thread, threads);
}

size_t attention_scratch(const graph *g, size_t tokens, size_t context)
{
    size_t most = 0;
    const size_t block = tokens < ATTENTION_BLOCK ? tokens : ATTENTION_BLOCK;
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (op->kind != GRAPH_ATTENTION) continue;
        const size_t floats =
            kernel_attention_workspace(op->heads / op->kv_heads, block, context) + rotated_query_floats(op);
        if (floats > most) most = floats;
    }
    return most;
}
