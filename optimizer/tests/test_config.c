/* test_config.c - every field of a config, what absent keys mean, and what is refused by name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/config.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

static const char llama[] = "datasets/golden/deepseek-llm/config.json";
static const char linear[] = "datasets/golden/deepseek-coder/config.json";
static const char llama3[] = "datasets/golden/r1-distill-llama/config.json";
static const char qwen2[] = "datasets/golden/r1-distill-qwen/config.json";
static const char qwen3[] = "datasets/golden/r1-0528-qwen3/config.json";
static const char v2_lite[] = "datasets/golden/deepseek-v2-lite/config.json";
static const char v2[] = "datasets/golden/deepseek-v2/config.json";
static const char v3[] = "datasets/golden/deepseek-v3/config.json";
static const char fp8[] = "datasets/golden/deepseek-v3-fp8/config.json";
static const char v3_tiny[] = "datasets/deepseek-v3-tiny/config.json";

static temporary_folder folder;
static char edited[TEST_PATH];

/* Sets `key` (a dot leads into an object) of `object` to the JSON text `value`; NULL removes it. */
static void edit(cJSON *object, const char *key, const char *value)
{
    const char *dot = strchr(key, '.');
    if (dot != NULL) {
        char outer[64];
        snprintf(outer, sizeof outer, "%.*s", (int)(dot - key), key);
        edit(cJSON_GetObjectItemCaseSensitive(object, outer), dot + 1, value);
        return;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (value != NULL) cJSON_AddItemToObject(object, key, cJSON_Parse(value));
}

/* Reads `base` with up to two keys changed. */
static ciuic_status read_edited(const char *base, const char *const *edits, size_t count, model_config *config)
{
    cJSON *json = NULL;
    CU_ASSERT_FATAL(json_read_file(base, 1 << 20, &json) == CIUIC_OK);
    for (size_t i = 0; i + 1 < count && edits[i] != NULL; i += 2) edit(json, edits[i], edits[i + 1]);
    char *text = cJSON_Print(json);
    write_bytes(temporary_path(&folder, "config.json", edited), text, strlen(text));
    free(text);
    cJSON_Delete(json);
    return model_config_read(edited, config);
}

static void every_field_of_v3(void)
{
    model_config c;
    CU_ASSERT_FATAL(model_config_read(fp8, &c) == CIUIC_OK);
    const struct {
        const char *name;
        size_t found, expected;
    } sizes[] = {
        {"type", c.type, MODEL_DEEPSEEK_V3},
        {"vocabulary", c.vocabulary, 512},
        {"hidden_size", c.hidden_size, 256},
        {"layers", c.layers, 2},
        {"heads", c.heads, 4},
        {"kv_heads", c.kv_heads, 4},
        {"head_dim", c.head_dim,
         48}, /* 32 + 16; the file's own head_dim, 16, is transformers' name for the rotated part */
        {"intermediate_size", c.intermediate_size, 320},
        {"max_position", c.max_position, 512},
        {"q_lora_rank", c.q_lora_rank, 96},
        {"kv_lora_rank", c.kv_lora_rank, 64},
        {"qk_nope_head_dim", c.qk_nope_head_dim, 32},
        {"qk_rope_head_dim", c.qk_rope_head_dim, 16},
        {"v_head_dim", c.v_head_dim, 32},
        {"experts", c.experts, 4},
        {"shared_experts", c.shared_experts, 1},
        {"experts_per_token", c.experts_per_token, 2},
        {"moe_intermediate_size", c.moe_intermediate_size, 160},
        {"first_dense_layers", c.first_dense_layers, 1},
        {"moe_layer_freq", c.moe_layer_freq, 1},
        {"groups", c.groups, 2},
        {"top_groups", c.top_groups, 1},
        {"route", c.route, ROUTE_NOAUX_TC},
        {"norm_topk_prob", c.norm_topk_prob, true},
        {"mtp_layers", c.mtp_layers, 1},
        {"fp8_block_rows", c.fp8_block_rows, 128},
        {"fp8_block_columns", c.fp8_block_columns, 128},
        {"tie_word_embeddings", c.tie_word_embeddings, false},
        {"attention_bias", c.attention_bias, false},
        {"rope.type", c.rope.type, ROPE_YARN},
        {"rope.truncate", c.rope.truncate, true},
        {"layer 0 moe", model_config_is_moe(&c, 0), false},
        {"layer 1 moe", model_config_is_moe(&c, 1), true},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        CHECK(sizes[i].found == sizes[i].expected, "%s is %zu; expected %zu", sizes[i].name, sizes[i].found,
              sizes[i].expected);
    const struct {
        const char *name;
        double found, expected;
    } doubles[] = {
        {"rms_norm_eps", c.rms_norm_eps, 1e-6},
        {"routed_scaling_factor", c.routed_scaling_factor, 2.5},
        {"theta", c.rope.theta, 10000},
        {"factor", c.rope.factor, 40},
        {"original_max_position", c.rope.original_max_position, 32},
        {"beta_fast", c.rope.beta_fast, 32},
        {"beta_slow", c.rope.beta_slow, 1},
        {"mscale", c.rope.mscale, 1},
        {"mscale_all_dim", c.rope.mscale_all_dim, 1},
        {"attention_factor", c.rope.attention_factor, 0},
    };
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++)
        CHECK(doubles[i].found == doubles[i].expected, "%s is %g; expected %g", doubles[i].name, doubles[i].found,
              doubles[i].expected);
}

static void each_architecture_has_its_own(void)
{
    model_config c;
    CHECK(model_config_read(llama, &c) == CIUIC_OK && c.type == MODEL_LLAMA && c.kv_heads == 2 && c.head_dim == 32 &&
              !c.attention_bias && c.rope.type == ROPE_DEFAULT && c.rope.factor == 1 && c.experts == 0 &&
              c.fp8_block_rows == 0,
          "llama");
    CHECK(model_config_read(linear, &c) == CIUIC_OK && c.rope.type == ROPE_LINEAR && c.rope.factor == 4 &&
              c.rope.theta == 100000,
          "linear");
    CHECK(model_config_read(llama3, &c) == CIUIC_OK && c.rope.type == ROPE_LLAMA3 && c.rope.factor == 8 &&
              c.rope.low_freq_factor == 1 && c.rope.high_freq_factor == 4 && c.rope.original_max_position == 64,
          "llama3");
    CHECK(model_config_read(qwen2, &c) == CIUIC_OK && c.type == MODEL_QWEN2 && c.attention_bias && c.head_dim == 32,
          "qwen2: biases that the file does not mention");
    CHECK(model_config_read(qwen3, &c) == CIUIC_OK && c.type == MODEL_QWEN3 && c.head_dim == 48 && !c.attention_bias &&
              c.rope.type == ROPE_YARN && c.rope.mscale == 0 && c.rope.mscale_all_dim == 0 && c.rope.beta_fast == 32,
          "qwen3");
    CHECK(model_config_read(v2_lite, &c) == CIUIC_OK && c.q_lora_rank == 0 && c.route == ROUTE_GREEDY &&
              c.rope.mscale == 0.707 && c.shared_experts == 2,
          "v2-lite");
    CHECK(model_config_read(v2, &c) == CIUIC_OK && c.route == ROUTE_GROUP_LIMITED_GREEDY && !c.norm_topk_prob &&
              c.routed_scaling_factor == 16,
          "v2");
    CHECK(model_config_read(v3_tiny, &c) == CIUIC_OK && c.rope.type == ROPE_DEFAULT && c.rope.theta == 10000 &&
              c.route == ROUTE_NOAUX_TC && c.layers == 6,
          "v3-tiny, old style");
    CHECK(strcmp(model_type_name(MODEL_DEEPSEEK_V2), "deepseek_v2") == 0 && model_type_has_mla(MODEL_DEEPSEEK_V2) &&
              !model_type_has_mla(MODEL_QWEN3) && strcmp(rope_type_name(ROPE_LLAMA3), "llama3") == 0,
          "names");
}

/* The same parameters in the spelling of old configs: rope_theta beside rope_scaling, whose type may be called `type`. */
static void old_and_new_rope_are_the_same(void)
{
    static const struct {
        const char *base, *theta, *scaling;
    } table[] = {
        {llama, "10000.0", NULL},
        {llama, "10000.0", "null"},
        {linear, "100000", "{\"type\":\"linear\",\"factor\":4.0}"},
        {llama3, "500000",
         "{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4,"
         "\"original_max_position_embeddings\":64}"},
        {qwen3, "1000000",
         "{\"type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":64,\"attn_factor\":3}"},
        {v3, "10000",
         "{\"type\":\"yarn\",\"factor\":40,\"beta_fast\":32,\"beta_slow\":1,\"mscale\":1.0,\"mscale_all_dim\":1.0,"
         "\"original_max_position_embeddings\":32}"},
        {v3, "10000",
         "{\"type\":\"default\",\"rope_type\":\"yarn\",\"factor\":40,\"mscale\":1.0,\"mscale_all_dim\":1.0,"
         "\"original_max_position_embeddings\":32}"},
    };
    temporary_folder_create(&folder);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        model_config newer, older;
        const char *const edits[] = {"rope_parameters", NULL,           "rope_theta",
                                     table[i].theta,    "rope_scaling", table[i].scaling};
        CU_ASSERT_FATAL(model_config_read(table[i].base, &newer) == CIUIC_OK);
        CHECK(read_edited(table[i].base, edits, 6, &older) == CIUIC_OK, "%s", ciuic_last_error());
        const rope_config *a = &newer.rope, *b = &older.rope;
        CHECK(a->type == b->type && a->theta == b->theta && a->factor == b->factor &&
                  a->low_freq_factor == b->low_freq_factor && a->high_freq_factor == b->high_freq_factor &&
                  a->original_max_position == b->original_max_position && a->beta_fast == b->beta_fast &&
                  a->beta_slow == b->beta_slow && a->mscale == b->mscale && a->mscale_all_dim == b->mscale_all_dim &&
                  a->attention_factor == b->attention_factor && a->truncate == b->truncate,
              "%s: old and new differ", table[i].base);
    }
    temporary_folder_remove(&folder);
}

/* Keys that may be absent, null, or say nothing new. */
static void absent_keys_have_their_meaning(void)
{
    static const struct {
        const char *base;
        const char *edits[4];
    } table[] = {
        {llama, {"head_dim", NULL, "num_key_value_heads", NULL}},
        {llama, {"hidden_act", NULL, "mlp_bias", NULL}},
        {llama, {"rope_parameters", NULL}},
        {llama, {"unknown_key", "{\"deep\":[1]}"}},
        {llama, {"partial_rotary_factor", "1.0"}},
        {qwen2, {"use_sliding_window", "true", "sliding_window", NULL}},
        {qwen2, {"use_sliding_window", "true", "sliding_window", "4096"}}, /* from layer 28 on, and there are 3 */
        {v2_lite, {"n_group", "null", "topk_group", "null"}},
        {v2_lite, {"scoring_func", "\"softmax\"", "topk_method", NULL}},
        {v2, {"norm_topk_prob", "true"}},
        {v3, {"scoring_func", "\"sigmoid\"", "topk_method", "\"noaux_tc\""}},
        {v3, {"num_nextn_predict_layers", NULL, "head_dim", NULL}},
        {v3, {"mlp_layer_types", "[\"dense\",\"sparse\",\"sparse\"]"}},
        {v3, {"n_routed_experts", "null"}},
        {v3, {"rope_parameters.factor", NULL}}, /* 512 / 32 */
        {fp8, {"quantization_config.scale_fmt", "\"ue8m0\""}},
    };
    temporary_folder_create(&folder);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        model_config c;
        CHECK(read_edited(table[i].base, table[i].edits, 4, &c) == CIUIC_OK, "%s: %s", table[i].edits[0],
              ciuic_last_error());
    }
    model_config c;
    static const char *const heads[] = {"num_key_value_heads", NULL};
    CHECK(read_edited(llama, heads, 2, &c) == CIUIC_OK && c.kv_heads == 4, "kv_heads %zu", c.kv_heads);
    static const char *const factor[] = {"rope_parameters.factor", NULL};
    CHECK(read_edited(v3, factor, 2, &c) == CIUIC_OK && c.rope.factor == 16, "factor %g", c.rope.factor);
    static const char *const dense[] = {"n_routed_experts", NULL};
    CHECK(read_edited(v3, dense, 2, &c) == CIUIC_OK && !model_config_is_moe(&c, 2), "no experts, no mixture");
    static const char *const every_other[] = {"moe_layer_freq", "2"};
    CHECK(read_edited(v3, every_other, 2, &c) == CIUIC_OK && !model_config_is_moe(&c, 0) &&
              !model_config_is_moe(&c, 1) && model_config_is_moe(&c, 2),
          "layers 2, 4, ... after the dense ones");
    static const char *const norm[] = {"norm_topk_prob", "true"};
    CHECK(read_edited(v2, norm, 2, &c) == CIUIC_OK && !c.norm_topk_prob, "V2 never renormalises");
    temporary_folder_remove(&folder);
}

static void impossible_configs_are_refused(void)
{
    static const struct {
        const char *base;
        const char *edits[4];
        const char *message;
    } table[] = {
        {llama, {"model_type", NULL}, "key \"model_type\" is missing"},
        {llama, {"model_type", "\"gpt2\""}, "model_type \"gpt2\" is not supported; expected llama, qwen2"},
        {llama, {"model_type", "\"LLAMA\""}, "model_type \"LLAMA\" is not supported"},
        {llama, {"vocab_size", NULL}, "key \"vocab_size\" is missing"},
        {llama, {"vocab_size", "0"}, "key \"vocab_size\" is 0"},
        {llama, {"hidden_size", "\"128\""}, "key \"hidden_size\" is \"128\"; expected a whole number"},
        {llama, {"hidden_size", "128.5"}, "key \"hidden_size\" is 128.5"},
        {llama, {"num_hidden_layers", "-1"}, "key \"num_hidden_layers\" is -1"},
        {llama, {"num_hidden_layers", "1e18"}, "key \"num_hidden_layers\" is 1e+18"},
        {llama, {"num_attention_heads", "[]"}, "key \"num_attention_heads\" is an array"},
        {llama, {"rms_norm_eps", NULL}, "key \"rms_norm_eps\" is missing"},
        {llama, {"rms_norm_eps", "-1"}, "key \"rms_norm_eps\" is -1"},
        {llama, {"tie_word_embeddings", "1"}, "key \"tie_word_embeddings\" is 1; expected true or false"},
        {llama, {"num_key_value_heads", "3"}, "num_key_value_heads 3 does not divide num_attention_heads 4"},
        {llama, {"head_dim", "33"}, "head_dim is 33; expected an even number"},
        {llama, {"head_dim", NULL, "hidden_size", "130"}, "num_attention_heads 4 does not divide hidden_size 130"},
        {llama, {"hidden_act", "\"gelu\""}, "hidden_act \"gelu\" is not supported; expected \"silu\""},
        {llama, {"quantization_config", "{\"quant_method\":\"gptq\"}"}, "quant_method \"gptq\" is not supported"},
        {llama, {"quantization_config", "{}"}, "quantization_config: key \"quant_method\" is missing"},
        {llama, {"partial_rotary_factor", "0.5"}, "partial_rotary_factor 0.5 is not supported"},
        {llama, {"rope_parameters.partial_rotary_factor", "0.5"}, "rope_parameters: partial_rotary_factor 0.5 is not"},
        {llama,
         {"rope_parameters.rope_type", "\"dynamic\""},
         "rope_type \"dynamic\" is not supported; expected default"},
        {llama, {"rope_parameters.rope_type", "\"longrope\""}, "rope_type \"longrope\" is not supported"},
        {llama, {"rope_parameters.rope_theta", "0"}, "key \"rope_theta\" is 0"},
        {llama, {"rope_parameters", "{\"full_attention\":{\"rope_theta\":1e4}}"}, "\"full_attention\" is an object"},
        {llama, {"rope_scaling", "{\"type\":\"linear\",\"factor\":2}"}, "both rope_parameters and rope_scaling"},
        {linear, {"rope_parameters.factor", NULL}, "key \"factor\" is missing"},
        {linear, {"rope_parameters.factor", "0.5"}, "key \"factor\" is 0.5"},
        {llama3, {"rope_parameters.low_freq_factor", NULL}, "key \"low_freq_factor\" is missing"},
        {llama3, {"rope_parameters.low_freq_factor", "4"}, "high_freq_factor 4; expected more than low_freq_factor 4"},
        {llama3,
         {"rope_parameters.original_max_position_embeddings", NULL},
         "\"original_max_position_embeddings\" is missing"},
        {qwen2, {"use_sliding_window", "true", "max_window_layers", "0"}, NULL}, /* sliding_window is null */
        {qwen2, {"layer_types", "[\"full_attention\",\"sliding_attention\"]"}, "layer_types holds sliding_attention"},
        {qwen3, {"rope_parameters.beta_fast", "1"}, "beta_fast 1; expected more than beta_slow 1"},
        {v2, {"topk_method", "\"noaux_tc\""}, "topk_method \"noaux_tc\" is not supported; expected greedy or"},
        {v2, {"scoring_func", "\"sigmoid\""}, "scoring_func \"sigmoid\" is not supported; expected \"softmax\""},
        {v2, {"mlp_bias", "true"}, "mlp_bias true is not supported"},
        {v2, {"n_group", "3"}, "n_group 3 does not divide n_routed_experts 8"},
        {v2, {"topk_group", "5"}, "topk_group is 5; expected at most n_group, 4"},
        {v2, {"num_experts_per_tok", "5"}, "num_experts_per_tok is 5; expected at most 4, the experts in reach"},
        {v2_lite, {"num_experts_per_tok", "9"}, "num_experts_per_tok is 9; expected at most 8"},
        {v2_lite, {"num_experts_per_tok", NULL}, "key \"num_experts_per_tok\" is missing"},
        {v3, {"scoring_func", "\"softmax\""}, "scoring_func \"softmax\" is not supported; expected \"sigmoid\""},
        {v3, {"topk_method", "\"greedy\""}, "topk_method \"greedy\" is not supported; expected \"noaux_tc\""},
        {v3, {"n_group", "8", "num_experts_per_tok", "2"}, "n_group 8 leaves 1 expert a group; expected at least 2"},
        {v3, {"num_key_value_heads", "2"}, "num_key_value_heads is 2; expected 4"},
        {v3, {"qk_head_dim", "64"}, "qk_head_dim is 64; expected 48"},
        {v3, {"qk_rope_head_dim", "15", "qk_head_dim", NULL}, "qk_rope_head_dim is 15; expected an even number"},
        {v3, {"kv_lora_rank", NULL}, "key \"kv_lora_rank\" is missing"},
        {v3, {"rope_interleave", "false"}, "rope_interleave false is not supported"},
        {v3, {"moe_layer_freq", "0"}, "key \"moe_layer_freq\" is 0"},
        {v3,
         {"mlp_layer_types", "[\"sparse\"]"},
         "mlp_layer_types[0] contradicts first_k_dense_replace; expected \"dense\""},
        {fp8, {"quantization_config.fmt", "\"e5m2\""}, "fmt \"e5m2\" is not supported"},
        {fp8, {"quantization_config.weight_block_size", NULL}, "key \"weight_block_size\" is missing"},
        {fp8, {"quantization_config.weight_block_size", "[128]"}, "weight_block_size is not what it should be"},
        {fp8, {"quantization_config.weight_block_size", "[128,0]"}, "weight_block_size is not what it should be"},
        {fp8, {"quantization_config.weight_block_size", "[0.5,128]"}, "weight_block_size is not what it should be"},
    };
    temporary_folder_create(&folder);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        model_config c = {.layers = 77};
        const ciuic_status status = read_edited(table[i].base, table[i].edits, 4, &c);
        if (table[i].message == NULL) {
            CHECK(status == CIUIC_OK, "%s: %s", table[i].edits[0], ciuic_last_error());
            continue;
        }
        CHECK(status == CIUIC_ERROR_INPUT && c.layers == 77, "%s: status %d, or output touched", table[i].edits[0],
              (int)status);
        CHECK(strncmp(ciuic_last_error(), edited, strlen(edited)) == 0, "\"%s\" does not name the file",
              ciuic_last_error());
        CHECK(strstr(ciuic_last_error(), table[i].message) != NULL, "\"%s\" lacks \"%s\"", ciuic_last_error(),
              table[i].message);
    }
    static const char *const window[] = {"use_sliding_window", "true", "sliding_window", "64",
                                         "max_window_layers",  "1"};
    model_config c;
    CHECK(read_edited(qwen2, window, 6, &c) == CIUIC_ERROR_INPUT &&
              strstr(ciuic_last_error(), "use_sliding_window is not supported") != NULL,
          "%s", ciuic_last_error());
    write_bytes(edited, "[]", 2);
    CHECK(model_config_read(edited, &c) == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), "not a JSON object") != NULL,
          "%s", ciuic_last_error());
    temporary_folder_remove(&folder);
}

static const test_case cases[] = {
    {"every field of v3", every_field_of_v3},
    {"each architecture has its own", each_architecture_has_its_own},
    {"old and new rope are the same", old_and_new_rope_are_the_same},
    {"absent keys have their meaning", absent_keys_have_their_meaning},
    {"impossible configs are refused", impossible_configs_are_refused},
};
TEST_SUITE(config, cases);
