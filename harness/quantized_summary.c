/* quantized_summary.c - see quantized_summary.h. */
#include "harness/quantized_summary.h"

#include <stdio.h>

#include "optimizer/json.h"
#include "optimizer/runtime/weights.h"

/* Five formats, four groups, symmetric or not: fewer settings than this can be told apart. */
enum { SETTINGS = 40 };

/* The matrices of one setting. */
typedef struct setting_use {
    quantize_setting setting;
    size_t tensors, parameters, bytes;
} setting_use;

static size_t count_settings(const quantized_config *q, setting_use uses[SETTINGS])
{
    size_t n = 0;
    for (size_t i = 0; i < q->count; i++) {
        const quantized_tensor *t = &q->tensors[i];
        size_t at = 0;
        while (at < n && !quantize_setting_equal(&uses[at].setting, &t->setting)) at++;
        if (at == SETTINGS) continue;
        if (at == n) uses[n++] = (setting_use){.setting = t->setting};
        uses[at].tensors++;
        uses[at].parameters += t->matrix.rows * t->matrix.columns;
        uses[at].bytes += weight_matrix_bytes(&t->matrix);
        if (!quantize_setting_by_groups(&t->setting)) uses[at].bytes += 2 * sizeof(float);
    }
    return n;
}

static double bits(const setting_use *use)
{
    return 8.0 * (double)use->bytes / (double)use->parameters;
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static void print_name(int indent, const char *name)
{
    printf("  %-*s ", indent, name);
}

static void print_verified(const cJSON *verified, int indent)
{
    const cJSON *member = NULL;
    const char *name = "verified";
    if (verified == NULL) {
        print_name(indent, name);
        puts("no");
    }
    cJSON_ArrayForEach(member, verified)
    {
        char *value = cJSON_PrintUnformatted(member);
        print_name(indent, name);
        printf("%s %s\n", member->string, value != NULL ? value : "?");
        cJSON_free(value);
        name = "";
    }
}

void quantized_summary_print(const checkpoint *c, int indent)
{
    const quantized_config *q = checkpoint_quantized(c);
    setting_use uses[SETTINGS];
    char name[SETTING_NAME];
    if (q == NULL) return;
    const quantized_provenance *p = &q->provenance;
    const size_t n = count_settings(q, uses);
    print_name(indent, "quantised");
    printf("by %s, for activations %s\n", p->made_by,
           p->activations == CIUIC_ACTIVATIONS_INT8 ? "rounded to int8" : "in FP32");
    for (size_t i = 0; i < n; i++) {
        print_name(indent, "");
        printf("%-14s %12zu in %zu matrices, %.2f bits a weight\n", quantize_setting_name(&uses[i].setting, name),
               uses[i].bytes, uses[i].tensors, bits(&uses[i]));
    }
    print_name(indent, "source");
    printf("%s, %.2f bits a weight\n", p->source_path, p->source_bits_per_weight);
    print_name(indent, "");
    printf("sha256 %s\n", p->source_sha256);
    print_name(indent, "calibration");
    if (p->calibration_ids == NULL) {
        puts("none");
    } else {
        printf("%zu tokens of %s\n", p->calibration_tokens, p->calibration_ids);
        print_name(indent, "");
        printf("sha256 %s\n", p->calibration_sha256);
    }
    print_verified(p->verified, indent);
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static bool add_settings(cJSON *object, const quantized_config *q)
{
    setting_use uses[SETTINGS];
    char name[SETTING_NAME];
    const size_t n = count_settings(q, uses);
    cJSON *settings = cJSON_AddObjectToObject(object, "settings");
    bool ok = settings != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        cJSON *use = cJSON_AddObjectToObject(settings, quantize_setting_name(&uses[i].setting, name));
        ok = use != NULL && json_add_size(use, "tensors", uses[i].tensors) &&
             json_add_size(use, "parameters", uses[i].parameters) && json_add_size(use, "bytes", uses[i].bytes) &&
             json_add_double(use, "bits_per_weight", bits(&uses[i]));
    }
    return ok;
}

bool quantized_summary_add(cJSON *object, const checkpoint *c)
{
    static const char *const left_out[] = {"quant_method", "tensors"};
    const quantized_config *q = checkpoint_quantized(c);
    if (q == NULL) return cJSON_AddNullToObject(object, "quantized") != NULL;
    quantized_config head = *q;
    head.count = 0;
    cJSON *told = quantized_config_json(&head); /* as config.json has it, but for the list */
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
        cJSON_DeleteItemFromObjectCaseSensitive(told, left_out[i]);
    if (told != NULL && add_settings(told, q) && cJSON_AddItemToObject(object, "quantized", told)) return true;
    cJSON_Delete(told);
    return false;
}
