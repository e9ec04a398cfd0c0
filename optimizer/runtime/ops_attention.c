/* ops_attention.c - the cache, and attention split into tasks of one key head and a block of queries. */
#include <string.h>

#include "optimizer/runtime/execute.h"

void run_cache_write(const execution *e, const graph_op *op, int thread, int threads)
{
    const share s = share_rows(e, op, thread, threads);
    for (int half = 0; half < 2; half++) {
        const size_t width = e->cache->width[half] / op->heads;
        for (size_t r = s.first; r < s.end; r++) {
            const float *x = operand_row(e, op, &op->in[half], r);
            void *row = kv_cache_at(e->cache, (size_t)op->layer, e->position + r, half);
            for (size_t h = 0; h < op->heads; h++) {
                const float *from = x + h * op->in[half].stride;
                if (e->cache->format == KERNEL_CACHE_F16)
                    e->kernels->to_f16(width, from, (uint16_t *)row + h * width);
                else
                    memcpy((float *)row + h * width, from, width * sizeof *from);
            }
        }
    }
}

void run_cache_read(const execution *e, const graph_op *op, int thread, int threads)
{
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++) {
        const void *row = kv_cache_at(e->cache, (size_t)op->layer, r, op->half);
        float *y = operand_row(e, op, &op->out, r);
        if (e->cache->format == KERNEL_CACHE_F16)
            e->kernels->from_f16(op->head_width, row, y);
        else
            memcpy(y, row, op->head_width * sizeof *y);
    }
}

/* Keys and values of one key head: from expanded values, or from the cache. */
static kernel_cache bind_keys(const execution *e, const graph_op *op, size_t kv_head, kernel_attention *a)
{
    if (op->in[1].value != GRAPH_NONE) {
        a->key = operand_row(e, op, &op->in[1], 0) + kv_head * op->in[1].stride;
        a->value = operand_row(e, op, &op->in[2], 0) + kv_head * op->in[2].stride;
        a->key_stride = operand_stride(e, &op->in[1]);
        a->value_stride = operand_stride(e, &op->in[2]);
        return KERNEL_CACHE_F32;
    }
    const bool latent = e->p->g->cache == GRAPH_CACHE_LATENT; /* the value is the first part of the key */
    const size_t element = e->cache->format == KERNEL_CACHE_F16 ? sizeof(uint16_t) : sizeof(float);
    const char *keys = kv_cache_at(e->cache, (size_t)op->layer, 0, 0);
    const char *values = latent ? keys : kv_cache_at(e->cache, (size_t)op->layer, 0, 1);
    a->key = keys + kv_head * op->key_width * element;
    a->value = values + kv_head * op->value_width * element;
    a->key_stride = a->value_stride = kv_cache_stride(e->cache);
    return e->cache->format;
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

void run_attention(const execution *e, const graph_op *op, int thread, int threads)
{
    const size_t tokens = op->last ? 1 : e->tokens, first_position = e->position + e->tokens - tokens;
    const attention_tasks tasks = cut(op, tokens, threads);
    const size_t heads = op->heads / op->kv_heads / tasks.head_parts;
    for (size_t kv_head = 0; kv_head < op->kv_heads; kv_head++) {
        kernel_attention a = {.heads = heads,
                              .key_width = op->key_width,
                              .value_width = op->value_width,
                              .query_token_stride = operand_stride(e, &op->in[0]),
                              .query_head_stride = op->in[0].stride,
                              .scale = op->scale,
                              .out_token_stride = operand_stride(e, &op->out),
                              .out_head_stride = op->out.stride,
                              .workspace = e->scratch[thread]};
        const kernel_cache format = bind_keys(e, op, kv_head, &a);
        for (size_t task = 0; task < tasks.blocks * tasks.head_parts; task++) {
            /* Later blocks see more keys: the sum spreads them, whatever the numbers of heads and blocks. */
            if ((kv_head + task) % (size_t)threads != (size_t)thread) continue;
            const size_t part = task / tasks.blocks, block = task % tasks.blocks, first = block * ATTENTION_BLOCK;
            const size_t head = (kv_head * tasks.head_parts + part) * heads;
            a.tokens = tokens - first < ATTENTION_BLOCK ? tokens - first : ATTENTION_BLOCK;
            a.keys = first_position + first + 1;
            a.query = operand_row(e, op, &op->in[0], first) + head * op->in[0].stride;
            a.out = operand_row(e, op, &op->out, first) + head * op->out.stride;
            e->kernels->attention[format](&a);
        }
    }
}

size_t attention_scratch(const graph *g, size_t tokens, size_t context)
{
    size_t most = 0;
    const size_t block = tokens < ATTENTION_BLOCK ? tokens : ATTENTION_BLOCK;
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (op->kind != GRAPH_ATTENTION) continue;
        const size_t floats = kernel_attention_workspace(op->heads / op->kv_heads, block, context);
        if (floats > most) most = floats;
    }
    return most;
}
