/* test_checkpoint_refusals.c - every contradiction between config.json and tensors, and every broken file, is refused in one
 * line that names its file; so is, where it is asked for, a weight that is no number. */
#include <stdio.h>
#include <string.h>

#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/checkpoint/finite_weights.h"
#include "optimizer/tests/changed_checkpoint.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

static const char llama[] = "datasets/golden/deepseek-llm";
static const char sharded[] = "datasets/golden/deepseek-coder";
static const char qwen2[] = "datasets/golden/r1-distill-qwen";
static const char v2_lite[] = "datasets/golden/deepseek-v2-lite";
static const char v3[] = "datasets/golden/deepseek-v3";
static const char v3_tiny[] = "datasets/deepseek-v3-tiny";
static const char fp8[] = "datasets/golden/deepseek-v3-fp8";

static temporary_folder folder;

/* Opens a copy of `base` with the changes made; the folder stays until the caller removes it. */
static ciuic_status open_changed(const char *base, const checkpoint_change *edits, size_t count, checkpoint **c)
{
    temporary_folder_create(&folder);
    changed_checkpoint_write(base, edits, count, folder.path);
    return checkpoint_open(folder.path, c);
}

#define LAYER0 "model.layers.0."
#define LAYER1 "model.layers.1."
#define SHARD3 "model-00003-of-00005.safetensors"

static void contradictions_are_refused(void)
{
    static const struct {
        const char *base;
        checkpoint_change edits[2];
        const char *file, *message;
    } table[] = {
        /* tensors that are not as the config says */
        {llama,
         {{DROP, "model.norm.weight", NULL}},
         "model.safetensors",
         "tensor \"model.norm.weight\" is missing; expected shape [128]"},
        {llama,
         {{DROP, LAYER1 "mlp.up_proj.weight", NULL}},
         "model.safetensors",
         "\"model.layers.1.mlp.up_proj.weight\" is missing; expected shape [352, 128]"},
        {llama, {{DROP, "lm_head.weight", NULL}}, "model.safetensors", "\"lm_head.weight\" is missing"},
        {llama,
         {{RENAME, "model.embed_tokens.weight", "transformer.wte.weight"}},
         "model.safetensors",
         "\"model.embed_tokens.weight\" is missing"},
        {llama,
         {{TRANSPOSE, LAYER0 "self_attn.k_proj.weight", NULL}},
         "model.safetensors",
         "has shape [128, 64]; expected [64, 128] by config.json (llama)"},
        {llama,
         {{FLATTEN, LAYER0 "self_attn.k_proj.weight", NULL}},
         "model.safetensors",
         "has shape [8192]; expected [64, 128]"},
        {llama,
         {{AS_TYPE, LAYER0 "mlp.up_proj.weight", "I16"}},
         "model.safetensors",
         "is I16; expected F32, F16, BF16 or F8_E4M3"},
        {llama,
         {{COPY, LAYER0 "mlp.up_proj.weight", LAYER0 "mlp.extra.weight"}},
         "model.safetensors",
         "\"model.layers.0.mlp.extra.weight\" has no place in a llama of 3 layers"},
        {llama,
         {{COPY, "model.norm.weight", LAYER0 "self_attn.q_proj.bias"}},
         "model.safetensors",
         "\"model.layers.0.self_attn.q_proj.bias\" has no place"},
        {llama, {{COPY, "model.norm.weight", "lm_head.bias"}}, "model.safetensors", "\"lm_head.bias\" has no place"},
        {llama,
         {{COPY, "model.norm.weight", LAYER0 "mlp.up_proj.weight_scale_inv"}},
         "model.safetensors",
         "weight_scale_inv\" has no place"},
        {llama,
         {{COPY, "model.norm.weight", "model.layers.99999999999999999999.x"}},
         "model.safetensors",
         "has no place"},
        {llama, {{COPY, "model.norm.weight", "model.layers..x"}}, "model.safetensors", "has no place"},
        {llama,
         {{CONFIG, "num_hidden_layers", "4"}},
         "model.safetensors",
         "\"model.layers.3.input_layernorm.weight\" is missing"},
        {llama, {{CONFIG, "num_hidden_layers", "2"}}, "model.safetensors", "has no place in a llama of 2 layers"},
        {llama, {{CONFIG, "hidden_size", "256"}}, "model.safetensors", "has shape [512, 128]; expected [512, 256]"},
        {llama, {{CONFIG, "vocab_size", "1024"}}, "model.safetensors", "has shape [512, 128]; expected [1024, 128]"},
        {llama,
         {{CONFIG, "num_key_value_heads", "4"}},
         "model.safetensors",
         "k_proj.weight\" has shape [64, 128]; expected [128, 128]"},
        {llama, {{CONFIG, "intermediate_size", "353"}}, "model.safetensors", "expected [353, 128]"},
        {llama,
         {{CONFIG, "attention_bias", "true"}},
         "model.safetensors",
         "self_attn.q_proj.bias\" is missing; expected shape [128]"},
        {llama,
         {{CONFIG, "mlp_bias", "true"}},
         "model.safetensors",
         "mlp.gate_proj.bias\" is missing; expected shape [352]"},
        {llama, {{CONFIG, "model_type", "\"qwen2\""}}, "model.safetensors", "self_attn.q_proj.bias\" is missing"},
        {llama,
         {{CONFIG, "model_type", "\"qwen3\""}},
         "model.safetensors",
         "self_attn.q_norm.weight\" is missing; expected shape [32]"},
        {qwen2, {{CONFIG, "model_type", "\"llama\""}}, "model.safetensors", "bias\" has no place in a llama"},
        {qwen2,
         {{DROP, LAYER1 "self_attn.v_proj.bias", NULL}},
         "model.safetensors",
         "v_proj.bias\" is missing; expected shape [32]"},
        {v2_lite,
         {{CONFIG, "q_lora_rank", "96"}},
         "model.safetensors",
         "self_attn.q_a_proj.weight\" is missing; expected shape [96, 128]"},
        {v2_lite,
         {{CONFIG, "model_type", "\"deepseek_v3\""}, {CONFIG, "topk_method", NULL}},
         "model.safetensors",
         "e_score_correction_bias\" is missing"},
        {v2_lite,
         {{CONFIG, "n_shared_experts", "1"}},
         "model.safetensors",
         "shared_experts.gate_proj.weight\" has shape [128, 128]; expected [64, 128]"},
        {v3,
         {{CONFIG, "q_lora_rank", "null"}},
         "model.safetensors",
         "self_attn.q_proj.weight\" is missing; expected shape [192, 128]"},
        {v3,
         {{CONFIG, "v_head_dim", "16"}},
         "model.safetensors",
         "kv_b_proj.weight\" has shape [256, 64]; expected [192, 64]"},
        {v3,
         {{CONFIG, "n_routed_experts", "16"}},
         "model.safetensors",
         "mlp.gate.weight\" has shape [8, 128]; expected [16, 128]"},
        {v3,
         {{CONFIG, "first_k_dense_replace", "2"}},
         "model.safetensors",
         "\"model.layers.1.mlp.gate_proj.weight\" is missing"},
        {v3,
         {{CONFIG, "first_k_dense_replace", "0"}},
         "model.safetensors",
         "\"model.layers.0.mlp.gate.weight\" is missing"},
        {v3,
         {{CONFIG, "n_shared_experts", "0"}},
         "model.safetensors",
         "shared_experts.down_proj.weight\" has no place"},
        {v3,
         {{DROP, "model.layers.2.mlp.experts.7.down_proj.weight", NULL}},
         "model.safetensors",
         "experts.7.down_proj.weight\" is missing; expected shape [128, 64]"},
        {v3_tiny,
         {{CONFIG, "num_hidden_layers", "5"}},
         "model.safetensors",
         "has no place in a deepseek_v3 of 5 layers"},
        /* FP8 and its scales */
        {fp8, {{CONFIG, "quantization_config", NULL}}, "model.safetensors", "is F8_E4M3; expected quantization_config"},
        {fp8,
         {{CONFIG, "quantization_config", "{\"quant_method\":\"fp8\",\"weight_block_size\":[64,128]}"}},
         "model.safetensors",
         "expected F32 [2, 2] for blocks of 64 x 128"},
        {fp8,
         {{DROP, LAYER0 "mlp.gate_proj.weight_scale_inv", NULL}},
         "model.safetensors",
         "weight_scale_inv\" is missing; expected F32 [3, 2]"},
        {fp8,
         {{TRANSPOSE, LAYER0 "mlp.gate_proj.weight_scale_inv", NULL}},
         "model.safetensors",
         "is F32 [2, 3]; expected F32 [3, 2]"},
        {fp8,
         {{AS_TYPE, LAYER0 "mlp.gate_proj.weight_scale_inv", "I32"}},
         "model.safetensors",
         "is I32 [3, 2]; expected F32 [3, 2]"},
        {fp8,
         {{AS_TYPE, LAYER0 "mlp.gate_proj.weight", "U8"}},
         "model.safetensors",
         "is U8; expected F32, F16, BF16 or F8_E4M3"},
        /* files */
        {llama, {{DELETE_FILE, "config.json", NULL}}, "config.json", "cannot be opened: No such file"},
        {llama, {{REPLACE, "config.json", "{\"model_type\": \"llama\","}}, "config.json:1:", "not valid JSON"},
        {llama,
         {{DELETE_FILE, "model.safetensors", NULL}},
         "",
         "has neither model.safetensors nor model.safetensors.index.json"},
        {llama, {{CUT_FILE, "model.safetensors", "1"}}, "model.safetensors", "data_offsets"},
        {llama,
         {{CUT_FILE, "model.safetensors", "1369856"}},
         "model.safetensors",
         "data_offsets"}, /* all of the data */
        {llama,
         {{CUT_FILE, "model.safetensors", "1370000"}},
         "model.safetensors",
         "header length is 3128; expected at most 2984"},
        {llama, {{REPLACE, "model.safetensors", ""}}, "model.safetensors", "has 0 bytes"},
        {llama,
         {{REPLACE, "model.safetensors", "version https://git-lfs.github.com/spec/v1\n"}},
         "model.safetensors",
         "header length is"},
        /* shards */
        {sharded, {{DELETE_FILE, SHARD3, NULL}}, SHARD3, "cannot be opened: No such file"},
        {sharded, {{CUT_FILE, SHARD3, "1"}}, SHARD3, "data_offsets"},
        {sharded,
         {{REPLACE, "model.safetensors.index.json", "{}"}},
         "model.safetensors.index.json",
         "key \"weight_map\" is missing"},
        {sharded,
         {{REPLACE, "model.safetensors.index.json", "{\"weight_map\":{}}"}},
         "model.safetensors.index.json",
         "\"model.embed_tokens.weight\" is missing"},
        {sharded,
         {{MAP, "lm_head.weight", "\"../model.safetensors\""}},
         "model.safetensors.index.json",
         "\"lm_head.weight\" is in \"../model.safetensors\"; expected a .safetensors file of the same folder"},
        {sharded,
         {{MAP, "lm_head.weight", "\"/model.safetensors\""}},
         "model.safetensors.index.json",
         "of the same folder"},
        {sharded, {{MAP, "lm_head.weight", "\"..safetensors\""}}, "model.safetensors.index.json", "of the same folder"},
        {sharded,
         {{MAP, "lm_head.weight", "\"config.json\""}},
         "model.safetensors.index.json",
         "expected a .safetensors file"},
        {sharded, {{MAP, "lm_head.weight", "5"}}, "model.safetensors.index.json", "expected a .safetensors file"},
        {sharded,
         {{MAP, "model.norm.weight", "\"" SHARD3 "\""}},
         "model.safetensors.index.json",
         "is in \"" SHARD3 "\"; expected \"model-00004-of-00005.safetensors\""},
        {sharded,
         {{MAP, "nobody", "\"" SHARD3 "\""}},
         "model.safetensors.index.json",
         "\"nobody\" is not in \"" SHARD3 "\""},
        {sharded,
         {{MAP, "model.norm.weight", NULL}},
         "model-00004-of-00005.safetensors",
         "\"model.norm.weight\" is not in "},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        checkpoint *c = NULL;
        const ciuic_status status = open_changed(table[i].base, table[i].edits, 2, &c);
        char file[TEST_PATH];
        if (table[i].file[0] == '\0')
            snprintf(file, sizeof file, "%s", folder.path);
        else
            temporary_path(&folder, table[i].file, file);
        CHECK(status == CIUIC_ERROR_INPUT && c == NULL, "%s %s: status %d", table[i].base, table[i].edits[0].target,
              (int)status);
        CHECK(strncmp(ciuic_last_error(), file, strlen(file)) == 0, "\"%s\" does not begin with %s", ciuic_last_error(),
              file);
        CHECK(strstr(ciuic_last_error(), table[i].message) != NULL, "\"%s\" lacks \"%s\"", ciuic_last_error(),
              table[i].message);
        checkpoint_release(c);
        temporary_folder_remove(&folder);
    }
    checkpoint *c = NULL;
    CHECK(checkpoint_open("datasets/nobody", &c) == CIUIC_ERROR_INPUT &&
              strstr(ciuic_last_error(), "datasets/nobody: cannot be opened: No such file") != NULL,
          "%s", ciuic_last_error());
    CHECK(checkpoint_open("datasets/README.md", &c) == CIUIC_ERROR_INPUT &&
              strstr(ciuic_last_error(), "is not a folder") != NULL,
          "%s", ciuic_last_error());
}

/* ---- weights that are no numbers -------------------------------------------------------------------------------- */

static void weights_that_are_no_numbers_are_named(void)
{
    static const struct {
        const char *base;
        checkpoint_change edits[2];
        const char *message; /* NULL: all are numbers */
    } table[] = {
        /* FP16 and BF16 */
        {llama,
         {{POKE, LAYER1 "mlp.up_proj.weight", "300 nan"}},
         "tensor " LAYER1 "mlp.up_proj.weight: value [2][44] is NaN"},
        {llama,
         {{POKE, "model.norm.weight", "127 -inf"}},
         "tensor model.norm.weight: value [127] is -inf; expected a finite"},
        {qwen2, {{POKE, LAYER0 "self_attn.k_proj.bias", "0 inf"}}, "self_attn.k_proj.bias: value [0] is inf"},
        {v3, {{POKE, LAYER1 "mlp.gate.e_score_correction_bias", "7 nan"}}, "e_score_correction_bias: value [7] is NaN"},
        /* the last element of a tensor that is looked through in two pieces */
        {v3_tiny, {{POKE, "lm_head.weight", "786431 inf"}}, "lm_head.weight: value [3071][255] is inf"},
        /* FP8, of which 127 and 255 are NaN and 126 is 448, and its scales in FP32 */
        {fp8, {{POKE, LAYER0 "mlp.gate_proj.weight", "257 127"}}, "mlp.gate_proj.weight: value [1][1] is NaN"},
        {fp8, {{POKE, LAYER0 "mlp.gate_proj.weight", "257 255"}}, "mlp.gate_proj.weight: value [1][1] is NaN"},
        {fp8, {{POKE, LAYER0 "mlp.gate_proj.weight", "257 126"}}, NULL},
        {fp8, {{POKE, LAYER0 "mlp.gate_proj.weight_scale_inv", "5 inf"}}, "weight_scale_inv: value [2][1] is inf"},
        /* the largest numbers of FP16 and BF16, and tensors that are ignored */
        {llama, {{FILL, "model.norm.weight", "-65504"}}, NULL},
        {v3, {{FILL, "model.norm.weight", "-3.38e38"}}, NULL},
        {llama, {{FILL, "lm_head.weight", "nan"}, {CONFIG, "tie_word_embeddings", "true"}}, NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        checkpoint *c = NULL;
        CU_ASSERT_EQUAL_FATAL(open_changed(table[i].base, table[i].edits, 2, &c), CIUIC_OK);
        const ciuic_status status = finite_weights_check(c);
        const char *message = table[i].message;
        if (message == NULL)
            CHECK(status == CIUIC_OK, "row %zu: %s", i, ciuic_last_error());
        else
            CHECK(status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), message) != NULL &&
                      strncmp(ciuic_last_error(), folder.path, strlen(folder.path)) == 0,
                  "row %zu: status %d: \"%s\" lacks \"%s\"", i, (int)status, ciuic_last_error(), message);
        checkpoint_release(c);
        temporary_folder_remove(&folder);
    }
}

static void weights_of_every_dataset_are_numbers(void)
{
    static const char *const paths[] = {llama, sharded, qwen2, v2_lite, v3, v3_tiny, fp8};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        checkpoint *c = NULL;
        CU_ASSERT_EQUAL_FATAL(checkpoint_open(paths[i], &c), CIUIC_OK);
        CHECK(finite_weights_check(c) == CIUIC_OK, "%s", ciuic_last_error());
        checkpoint_release(c);
    }
}

static const test_case cases[] = {
    {"contradictions are refused", contradictions_are_refused},
    {"weights that are no numbers are named", weights_that_are_no_numbers_are_named},
    {"weights of every dataset are numbers", weights_of_every_dataset_are_numbers},
};
TEST_SUITE(checkpoint_refusals, cases);
