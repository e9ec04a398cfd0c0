/* build_gqa.c - attention of llama, qwen2 and qwen3: grouped-query, biases for qwen2, per-head norms for qwen3. */
#include "optimizer/graph/build.h"

int build_attention_gqa(builder *b, int x)
{
    const model_config *c = b->config;
    const size_t hidden = c->hidden_size, d = c->head_dim;
    const size_t q_width = c->heads * d, kv_width = c->kv_heads * d;
    const bool bias = c->attention_bias, o_bias = bias && c->type == MODEL_LLAMA;

    int q = build_matmul(b, x, build_matrix(b, "self_attn.q_proj", q_width, hidden, bias), "q");
    int k = build_matmul(b, x, build_matrix(b, "self_attn.k_proj", kv_width, hidden, bias), "k");
    const int v = build_matmul(b, x, build_matrix(b, "self_attn.v_proj", kv_width, hidden, bias), "v");
    if (c->type == MODEL_QWEN3) {
        q = build_rms_norm(b, q, c->heads, d, "self_attn.q_norm", c->rms_norm_eps, "q_norm");
        k = build_rms_norm(b, k, c->kv_heads, d, "self_attn.k_norm", c->rms_norm_eps, "k_norm");
    }
    q = build_rope(b, q, c->heads, d, "q_rope");
    k = build_rope(b, k, c->kv_heads, d, "k_rope");
    if (b->failed) return GRAPH_NONE;

    const graph_op write = {.kind = GRAPH_CACHE_WRITE,
                            .layer = b->layer,
                            .weight = GRAPH_NONE,
                            .heads = 1,
                            .in = {graph_whole(k), graph_whole(v), {.value = GRAPH_NONE}},
                            .out = {.value = GRAPH_NONE}};
    if (graph_add_op(b->g, &write) == GRAPH_NONE) b->failed = true;
    const graph_op attention = {.kind = GRAPH_ATTENTION,
                                .weight = GRAPH_NONE,
                                .heads = c->heads,
                                .in = {{.value = q, .stride = d}, {.value = GRAPH_NONE}, {.value = GRAPH_NONE}},
                                .out = {.stride = d},
                                .kv_heads = c->kv_heads,
                                .key_width = d,
                                .value_width = d,
                                .scale = build_attention_scale(c, d)};
    const int a = build_op(b, attention, q, q_width, "attention");
    return build_matmul(b, a, build_matrix(b, "self_attn.o_proj", hidden, q_width, o_bias), "o");
}
