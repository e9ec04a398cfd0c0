/* test_quantized_lies.c - every way in which a quantised folder can contradict itself or be damaged is refused in
 * one line that names file, place, what was found and what was expected; random damage never crashes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/tests/quantized_folder.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

static const char v3[] = "datasets/golden/deepseek-v3";

typedef enum action {
    CONFIG,  /* target: key of quantization_config, or "object.key"; value: JSON text, NULL removes it */
    ENTRY,   /* target: a matrix, key, value */
    LIST,    /* target: a name to be listed, value: its entry, NULL removes it */
    DROP,    /* target: tensor */
    RENAME,  /* target: tensor, value: its new name */
    AS_TYPE, /* target: tensor, value: a dtype; its first dimension or two keep their size */
    RESHAPE, /* target: tensor, value: "rows,columns" or "rows" */
    POISON,  /* target: tensor of F16 or F32, value: what its last value is set to */
    ADD,     /* target: the name of a tensor of F32 [1] that nobody needs */
} action;

typedef struct lie {
    action what;
    const char *target, *key, *value;
} lie;

static cJSON *parse(const char *value)
{
    cJSON *item = cJSON_Parse(value);
    CU_ASSERT_PTR_NOT_NULL_FATAL(item);
    return item;
}

static void set(cJSON *object, const char *key, const char *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (value != NULL) cJSON_AddItemToObject(object, key, parse(value));
}

static void tell_config(quantized_folder *f, const lie *l)
{
    cJSON *q = cJSON_GetObjectItem(f->config, "quantization_config");
    char object[64];
    const char *dot = strchr(l->target, '.');
    if (l->what == LIST) {
        set(cJSON_GetObjectItem(q, "tensors"), l->target, l->value);
    } else if (l->what == ENTRY) {
        cJSON *entry = quantized_folder_entry(f, l->target);
        CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
        set(entry, l->key, l->value);
    } else if (dot != NULL) {
        snprintf(object, sizeof object, "%.*s", (int)(dot - l->target), l->target);
        set(cJSON_GetObjectItem(q, object), dot + 1, l->value);
    } else {
        set(q, l->target, l->value);
    }
}

static tensor_dtype dtype_of(const char *name)
{
    for (int i = 0; i < TENSOR_DTYPES; i++)
        if (strcmp(tensor_dtype_name((tensor_dtype)i), name) == 0) return (tensor_dtype)i;
    abort();
}

static void poison(quantized_folder *f, tensor *t, const char *value)
{
    unsigned char *data = quantized_folder_unshare(f, t);
    const size_t last = t->shape[0] * (t->dims > 1 ? t->shape[1] : 1) - 1;
    const float x = strtof(value, NULL);
    const uint16_t half = isnan(x) ? 0x7e00 : x < 0 ? 0xfc00 : 0x7c00;
    if (t->dtype == TENSOR_F16)
        memcpy(data + last * sizeof half, &half, sizeof half);
    else
        memcpy(data + last * sizeof x, &x, sizeof x);
}

static void tell_tensors(quantized_folder *f, const lie *l)
{
    static const float nothing = 0;
    static const unsigned char zeros[1 << 20];
    if (l->what == ADD) {
        f->tensors[f->count++] =
            (tensor){.name = l->target, .dtype = TENSOR_F32, .dims = 1, .shape = {1}, .data = &nothing};
        return;
    }
    tensor *t = quantized_folder_find(f, l->target);
    CU_ASSERT_PTR_NOT_NULL_FATAL(t);
    switch (l->what) {
    case DROP:
        *t = f->tensors[--f->count];
        break;
    case RENAME:
        t->name = l->value;
        break;
    case AS_TYPE:
        t->dtype = dtype_of(l->value);
        t->data = zeros;
        break;
    case RESHAPE:
        t->dims = strchr(l->value, ',') != NULL ? 2 : 1;
        t->shape[0] = strtoul(l->value, NULL, 10);
        if (t->dims == 2) t->shape[1] = strtoul(strchr(l->value, ',') + 1, NULL, 10);
        t->data = zeros;
        break;
    case POISON:
        poison(f, t, l->value);
        break;
    default:
        break;
    }
}

#define L0 "model.layers.0."
#define L1 "model.layers.1."
#define KV_B L0 "self_attn.kv_b_proj" /* [256, 64] int4-g64-asym, panels of 16 */
#define O_PROJ L0 "self_attn.o_proj"  /* [128, 128] int8, rows as they lie */
#define DENSE_UP L0 "mlp.up_proj"     /* [320, 128] affine8 */
#define Q_A L0 "self_attn.q_a_proj"   /* [96, 128] left in BF16 */
#define EXPERT L1 "mlp.experts.2."
#define ENTRY_OF_INT4 "{\"setting\": \"int4\", \"quantizer\": \"rtn\", \"interleave\": 0, \"tokens\": 0}"

static const quantized_rule honest[QUANTIZED_RULES] = {
    {"kv_b_proj", "int4-g64-asym", 16}, {"o_proj", "int8", 0},       {L0 "mlp", "affine8", 0},
    {"experts.", "int4-g64", 8},        {"lm_head", "int8-row", 32},
};

/* All of them but where `file` says so are about config.json or model.safetensors, whose path begins the message. */
static const struct {
    lie lies[2];
    const char *file, *message;
} table[] = {
    /* quantization_config itself */
    {{{CONFIG, "quant_method", NULL, "\"Ciuic\""}}, "config.json", "quant_method \"Ciuic\" is not supported; expected"},
    {{{CONFIG, "format_version", NULL, "2"}}, "config.json", "format_version is 2; expected 1: take a newer ciuic"},
    {{{CONFIG, "format_version", NULL, NULL}}, "config.json", "key \"format_version\" is missing"},
    {{{CONFIG, "made_by", NULL, "7"}}, "config.json", "key \"made_by\" is 7; expected a string"},
    {{{CONFIG, "activations", NULL, "\"int4\""}}, "config.json", "activations \"int4\"; expected \"int8\" or \"none\""},
    {{{CONFIG, "bits", NULL, "4"}}, "config.json", "quantization_config: unknown key \"bits\""},
    {{{CONFIG, "source", NULL, NULL}}, "config.json", "key \"source\" is missing"},
    {{{CONFIG, "source.sha256", NULL, "\"0123\""}},
     "config.json",
     "source: sha256 is \"0123\"; expected 64 hexadecimal"},
    {{{CONFIG, "source.bits_per_weight", NULL, "-1"}}, "config.json", "key \"bits_per_weight\" is -1"},
    {{{CONFIG, "calibration", NULL, "{\"ids\": \"a:b\"}"}}, "config.json", "calibration: key \"sha256\" is missing"},
    {{{CONFIG, "verified", NULL, "[]"}}, "config.json", "key \"verified\" is an array; expected an object"},
    {{{CONFIG, "weight_block_size", NULL, "[128]"}}, "config.json", "weight_block_size is not what it should be"},
    {{{CONFIG, "tensors", NULL, NULL}}, "config.json", "key \"tensors\" is missing; expected an object"},
    {{{CONFIG, "tensors", NULL, "[]"}}, "config.json", "key \"tensors\" is an array; expected an object"},
    /* entries */
    {{{LIST, KV_B, NULL, "\"int4\""}}, "config.json", "tensors: \"" KV_B "\": is no object"},
    {{{ENTRY, KV_B, "setting", "\"int7\""}}, "config.json", "setting \"int7\" is not known"},
    {{{ENTRY, KV_B, "setting", "\"int4-g96\""}}, "config.json", "\"" KV_B "\": setting \"int4-g96\" is not known"},
    {{{ENTRY, KV_B, "setting", "\"none\""}}, "config.json", "setting \"none\" is not known"},
    {{{ENTRY, KV_B, "setting", NULL}}, "config.json", "key \"setting\" is missing"},
    {{{ENTRY, KV_B, "quantizer", "\"magic\""}}, "config.json", "quantizer \"magic\" is not known; expected rtn, clip"},
    {{{ENTRY, KV_B, "interleave", "5"}}, "config.json", "interleave is 5; expected 0, 4, 8, 16 or 32"},
    {{{ENTRY, KV_B, "interleave", "64"}}, "config.json", "interleave is 64"},
    {{{ENTRY, KV_B, "interleave", "-16"}}, "config.json", "key \"interleave\" is -16"},
    {{{ENTRY, KV_B, "interleave", "1e300"}}, "config.json", "key \"interleave\" is 1.0000000000000001e+300"},
    {{{ENTRY, DENSE_UP, "interleave", "16"}}, "config.json", "interleave is 16; expected 0 with affine"},
    {{{ENTRY, KV_B, "tokens", "0.5"}}, "config.json", "key \"tokens\" is 0.5"},
    {{{ENTRY, KV_B, "relative_error", "-0.5"}}, "config.json", "key \"relative_error\" is -0.5"},
    {{{ENTRY, KV_B, "pooled", "1"}}, "config.json", "key \"pooled\" is 1; expected true or false"},
    {{{ENTRY, KV_B, "colour", "1"}}, "config.json", "\"" KV_B "\": unknown key \"colour\""},
    /* the list against the architecture */
    {{{LIST, "model.layers.7.self_attn.o_proj", NULL, ENTRY_OF_INT4}},
     "config.json",
     "\"model.layers.7.self_attn.o_proj\" is no matrix of a deepseek_v3 of 3 layers"},
    {{{LIST, "model.norm", NULL, ENTRY_OF_INT4}}, "config.json", "\"model.norm\" is no matrix of a deepseek_v3"},
    {{{LIST, O_PROJ ".weight", NULL, ENTRY_OF_INT4}}, "config.json", "is no matrix of a deepseek_v3"},
    {{{LIST, "", NULL, ENTRY_OF_INT4}}, "config.json", "a name of 0 bytes"},
    {{{LIST, L1 "mlp.gate", NULL, ENTRY_OF_INT4}}, "config.json", "\"" L1 "mlp.gate\" is a router's; expected"},
    {{{LIST, EXPERT "up_proj", NULL, NULL}},
     "config.json",
     "\"" EXPERT "up_proj.weight\" is none and \"" L1
     "mlp.experts.0.up_proj.weight\" is int4-g64; expected one setting"},
    {{{ENTRY, EXPERT "up_proj", "setting", "\"int4\""}},
     "config.json",
     "is int4 and \"" L1 "mlp.experts.0.up_proj.weight\" is int4-g64"},
    {{{ENTRY, L1 "mlp.experts.0.up_proj", "setting", "\"int4-g64-asym\""}},
     "model.safetensors",
     "weight_minimum\" is missing"},
    /* the list against the tensors */
    {{{LIST, KV_B, NULL, NULL}}, "model.safetensors", "\"" KV_B ".weight\" is U8; expected F32, F16, BF16 or F8_E4M3"},
    {{{LIST, O_PROJ, NULL, NULL}},
     "model.safetensors",
     "\"" O_PROJ ".weight\" is U8; expected F32, F16, BF16 or F8_E4M3"},
    {{{LIST, Q_A, NULL, ENTRY_OF_INT4}},
     "model.safetensors",
     "\"" Q_A ".weight\" is BF16 [96, 128]; expected U8 [96, 64], for config.json says int4"},
    {{{ENTRY, KV_B, "setting", "\"int4-g32-asym\""}},
     "model.safetensors",
     "\"" KV_B
     ".weight_scale\" is F16 [256, 1]; expected F16 [256, 2], for config.json says int4-asym in panels of 16"},
    {{{ENTRY, KV_B, "setting", "\"int8-g64-asym\""}}, "model.safetensors", "is U8 [256, 32]; expected U8 [256, 64]"},
    {{{ENTRY, KV_B, "setting", "\"int4-g64\""}},
     "model.safetensors",
     "\"" KV_B ".weight_minimum\" has no place in a deepseek_v3"},
    {{{ENTRY, O_PROJ, "setting", "\"int8-asym\""}},
     "model.safetensors",
     "\"" O_PROJ ".weight_minimum\" is missing; expected F16 [128, 4], for config.json says int8-asym"},
    {{{ENTRY, O_PROJ, "setting", "\"affine8\""}},
     "model.safetensors",
     "\"" O_PROJ ".weight_scale\" is F16 [128, 4]; expected F32 [1], for config.json says affine8"},
    {{{ENTRY, L1 "self_attn.o_proj", "interleave", "32"}, {RESHAPE, L1 "self_attn.o_proj.weight", NULL, "160,128"}},
     "model.safetensors",
     "is U8 [160, 128]; expected U8 [128, 128]"},
    {{{DROP, KV_B ".weight", NULL, NULL}},
     "model.safetensors",
     "\"" KV_B ".weight\" is missing; expected U8 [256, 32]"},
    {{{DROP, KV_B ".weight_scale", NULL, NULL}},
     "model.safetensors",
     "\"" KV_B
     ".weight_scale\" is missing; expected F16 [256, 1], for config.json says int4-g64-asym in panels of 16 rows"},
    {{{DROP, KV_B ".weight_minimum", NULL, NULL}}, "model.safetensors", "\"" KV_B ".weight_minimum\" is missing"},
    {{{DROP, DENSE_UP ".weight_scale", NULL, NULL}},
     "model.safetensors",
     "\"" DENSE_UP ".weight_scale\" is missing; expected F32 [1]"},
    {{{RENAME, KV_B ".weight_scale", NULL, KV_B ".scale"}},
     "model.safetensors",
     "\"" KV_B ".weight_scale\" is missing"},
    {{{AS_TYPE, KV_B ".weight", NULL, "I8"}}, "model.safetensors", "\"" KV_B ".weight\" is I8 [256, 32]; expected U8"},
    {{{AS_TYPE, KV_B ".weight_scale", NULL, "BF16"}}, "model.safetensors", "is BF16 [256, 1]; expected F16 [256, 1]"},
    {{{AS_TYPE, DENSE_UP ".weight_scale", NULL, "F64"}}, "model.safetensors", "is F64 [1]; expected F32 [1]"},
    {{{RESHAPE, KV_B ".weight", NULL, "256,31"}}, "model.safetensors", "is U8 [256, 31]; expected U8 [256, 32]"},
    {{{RESHAPE, KV_B ".weight", NULL, "8192"}}, "model.safetensors", "is U8 [8192]; expected U8 [256, 32]"},
    {{{RESHAPE, KV_B ".weight_minimum", NULL, "240,1"}}, "model.safetensors", "is F16 [240, 1]; expected F16 [256, 1]"},
    {{{RESHAPE, DENSE_UP ".weight_minimum", NULL, "2"}}, "model.safetensors", "is F32 [2]; expected F32 [1]"},
    {{{ADD, O_PROJ ".weight_minimum", NULL, NULL}}, "model.safetensors", "\"" O_PROJ ".weight_minimum\" has no place"},
    {{{ADD, Q_A ".weight_scale", NULL, NULL}}, "model.safetensors", "\"" Q_A ".weight_scale\" has no place"},
    {{{ADD, "stranger", NULL, NULL}}, "model.safetensors", "\"stranger\" has no place"},
    {{{RESHAPE, L0 "input_layernorm.weight", NULL, "127"}}, "model.safetensors", "has shape [127]; expected [128]"},
    {{{DROP, L1 "mlp.gate.weight", NULL, NULL}}, "model.safetensors", "\"" L1 "mlp.gate.weight\" is missing"},
    /* values */
    {{{POISON, KV_B ".weight_scale", NULL, "nan"}},
     "model.safetensors",
     "\"" KV_B ".weight_scale\": value 255 is nan; expected finite ones: the file is damaged"},
    {{{POISON, KV_B ".weight_minimum", NULL, "-inf"}}, "model.safetensors", "value 255 is -inf; expected finite"},
    {{{POISON, DENSE_UP ".weight_scale", NULL, "inf"}}, "model.safetensors", "value 0 is inf; expected finite"},
    {{{POISON, DENSE_UP ".weight_minimum", NULL, "nan"}}, "model.safetensors", "value 0 is nan; expected finite"},
};

static void lies_are_refused(void)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        temporary_folder folder;
        quantized_folder f;
        checkpoint *c = NULL;
        char file[TEST_PATH];
        temporary_folder_create(&folder);
        quantized_folder_make(v3, honest, &f);
        for (int j = 0; j < 2 && table[i].lies[j].target != NULL; j++)
            (table[i].lies[j].what <= LIST ? tell_config : tell_tensors)(&f, &table[i].lies[j]);
        quantized_folder_write(&f, folder.path);
        temporary_path(&folder, table[i].file, file);
        CHECK(checkpoint_open(folder.path, &c) == CIUIC_ERROR_INPUT && c == NULL, "row %zu, %s %s: opened", i,
              table[i].lies[0].target, table[i].message);
        CHECK(strncmp(ciuic_last_error(), file, strlen(file)) == 0, "row %zu: \"%s\" does not begin with %s", i,
              ciuic_last_error(), file);
        CHECK(strstr(ciuic_last_error(), table[i].message) != NULL, "row %zu: \"%s\" lacks \"%s\"", i,
              ciuic_last_error(), table[i].message);
        checkpoint_release(c);
        quantized_folder_free(&f);
        temporary_folder_remove(&folder);
    }
}

/* Random bytes in config.json's list and in the header of the tensors: refused by name or opened, and what opens is
 * read to the end. */
static void damage_never_crashes(void)
{
    static const char *const files[] = {"config.json", "model.safetensors"};
    temporary_folder folder;
    quantized_folder f;
    unsigned long long state = test_seed();
    temporary_folder_create(&folder);
    quantized_folder_make(v3, honest, &f);
    quantized_folder_write(&f, folder.path);
    quantized_folder_free(&f);
    for (int which = 0; which < 2; which++) {
        char path[TEST_PATH];
        size_t bytes = 0, opened = 0, bad = 0;
        unsigned char *text = read_bytes(temporary_path(&folder, files[which], path), &bytes);
        const size_t header = which == 1 ? 8 + ((size_t)text[0] | (size_t)text[1] << 8 | (size_t)text[2] << 16) : bytes;
        FILE *stream = fopen(path, "r+b");
        CU_ASSERT_FATAL(stream != NULL);
        for (int i = 0; i < 1500; i++) {
            const size_t at = random_next(&state) % header;
            const int byte = random_next(&state) % 2 ? "0123456789-.e\"{}[],:"[random_next(&state) % 20]
                                                     : (int)(random_next(&state) & 0xff);
            fseek(stream, (long)at, SEEK_SET);
            fputc(byte, stream);
            fflush(stream);
            checkpoint *c = NULL;
            const ciuic_status status = checkpoint_open(folder.path, &c);
            opened += status == CIUIC_OK;
            for (size_t j = 0; status == CIUIC_OK && j < checkpoint_quantized(c)->count; j++) {
                const kernel_matrix *m = &checkpoint_quantized(c)->tensors[j].matrix;
                float row[512];
                char name[QUANTIZE_UNIT_NAME + 16];
                snprintf(name, sizeof name, "%s.weight", checkpoint_quantized(c)->tensors[j].name);
                if (m->columns <= 512) bad += checkpoint_read_f32(c, name, m->rows - 1, 1, row) != CIUIC_OK;
            }
            if (status != CIUIC_OK &&
                (status != CIUIC_ERROR_INPUT || strncmp(ciuic_last_error(), folder.path, strlen(folder.path)) != 0)) {
                bad++;
                CHECK(false, "%s, byte %zu: status %d: %s", files[which], at, (int)status, ciuic_last_error());
            }
            checkpoint_release(c);
            fseek(stream, (long)at, SEEK_SET);
            fputc(text[at], stream);
            fflush(stream);
        }
        CHECK(bad == 0 && opened > 0, "%s: %zu were neither opened nor refused by name; %zu opened", files[which], bad,
              opened);
        fclose(stream);
        free(text);
    }
    temporary_folder_remove(&folder);
}

static const test_case cases[] = {
    {"lies are refused", lies_are_refused},
    {"damage never crashes", damage_never_crashes},
};
TEST_SUITE(quantized_lies, cases);
