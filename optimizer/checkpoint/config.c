/* config.c - config.json to model_config. What a key means when it is absent follows transformers; what this program
 * cannot compute is refused by name. */
#include "optimizer/checkpoint/config.h"

#include <stdio.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/json.h"

/* Sizes up to here multiply in pairs without overflow, and no model comes near. */
enum { MAX_WIDTH = 1 << 24, MAX_LAYERS = 1 << 16, MAX_IDS = INT32_MAX };

static const char *const type_names[MODEL_TYPES] = {
    [MODEL_LLAMA] = "llama",
    [MODEL_QWEN2] = "qwen2",
    [MODEL_QWEN3] = "qwen3",
    [MODEL_DEEPSEEK_V2] = "deepseek_v2",
    [MODEL_DEEPSEEK_V3] = "deepseek_v3",
};

static const char *const rope_names[] = {
    [ROPE_DEFAULT] = "default", [ROPE_LINEAR] = "linear", [ROPE_LLAMA3] = "llama3", [ROPE_YARN] = "yarn"};

const char *model_type_name(model_type type)
{
    return type_names[type];
}

const char *rope_type_name(rope_type type)
{
    return rope_names[type];
}

bool model_type_has_mla(model_type type)
{
    return type == MODEL_DEEPSEEK_V2 || type == MODEL_DEEPSEEK_V3;
}

bool model_config_is_moe(const model_config *config, size_t layer)
{
    return config->experts > 0 && layer >= config->first_dense_layers && layer % config->moe_layer_freq == 0;
}

/* ---- keys that may be absent ------------------------------------------------------------------------------------ */

static ciuic_status optional_size(const cJSON *json, const char *where, const char *key, size_t min, size_t max,
                                  size_t absent, size_t *out)
{
    *out = absent;
    return json_find(json, key) == NULL ? CIUIC_OK : json_get_size(json, where, key, min, max, out);
}

static ciuic_status optional_double(const cJSON *json, const char *where, const char *key, double min, double max,
                                    double absent, double *out)
{
    *out = absent;
    return json_find(json, key) == NULL ? CIUIC_OK : json_get_double(json, where, key, min, max, out);
}

static ciuic_status optional_bool(const cJSON *json, const char *where, const char *key, bool absent, bool *out)
{
    *out = absent;
    return json_find(json, key) == NULL ? CIUIC_OK : json_get_bool(json, where, key, out);
}

static ciuic_status optional_string(const cJSON *json, const char *where, const char *key, const char *absent,
                                    const char **out)
{
    *out = absent;
    return json_find(json, key) == NULL ? CIUIC_OK : json_get_string(json, where, key, out);
}

/* A string key for which only one value can be computed; absent is fine. */
static ciuic_status only_value(const cJSON *json, const char *where, const char *key, const char *supported)
{
    const char *value = NULL;
    CIUIC_TRY(optional_string(json, where, key, supported, &value));
    return strcmp(value, supported) == 0
               ? CIUIC_OK
               : ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s \"%.40s\" is not supported; expected \"%s\"", where, key, value,
                            supported);
}

/* A switch that must be in one position; absent counts as that position. */
static ciuic_status only_bool(const cJSON *json, const char *where, const char *key, bool supported)
{
    bool value = supported;
    CIUIC_TRY(optional_bool(json, where, key, supported, &value));
    return value == supported ? CIUIC_OK
                              : ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s %s is not supported; expected %s", where, key,
                                           value ? "true" : "false", supported ? "true" : "false");
}

/* ---- what all architectures share ------------------------------------------------------------------------------- */

static ciuic_status read_type(const cJSON *json, const char *where, model_type *type)
{
    const char *name = NULL;
    CIUIC_TRY(json_get_string(json, where, "model_type", &name));
    for (int i = 0; i < MODEL_TYPES; i++) {
        if (strcmp(name, type_names[i]) != 0) continue;
        *type = (model_type)i;
        return CIUIC_OK;
    }
    return ciuic_fail(CIUIC_ERROR_INPUT,
                      "%s: model_type \"%.40s\" is not supported; expected llama, qwen2, qwen3, "
                      "deepseek_v2 or deepseek_v3",
                      where, name);
}

static ciuic_status read_sizes(const cJSON *json, const char *where, model_config *c)
{
    const struct {
        const char *key;
        size_t max, *out;
    } sizes[] = {
        {"vocab_size", MAX_IDS, &c->vocabulary},
        {"hidden_size", MAX_WIDTH, &c->hidden_size},
        {"intermediate_size", MAX_WIDTH, &c->intermediate_size},
        {"num_hidden_layers", MAX_LAYERS, &c->layers},
        {"num_attention_heads", MAX_WIDTH, &c->heads},
        {"max_position_embeddings", MAX_IDS, &c->max_position},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        CIUIC_TRY(json_get_size(json, where, sizes[i].key, 1, sizes[i].max, sizes[i].out));
    CIUIC_TRY(json_get_double(json, where, "rms_norm_eps", 0, 1, &c->rms_norm_eps));
    return optional_bool(json, where, "tie_word_embeddings", false, &c->tie_word_embeddings);
}

/* layer_types of transformers 5: one string a layer. */
static ciuic_status check_layer_types(const cJSON *json, const char *where)
{
    if (json_find(json, "layer_types") == NULL) return CIUIC_OK;
    const cJSON *types = NULL, *type = NULL;
    CIUIC_TRY(json_get_array(json, where, "layer_types", &types));
    cJSON_ArrayForEach(type, types)
    {
        if (!cJSON_IsString(type) || strcmp(type->valuestring, "full_attention") != 0)
            return ciuic_fail(CIUIC_ERROR_INPUT,
                              "%s: layer_types holds %.40s, which is not supported; expected only "
                              "full_attention",
                              where, cJSON_IsString(type) ? type->valuestring : "a value that is no string");
    }
    return CIUIC_OK;
}

/* What would change the function this program computes, and that it does not compute. */
static ciuic_status refuse_unsupported(const cJSON *json, const char *where, const model_config *c)
{
    CIUIC_TRY(only_value(json, where, "hidden_act", "silu"));
    CIUIC_TRY(check_layer_types(json, where));
    double rotary = 1;
    CIUIC_TRY(optional_double(json, where, "partial_rotary_factor", 0, 1, 1, &rotary));
    if (rotary < 1)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: partial_rotary_factor %g is not supported; expected 1", where,
                          rotary);
    if (model_type_has_mla(c->type)) {
        CIUIC_TRY(only_bool(json, where, "mlp_bias", false));
        return only_bool(json, where, "rope_interleave", true);
    }
    if (c->type == MODEL_LLAMA) return CIUIC_OK;

    /* Qwen: the window applies to layers from max_window_layers on, and only when it is switched on. */
    bool sliding = false;
    size_t full_layers = 0;
    CIUIC_TRY(optional_bool(json, where, "use_sliding_window", false, &sliding));
    CIUIC_TRY(optional_size(json, where, "max_window_layers", 0, MAX_LAYERS, 0, &full_layers));
    if (sliding && json_find(json, "sliding_window") != NULL && full_layers < c->layers)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: use_sliding_window is not supported; expected false, or max_window_layers "
                          "of at least %zu",
                          where, c->layers);
    return CIUIC_OK;
}

static ciuic_status read_quantization(const cJSON *json, const char *where, model_config *c)
{
    if (json_find(json, "quantization_config") == NULL) return CIUIC_OK;
    const cJSON *quantization = NULL, *block = NULL;
    const char *method = NULL;
    CIUIC_TRY(json_get_object(json, where, "quantization_config", &quantization));
    char inner[512];
    snprintf(inner, sizeof inner, "%s: quantization_config", where);
    CIUIC_TRY(json_get_string(quantization, inner, "quant_method", &method));
    c->quantised = strcmp(method, "ciuic") == 0;
    if (c->quantised && json_find(quantization, "weight_block_size") == NULL) return CIUIC_OK;
    if (strcmp(method, "fp8") != 0 && !c->quantised)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: quant_method \"%.40s\" is not supported; expected \"fp8\" in blocks, or \"ciuic\"",
                          inner, method);
    if (!c->quantised) CIUIC_TRY(only_value(quantization, inner, "fmt", "e4m3"));
    CIUIC_TRY(json_get_array(quantization, inner, "weight_block_size", &block));
    size_t sizes[2] = {0, 0};
    bool good = cJSON_GetArraySize(block) == 2;
    for (int i = 0; good && i < 2; i++) {
        const cJSON *size = cJSON_GetArrayItem(block, i);
        good = cJSON_IsNumber(size) && size->valueint >= 1 && size->valueint <= MAX_WIDTH &&
               (double)size->valueint == size->valuedouble;
        if (good) sizes[i] = (size_t)size->valueint;
    }
    if (!good)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: weight_block_size is not what it should be; expected two positive whole "
                          "numbers such as [128, 128]",
                          inner);
    c->fp8_block_rows = sizes[0];
    c->fp8_block_columns = sizes[1];
    return CIUIC_OK;
}

/* ---- rotary embedding ------------------------------------------------------------------------------------------- */

static ciuic_status parse_rope_type(const char *where, const char *name, rope_type *type)
{
    for (size_t i = 0; i < sizeof rope_names / sizeof rope_names[0]; i++) {
        if (strcmp(name, rope_names[i]) != 0) continue;
        *type = (rope_type)i;
        return CIUIC_OK;
    }
    return ciuic_fail(CIUIC_ERROR_INPUT,
                      "%s: rope_type \"%.40s\" is not supported; expected default, linear, llama3 or yarn", where,
                      name);
}

static ciuic_status read_llama3(const cJSON *rope, const char *where, rope_config *r)
{
    CIUIC_TRY(json_get_double(rope, where, "factor", 1, 1e6, &r->factor));
    CIUIC_TRY(json_get_double(rope, where, "low_freq_factor", 1e-6, 1e6, &r->low_freq_factor));
    CIUIC_TRY(json_get_double(rope, where, "high_freq_factor", 1e-6, 1e6, &r->high_freq_factor));
    CIUIC_TRY(json_get_double(rope, where, "original_max_position_embeddings", 1, MAX_IDS, &r->original_max_position));
    if (r->high_freq_factor <= r->low_freq_factor)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: high_freq_factor %g; expected more than low_freq_factor %g", where,
                          r->high_freq_factor, r->low_freq_factor);
    return CIUIC_OK;
}

static ciuic_status read_yarn(const cJSON *rope, const char *where, double max_position, rope_config *r)
{
    CIUIC_TRY(optional_double(rope, where, "original_max_position_embeddings", 1, MAX_IDS, max_position,
                              &r->original_max_position));
    if (json_find(rope, "factor") == NULL && json_find(rope, "original_max_position_embeddings") != NULL)
        r->factor = max_position / r->original_max_position; /* as transformers does */
    else
        CIUIC_TRY(json_get_double(rope, where, "factor", 1, 1e6, &r->factor));
    CIUIC_TRY(optional_double(rope, where, "beta_fast", 1e-6, 1e6, 32, &r->beta_fast));
    CIUIC_TRY(optional_double(rope, where, "beta_slow", 1e-6, 1e6, 1, &r->beta_slow));
    CIUIC_TRY(optional_double(rope, where, "mscale", 0, 1e6, 0, &r->mscale));
    CIUIC_TRY(optional_double(rope, where, "mscale_all_dim", 0, 1e6, 0, &r->mscale_all_dim));
    CIUIC_TRY(optional_double(rope, where, "attention_factor", 1e-6, 1e6, 0, &r->attention_factor));
    CIUIC_TRY(optional_bool(rope, where, "truncate", true, &r->truncate));
    if (r->factor < 1)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: factor %g, from max_position_embeddings over "
                          "original_max_position_embeddings; expected at least 1",
                          where, r->factor);
    if (r->beta_fast <= r->beta_slow)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: beta_fast %g; expected more than beta_slow %g", where, r->beta_fast,
                          r->beta_slow);
    return CIUIC_OK;
}

/* `rope` is rope_parameters or rope_scaling. */
static ciuic_status read_rope_object(const cJSON *rope, const char *where, double max_position, rope_config *r)
{
    const char *type = NULL;
    /* `rope_type` is the newer name of `type` and wins where both are given. */
    CIUIC_TRY(optional_string(rope, where, "type", "default", &type));
    CIUIC_TRY(optional_string(rope, where, "rope_type", type, &type));
    CIUIC_TRY(parse_rope_type(where, type, &r->type));
    CIUIC_TRY(optional_double(rope, where, "rope_theta", 2, 1e15, r->theta, &r->theta));
    for (const cJSON *member = rope->child; member != NULL; member = member->next)
        if (cJSON_IsObject(member))
            return ciuic_fail(CIUIC_ERROR_INPUT,
                              "%s: \"%.40s\" is an object: rotary parameters per kind of layer are not "
                              "supported; expected one set for all layers",
                              where, member->string);
    double rotary = 1;
    CIUIC_TRY(optional_double(rope, where, "partial_rotary_factor", 0, 1, 1, &rotary));
    if (rotary < 1)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: partial_rotary_factor %g is not supported; expected 1", where,
                          rotary);
    switch (r->type) {
    case ROPE_DEFAULT:
        return CIUIC_OK;
    case ROPE_LINEAR:
        return json_get_double(rope, where, "factor", 1, 1e6, &r->factor);
    case ROPE_LLAMA3:
        return read_llama3(rope, where, r);
    case ROPE_YARN:
        return read_yarn(rope, where, max_position, r);
    }
    return CIUIC_OK;
}

static ciuic_status read_rope(const cJSON *json, const char *where, model_config *c)
{
    c->rope = (rope_config){.type = ROPE_DEFAULT, .factor = 1, .truncate = true};
    CIUIC_TRY(optional_double(json, where, "rope_theta", 2, 1e15, 10000, &c->rope.theta));
    const bool newer = json_find(json, "rope_parameters") != NULL, older = json_find(json, "rope_scaling") != NULL;
    if (newer && older)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: has both rope_parameters and rope_scaling; expected one of them",
                          where);
    if (!newer && !older) return CIUIC_OK;
    const char *key = newer ? "rope_parameters" : "rope_scaling";
    const cJSON *rope = NULL;
    CIUIC_TRY(json_get_object(json, where, key, &rope));
    char inner[512];
    snprintf(inner, sizeof inner, "%s: %s", where, key);
    return read_rope_object(rope, inner, (double)c->max_position, &c->rope);
}

/* ---- grouped-query attention (llama, qwen) ---------------------------------------------------------------------- */

static ciuic_status read_grouped_query(const cJSON *json, const char *where, model_config *c)
{
    CIUIC_TRY(optional_size(json, where, "num_key_value_heads", 1, MAX_WIDTH, c->heads, &c->kv_heads));
    if (c->heads % c->kv_heads != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: num_key_value_heads %zu does not divide num_attention_heads %zu",
                          where, c->kv_heads, c->heads);
    const size_t usual = c->type == MODEL_QWEN3 ? 128 : c->hidden_size / c->heads;
    CIUIC_TRY(optional_size(json, where, "head_dim", 2, MAX_WIDTH, usual, &c->head_dim));
    if (json_find(json, "head_dim") == NULL && c->type != MODEL_QWEN3 && c->hidden_size % c->heads != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: num_attention_heads %zu does not divide hidden_size %zu, and there is no "
                          "head_dim",
                          where, c->heads, c->hidden_size);
    if (c->head_dim % 2 != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: head_dim is %zu; expected an even number, for it is rotated in pairs",
                          where, c->head_dim);
    if (c->type == MODEL_LLAMA) CIUIC_TRY(optional_bool(json, where, "mlp_bias", false, &c->mlp_bias));
    if (c->type == MODEL_QWEN2)
        c->attention_bias = true; /* config.json does not mention it */
    else
        CIUIC_TRY(optional_bool(json, where, "attention_bias", false, &c->attention_bias));
    return CIUIC_OK;
}

/* ---- multi-head latent attention and mixture of experts (deepseek) ---------------------------------------------- */

static ciuic_status read_mla(const cJSON *json, const char *where, model_config *c)
{
    CIUIC_TRY(optional_size(json, where, "q_lora_rank", 1, MAX_WIDTH, 0, &c->q_lora_rank));
    CIUIC_TRY(json_get_size(json, where, "kv_lora_rank", 1, MAX_WIDTH, &c->kv_lora_rank));
    CIUIC_TRY(json_get_size(json, where, "qk_nope_head_dim", 1, MAX_WIDTH, &c->qk_nope_head_dim));
    CIUIC_TRY(json_get_size(json, where, "qk_rope_head_dim", 2, MAX_WIDTH, &c->qk_rope_head_dim));
    CIUIC_TRY(json_get_size(json, where, "v_head_dim", 1, MAX_WIDTH, &c->v_head_dim));
    CIUIC_TRY(optional_bool(json, where, "attention_bias", false, &c->attention_bias));
    if (c->qk_rope_head_dim % 2 != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: qk_rope_head_dim is %zu; expected an even number, for it is rotated in "
                          "pairs",
                          where, c->qk_rope_head_dim);
    c->head_dim = c->qk_nope_head_dim + c->qk_rope_head_dim;
    size_t stated = 0;
    CIUIC_TRY(optional_size(json, where, "qk_head_dim", 1, 2 * (size_t)MAX_WIDTH, c->head_dim, &stated));
    if (stated != c->head_dim)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: qk_head_dim is %zu; expected %zu, qk_nope_head_dim + qk_rope_head_dim", where, stated,
                          c->head_dim);
    CIUIC_TRY(optional_size(json, where, "num_key_value_heads", 1, MAX_WIDTH, c->heads, &c->kv_heads));
    if (c->kv_heads != c->heads)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: num_key_value_heads is %zu; expected %zu, as num_attention_heads",
                          where, c->kv_heads, c->heads);
    return CIUIC_OK;
}

static ciuic_status read_route(const cJSON *json, const char *where, model_config *c)
{
    const bool v3 = c->type == MODEL_DEEPSEEK_V3;
    CIUIC_TRY(only_value(json, where, "scoring_func", v3 ? "sigmoid" : "softmax"));
    CIUIC_TRY(
        optional_double(json, where, "routed_scaling_factor", 1e-6, 1e6, v3 ? 2.5 : 1, &c->routed_scaling_factor));
    if (v3) {
        c->route = ROUTE_NOAUX_TC;
        CIUIC_TRY(optional_bool(json, where, "norm_topk_prob", true, &c->norm_topk_prob));
        return only_value(json, where, "topk_method", "noaux_tc");
    }
    const char *method = NULL;
    CIUIC_TRY(optional_string(json, where, "topk_method", "greedy", &method));
    if (strcmp(method, "greedy") == 0)
        c->route = ROUTE_GREEDY;
    else if (strcmp(method, "group_limited_greedy") == 0)
        c->route = ROUTE_GROUP_LIMITED_GREEDY;
    else
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: topk_method \"%.40s\" is not supported; expected greedy or "
                          "group_limited_greedy",
                          where, method);
    return CIUIC_OK;
}

/* A choice of experts_per_token from the best groups must be possible. */
static ciuic_status check_groups(const char *where, const model_config *c)
{
    if (c->experts % c->groups != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: n_group %zu does not divide n_routed_experts %zu", where, c->groups,
                          c->experts);
    if (c->top_groups > c->groups)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: topk_group is %zu; expected at most n_group, %zu", where,
                          c->top_groups, c->groups);
    const size_t group = c->experts / c->groups;
    const size_t within_reach = c->route == ROUTE_GREEDY ? c->experts : c->top_groups * group;
    if (c->experts_per_token > within_reach)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: num_experts_per_tok is %zu; expected at most %zu, the experts in reach", where,
                          c->experts_per_token, within_reach);
    if (c->route == ROUTE_NOAUX_TC && group < 2)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: n_group %zu leaves %zu expert a group; expected at least 2, for groups are "
                          "ranked by their two best",
                          where, c->groups, group);
    return CIUIC_OK;
}

/* mlp_layer_types of transformers 5 says again what first_k_dense_replace and moe_layer_freq say. */
static ciuic_status check_mlp_layer_types(const cJSON *json, const char *where, const model_config *c)
{
    if (json_find(json, "mlp_layer_types") == NULL) return CIUIC_OK;
    const cJSON *types = NULL, *type = NULL;
    CIUIC_TRY(json_get_array(json, where, "mlp_layer_types", &types));
    size_t layer = 0;
    cJSON_ArrayForEach(type, types)
    {
        const char *expected = model_config_is_moe(c, layer) ? "sparse" : "dense";
        if (!cJSON_IsString(type) || (layer < c->layers && strcmp(type->valuestring, expected) != 0))
            return ciuic_fail(CIUIC_ERROR_INPUT,
                              "%s: mlp_layer_types[%zu] contradicts first_k_dense_replace; expected "
                              "\"%s\"",
                              where, layer, expected);
        layer++;
    }
    return CIUIC_OK;
}

static ciuic_status read_moe(const cJSON *json, const char *where, model_config *c)
{
    CIUIC_TRY(optional_size(json, where, "num_nextn_predict_layers", 0, MAX_LAYERS, 0, &c->mtp_layers));
    c->moe_layer_freq = 1;
    c->groups = c->top_groups = 1;
    CIUIC_TRY(optional_size(json, where, "n_routed_experts", 1, MAX_WIDTH, 0, &c->experts));
    if (c->experts == 0) return CIUIC_OK; /* every layer is dense */
    CIUIC_TRY(optional_size(json, where, "n_shared_experts", 0, MAX_LAYERS, 0, &c->shared_experts));
    CIUIC_TRY(json_get_size(json, where, "num_experts_per_tok", 1, MAX_WIDTH, &c->experts_per_token));
    CIUIC_TRY(json_get_size(json, where, "moe_intermediate_size", 1, MAX_WIDTH, &c->moe_intermediate_size));
    CIUIC_TRY(optional_size(json, where, "first_k_dense_replace", 0, MAX_LAYERS, 0, &c->first_dense_layers));
    CIUIC_TRY(optional_size(json, where, "moe_layer_freq", 1, MAX_LAYERS, 1, &c->moe_layer_freq));
    CIUIC_TRY(optional_size(json, where, "n_group", 1, MAX_WIDTH, 1, &c->groups));
    CIUIC_TRY(optional_size(json, where, "topk_group", 1, MAX_WIDTH, 1, &c->top_groups));
    CIUIC_TRY(read_route(json, where, c));
    CIUIC_TRY(check_groups(where, c));
    return check_mlp_layer_types(json, where, c);
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

static ciuic_status read_all(const cJSON *json, const char *path, model_config *c)
{
    if (!cJSON_IsObject(json))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: not a JSON object; expected a model's config", path);
    CIUIC_TRY(read_type(json, path, &c->type));
    c->synthetic = json_find(json, "_ciuic_synthetic") != NULL;
    CIUIC_TRY(read_sizes(json, path, c));
    CIUIC_TRY(refuse_unsupported(json, path, c));
    CIUIC_TRY(read_quantization(json, path, c));
    CIUIC_TRY(read_rope(json, path, c));
    if (!model_type_has_mla(c->type)) return read_grouped_query(json, path, c);
    CIUIC_TRY(read_mla(json, path, c));
    return read_moe(json, path, c);
}

ciuic_status model_config_read(const char *path, model_config *config)
{
    cJSON *json = NULL;
    CIUIC_TRY(json_read_file(path, CONFIG_MAX_BYTES, &json));
    model_config read = {0};
    const ciuic_status status = read_all(json, path, &read);
    cJSON_Delete(json);
    if (status == CIUIC_OK) *config = read;
    return status;
}
