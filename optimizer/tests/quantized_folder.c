/* quantized_folder.c - see quantized_folder.h. Written by other means than the program's own writer, so that the two
 * check each other: all in memory, and by names instead of the architecture's table. */
#include "optimizer/tests/quantized_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/json.h"
#include "optimizer/quantize/quantize.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

enum { SPARE = 8 };

static void *own(quantized_folder *f, void *memory)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
    f->owned = realloc(f->owned, (f->owned_count + 1) * sizeof *f->owned);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f->owned);
    return f->owned[f->owned_count++] = memory;
}

static void add(quantized_folder *f, const char *name, const char *suffix, tensor t)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", name, suffix);
    CU_ASSERT_FATAL(f->count < f->capacity);
    t.name = own(f, strdup(full));
    f->tensors[f->count++] = t;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), suffix = strlen(end);
    return length >= suffix && strcmp(text + length - suffix, end) == 0;
}

/* A matrix, and not a router's. */
static const quantized_rule *rule_of(const tensor *t, const quantized_rule *rules)
{
    if (t->dims != 2 || !ends_with(t->name, ".weight") || ends_with(t->name, "mlp.gate.weight")) return NULL;
    for (int i = 0; i < QUANTIZED_RULES && rules[i].part != NULL; i++)
        if (strstr(t->name, rules[i].part) != NULL) return &rules[i];
    return NULL;
}

static void add_entry(quantized_folder *f, const char *name, const quantized_rule *rule)
{
    cJSON *tensors = cJSON_GetObjectItem(cJSON_GetObjectItem(f->config, "quantization_config"), "tensors");
    cJSON *entry = cJSON_AddObjectToObject(tensors, name);
    cJSON_AddStringToObject(entry, "setting", rule->setting);
    cJSON_AddStringToObject(entry, "quantizer", "rtn");
    cJSON_AddNumberToObject(entry, "interleave", (double)rule->interleave);
    cJSON_AddNumberToObject(entry, "tokens", 0);
    cJSON_AddNumberToObject(entry, "relative_error", 0.125);
}

static void add_groups(quantized_folder *f, const char *name, kernel_matrix m, quantized_memory rows, size_t interleave)
{
    const size_t groups = kernel_row_scales(&m), bytes = kernel_row_bytes(m.format, m.columns);
    m.values = rows.values;
    m.scales = rows.scales;
    m.minimums = rows.minimums;
    kernel_matrix panels = m;
    panels.interleave = interleave;
    const size_t stored = kernel_stored_rows(&panels);
    void *values = own(f, calloc(stored, bytes));
    uint16_t *scales = own(f, calloc(stored * groups, 2)), *minimums = own(f, calloc(stored * groups, 2));
    if (interleave > 0) {
        kernel_interleave(&m, interleave, values, scales, minimums);
    } else {
        memcpy(values, m.values, stored * bytes);
        memcpy(scales, m.scales, stored * groups * 2);
        if (m.minimums != NULL) memcpy(minimums, m.minimums, stored * groups * 2);
    }
    add(f, name, ".weight", (tensor){.dtype = TENSOR_U8, .dims = 2, .shape = {stored, bytes}, .data = values});
    const tensor pair = {.dtype = TENSOR_F16, .dims = 2, .shape = {stored, groups}, .data = scales};
    add(f, name, ".weight_scale", pair);
    if (m.minimums == NULL) return;
    add(f, name, ".weight_minimum",
        (tensor){.dtype = TENSOR_F16, .dims = 2, .shape = {stored, groups}, .data = minimums});
}

static void add_affine(quantized_folder *f, const char *name, const kernel_matrix *m, void *values)
{
    float *pair = own(f, malloc(2 * sizeof *pair));
    pair[0] = m->scale;
    pair[1] = m->minimum;
    const tensor codes = {
        .dtype = TENSOR_U8, .dims = 2, .shape = {m->rows, kernel_row_bytes(m->format, m->columns)}, .data = values};
    add(f, name, ".weight", codes);
    add(f, name, ".weight_scale", (tensor){.dtype = TENSOR_F32, .dims = 1, .shape = {1}, .data = &pair[0]});
    add(f, name, ".weight_minimum", (tensor){.dtype = TENSOR_F32, .dims = 1, .shape = {1}, .data = &pair[1]});
}

static void add_quantised(quantized_folder *f, const checkpoint *c, const tensor *t, const quantized_rule *rule)
{
    char name[256];
    quantize_setting setting;
    snprintf(name, sizeof name, "%.*s", (int)(strlen(t->name) - strlen(".weight")), t->name);
    CU_ASSERT_FATAL(quantize_setting_parse(rule->setting, &setting) && setting.quantised);
    kernel_matrix m = {.format = setting.format, .rows = t->shape[0], .columns = t->shape[1], .group = setting.group};
    float *rows = malloc(t->count * sizeof *rows);
    CU_ASSERT_FATAL(checkpoint_read_f32(c, t->name, 0, m.rows, rows) == CIUIC_OK);
    const bool groups = quantize_setting_by_groups(&setting);
    const size_t scales = m.rows * kernel_row_scales(&m);
    const quantized_memory to = {own(f, calloc(m.rows, kernel_row_bytes(m.format, m.columns))),
                                 groups ? own(f, calloc(scales, 2)) : NULL,
                                 groups && setting.minimums ? own(f, calloc(scales, 2)) : NULL};
    affine_range range = affine_range_empty();
    CU_ASSERT_FATAL(affine_range_add(&range, t->count, rows));
    if (!groups) affine_parameters(range, m.format == KERNEL_AFFINE8 ? 8 : 4, &m.scale, &m.minimum);
    CU_ASSERT_FATAL(quantize_rows(&m, to, 0, m.rows, rows) == CIUIC_OK);
    free(rows);
    add_entry(f, name, rule);
    if (groups)
        add_groups(f, name, m, to, rule->interleave);
    else
        add_affine(f, name, &m, to.values);
}

static void read_config(quantized_folder *f, const char *source)
{
    static const char quantization[] =
        "{\"quant_method\":\"ciuic\",\"format_version\":1,\"made_by\":\"ciuic 9.8.7\",\"activations\":\"int8\","
        "\"source\":{\"path\":\"somewhere/else\",\"sha256\":"
        "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"bits_per_weight\":16},"
        "\"calibration\":null,\"verified\":{\"kl\":0.01},\"tensors\":{}}";
    char path[TEST_PATH];
    snprintf(path, sizeof path, "%s/config.json", source);
    CU_ASSERT_FATAL(json_read_file(path, CONFIG_MAX_BYTES, &f->config) == CIUIC_OK);
    cJSON *made = cJSON_Parse(quantization);
    cJSON *old = cJSON_GetObjectItem(f->config, "quantization_config");
    cJSON *blocks = cJSON_Duplicate(cJSON_GetObjectItem(old, "weight_block_size"), true);
    if (blocks != NULL) cJSON_AddItemToObject(made, "weight_block_size", blocks);
    cJSON_DeleteItemFromObject(f->config, "quantization_config");
    cJSON_AddItemToObject(f->config, "quantization_config", made);
}

void quantized_folder_make(const char *source, const quantized_rule rules[QUANTIZED_RULES], quantized_folder *f)
{
    checkpoint *c = NULL;
    *f = (quantized_folder){0};
    CU_ASSERT_FATAL(checkpoint_open(source, &c) == CIUIC_OK);
    f->capacity = 3 * checkpoint_count(c) + SPARE;
    f->tensors = calloc(f->capacity, sizeof *f->tensors);
    read_config(f, source);
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const tensor *t = checkpoint_at(c, i);
        const quantized_rule *rule = rule_of(t, rules);
        const bool quantised = rule != NULL && strcmp(rule->setting, "none") != 0;
        char stem[256];
        snprintf(stem, sizeof stem, "%.*s", (int)(strlen(t->name) - strlen("_scale_inv")), t->name);
        const tensor *scaled = ends_with(t->name, "_scale_inv") ? checkpoint_find(c, stem) : NULL;
        const quantized_rule *of_scaled = scaled != NULL ? rule_of(scaled, rules) : NULL;
        if (of_scaled != NULL && strcmp(of_scaled->setting, "none") != 0) continue; /* decoded with it */
        if (quantised) {
            add_quantised(f, c, t, rule);
            continue;
        }
        tensor copy = *t;
        copy.data = own(f, malloc(t->bytes + 1));
        memcpy((void *)(uintptr_t)copy.data, t->data, t->bytes);
        add(f, t->name, "", copy);
    }
    checkpoint_release(c);
}

void quantized_rules_recipe(const char *source, const quantized_rule rules[QUANTIZED_RULES], recipe *r)
{
    checkpoint *c = NULL;
    *r = (recipe){0};
    CU_ASSERT_FATAL(checkpoint_open(source, &c) == CIUIC_OK);
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const tensor *t = checkpoint_at(c, i);
        const quantized_rule *rule = rule_of(t, rules);
        char stem[256];
        quantize_setting setting;
        if (rule == NULL) continue;
        snprintf(stem, sizeof stem, "%.*s", (int)(strlen(t->name) - strlen(".weight")), t->name);
        CU_ASSERT_FATAL(quantize_setting_parse(rule->setting, &setting) && recipe_set(r, stem, setting) == CIUIC_OK);
    }
    checkpoint_release(c);
}

void quantized_folder_free(quantized_folder *f)
{
    for (size_t i = 0; i < f->owned_count; i++) free(f->owned[i]);
    free(f->owned);
    free(f->tensors);
    cJSON_Delete(f->config);
    *f = (quantized_folder){0};
}

void quantized_folder_write(const quantized_folder *f, const char *path)
{
    char file[TEST_PATH];
    snprintf(file, sizeof file, "%s/config.json", path);
    CU_ASSERT_FATAL(json_write_file(file, f->config) == CIUIC_OK);
    snprintf(file, sizeof file, "%s/model.safetensors", path);
    CU_ASSERT_FATAL(safetensors_write(file, f->tensors, f->count) == CIUIC_OK);
}

tensor *quantized_folder_find(quantized_folder *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->tensors[i].name, name) == 0) return &f->tensors[i];
    return NULL;
}

void *quantized_folder_unshare(quantized_folder *f, tensor *t)
{
    size_t bytes = tensor_dtype_bytes(t->dtype);
    for (size_t i = 0; i < t->dims; i++) bytes *= t->shape[i];
    void *copy = own(f, malloc(bytes + 1));
    memcpy(copy, t->data, bytes);
    t->data = copy;
    return copy;
}

cJSON *quantized_folder_entry(quantized_folder *f, const char *name)
{
    const cJSON *list = cJSON_GetObjectItem(cJSON_GetObjectItem(f->config, "quantization_config"), "tensors");
    return cJSON_GetObjectItemCaseSensitive(list, name);
}
