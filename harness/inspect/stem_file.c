/* stem_file.c - see stem_file.h. */
#include "harness/inspect/stem_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/json.h"

enum { FILE_MAX_BYTES = 1 << 20, LAYERS_MAX = 1024 };
/* No product of an image or of filters leaves 64 bits. */
enum { CHANNELS_MAX = 1 << 16, PIXELS_MAX = 1 << 16, KERNEL_MAX = 1 << 10 };

static ciuic_status read_pair(const cJSON *json, const char *where, const char *key, size_t min, size_t max,
                              size_t pair[2])
{
    const cJSON *array = NULL;
    CIUIC_TRY(json_get_array(json, where, key, &array));
    if (cJSON_GetArraySize(array) != 2)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s has %d elements; expected 2, vertical and horizontal", where, key,
                          cJSON_GetArraySize(array));
    for (int i = 0; i < 2; i++) {
        const cJSON *item = cJSON_GetArrayItem(array, i);
        const double value = json_is_number(item) ? item->valuedouble : -1;
        if (!(value >= (double)min && value <= (double)max) || value != (double)(size_t)value)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s[%d]: expected a whole number from %zu to %zu", where, key, i,
                              min, max);
        pair[i] = (size_t)value;
    }
    return CIUIC_OK;
}

static ciuic_status read_activation(const cJSON *json, const char *where, stem_activation *activation)
{
    static const char *const names[] = {"none", "relu", "silu"};
    const char *name = NULL;
    CIUIC_TRY(json_get_string(json, where, "activation", &name));
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            *activation = (stem_activation)i;
            return CIUIC_OK;
        }
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: activation \"%.40s\"; expected none, relu or silu", where, name);
}

/* Names become names of operations, which have room for so many characters. */
static ciuic_status read_name(const cJSON *json, const char *where, const char *key, const char **name)
{
    CIUIC_TRY(json_get_string(json, where, key, name));
    const size_t length = strlen(*name), most = GRAPH_NAME - sizeof ".normalised";
    if (length > 0 && length <= most) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s has %zu characters; expected 1 to %zu", where, key, length, most);
}

static ciuic_status read_layer(const cJSON *json, const char *where, stem_layer *l)
{
    static const char *const keys[] = {"conv",   "norm",    "bias",     "out_channels", "groups",    "kernel",
                                       "stride", "padding", "dilation", "eps",          "activation"};
    if (!cJSON_IsObject(json)) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: expected an object", where);
    CIUIC_TRY(json_only_keys(json, where, keys, sizeof keys / sizeof *keys));
    CIUIC_TRY(read_name(json, where, "conv", &l->conv));
    if (json_find(json, "norm") != NULL) CIUIC_TRY(read_name(json, where, "norm", &l->norm));
    CIUIC_TRY(json_get_bool(json, where, "bias", &l->bias));
    CIUIC_TRY(json_get_size(json, where, "out_channels", 1, CHANNELS_MAX, &l->out_channels));
    CIUIC_TRY(json_get_size(json, where, "groups", 1, CHANNELS_MAX, &l->groups));
    CIUIC_TRY(read_pair(json, where, "kernel", 1, KERNEL_MAX, l->kernel));
    CIUIC_TRY(read_pair(json, where, "stride", 1, KERNEL_MAX, l->stride));
    CIUIC_TRY(read_pair(json, where, "padding", 0, KERNEL_MAX, l->padding));
    CIUIC_TRY(read_pair(json, where, "dilation", 1, KERNEL_MAX, l->dilation));
    if (l->norm != NULL) CIUIC_TRY(json_get_double(json, where, "eps", 0, 1, &l->eps));
    return read_activation(json, where, &l->activation);
}

static ciuic_status read_stem(const cJSON *json, const char *path, stem_file *file)
{
    static const char *const keys[] = {"channels",          "height", "width", "channels_last_in",
                                       "channels_last_out", "layers"};
    stem_config *c = &file->config;
    const cJSON *layers = NULL;
    char where[512];
    snprintf(where, sizeof where, "%.400s: stem", path);
    if (!cJSON_IsObject(json)) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: expected an object", where);
    CIUIC_TRY(json_only_keys(json, where, keys, sizeof keys / sizeof *keys));
    CIUIC_TRY(json_get_size(json, where, "channels", 1, CHANNELS_MAX, &c->channels));
    CIUIC_TRY(json_get_size(json, where, "height", 1, PIXELS_MAX, &c->height));
    CIUIC_TRY(json_get_size(json, where, "width", 1, PIXELS_MAX, &c->width));
    CIUIC_TRY(json_get_bool(json, where, "channels_last_in", &c->channels_last_in));
    CIUIC_TRY(json_get_bool(json, where, "channels_last_out", &c->channels_last_out));
    CIUIC_TRY(json_get_array(json, where, "layers", &layers));
    c->layer_count = (size_t)cJSON_GetArraySize(layers);
    if (c->layer_count == 0 || c->layer_count > LAYERS_MAX)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %zu layers; expected 1 to %d", where, c->layer_count, LAYERS_MAX);
    file->layers = calloc(c->layer_count, sizeof *file->layers);
    if (file->layers == NULL) return ciuic_fail_memory(path, c->layer_count * sizeof *file->layers);
    c->layers = file->layers;
    size_t i = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, layers)
    {
        char layer[544];
        snprintf(layer, sizeof layer, "%s: layers[%zu]", where, i);
        CIUIC_TRY(read_layer(item, layer, &file->layers[i++]));
    }
    return CIUIC_OK;
}

ciuic_status stem_file_read(const char *path, stem_file *file, bool *found)
{
    *file = (stem_file){0};
    *found = false;
    CIUIC_TRY(json_read_file(path, FILE_MAX_BYTES, &file->json));
    const cJSON *stem = json_find(file->json, "stem");
    *found = stem != NULL;
    if (*found) return read_stem(stem, path, file);
    stem_file_free(file);
    return CIUIC_OK;
}

void stem_file_free(stem_file *file)
{
    cJSON_Delete(file->json);
    free(file->layers);
    *file = (stem_file){0};
}
