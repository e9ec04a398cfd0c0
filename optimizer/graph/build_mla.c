/* build_mla.c - multi-head latent attention of deepseek_v2 and deepseek_v3, as its authors wrote it: keys and values of
 * every head are expanded from the latent by kv_b. With the expanded cache, only the new tokens are; with the latent
 * cache, all cached positions are, in every call (absorb_mla removes that in decode). kv_b's rows are, per head,
 * [qk_nope | v]; k_pe is one head for all and not normalised; the latent norms use eps 1e-6 whatever config.json says
 * (transformers: modeling_deepseek_v3.py, DeepseekV3Attention). */
#include "optimizer/graph/build.h"

static const double latent_norm_eps = 1e-6;

static int build_query(builder *b, int x)
{
    const model_config *c = b->config;
    const size_t width = c->heads * (c->qk_nope_head_dim + c->qk_rope_head_dim);
    if (c->q_lora_rank == 0)
        return build_matmul(b, x, build_matrix(b, "self_attn.q_proj", width, c->hidden_size, false), "q");
    int q = build_matmul(b, x, build_matrix(b, "self_attn.q_a_proj", c->q_lora_rank, c->hidden_size, c->attention_bias),
                         "q_a");
    q = build_rms_norm(b, q, 1, c->q_lora_rank, "self_attn.q_a_layernorm", latent_norm_eps, "q_a_norm");
    return build_matmul(b, q, build_matrix(b, "self_attn.q_b_proj", width, c->q_lora_rank, false), "q");
}

static int build_concat(builder *b, int x, size_t width, int tail, size_t tail_stride, size_t tail_width,
                        const char *name)
{
    if (b->failed) return GRAPH_NONE;
    const size_t heads = b->config->heads, both = width + tail_width;
    const graph_op op = {
        .kind = GRAPH_CONCAT,
        .weight = GRAPH_NONE,
        .heads = heads,
        .head_width = width,
        .tail_width = tail_width,
        .out = {.stride = both},
        .in = {{.value = x, .stride = width}, {.value = tail, .stride = tail_stride}, {.value = GRAPH_NONE}}};
    return build_op(b, op, x, heads * both, name);
}

static int build_cache_read(builder *b, int half, size_t width, const char *name)
{
    if (b->failed) return GRAPH_NONE;
    const graph_op op = {.kind = GRAPH_CACHE_READ,
                         .weight = GRAPH_NONE,
                         .heads = 1,
                         .head_width = width,
                         .half = half,
                         .in = {{.value = GRAPH_NONE}, {.value = GRAPH_NONE}, {.value = GRAPH_NONE}}};
    const int value = build_op(b, op, 0, width, name);
    if (!b->failed) b->g->values[value].rows = GRAPH_CONTEXT;
    return value;
}

/* `heads` equal segments a half. */
static void build_cache_write(builder *b, int first, int second, size_t heads)
{
    if (b->failed) return;
    const size_t *width = b->g->cache_width;
    const graph_op write = {.kind = GRAPH_CACHE_WRITE,
                            .layer = b->layer,
                            .weight = GRAPH_NONE,
                            .heads = heads,
                            .in = {{.value = first, .stride = width[0] / heads},
                                   {.value = second, .stride = width[1] / heads},
                                   {.value = GRAPH_NONE}},
                            .out = {.value = GRAPH_NONE}};
    if (graph_add_op(b->g, &write) == GRAPH_NONE) b->failed = true;
}

/* Absorption reads a head's keys and values apart: runs of so many rows of kv_b. */
static size_t common_divisor(size_t a, size_t b)
{
    while (b != 0) {
        const size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int build_attention_mla(builder *b, int x)
{
    const model_config *c = b->config;
    const size_t heads = c->heads, nope = c->qk_nope_head_dim, pe = c->qk_rope_head_dim, v_dim = c->v_head_dim;
    const size_t rank = c->kv_lora_rank, key = nope + pe;
    const bool latent = b->g->cache == GRAPH_CACHE_LATENT;

    const int q = build_query(b, x);
    const int q_nope = build_slice(b, q, heads, key, 0, nope, "q_nope");
    const int q_pe = build_rope(b, build_slice(b, q, heads, key, nope, pe, "q_pe"), heads, pe, "q_pe_rope");
    const int queries = build_concat(b, q_nope, nope, q_pe, pe, pe, "queries");

    const int kv_a = build_matmul(
        b, x, build_matrix(b, "self_attn.kv_a_proj_with_mqa", rank + pe, c->hidden_size, c->attention_bias), "kv_a");
    int c_kv = build_rms_norm(b, build_slice(b, kv_a, 1, rank + pe, 0, rank, "latent"), 1, rank,
                              "self_attn.kv_a_layernorm", latent_norm_eps, "latent_norm");
    int k_pe = build_rope(b, build_slice(b, kv_a, 1, rank + pe, rank, pe, "k_pe"), 1, pe, "k_pe_rope");
    if (latent) {
        build_cache_write(b, c_kv, k_pe, 1);
        c_kv = build_cache_read(b, 0, rank, "cached_latent");
        k_pe = build_cache_read(b, 1, pe, "cached_k_pe");
    }
    const int kv_b = build_matrix(b, "self_attn.kv_b_proj", heads * (nope + v_dim), rank, false);
    if (kv_b != GRAPH_NONE) b->g->weights[kv_b].slice = common_divisor(nope, v_dim);
    const int kv = build_matmul(b, c_kv, kv_b, "kv");
    const int k_nope = build_slice(b, kv, heads, nope + v_dim, 0, nope, "k_nope");
    const int values = build_slice(b, kv, heads, nope + v_dim, nope, v_dim, "values");
    const int keys = build_concat(b, k_nope, nope, k_pe, 0, pe, "keys");
    if (!latent) build_cache_write(b, keys, values, heads);
    if (b->failed) return GRAPH_NONE;

    const graph_operand absent = {.value = GRAPH_NONE};
    const graph_op attention = {.kind = GRAPH_ATTENTION,
                                .weight = GRAPH_NONE,
                                .heads = heads,
                                .kv_heads = heads,
                                .in = {{.value = queries, .stride = key},
                                       latent ? (graph_operand){.value = keys, .stride = key} : absent,
                                       latent ? (graph_operand){.value = values, .stride = v_dim} : absent},
                                .out = {.stride = v_dim},
                                .key_width = key,
                                .value_width = v_dim,
                                .scale = build_attention_scale(c, key)};
    const int a = build_op(b, attention, queries, heads * v_dim, "attention");
    return build_matmul(b, a, build_matrix(b, "self_attn.o_proj", c->hidden_size, heads * v_dim, c->attention_bias),
                        "o");
}
