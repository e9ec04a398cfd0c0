/* quantized_config.c - see quantized_config.h: the object to a struct, and back. */
#include "optimizer/checkpoint/quantized_config.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/config.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static const size_t most = (size_t)1 << 53; /* up to there whole numbers are exact in JSON */

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static ciuic_status read_digest(const cJSON *object, const char *where, const char **digest)
{
    CIUIC_TRY(json_get_string(object, where, "sha256", digest));
    if (strlen(*digest) == 64 && strspn(*digest, "0123456789abcdef") == 64) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: sha256 is \"%.70s\"; expected 64 hexadecimal digits", where, *digest);
}

static ciuic_status read_source(const cJSON *object, const char *outer, quantized_provenance *p)
{
    static const char *const keys[] = {"path", "sha256", "bits_per_weight"};
    const cJSON *source = NULL;
    char where[512];
    snprintf(where, sizeof where, "%s: source", outer);
    CIUIC_TRY(json_get_object(object, outer, "source", &source));
    CIUIC_TRY(json_only_keys(source, where, keys, sizeof keys / sizeof keys[0]));
    CIUIC_TRY(json_get_string(source, where, "path", &p->source_path));
    CIUIC_TRY(read_digest(source, where, &p->source_sha256));
    return json_get_double(source, where, "bits_per_weight", 0, 64, &p->source_bits_per_weight);
}

static ciuic_status read_calibration(const cJSON *object, const char *outer, quantized_provenance *p)
{
    static const char *const keys[] = {"ids", "sha256", "tokens"};
    const cJSON *calibration = NULL;
    char where[512];
    if (json_find(object, "calibration") == NULL) return CIUIC_OK;
    snprintf(where, sizeof where, "%s: calibration", outer);
    CIUIC_TRY(json_get_object(object, outer, "calibration", &calibration));
    CIUIC_TRY(json_only_keys(calibration, where, keys, sizeof keys / sizeof keys[0]));
    CIUIC_TRY(json_get_string(calibration, where, "ids", &p->calibration_ids));
    CIUIC_TRY(read_digest(calibration, where, &p->calibration_sha256));
    return json_get_size(calibration, where, "tokens", 1, most, &p->calibration_tokens);
}

static ciuic_status read_provenance(const cJSON *object, const char *where, quantized_provenance *p)
{
    const char *activations = NULL;
    CIUIC_TRY(json_get_string(object, where, "made_by", &p->made_by));
    CIUIC_TRY(json_get_string(object, where, "activations", &activations));
    if (!ciuic_activations_parse(activations, &p->activations))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: activations \"%.40s\"; expected \"int8\" or \"none\"", where,
                          activations);
    CIUIC_TRY(read_source(object, where, p));
    CIUIC_TRY(read_calibration(object, where, p));
    return json_find(object, "verified") == NULL ? CIUIC_OK : json_get_object(object, where, "verified", &p->verified);
}

/* Panels that some table of kernels has, or might; 0 is none. */
static bool interleave_exists(const quantize_setting *setting, size_t interleave)
{
    if (interleave == 0) return true;
    return quantize_setting_by_groups(setting) &&
           (interleave == 4 || interleave == 8 || interleave == 16 || interleave == 32);
}

static ciuic_status read_tensor(const cJSON *entry, const char *outer, quantized_tensor *t)
{
    static const char *const keys[] = {"setting", "quantizer", "interleave", "tokens", "relative_error", "pooled"};
    char where[600];
    const char *setting = NULL, *quantizer = NULL;
    snprintf(where, sizeof where, "%s: tensors: \"%.120s\"", outer, entry->string);
    if (strlen(entry->string) >= QUANTIZE_UNIT_NAME || entry->string[0] == '\0')
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: a name of %zu bytes; expected 1 to %d", where, strlen(entry->string),
                          QUANTIZE_UNIT_NAME - 1);
    if (!cJSON_IsObject(entry))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: is no object; expected {\"setting\", \"quantizer\", ...}", where);
    *t = (quantized_tensor){.name = entry->string, .relative_error = NAN};
    CIUIC_TRY(json_only_keys(entry, where, keys, sizeof keys / sizeof keys[0]));
    CIUIC_TRY(json_get_string(entry, where, "setting", &setting));
    if (!quantize_setting_parse(setting, &t->setting) || !t->setting.quantised)
        return ciuic_fail(
            CIUIC_ERROR_INPUT,
            "%s: setting \"%.40s\" is not known; expected one such as \"int4-g64-asym\", or a newer ciuic", where,
            setting);
    CIUIC_TRY(json_get_string(entry, where, "quantizer", &quantizer));
    if (!ciuic_quantizer_parse(quantizer, &t->quantizer))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: quantizer \"%.40s\" is not known; expected rtn, clip, awq or gptq",
                          where, quantizer);
    CIUIC_TRY(json_get_size(entry, where, "interleave", 0, most, &t->interleave));
    if (!interleave_exists(&t->setting, t->interleave))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: interleave is %zu; expected %s", where, t->interleave,
                          quantize_setting_by_groups(&t->setting) ? "0, 4, 8, 16 or 32" : "0 with affine settings");
    CIUIC_TRY(json_get_size(entry, where, "tokens", 0, most, &t->tokens));
    if (json_find(entry, "relative_error") != NULL)
        CIUIC_TRY(json_get_double(entry, where, "relative_error", 0, DBL_MAX, &t->relative_error));
    return json_find(entry, "pooled") == NULL ? CIUIC_OK : json_get_bool(entry, where, "pooled", &t->pooled);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const quantized_tensor *)a)->name, ((const quantized_tensor *)b)->name);
}

static ciuic_status read_tensors(const cJSON *object, const char *where, quantized_config *q)
{
    const cJSON *list = NULL, *entry = NULL;
    CIUIC_TRY(json_get_object(object, where, "tensors", &list));
    const size_t count = (size_t)cJSON_GetArraySize(list);
    q->tensors = calloc(count + 1, sizeof *q->tensors);
    if (q->tensors == NULL) return ciuic_fail_memory("the list of quantised tensors", count * sizeof *q->tensors);
    cJSON_ArrayForEach(entry, list) CIUIC_TRY(read_tensor(entry, where, &q->tensors[q->count++]));
    qsort(q->tensors, q->count, sizeof *q->tensors, compare_names); /* the parser has seen that each is there once */
    return CIUIC_OK;
}

static ciuic_status read_object(const cJSON *json, const char *path, quantized_config *q)
{
    static const char *const keys[] = {"quant_method", "format_version", "made_by",  "activations", "weight_block_size",
                                       "source",       "calibration",    "verified", "tensors"};
    const cJSON *object = NULL;
    const char *method = NULL;
    size_t version = 0;
    char where[400];
    CIUIC_TRY(json_get_object(json, path, "quantization_config", &object));
    snprintf(where, sizeof where, "%s: quantization_config", path);
    CIUIC_TRY(json_get_string(object, where, "quant_method", &method));
    if (strcmp(method, "ciuic") != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: quant_method \"%.40s\"; expected \"ciuic\"", where, method);
    CIUIC_TRY(json_get_size(object, where, "format_version", 1, most, &version));
    if (version != QUANTIZED_FORMAT_VERSION)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: format_version is %zu; expected %d: take a newer ciuic, or quantise the source anew",
                          where, version, QUANTIZED_FORMAT_VERSION);
    CIUIC_TRY(json_only_keys(object, where, keys, sizeof keys / sizeof keys[0]));
    CIUIC_TRY(read_provenance(object, where, &q->provenance));
    return read_tensors(object, where, q);
}

ciuic_status quantized_config_read(const char *path, quantized_config *config)
{
    quantized_config q = {0};
    CIUIC_TRY(json_read_file(path, CONFIG_MAX_BYTES, &q.json));
    const ciuic_status status = read_object(q.json, path, &q);
    if (status == CIUIC_OK)
        *config = q;
    else
        quantized_config_free(&q);
    return status;
}

void quantized_config_free(quantized_config *config)
{
    free(config->tensors);
    cJSON_Delete(config->json);
    *config = (quantized_config){0};
}

quantized_tensor *quantized_config_find(const quantized_config *config, const char *name)
{
    const quantized_tensor key = {.name = name};
    if (config->count == 0) return NULL;
    return bsearch(&key, config->tensors, config->count, sizeof key, compare_names);
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static bool add_tensor(cJSON *list, const quantized_tensor *t)
{
    char name[SETTING_NAME];
    cJSON *entry = cJSON_AddObjectToObject(list, t->name);
    return entry != NULL &&
           cJSON_AddStringToObject(entry, "setting", quantize_setting_name(&t->setting, name)) != NULL &&
           cJSON_AddStringToObject(entry, "quantizer", ciuic_quantizer_name(t->quantizer)) != NULL &&
           json_add_size(entry, "interleave", t->interleave) && json_add_size(entry, "tokens", t->tokens) &&
           json_add_double(entry, "relative_error", t->relative_error) &&
           (!t->pooled || cJSON_AddTrueToObject(entry, "pooled") != NULL);
}

static bool add_source(cJSON *object, const quantized_provenance *p)
{
    cJSON *source = cJSON_AddObjectToObject(object, "source");
    return source != NULL && cJSON_AddStringToObject(source, "path", p->source_path) != NULL &&
           cJSON_AddStringToObject(source, "sha256", p->source_sha256) != NULL &&
           json_add_double(source, "bits_per_weight", p->source_bits_per_weight);
}

static bool add_calibration(cJSON *object, const quantized_provenance *p)
{
    if (p->calibration_ids == NULL) return cJSON_AddNullToObject(object, "calibration") != NULL;
    cJSON *calibration = cJSON_AddObjectToObject(object, "calibration");
    return calibration != NULL && cJSON_AddStringToObject(calibration, "ids", p->calibration_ids) != NULL &&
           cJSON_AddStringToObject(calibration, "sha256", p->calibration_sha256) != NULL &&
           json_add_size(calibration, "tokens", p->calibration_tokens);
}

static bool add_verified(cJSON *object, const quantized_provenance *p)
{
    cJSON *verified = p->verified != NULL ? cJSON_Duplicate(p->verified, true) : cJSON_CreateNull();
    if (verified != NULL && json_exact_numbers(verified) && cJSON_AddItemToObject(object, "verified", verified))
        return true;
    cJSON_Delete(verified);
    return false;
}

static bool add_blocks(cJSON *object, const quantized_config *config)
{
    if (config->block_rows == 0) return true;
    cJSON *blocks = cJSON_AddArrayToObject(object, "weight_block_size");
    return blocks != NULL && cJSON_AddItemToArray(blocks, json_size(config->block_rows)) &&
           cJSON_AddItemToArray(blocks, json_size(config->block_columns));
}

static bool fill(cJSON *object, const quantized_config *config)
{
    const quantized_provenance *p = &config->provenance;
    cJSON *list = NULL;
    bool ok = cJSON_AddStringToObject(object, "quant_method", "ciuic") != NULL &&
              json_add_size(object, "format_version", QUANTIZED_FORMAT_VERSION) &&
              cJSON_AddStringToObject(object, "made_by", p->made_by) != NULL &&
              cJSON_AddStringToObject(object, "activations", ciuic_activations_name(p->activations)) != NULL &&
              add_blocks(object, config) && add_source(object, p) && add_calibration(object, p) &&
              add_verified(object, p) && (list = cJSON_AddObjectToObject(object, "tensors")) != NULL;
    for (size_t i = 0; ok && i < config->count; i++) ok = add_tensor(list, &config->tensors[i]);
    return ok;
}

cJSON *quantized_config_json(const quantized_config *config)
{
    cJSON *object = cJSON_CreateObject();
    if (object == NULL || fill(object, config)) return object;
    cJSON_Delete(object);
    return NULL;
}
