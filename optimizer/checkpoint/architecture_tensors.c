/* architecture_tensors.c - the tensors of every architecture as one table: where, when, name, shape. */
#include "optimizer/checkpoint/architecture_tensors.h"

#include <stdio.h>

#include "optimizer/error.h"

/* Sizes that shapes are made of. */
typedef enum dimension {
    NONE,
    VOCABULARY,
    HIDDEN,
    FFN,          /* intermediate_size */
    HEAD,         /* head_dim */
    QUERY,        /* heads * head_dim */
    KEY_VALUE,    /* kv_heads * head_dim */
    QUERY_RANK,   /* q_lora_rank */
    KV_RANK,      /* kv_lora_rank */
    KV_RANK_ROPE, /* kv_lora_rank + qk_rope_head_dim */
    KV_EXPANDED,  /* heads * (qk_nope_head_dim + v_head_dim) */
    VALUE,        /* heads * v_head_dim */
    EXPERTS,
    EXPERT_FFN, /* moe_intermediate_size */
    SHARED_FFN, /* shared_experts * moe_intermediate_size */
} dimension;

/* Where a tensor is: its name is the prefix of the place and that of the row. */
typedef enum place {
    IN_MODEL,  /* as it is */
    IN_LAYER,  /* model.layers.L. */
    IN_DENSE,  /* the same, in layers without experts */
    IN_MOE,    /* the same, in layers with experts */
    IN_EXPERT, /* model.layers.L.mlp.experts.E. */
} place;

typedef enum condition {
    ALWAYS,
    UNTIED,
    ATTENTION_BIAS,
    MLP_BIAS,
    QUERY_LOW_RANK,
    QUERY_LOW_RANK_BIAS,
    QUERY_FULL_RANK,
    SHARED_EXPERTS,
} condition;

enum {
    LLAMA = 1 << MODEL_LLAMA,
    QWEN2 = 1 << MODEL_QWEN2,
    QWEN3 = 1 << MODEL_QWEN3,
    V2 = 1 << MODEL_DEEPSEEK_V2,
    V3 = 1 << MODEL_DEEPSEEK_V3,
    GQA = LLAMA | QWEN2 | QWEN3,
    MLA = V2 | V3,
    ANY = GQA | MLA,
};

typedef struct row {
    unsigned types;
    place place;
    condition when;
    const char *name;
    dimension shape[2];
} row;

static const row rows[] = {
    {ANY, IN_MODEL, ALWAYS, "model.embed_tokens.weight", {VOCABULARY, HIDDEN}},
    {ANY, IN_MODEL, ALWAYS, "model.norm.weight", {HIDDEN}},
    {ANY, IN_MODEL, UNTIED, "lm_head.weight", {VOCABULARY, HIDDEN}},

    {ANY, IN_LAYER, ALWAYS, "input_layernorm.weight", {HIDDEN}},
    {ANY, IN_LAYER, ALWAYS, "post_attention_layernorm.weight", {HIDDEN}},

    {GQA, IN_LAYER, ALWAYS, "self_attn.q_proj.weight", {QUERY, HIDDEN}},
    {GQA, IN_LAYER, ALWAYS, "self_attn.k_proj.weight", {KEY_VALUE, HIDDEN}},
    {GQA, IN_LAYER, ALWAYS, "self_attn.v_proj.weight", {KEY_VALUE, HIDDEN}},
    {GQA, IN_LAYER, ALWAYS, "self_attn.o_proj.weight", {HIDDEN, QUERY}},
    {GQA, IN_LAYER, ATTENTION_BIAS, "self_attn.q_proj.bias", {QUERY}},
    {GQA, IN_LAYER, ATTENTION_BIAS, "self_attn.k_proj.bias", {KEY_VALUE}},
    {GQA, IN_LAYER, ATTENTION_BIAS, "self_attn.v_proj.bias", {KEY_VALUE}},
    {LLAMA | QWEN3, IN_LAYER, ATTENTION_BIAS, "self_attn.o_proj.bias", {HIDDEN}},
    {QWEN3, IN_LAYER, ALWAYS, "self_attn.q_norm.weight", {HEAD}},
    {QWEN3, IN_LAYER, ALWAYS, "self_attn.k_norm.weight", {HEAD}},

    {MLA, IN_LAYER, QUERY_FULL_RANK, "self_attn.q_proj.weight", {QUERY, HIDDEN}},
    {MLA, IN_LAYER, QUERY_LOW_RANK, "self_attn.q_a_proj.weight", {QUERY_RANK, HIDDEN}},
    {MLA, IN_LAYER, QUERY_LOW_RANK, "self_attn.q_a_layernorm.weight", {QUERY_RANK}},
    {MLA, IN_LAYER, QUERY_LOW_RANK, "self_attn.q_b_proj.weight", {QUERY, QUERY_RANK}},
    {MLA, IN_LAYER, ALWAYS, "self_attn.kv_a_proj_with_mqa.weight", {KV_RANK_ROPE, HIDDEN}},
    {MLA, IN_LAYER, ALWAYS, "self_attn.kv_a_layernorm.weight", {KV_RANK}},
    {MLA, IN_LAYER, ALWAYS, "self_attn.kv_b_proj.weight", {KV_EXPANDED, KV_RANK}},
    {MLA, IN_LAYER, ALWAYS, "self_attn.o_proj.weight", {HIDDEN, VALUE}},
    {MLA, IN_LAYER, QUERY_LOW_RANK_BIAS, "self_attn.q_a_proj.bias", {QUERY_RANK}},
    {MLA, IN_LAYER, ATTENTION_BIAS, "self_attn.kv_a_proj_with_mqa.bias", {KV_RANK_ROPE}},
    {MLA, IN_LAYER, ATTENTION_BIAS, "self_attn.o_proj.bias", {HIDDEN}},

    {ANY, IN_DENSE, ALWAYS, "mlp.gate_proj.weight", {FFN, HIDDEN}},
    {ANY, IN_DENSE, ALWAYS, "mlp.up_proj.weight", {FFN, HIDDEN}},
    {ANY, IN_DENSE, ALWAYS, "mlp.down_proj.weight", {HIDDEN, FFN}},
    {LLAMA, IN_DENSE, MLP_BIAS, "mlp.gate_proj.bias", {FFN}},
    {LLAMA, IN_DENSE, MLP_BIAS, "mlp.up_proj.bias", {FFN}},
    {LLAMA, IN_DENSE, MLP_BIAS, "mlp.down_proj.bias", {HIDDEN}},

    {MLA, IN_MOE, ALWAYS, "mlp.gate.weight", {EXPERTS, HIDDEN}},
    {V3, IN_MOE, ALWAYS, "mlp.gate.e_score_correction_bias", {EXPERTS}},
    {MLA, IN_MOE, SHARED_EXPERTS, "mlp.shared_experts.gate_proj.weight", {SHARED_FFN, HIDDEN}},
    {MLA, IN_MOE, SHARED_EXPERTS, "mlp.shared_experts.up_proj.weight", {SHARED_FFN, HIDDEN}},
    {MLA, IN_MOE, SHARED_EXPERTS, "mlp.shared_experts.down_proj.weight", {HIDDEN, SHARED_FFN}},
    {MLA, IN_EXPERT, ALWAYS, "gate_proj.weight", {EXPERT_FFN, HIDDEN}},
    {MLA, IN_EXPERT, ALWAYS, "up_proj.weight", {EXPERT_FFN, HIDDEN}},
    {MLA, IN_EXPERT, ALWAYS, "down_proj.weight", {HIDDEN, EXPERT_FFN}},
};

static size_t size_of(dimension d, const model_config *c)
{
    switch (d) {
    case NONE:
        return 0;
    case VOCABULARY:
        return c->vocabulary;
    case HIDDEN:
        return c->hidden_size;
    case FFN:
        return c->intermediate_size;
    case HEAD:
        return c->head_dim;
    case QUERY:
        return c->heads * c->head_dim;
    case KEY_VALUE:
        return c->kv_heads * c->head_dim;
    case QUERY_RANK:
        return c->q_lora_rank;
    case KV_RANK:
        return c->kv_lora_rank;
    case KV_RANK_ROPE:
        return c->kv_lora_rank + c->qk_rope_head_dim;
    case KV_EXPANDED:
        return c->heads * (c->qk_nope_head_dim + c->v_head_dim);
    case VALUE:
        return c->heads * c->v_head_dim;
    case EXPERTS:
        return c->experts;
    case EXPERT_FFN:
        return c->moe_intermediate_size;
    case SHARED_FFN:
        return c->shared_experts * c->moe_intermediate_size;
    }
    return 0;
}

static bool holds(condition when, const model_config *c)
{
    switch (when) {
    case ALWAYS:
        return true;
    case UNTIED:
        return !c->tie_word_embeddings;
    case ATTENTION_BIAS:
        return c->attention_bias;
    case MLP_BIAS:
        return c->mlp_bias;
    case QUERY_LOW_RANK:
        return c->q_lora_rank > 0;
    case QUERY_LOW_RANK_BIAS:
        return c->q_lora_rank > 0 && c->attention_bias;
    case QUERY_FULL_RANK:
        return c->q_lora_rank == 0;
    case SHARED_EXPERTS:
        return c->shared_experts > 0;
    }
    return false;
}

typedef struct visitor {
    const model_config *config;
    needed_tensor_fn *visit;
    void *context;
} visitor;

/* All rows of one place, their names after `prefix`. */
static ciuic_status visit_place(const visitor *v, place where, const char *prefix)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const row *r = &rows[i];
        if (r->place != where || (r->types & 1u << v->config->type) == 0 || !holds(r->when, v->config)) continue;
        char name[160];
        snprintf(name, sizeof name, "%s%s", prefix, r->name);
        const needed_tensor needed = {
            .name = name,
            .dims = r->shape[1] == NONE ? 1 : 2,
            .shape = {size_of(r->shape[0], v->config), size_of(r->shape[1], v->config)},
            .exact = r->shape[0] == EXPERTS,
        };
        CIUIC_TRY(v->visit(v->context, &needed));
    }
    return CIUIC_OK;
}

static ciuic_status visit_layer(const visitor *v, size_t layer)
{
    char prefix[80];
    snprintf(prefix, sizeof prefix, "model.layers.%zu.", layer);
    CIUIC_TRY(visit_place(v, IN_LAYER, prefix));
    if (!model_config_is_moe(v->config, layer)) return visit_place(v, IN_DENSE, prefix);
    CIUIC_TRY(visit_place(v, IN_MOE, prefix));
    for (size_t expert = 0; expert < v->config->experts; expert++) {
        snprintf(prefix, sizeof prefix, "model.layers.%zu.mlp.experts.%zu.", layer, expert);
        CIUIC_TRY(visit_place(v, IN_EXPERT, prefix));
    }
    return CIUIC_OK;
}

ciuic_status architecture_tensors(const model_config *config, needed_tensor_fn *visit, void *context)
{
    const visitor v = {config, visit, context};
    CIUIC_TRY(visit_place(&v, IN_MODEL, ""));
    for (size_t layer = 0; layer < config->layers; layer++) CIUIC_TRY(visit_layer(&v, layer));
    return CIUIC_OK;
}
