/* config.h - config.json of a checkpoint, old style (rope_theta, rope_scaling) and new (rope_parameters), checked. */
#ifndef CIUIC_CONFIG_H
#define CIUIC_CONFIG_H

#include "optimizer/ciuic.h"

typedef enum model_type {
    MODEL_LLAMA,
    MODEL_QWEN2,
    MODEL_QWEN3,
    MODEL_DEEPSEEK_V2,
    MODEL_DEEPSEEK_V3,
    MODEL_TYPES
} model_type;

typedef enum rope_type { ROPE_DEFAULT, ROPE_LINEAR, ROPE_LLAMA3, ROPE_YARN } rope_type;

typedef struct rope_config {
    rope_type type;
    double theta;
    double factor;                            /* linear, llama3, yarn; otherwise 1 */
    double low_freq_factor, high_freq_factor; /* llama3 */
    double original_max_position;             /* llama3, yarn */
    double beta_fast, beta_slow;              /* yarn; 32 and 1 when absent */
    double mscale, mscale_all_dim;            /* yarn; 0 when absent */
    double attention_factor;                  /* yarn; 0 when absent */
    bool truncate;                            /* yarn; true when absent: correction range rounded to whole dimensions */
} rope_config;

/* How a router turns scores into a choice. */
typedef enum route_method {
    ROUTE_GREEDY,               /* V2: softmax, top-k of all */
    ROUTE_GROUP_LIMITED_GREEDY, /* V2: softmax, groups by their best expert, top-k of the best groups */
    ROUTE_NOAUX_TC,             /* V3: sigmoid, bias for selection, groups by the sum of their two best */
} route_method;

typedef struct model_config {
    model_type type;
    size_t vocabulary, hidden_size, layers, heads, kv_heads,
        head_dim; /* MLA: kv_heads = heads, head_dim = nope + rope */
    size_t intermediate_size, max_position;
    double rms_norm_eps;
    bool tie_word_embeddings;
    /* llama, qwen3: biases on q, k, v and o; qwen2: on q, k and v, always; deepseek: on q_a, kv_a and o */
    bool attention_bias;
    bool mlp_bias; /* llama */
    rope_config rope;

    /* MLA and MoE; 0 for llama and qwen */
    size_t q_lora_rank; /* 0: a single q_proj */
    size_t kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim;
    size_t experts; /* n_routed_experts; 0: every layer dense */
    size_t shared_experts, experts_per_token, moe_intermediate_size, first_dense_layers, moe_layer_freq;
    size_t groups, top_groups; /* n_group, topk_group; 1 when absent */
    route_method route;
    bool norm_topk_prob; /* V3; always false for V2, whose weights transformers never renormalises */
    double routed_scaling_factor;

    size_t mtp_layers; /* num_nextn_predict_layers: layers after the last that only multi-token prediction uses */

    size_t fp8_block_rows, fp8_block_columns; /* quantization_config.weight_block_size; 0: no FP8 */
    bool quantised;                           /* quant_method "ciuic": quantized_config.h has the rest */

    bool synthetic; /* `ciuic synth` made it: random weights, whose errors say nothing of trained ones */
} model_config;

/* Of a config.json: that of a quantised checkpoint lists its matrices. */
enum { CONFIG_MAX_BYTES = 64 << 20 };

/* Reads and checks `path` (config.json): known model_type, every needed key present, of the right type and possible
 * (heads divisible by kv_heads, even rope dims, groups dividing experts, top-k within reach, ...). */
ciuic_status model_config_read(const char *path, model_config *config);
const char *model_type_name(model_type type);
const char *rope_type_name(rope_type type);
bool model_type_has_mla(model_type type); /* deepseek_v2, deepseek_v3 */
/* Whether layer `i` is a mixture of experts. */
bool model_config_is_moe(const model_config *config, size_t layer);

#endif
