/* suite_lists.c - see suite_lists.h. */
#include "harness/suite/suite_lists.h"

#include <stdio.h>
#include <string.h>

#include "harness/commands.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

const char *const *suite_kernel_names(void)
{
    static const char *names[SUITE_KERNEL_NAMES];
    for (int i = 0; i < KERNEL_ISAS; i++) names[i] = kernel_isa_name((kernel_isa)i);
    names[KERNEL_ISAS] = "best";
    return names;
}

const char *const *suite_quantize_names(void)
{
    static const char *names[CIUIC_QUANTIZE_COUNT];
    for (int i = 0; i < CIUIC_QUANTIZE_COUNT; i++) names[i] = ciuic_quantize_name((ciuic_quantize)i);
    return names;
}

const char *const *suite_memory_names(void)
{
    static const char *names[CIUIC_MEMORY_COUNT];
    for (int i = 0; i < CIUIC_MEMORY_COUNT; i++) names[i] = ciuic_memory_name((ciuic_memory)i);
    return names;
}

const char *const *suite_quantizer_names(void)
{
    static const char *names[CIUIC_QUANTIZER_COUNT];
    for (int i = 0; i < CIUIC_QUANTIZER_COUNT; i++) names[i] = ciuic_quantizer_name((ciuic_quantizer)i);
    return names;
}

const char *const *suite_activations_names(void)
{
    static const char *names[CIUIC_ACTIVATIONS_COUNT];
    for (int i = 0; i < CIUIC_ACTIVATIONS_COUNT; i++) names[i] = ciuic_activations_name((ciuic_activations)i);
    return names;
}

ciuic_status suite_one_of(const char *where, const char *key, const char *text, const char *const *names, size_t n,
                          size_t *index)
{
    char expected[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            *index = i;
            return CIUIC_OK;
        }
        if (used < sizeof expected)
            used += (size_t)snprintf(expected + used, sizeof expected - used, "%s\"%s\"", i > 0 ? ", " : "", names[i]);
    }
    const char *nearest = nearest_name(text, names, n);
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s: found \"%.40s\", expected %s%s%s%s%s", where, key, text,
                      n > 1 ? "one of " : "", expected, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                      nearest ? "\"?" : "");
}

ciuic_status suite_list(const cJSON *object, const char *where, const char *key, size_t min, size_t max,
                        const cJSON **list)
{
    CIUIC_TRY(json_get_array(object, where, key, list));
    const size_t count = (size_t)cJSON_GetArraySize(*list);
    if (count < min || count > max)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s: found %zu entries, expected %zu to %zu", where, key, count, min,
                          max);
    return CIUIC_OK;
}

/* Numbers and booleans, where they are names. */
static bool spelt_as_one_of(const cJSON *item, const char *const *names, size_t n, size_t *index)
{
    char text[32] = "";
    if (cJSON_IsBool(item)) snprintf(text, sizeof text, "%s", cJSON_IsTrue(item) ? "true" : "false");
    if (json_is_number(item)) snprintf(text, sizeof text, "%.15g", item->valuedouble);
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0) {
            *index = i;
            return true;
        }
    return false;
}

ciuic_status suite_choices(const cJSON *object, const char *where, const char *key, const char *const *names, size_t n,
                           size_t *chosen, size_t *count)
{
    const cJSON *list = NULL, *item = NULL;
    *count = 0;
    CIUIC_TRY(suite_list(object, where, key, 1, n, &list));
    cJSON_ArrayForEach(item, list)
    {
        size_t index = 0;
        if (cJSON_IsString(item))
            CIUIC_TRY(suite_one_of(where, key, item->valuestring, names, n, &index));
        else if (!spelt_as_one_of(item, names, n, &index))
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s[%zu]: expected a string such as \"%s\"", where, key, *count,
                              names[n - 1]);
        for (size_t i = 0; i < *count; i++)
            if (chosen[i] == index)
                return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s: \"%s\" is given twice", where, key, names[index]);
        chosen[(*count)++] = index;
    }
    return CIUIC_OK;
}
