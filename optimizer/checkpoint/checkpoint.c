/* checkpoint.c - a folder's config and tensors, held against each other before anyone computes with them. */
#include "optimizer/checkpoint/checkpoint.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "optimizer/checkpoint/architecture_tensors.h"
#include "optimizer/checkpoint/quantized_matrix.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static const size_t max_index_bytes = 100000000;

struct checkpoint {
    atomic_size_t references;
    char *path;
    char *source; /* the single file, or the index of the shards: what a missing tensor is missing from */
    model_config config;
    size_t file_count;
    safetensors **files;
    size_t count;
    const tensor **tensors; /* all files', by name */
    bool *used;             /* [count] by the architecture, scales included */
    size_t parameters;
    quantized_config quantised; /* all zero when config.quantised is false, as is the recipe */
    recipe recipe;
};

/* ---- files ------------------------------------------------------------------------------------------------------ */

static char *join(const char *folder, const char *name)
{
    const size_t length = strlen(folder) + 1 + strlen(name) + 1;
    char *path = malloc(length);
    if (path != NULL) snprintf(path, length, "%s/%s", folder, name);
    return path;
}

static ciuic_status add_file(checkpoint *c, const char *path)
{
    safetensors **files = realloc(c->files, (c->file_count + 1) * sizeof *files);
    if (files == NULL) return ciuic_fail_memory("the table of files", (c->file_count + 1) * sizeof *files);
    c->files = files;
    CIUIC_TRY(safetensors_open(path, &files[c->file_count]));
    c->file_count++;
    return CIUIC_OK;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A shard is a file of the same folder: the index may come from anyone, and must not name other places. */
static ciuic_status check_shard_name(const checkpoint *c, const cJSON *entry)
{
    const char *name = cJSON_IsString(entry) ? entry->valuestring : "";
    const size_t length = strlen(name), suffix = strlen(".safetensors");
    if (length > suffix && strcmp(name + length - suffix, ".safetensors") == 0 && strchr(name, '/') == NULL &&
        name[0] != '.')
        return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT,
                      "%s: weight_map: \"%.200s\" is in \"%.100s\"; expected a .safetensors file of the "
                      "same folder",
                      c->source, entry->string, name);
}

/* Opens each file that weight_map names, once. */
static ciuic_status open_shards(checkpoint *c, const cJSON *weight_map)
{
    size_t entries = 0;
    for (const cJSON *entry = weight_map->child; entry != NULL; entry = entry->next, entries++)
        CIUIC_TRY(check_shard_name(c, entry));
    const char **names = malloc((entries + 1) * sizeof *names);
    if (names == NULL) return ciuic_fail_memory("the table of shards", entries * sizeof *names);
    size_t n = 0;
    for (const cJSON *entry = weight_map->child; entry != NULL; entry = entry->next) names[n++] = entry->valuestring;
    qsort(names, n, sizeof *names, compare_strings);
    ciuic_status status = CIUIC_OK;
    for (size_t i = 0; i < n && status == CIUIC_OK; i++) {
        if (i > 0 && strcmp(names[i - 1], names[i]) == 0) continue;
        char *path = join(c->path, names[i]);
        status = path == NULL ? ciuic_fail_memory("a file name", strlen(names[i])) : add_file(c, path);
        free(path);
    }
    free(names);
    return status;
}

static int compare_tensors(const void *a, const void *b)
{
    return strcmp((*(const tensor *const *)a)->name, (*(const tensor *const *)b)->name);
}

/* Merges the files' tensors; a name may occur once in all of them. */
static ciuic_status collect_tensors(checkpoint *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->file_count; i++) count += safetensors_count(c->files[i]);
    c->tensors = calloc(count + 1, sizeof *c->tensors);
    c->used = calloc(count + 1, sizeof *c->used);
    if (c->tensors == NULL || c->used == NULL)
        return ciuic_fail_memory("the table of tensors", count * sizeof *c->tensors);
    for (size_t i = 0; i < c->file_count; i++)
        for (size_t j = 0; j < safetensors_count(c->files[i]); j++)
            c->tensors[c->count++] = safetensors_at(c->files[i], j);
    qsort(c->tensors, c->count, sizeof *c->tensors, compare_tensors);
    for (size_t i = 1; i < c->count; i++)
        if (strcmp(c->tensors[i - 1]->name, c->tensors[i]->name) == 0)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%.200s\" is in %s, too; expected it in one file",
                              c->tensors[i]->file, c->tensors[i]->name, c->tensors[i - 1]->file);
    return CIUIC_OK;
}

/* The index of `name` among all tensors, c->count when absent. */
static size_t position(const checkpoint *c, const char *name)
{
    const tensor key = {.name = name}, *key_pointer = &key;
    if (c->count == 0) return 0;
    const tensor *const *found = bsearch(&key_pointer, c->tensors, c->count, sizeof *c->tensors, compare_tensors);
    return found != NULL ? (size_t)(found - c->tensors) : c->count;
}

/* Every entry of weight_map is in the shard it names; `mapped` notes which tensors that covers. */
static ciuic_status check_entries(const checkpoint *c, const cJSON *weight_map, bool *mapped)
{
    for (const cJSON *entry = weight_map->child; entry != NULL; entry = entry->next) {
        const size_t at = position(c, entry->string);
        if (at == c->count)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: weight_map: \"%.200s\" is not in \"%.100s\"; expected it there",
                              c->source, entry->string, entry->valuestring);
        const char *file = strrchr(c->tensors[at]->file, '/') + 1;
        if (strcmp(file, entry->valuestring) != 0)
            return ciuic_fail(CIUIC_ERROR_INPUT,
                              "%s: weight_map: \"%.200s\" is in \"%.100s\"; expected \"%.100s\", as the "
                              "shards have it",
                              c->source, entry->string, entry->valuestring, file);
        mapped[at] = true;
    }
    return CIUIC_OK;
}

/* weight_map and the shards must name the same tensors in the same files. */
static ciuic_status check_weight_map(const checkpoint *c, const cJSON *weight_map)
{
    bool *mapped = calloc(c->count + 1, sizeof *mapped);
    if (mapped == NULL) return ciuic_fail_memory("the table of tensors", c->count);
    ciuic_status status = check_entries(c, weight_map, mapped);
    for (size_t i = 0; i < c->count && status == CIUIC_OK; i++)
        if (!mapped[i])
            status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%.200s\" is not in %s; expected every tensor there",
                                c->tensors[i]->file, c->tensors[i]->name, c->source);
    free(mapped);
    return status;
}

static ciuic_status open_index(checkpoint *c)
{
    cJSON *index = NULL;
    const cJSON *weight_map = NULL;
    CIUIC_TRY(json_read_file(c->source, max_index_bytes, &index));
    ciuic_status status = json_get_object(index, c->source, "weight_map", &weight_map);
    if (status == CIUIC_OK) status = open_shards(c, weight_map);
    if (status == CIUIC_OK) status = collect_tensors(c);
    if (status == CIUIC_OK) status = check_weight_map(c, weight_map);
    cJSON_Delete(index);
    return status;
}

static ciuic_status open_files(checkpoint *c)
{
    struct stat status;
    c->source = join(c->path, "model.safetensors");
    if (c->source == NULL) return ciuic_fail_memory("a file name", strlen(c->path));
    if (stat(c->source, &status) == 0) {
        CIUIC_TRY(add_file(c, c->source));
        return collect_tensors(c);
    }
    free(c->source);
    c->source = join(c->path, "model.safetensors.index.json");
    if (c->source == NULL) return ciuic_fail_memory("a file name", strlen(c->path));
    if (stat(c->source, &status) == 0) return open_index(c);
    return ciuic_fail(CIUIC_ERROR_INPUT,
                      "%s: has neither model.safetensors nor model.safetensors.index.json; expected one "
                      "of them",
                      c->path);
}

/* ---- config against tensors ------------------------------------------------------------------------------------- */

static bool has_shape(const tensor *t, size_t dims, const size_t *shape)
{
    return t->dims == dims && memcmp(t->shape, shape, dims * sizeof *shape) == 0;
}

static size_t blocks(size_t size, size_t block)
{
    return size / block + (size % block != 0 ? 1 : 0);
}

/* The block scales of an F8_E4M3 tensor: F32, one for each block, a partial one included. */
static ciuic_status check_block_scales(checkpoint *c, const tensor *t)
{
    const model_config *config = &c->config;
    if (config->fp8_block_rows == 0 || t->dims != 2)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%.200s\" is F8_E4M3; expected %s", t->file, t->name,
                          t->dims != 2 ? "F32, F16 or BF16 for a vector"
                                       : "quantization_config in config.json to say so, or F32, F16 or BF16");
    char name[512], found[200], expected[200];
    snprintf(name, sizeof name, "%s_scale_inv", t->name);
    const size_t shape[2] = {blocks(t->shape[0], config->fp8_block_rows),
                             blocks(t->shape[1], config->fp8_block_columns)};
    tensor_print_shape(2, shape, expected, sizeof expected);
    const size_t at = position(c, name);
    if (at == c->count)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: tensor \"%.200s\" is missing; expected F32 %s, the scales of \"%.200s\"", c->source,
                          name, expected, t->name);
    const tensor *scales = c->tensors[at];
    if (scales->dtype != TENSOR_F32 || !has_shape(scales, 2, shape))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%.200s\" is %s %s; expected F32 %s for blocks of %zu x %zu",
                          scales->file, name, tensor_dtype_name(scales->dtype),
                          tensor_print_shape(scales->dims, scales->shape, found, sizeof found), expected,
                          config->fp8_block_rows, config->fp8_block_columns);
    c->used[at] = true;
    return CIUIC_OK;
}

/* Removes ".weight" from a tensor's name; false when it does not end so. */
static bool stem_of(const char *full, char stem[QUANTIZE_UNIT_NAME])
{
    const size_t length = strlen(full), suffix = strlen(".weight");
    if (length <= suffix || length - suffix >= QUANTIZE_UNIT_NAME || strcmp(full + length - suffix, ".weight") != 0)
        return false;
    snprintf(stem, QUANTIZE_UNIT_NAME, "%.*s", (int)(length - suffix), full);
    return true;
}

/* How the matrix of that tensor is quantised; NULL when it is not. */
static quantized_tensor *find_quantised(const checkpoint *c, const char *full)
{
    char stem[QUANTIZE_UNIT_NAME];
    return stem_of(full, stem) ? quantized_config_find(&c->quantised, stem) : NULL;
}

/* The experts of a layer run as one: all of them as its first one is. */
static ciuic_status check_like_first(const checkpoint *c, const char *full, const quantized_tensor *t)
{
    char unit[QUANTIZE_UNIT_NAME], first[QUANTIZE_UNIT_NAME], name[SETTING_NAME], other[SETTING_NAME];
    quantize_unit_name(full, unit);
    char *star = strchr(unit, '*');
    if (star == NULL) return CIUIC_OK;
    snprintf(first, sizeof first, "%s", unit);
    first[star - unit] = '0';
    const quantized_tensor *of = find_quantised(c, first);
    const quantize_setting none = {0}, *a = t != NULL ? &t->setting : &none, *b = of != NULL ? &of->setting : &none;
    if (quantize_setting_equal(a, b)) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT,
                      "%s/config.json: quantization_config: tensors: \"%s\" is %s and \"%s\" is %s; expected one "
                      "setting for all experts of a layer",
                      c->path, full, quantize_setting_name(a, name), first, quantize_setting_name(b, other));
}

/* Takes a matrix that config.json lists. */
static ciuic_status check_quantised(checkpoint *c, const needed_tensor *needed, quantized_tensor *t)
{
    const tensor *found[QUANTIZED_PARTS] = {NULL};
    const size_t parts = quantized_part_count(&t->setting);
    if (needed->exact)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s/config.json: quantization_config: tensors: \"%s\" is a router's; expected those in F32, "
                          "F16 or BF16, and not in the list",
                          c->path, t->name);
    for (size_t i = 0; i < parts; i++) {
        char name[QUANTIZE_UNIT_NAME + 32];
        snprintf(name, sizeof name, "%s%s", t->name, quantized_part_suffix[i]);
        const size_t at = position(c, name);
        if (at == c->count) continue;
        found[i] = c->tensors[at];
        c->used[at] = true;
    }
    CIUIC_TRY(quantized_matrix_bind(c->source, found, needed->shape[0], needed->shape[1], t));
    c->parameters += needed->shape[0] * needed->shape[1];
    return recipe_set(&c->recipe, t->name, t->setting);
}

static ciuic_status check_needed(void *context, const needed_tensor *needed)
{
    checkpoint *c = context;
    if (c->config.quantised && needed->dims == 2) {
        quantized_tensor *listed = find_quantised(c, needed->name);
        CIUIC_TRY(check_like_first(c, needed->name, listed));
        if (listed != NULL) return check_quantised(c, needed, listed);
    }
    const char *type = model_type_name(c->config.type);
    char found[200], expected[200];
    tensor_print_shape(needed->dims, needed->shape, expected, sizeof expected);
    const size_t at = position(c, needed->name);
    if (at == c->count)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%.200s\" is missing; expected shape %s by config.json (%s)",
                          c->source, needed->name, expected, type);
    const tensor *t = c->tensors[at];
    if (c->config.quantised && t->dtype == TENSOR_U8)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: tensor \"%.200s\" is U8; expected F32, F16, BF16 or F8_E4M3, for quantization_config in "
                          "config.json does not list it",
                          t->file, t->name);
    if (!has_shape(t, needed->dims, needed->shape))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%.200s\" has shape %s; expected %s by config.json (%s)",
                          t->file, t->name, tensor_print_shape(t->dims, t->shape, found, sizeof found), expected, type);
    if (t->dtype == TENSOR_F8_E4M3)
        CIUIC_TRY(check_block_scales(c, t));
    else if (t->dtype != TENSOR_F32 && t->dtype != TENSOR_F16 && t->dtype != TENSOR_BF16)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%.200s\" is %s; expected F32, F16, BF16 or F8_E4M3", t->file,
                          t->name, tensor_dtype_name(t->dtype));
    c->used[at] = true;
    c->parameters += t->count;
    return CIUIC_OK;
}

/* The L of "model.layers.L."; false for another name. */
static bool layer_of(const char *name, size_t *layer)
{
    static const char prefix[] = "model.layers.";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return false;
    const char *digits = name + sizeof prefix - 1, *at = digits;
    *layer = 0;
    for (; *at >= '0' && *at <= '9' && at - digits < 9; at++) *layer = *layer * 10 + (size_t)(*at - '0');
    return at > digits && *at == '.';
}

/* Whether a tensor that the architecture does not need may be there all the same. */
static bool may_be_ignored(const checkpoint *c, const char *name)
{
    static const char inv_freq[] = "rotary_emb.inv_freq";
    const size_t length = strlen(name);
    if (length >= sizeof inv_freq - 1 && strcmp(name + length - (sizeof inv_freq - 1), inv_freq) == 0) return true;
    if (c->config.tie_word_embeddings && strcmp(name, "lm_head.weight") == 0) return true;

    size_t layer = 0;
    if (!layer_of(name, &layer) || layer < c->config.layers) return false;
    if (layer - c->config.layers < c->config.mtp_layers) return true;
    char projection[64]; /* joins the next token's embedding to the hidden state: only multi-token prediction has it */
    snprintf(projection, sizeof projection, "model.layers.%zu.eh_proj.weight", layer);
    return checkpoint_find(c, projection) != NULL;
}

static ciuic_status check_tensors(checkpoint *c)
{
    CIUIC_TRY(architecture_tensors(&c->config, check_needed, c));
    for (size_t i = 0; i < c->quantised.count; i++)
        if (c->quantised.tensors[i].matrix.values == NULL)
            return ciuic_fail(
                CIUIC_ERROR_INPUT,
                "%s/config.json: quantization_config: tensors: \"%s\" is no matrix of a %s of %zu layers; "
                "expected those of the architecture, without \".weight\"",
                c->path, c->quantised.tensors[i].name, model_type_name(c->config.type), c->config.layers);
    for (size_t i = 0; i < c->count; i++) {
        const tensor *t = c->tensors[i];
        if (c->used[i] || may_be_ignored(c, t->name)) continue;
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: tensor \"%.200s\" has no place in a %s of %zu layers as config.json "
                          "describes it; expected no such tensor",
                          t->file, t->name, model_type_name(c->config.type), c->config.layers);
    }
    return CIUIC_OK;
}

/* ---- public ----------------------------------------------------------------------------------------------------- */

static ciuic_status open_folder(checkpoint *c)
{
    struct stat status;
    if (stat(c->path, &status) != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be opened: %s; expected a checkpoint folder", c->path,
                          strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: is not a folder; expected one with config.json and model.safetensors",
                          c->path);
    char *config = join(c->path, "config.json");
    if (config == NULL) return ciuic_fail_memory("a file name", strlen(c->path));
    ciuic_status read = model_config_read(config, &c->config);
    if (read == CIUIC_OK && c->config.quantised) read = quantized_config_read(config, &c->quantised);
    free(config);
    CIUIC_TRY(read);
    CIUIC_TRY(open_files(c));
    return check_tensors(c);
}

ciuic_status checkpoint_open(const char *path, checkpoint **out)
{
    checkpoint *c = calloc(1, sizeof *c);
    if (c == NULL || (c->path = strdup(path)) == NULL) {
        free(c);
        return ciuic_fail_memory("a checkpoint", sizeof *c);
    }
    atomic_init(&c->references, 1);
    const ciuic_status status = open_folder(c);
    if (status != CIUIC_OK) {
        checkpoint_release(c);
        return status;
    }
    *out = c;
    return CIUIC_OK;
}

checkpoint *checkpoint_retain(const checkpoint *c)
{
    checkpoint *retained = (checkpoint *)(uintptr_t)c; /* the count is the only thing that changes */
    atomic_fetch_add(&retained->references, 1);
    return retained;
}

void checkpoint_release(checkpoint *c)
{
    if (c == NULL || atomic_fetch_sub(&c->references, 1) > 1) return;
    for (size_t i = 0; i < c->file_count; i++) safetensors_close(c->files[i]);
    quantized_config_free(&c->quantised);
    recipe_free(&c->recipe);
    free(c->files);
    free(c->tensors);
    free(c->used);
    free(c->source);
    free(c->path);
    free(c);
}

const char *checkpoint_path(const checkpoint *c)
{
    return c->path;
}

const model_config *checkpoint_config(const checkpoint *c)
{
    return &c->config;
}

size_t checkpoint_count(const checkpoint *c)
{
    return c->count;
}

const tensor *checkpoint_at(const checkpoint *c, size_t index)
{
    return c->tensors[index];
}

bool checkpoint_uses(const checkpoint *c, size_t index)
{
    return c->used[index];
}

const tensor *checkpoint_find(const checkpoint *c, const char *name)
{
    const size_t at = position(c, name);
    return at < c->count ? c->tensors[at] : NULL;
}

size_t checkpoint_parameters(const checkpoint *c)
{
    return c->parameters;
}

const quantized_config *checkpoint_quantized(const checkpoint *c)
{
    return c->config.quantised ? &c->quantised : NULL;
}

const quantized_provenance *checkpoint_provenance(const checkpoint *c)
{
    return c->config.quantised ? &c->quantised.provenance : NULL;
}

const quantized_tensor *checkpoint_quantized_tensor(const checkpoint *c, const char *name)
{
    return quantized_config_find(&c->quantised, name);
}

bool checkpoint_matrix(const checkpoint *c, const char *name, kernel_matrix *m)
{
    const quantized_tensor *t = quantized_config_find(&c->quantised, name);
    if (t != NULL) *m = t->matrix;
    return t != NULL;
}

void checkpoint_drop_pages(const checkpoint *c, const char *name)
{
    for (int i = 0; i < QUANTIZED_PARTS; i++) {
        char part[QUANTIZE_UNIT_NAME + 32];
        snprintf(part, sizeof part, "%s%s", name, quantized_part_suffix[i]);
        const tensor *t = checkpoint_find(c, part);
        if (t != NULL) tensor_drop_pages(t);
    }
}

void checkpoint_drop_unused(const checkpoint *c, tensor_used_fn *used, const void *context)
{
    for (size_t i = 0; i < c->file_count; i++) safetensors_drop_unused(c->files[i], used, context);
}

size_t checkpoint_table_bytes(const checkpoint *c)
{
    size_t bytes = sizeof *c + c->count * (sizeof *c->tensors + sizeof *c->used);
    for (size_t i = 0; i < c->file_count; i++) bytes += safetensors_table_bytes(c->files[i]);
    return bytes + c->quantised.count * sizeof *c->quantised.tensors;
}

size_t checkpoint_file_bytes(const checkpoint *c)
{
    size_t bytes = 0;
    for (size_t i = 0; i < c->file_count; i++) bytes += safetensors_file_bytes(c->files[i]);
    return bytes;
}

ciuic_status checkpoint_check_mapping(const checkpoint *c)
{
    for (size_t i = 0; i < c->file_count; i++) CIUIC_TRY(safetensors_check_mapping(c->files[i]));
    return CIUIC_OK;
}

const recipe *checkpoint_recipe(const checkpoint *c)
{
    return &c->recipe;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

/* Multiplies rows [first, first + count) by the scales of the blocks they lie in. */
static ciuic_status apply_block_scales(const checkpoint *c, const tensor *t, size_t first, size_t count, float *out)
{
    char name[512];
    snprintf(name, sizeof name, "%s_scale_inv", t->name);
    const tensor *scales = checkpoint_find(c, name);
    if (scales == NULL) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%.200s\" is missing", c->source, name);
    const size_t columns = t->shape[1], block_rows = c->config.fp8_block_rows, width = c->config.fp8_block_columns;
    for (size_t row = 0; row < count; row++) {
        for (size_t block = 0; block < scales->shape[1]; block++) {
            float scale;
            CIUIC_TRY(tensor_to_f32(scales, (first + row) / block_rows * scales->shape[1] + block, 1, &scale));
            const size_t end = (block + 1) * width < columns ? (block + 1) * width : columns;
            for (size_t k = block * width; k < end; k++) out[row * columns + k] *= scale;
        }
    }
    return CIUIC_OK;
}

/* By the portable kernel: what a code means is defined there. */
static void decode_rows(const kernel_matrix *m, size_t first, size_t count, float *out)
{
    kernel_table kernels;
    kernel_table_fill(&kernels, KERNEL_ISA_C);
    for (size_t row = 0; row < count; row++) kernels.dequantize_row(m, first + row, out + row * m->columns);
}

ciuic_status checkpoint_read_f32(const checkpoint *c, const char *name, size_t first, size_t count, float *out)
{
    const size_t at = position(c, name);
    if (at == c->count)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: tensor \"%.200s\" asked for; it has none of that name", c->source,
                          name);
    const tensor *t = c->tensors[at];
    const quantized_tensor *quantised = find_quantised(c, name);
    if (t->dims != 1 && t->dims != 2)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: tensor \"%.200s\" has %zu dimensions; expected 1 or 2", t->file,
                          t->name, t->dims);
    const size_t rows = quantised != NULL ? quantised->matrix.rows : t->shape[0];
    const size_t columns = t->dims == 2 ? t->shape[1] : 1;
    if (first > rows || count > rows - first)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: tensor \"%.200s\": %zu rows from %zu on asked for; it has %zu",
                          t->file, t->name, count, first, rows);
    if (quantised != NULL) {
        decode_rows(&quantised->matrix, first, count, out);
        return CIUIC_OK;
    }
    CIUIC_TRY(tensor_to_f32(t, first * columns, count * columns, out));
    if (t->dtype != TENSOR_F8_E4M3) return CIUIC_OK;
    if (!c->used[at])
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: tensor \"%.200s\" is F8_E4M3 in a layer that is not used", t->file,
                          name);
    return apply_block_scales(c, t, first, count, out);
}
