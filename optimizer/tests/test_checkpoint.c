/* test_checkpoint.c - every folder of datasets opens with the right parameters; every contradiction between config and
 * tensors is refused in one line that names its file. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

static const char llama[] = "datasets/golden/deepseek-llm";
static const char sharded[] = "datasets/golden/deepseek-coder";
static const char qwen2[] = "datasets/golden/r1-distill-qwen";
static const char v2_lite[] = "datasets/golden/deepseek-v2-lite";
static const char v3[] = "datasets/golden/deepseek-v3";
static const char v3_tiny[] = "datasets/deepseek-v3-tiny";
static const char fp8[] = "datasets/golden/deepseek-v3-fp8";

/* Parameters written out as sums of layers, by hand from the shapes in the headers:
 * V = 512, H = 128 unless said otherwise; embeddings and head 2VH, norms (2L + 1)H. */
static void parameters_of_every_dataset(void)
{
    enum { H = 128, ENDS = 2 * 512 * H, NORMS = 7 * H };
    enum {
        /* kv_a [64+16, H], its norm 64, kv_b [4*(32+32), 64], o [H, 4*32]; queries [4*48, H] or through rank 96 */
        MLA = 80 * H + 64 + 256 * 64 + H * 128,
        QUERY = 192 * H,
        QUERY_RANK = 96 * H + 96 + 192 * 96,
        DENSE = 3 * 320 * H,
    };
    static const struct {
        const char *path;
        size_t parameters;
    } table[] = {
        /* q and o [128, H], k and v [kv_heads*32, H] */
        {"datasets/golden/deepseek-llm", ENDS + NORMS + 3 * (2 * 128 * H + 2 * 64 * H + 3 * 352 * H)},
        {"datasets/golden/deepseek-coder", ENDS + NORMS + 3 * (4 * 128 * H + 3 * 352 * H)},
        {"datasets/golden/r1-distill-llama", ENDS + NORMS + 3 * (2 * 128 * H + 2 * 32 * H + 3 * 384 * H)},
        {"datasets/golden/r1-distill-qwen",
         ENDS + NORMS + 3 * (2 * 128 * H + 2 * 32 * H + 3 * 384 * H + 128 + 32 + 32)},
        /* heads of 48: q and o [4*48, H], k and v [2*48, H], and two norms of 48 */
        {"datasets/golden/r1-0528-qwen3", ENDS + NORMS + 3 * (2 * 192 * H + 2 * 96 * H + 2 * 48 + 3 * 384 * H)},
        /* 8 routed experts of 64 and shared ones of 2*64 (V3: 64), the router [8, H] (V3: and its bias 8) */
        {"datasets/golden/deepseek-v2-lite",
         ENDS + NORMS + 3 * (MLA + QUERY) + DENSE + 2 * (8 * 3 * 64 * H + 3 * 128 * H + 8 * H)},
        {"datasets/golden/deepseek-v2",
         ENDS + NORMS + 3 * (MLA + QUERY_RANK) + DENSE + 2 * (8 * 3 * 64 * H + 3 * 128 * H + 8 * H)},
        {"datasets/golden/deepseek-v3",
         ENDS + NORMS + 3 * (MLA + QUERY_RANK) + DENSE + 2 * (8 * 3 * 64 * H + 3 * 64 * H + 8 * H + 8)},
        /* H = 256, 2 layers, 4 experts of 160 and one shared; block scales are not parameters */
        {"datasets/golden/deepseek-v3-fp8", 2 * 512 * 256 + 5 * 256 +
                                                2 * (80 * 256 + 64 + 256 * 64 + 256 * 128 + 96 * 256 + 96 + 192 * 96) +
                                                3 * 320 * 256 + (4 + 1) * 3 * 160 * 256 + 4 * 256 + 4},
        /* V = 3072, H = 256, 6 layers; 8 heads of 32+16 and 32, ranks 96 and 64; 8 experts of 128 and one shared */
        {"datasets/deepseek-v3-tiny", 2 * 3072 * 256 + 13 * 256 +
                                          6 * (80 * 256 + 64 + 512 * 64 + 256 * 256 + 96 * 256 + 96 + 384 * 96) +
                                          3 * 704 * 256 + 5 * ((8 + 1) * 3 * 128 * 256 + 8 * 256 + 8)},
        /* 8 heads and 2 key/value heads of 32, biases on q, k and v */
        {"datasets/qwen2-tiny",
         2 * 3072 * 256 + 13 * 256 + 6 * (2 * 256 * 256 + 2 * 64 * 256 + 256 + 64 + 64 + 3 * 768 * 256)},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        checkpoint *c = NULL;
        CHECK(checkpoint_open(table[i].path, &c) == CIUIC_OK, "%s", ciuic_last_error());
        if (c == NULL) continue;
        CHECK(checkpoint_parameters(c) == table[i].parameters, "%s: %zu parameters; expected %zu", table[i].path,
              checkpoint_parameters(c), table[i].parameters);
        CHECK(strcmp(checkpoint_path(c), table[i].path) == 0, "path %s", checkpoint_path(c));
        for (size_t j = 0; j < checkpoint_count(c); j++) {
            const tensor *t = checkpoint_at(c, j);
            if (checkpoint_find(c, t->name) != t) CHECK(false, "%s is not found by its name", t->name);
        }
        checkpoint_release(c);
    }
}

/* w[r][k] = e4m3(q) * scale[r / 128][k / 128] by the plainest loop, over a matrix with partial blocks both ways. */
static void fp8_blocks_are_scaled(void)
{
    static const char name[] = "model.layers.1.mlp.experts.2.down_proj.weight"; /* [256, 160]: 2 x 2 blocks, 32 wide */
    checkpoint *c = NULL;
    CU_ASSERT_FATAL(checkpoint_open(fp8, &c) == CIUIC_OK);
    const tensor *codes = checkpoint_find(c, name);
    const tensor *scales = checkpoint_find(c, "model.layers.1.mlp.experts.2.down_proj.weight_scale_inv");
    CU_ASSERT_FATAL(codes != NULL && scales != NULL && codes->shape[1] == 160);
    static float rows[256 * 160];
    CHECK(checkpoint_read_f32(c, name, 0, 256, rows) == CIUIC_OK, "%s", ciuic_last_error());
    size_t wrong = 0, nonzero = 0;
    for (size_t r = 0; r < 256; r++) {
        for (size_t k = 0; k < 160; k++) {
            float scale;
            memcpy(&scale, (const char *)scales->data + 4 * ((r / 128) * 2 + k / 128), 4);
            const float expected = float_from_e4m3(((const uint8_t *)codes->data)[r * 160 + k]) * scale;
            wrong += rows[r * 160 + k] != expected;
            nonzero += expected != 0;
        }
    }
    CHECK(wrong == 0 && nonzero > 256 * 160 / 2, "%zu of %d differ, %zu are not 0", wrong, 256 * 160, nonzero);
    float two[2 * 160];
    CHECK(checkpoint_read_f32(c, name, 127, 2, two) == CIUIC_OK && memcmp(two, rows + 127 * 160, sizeof two) == 0,
          "rows across a block's edge differ");
    checkpoint_release(c);
}

/* The first values of two tensors, decoded by hand from the bytes of the files. */
static void values_known_by_hand(void)
{
    checkpoint *c = NULL;
    float row[256], vector[3];
    CU_ASSERT_FATAL(checkpoint_open(v3_tiny, &c) == CIUIC_OK);
    const tensor *t = checkpoint_find(c, "model.norm.weight");
    CHECK(checkpoint_read_f32(c, "model.norm.weight", 253, 3, vector) == CIUIC_OK, "%s", ciuic_last_error());
    for (size_t i = 0; i < 3; i++) {
        const unsigned char *b = (const unsigned char *)t->data + 2 * (253 + i);
        /* BF16: 1 sign, 8 exponent and 7 mantissa bits */
        const int exponent = (b[1] & 0x7f) << 1 | b[0] >> 7;
        const double value = (b[1] & 0x80 ? -1 : 1) * ldexp(128 + (b[0] & 0x7f), exponent - 127 - 7);
        CHECK((double)vector[i] == value, "norm[%zu] is %g; expected %g", 253 + i, (double)vector[i], value);
    }
    CHECK(checkpoint_read_f32(c, "lm_head.weight", 3071, 1, row) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(checkpoint_read_f32(c, "lm_head.weight", 3072, 0, row) == CIUIC_OK, "no rows at the end");
    CHECK(checkpoint_read_f32(c, "lm_head.weight", 3072, 1, row) == CIUIC_ERROR_USAGE, "a row beyond the end");
    CHECK(checkpoint_read_f32(c, "lm_head.weight", 1, SIZE_MAX, row) == CIUIC_ERROR_USAGE, "overflow");
    CHECK(checkpoint_read_f32(c, "nobody", 0, 1, row) == CIUIC_ERROR_USAGE &&
              strstr(ciuic_last_error(), "nobody") != NULL,
          "%s", ciuic_last_error());
    checkpoint *second = checkpoint_retain(c);
    checkpoint_release(c);
    CHECK(checkpoint_read_f32(second, "lm_head.weight", 0, 1, row) == CIUIC_OK, "retained, and gone all the same");
    checkpoint_release(second);
    checkpoint_release(NULL);
}

/* ---- a copy of a checkpoint with one thing changed -------------------------------------------------------------- */

typedef enum action {
    CONFIG,      /* target: key, value: JSON text, NULL removes it */
    DROP,        /* target: tensor */
    RENAME,      /* target: tensor, value: its new name */
    COPY,        /* target: tensor, value: the name of a copy beside it */
    TRANSPOSE,   /* target: tensor; shape reversed */
    FLATTEN,     /* target: tensor; one dimension */
    AS_TYPE,     /* target: tensor, value: a dtype of the same width */
    CUT_FILE,    /* target: file, value: how many bytes to take off its end */
    DELETE_FILE, /* target: file */
    REPLACE,     /* target: file, value: its new content */
    MAP,         /* target: key of weight_map, value: JSON text, NULL removes it */
} action;

typedef struct change {
    action what;
    const char *target, *value;
} change;

static temporary_folder folder;

static void edit_json(const char *path, const char *object, const char *key, const char *value)
{
    cJSON *json = NULL;
    CU_ASSERT_FATAL(json_read_file(path, 1 << 20, &json) == CIUIC_OK);
    cJSON *edited = object == NULL ? json : cJSON_GetObjectItemCaseSensitive(json, object);
    cJSON_DeleteItemFromObjectCaseSensitive(edited, key);
    if (value != NULL) cJSON_AddItemToObject(edited, key, cJSON_Parse(value));
    CU_ASSERT_FATAL(json_write_file(path, json) == CIUIC_OK);
    cJSON_Delete(json);
}

static tensor_dtype parse_dtype(const char *name)
{
    for (int i = 0; i < TENSOR_DTYPES; i++)
        if (strcmp(tensor_dtype_name((tensor_dtype)i), name) == 0) return (tensor_dtype)i;
    abort();
}

/* Applies a change of a tensor to the list; returns the new count. */
static size_t edit_tensors(tensor *list, size_t count, const change *edit)
{
    size_t at = 0;
    while (at < count && strcmp(list[at].name, edit->target) != 0) at++;
    CU_ASSERT_FATAL(at < count);
    tensor *t = &list[at];
    const size_t rows = t->shape[0];
    switch (edit->what) {
    case DROP:
        *t = list[count - 1];
        return count - 1;
    case RENAME:
        t->name = edit->value;
        return count;
    case COPY:
        list[count] = *t;
        list[count].name = edit->value;
        return count + 1;
    case TRANSPOSE:
        t->shape[0] = t->shape[1];
        t->shape[1] = rows;
        return count;
    case FLATTEN:
        t->dims = 1;
        t->shape[0] = t->count;
        return count;
    case AS_TYPE:
        t->dtype = parse_dtype(edit->value);
        return count;
    default:
        return count;
    }
}

static bool changes_tensors(const change *edit)
{
    return edit->what >= DROP && edit->what <= AS_TYPE;
}

/* Rewrites model.safetensors of the copy with the changes of tensors among `edits`. */
static void rewrite_tensors(const char *base, const change *edits, size_t count)
{
    char from[TEST_PATH], to[TEST_PATH];
    safetensors *file = NULL;
    snprintf(from, sizeof from, "%s/model.safetensors", base);
    CU_ASSERT_FATAL(safetensors_open(from, &file) == CIUIC_OK);
    size_t tensors = safetensors_count(file);
    tensor *list = calloc(tensors + count, sizeof *list);
    for (size_t i = 0; i < tensors; i++) list[i] = *safetensors_at(file, i);
    for (size_t i = 0; i < count; i++)
        if (edits[i].target != NULL && changes_tensors(&edits[i])) tensors = edit_tensors(list, tensors, &edits[i]);
    CU_ASSERT_FATAL(safetensors_write(temporary_path(&folder, "model.safetensors", to), list, tensors) == CIUIC_OK);
    free(list);
    safetensors_close(file);
}

static void copy_checkpoint(const char *base)
{
    static const char *const names[] = {"config.json",
                                        "model.safetensors",
                                        "model.safetensors.index.json",
                                        "model-00001-of-00005.safetensors",
                                        "model-00002-of-00005.safetensors",
                                        "model-00003-of-00005.safetensors",
                                        "model-00004-of-00005.safetensors",
                                        "model-00005-of-00005.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char from[TEST_PATH], to[TEST_PATH];
        snprintf(from, sizeof from, "%s/%s", base, names[i]);
        if (access(from, F_OK) == 0) copy_file(from, temporary_path(&folder, names[i], to));
    }
}

static void edit_file(const change *edit)
{
    char path[TEST_PATH];
    struct stat status;
    temporary_path(&folder, edit->target, path);
    switch (edit->what) {
    case CONFIG:
        edit_json(temporary_path(&folder, "config.json", path), NULL, edit->target, edit->value);
        break;
    case MAP:
        edit_json(temporary_path(&folder, "model.safetensors.index.json", path), "weight_map", edit->target,
                  edit->value);
        break;
    case CUT_FILE:
        CU_ASSERT_FATAL(stat(path, &status) == 0);
        CU_ASSERT_FATAL(truncate(path, status.st_size - strtol(edit->value, NULL, 10)) == 0);
        break;
    case DELETE_FILE:
        CU_ASSERT_FATAL(unlink(path) == 0);
        break;
    case REPLACE:
        write_bytes(path, edit->value, strlen(edit->value));
        break;
    default:
        break;
    }
}

/* Opens a copy of `base` with the changes made; the folder stays until the caller removes it. */
static ciuic_status open_changed(const char *base, const change *edits, size_t count, checkpoint **c)
{
    temporary_folder_create(&folder);
    copy_checkpoint(base);
    bool tensors = false;
    for (size_t i = 0; i < count; i++) tensors = tensors || (edits[i].target != NULL && changes_tensors(&edits[i]));
    if (tensors) rewrite_tensors(base, edits, count);
    for (size_t i = 0; i < count; i++)
        if (edits[i].target != NULL) edit_file(&edits[i]);
    return checkpoint_open(folder.path, c);
}

#define LAYER0 "model.layers.0."
#define LAYER1 "model.layers.1."
#define SHARD3 "model-00003-of-00005.safetensors"

static void contradictions_are_refused(void)
{
    static const struct {
        const char *base;
        change edits[2];
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

static void harmless_extras_are_ignored(void)
{
    static const size_t head = 512 * 128;
    static const struct {
        const char *base;
        change edits[4];
        size_t fewer; /* parameters than in `base` */
    } table[] = {
        {llama, {{COPY, "model.norm.weight", LAYER1 "self_attn.rotary_emb.inv_freq"}}, 0},
        {llama, {{CONFIG, "tie_word_embeddings", "true"}}, head},
        {llama, {{CONFIG, "tie_word_embeddings", "true"}, {DROP, "lm_head.weight", NULL}}, head},
        /* multi-token prediction: announced by the config, or known by its projection */
        {v3, {{COPY, "model.norm.weight", "model.layers.3.input_layernorm.weight"}}, 0},
        {v3_tiny,
         {{COPY, "model.norm.weight", "model.layers.6.enorm.weight"},
          {COPY, "lm_head.weight", "model.layers.6.eh_proj.weight"},
          {COPY, "lm_head.weight", "model.layers.6.embed_tokens.weight"}},
         0},
        {llama, {{AS_TYPE, LAYER0 "mlp.up_proj.weight", "BF16"}}, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        checkpoint *c = NULL, *plain = NULL;
        CU_ASSERT_FATAL(checkpoint_open(table[i].base, &plain) == CIUIC_OK);
        CHECK(open_changed(table[i].base, table[i].edits, 4, &c) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(c != NULL && checkpoint_parameters(c) + table[i].fewer == checkpoint_parameters(plain),
              "%s %s: other parameters", table[i].base, table[i].edits[0].target);
        checkpoint_release(c);
        checkpoint_release(plain);
        temporary_folder_remove(&folder);
    }
}

/* A used config with random damage, and the tensors as they were: refused by name or opened, never a crash. */
static void damaged_configs_never_crash(void)
{
    temporary_folder_create(&folder);
    copy_checkpoint(fp8);
    char path[TEST_PATH];
    size_t bytes = 0;
    char *text = read_bytes(temporary_path(&folder, "config.json", path), &bytes);
    FILE *stream = fopen(path, "r+b");
    CU_ASSERT_FATAL(stream != NULL);
    unsigned long long state = test_seed();
    size_t opened = 0, bad = 0;
    for (int i = 0; i < 3000; i++) {
        const size_t at = random_next(&state) % bytes;
        fseek(stream, (long)at, SEEK_SET);
        fputc(random_next(&state) % 2 ? "0123456789-.e\"{}[],:"[random_next(&state) % 20]
                                      : (int)(random_next(&state) & 0xff),
              stream);
        fflush(stream);
        checkpoint *c = NULL;
        const ciuic_status status = checkpoint_open(folder.path, &c);
        opened += status == CIUIC_OK;
        if (status != CIUIC_OK &&
            (status != CIUIC_ERROR_INPUT || strncmp(ciuic_last_error(), folder.path, strlen(folder.path)) != 0)) {
            bad++;
            CHECK(false, "byte %zu: status %d: %s", at, (int)status, ciuic_last_error());
        }
        checkpoint_release(c);
        fseek(stream, (long)at, SEEK_SET);
        fputc(text[at], stream);
        fflush(stream);
    }
    CHECK(bad == 0 && opened > 0, "%zu were neither opened nor refused by name; %zu opened", bad, opened);
    fclose(stream);
    free(text);
    temporary_folder_remove(&folder);
}

static const test_case cases[] = {
    {"parameters of every dataset", parameters_of_every_dataset},
    {"FP8 blocks are scaled", fp8_blocks_are_scaled},
    {"values known by hand", values_known_by_hand},
    {"contradictions are refused", contradictions_are_refused},
    {"harmless extras are ignored", harmless_extras_are_ignored},
    {"damaged configs never crash", damaged_configs_never_crash},
};
TEST_SUITE(checkpoint, cases);
