/* variant_json.c - see variant_json.h. */
#include "harness/variant_json.h"

#include <stdio.h>
#include <string.h>

#include "harness/stage_flags.h"
#include "harness/suite/suite_lists.h"
#include "kernels/kernels.h"
#include "optimizer/error.h"
#include "optimizer/json.h"
#include "optimizer/quantize/setting.h"

const char *const variant_json_keys[VARIANT_JSON_KEYS] = {"quantizer",   "group", "asymmetric",        "layers_only",
                                                          "activations", "bits",  "memory_limit_bytes"};

static ciuic_status read_choice(const cJSON *object, const char *where, const char *key, const char *const *names,
                                size_t n, size_t *chosen)
{
    const char *text = NULL;
    CIUIC_TRY(json_get_string(object, where, key, &text));
    return suite_one_of(where, key, text, names, n, chosen);
}

static ciuic_status read_group(const cJSON *object, const char *where, int *group)
{
    const cJSON *item = json_find(object, "group");
    if (cJSON_IsString(item) && strcmp(item->valuestring, "row") == 0) {
        *group = CIUIC_GROUP_ROW;
        return CIUIC_OK;
    }
    const double value = json_is_number(item) ? item->valuedouble : 0;
    if (value == 32 || value == 64 || value == 128) {
        *group = (int)value;
        return CIUIC_OK;
    }
    char *found = cJSON_PrintUnformatted(item);
    const ciuic_status status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: group: found %.60s, expected 32, 64, 128 or \"row\"",
                                           where, found != NULL ? found : "something else");
    cJSON_free(found);
    return status;
}

ciuic_status variant_json_check(const char *where, const ciuic_options *options)
{
    static const char prefix[] = "options: ";
    char why[512];
    if (ciuic_options_check(options) == CIUIC_OK) return CIUIC_OK;
    const char *said = ciuic_last_error();
    snprintf(why, sizeof why, "%s", strncmp(said, prefix, sizeof prefix - 1) == 0 ? said + sizeof prefix - 1 : said);
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s", where, why);
}

ciuic_status variant_json_read(const cJSON *object, const char *where, ciuic_options *options)
{
    size_t chosen = 0;
    options->quantizer = usual_quantizer(options->quantize);
    if (json_find(object, "quantizer") != NULL) {
        CIUIC_TRY(read_choice(object, where, "quantizer", suite_quantizer_names(), CIUIC_QUANTIZER_COUNT, &chosen));
        options->quantizer = (ciuic_quantizer)chosen;
    }
    if (json_find(object, "activations") != NULL) {
        CIUIC_TRY(
            read_choice(object, where, "activations", suite_activations_names(), CIUIC_ACTIVATIONS_COUNT, &chosen));
        options->activations = (ciuic_activations)chosen;
    }
    if (json_find(object, "group") != NULL) CIUIC_TRY(read_group(object, where, &options->group));
    if (json_find(object, "asymmetric") != NULL)
        CIUIC_TRY(json_get_bool(object, where, "asymmetric", &options->asymmetric));
    if (json_find(object, "layers_only") != NULL)
        CIUIC_TRY(json_get_bool(object, where, "layers_only", &options->layers_only));
    if (json_find(object, "bits") != NULL) CIUIC_TRY(json_get_double(object, where, "bits", 1, 32, &options->bits));
    if (json_find(object, "memory_limit_bytes") != NULL)
        CIUIC_TRY(json_get_size(object, where, "memory_limit_bytes", 1, (size_t)1 << 53, &options->weight_bytes));
    return variant_json_check(where, options);
}

bool variant_json_add(cJSON *object, const ciuic_options *o)
{
    const bool mixed = o->quantize == CIUIC_QUANTIZE_MIXED;
    const quantize_setting setting = quantize_setting_of(o);
    const bool groups = quantize_setting_by_groups(&setting);
    bool ok = true;
    if (groups || mixed) ok = cJSON_AddStringToObject(object, "quantizer", ciuic_quantizer_name(o->quantizer)) != NULL;
    /* Of a checkpoint's own weights it says something where they are quantised: then int8 goes without saying. */
    if (groups || mixed || o->activations != CIUIC_ACTIVATIONS_INT8)
        ok = ok && cJSON_AddStringToObject(object, "activations", ciuic_activations_name(o->activations)) != NULL;
    if (groups && o->group == CIUIC_GROUP_ROW) ok = ok && cJSON_AddStringToObject(object, "group", "row") != NULL;
    if (groups && o->group != CIUIC_GROUP_ROW)
        ok = ok && json_add_size(object, "group", o->group == 0 ? KERNEL_GROUP : (size_t)o->group);
    if (groups) ok = ok && cJSON_AddBoolToObject(object, "asymmetric", o->asymmetric) != NULL;
    if (o->layers_only) ok = ok && cJSON_AddBoolToObject(object, "layers_only", true) != NULL;
    if (o->bits > 0) ok = ok && json_add_double(object, "bits", o->bits);
    if (o->weight_bytes > 0) ok = ok && json_add_size(object, "memory_limit_bytes", o->weight_bytes);
    return ok;
}
