/* suite_variants.c - see suite_variants.h. */
#include "harness/suite/suite_variants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/graph_setting.h"
#include "harness/stage_flags.h"
#include "harness/suite/suite_lists.h"
#include "harness/variant_json.h"
#include "kernels/kernels.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { WHERE_MAX = 512 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- the product ------------------------------------------------------------------------------------------------ */

/* One list of the product: which settings its values stand for. */
typedef struct axis {
    const char *key;
    bool required;
    const char *const *names;
    size_t n;
    void (*set)(ciuic_options *options, size_t choice);
    size_t chosen[SUITE_LIST_MAX], count; /* count 0: the list is absent */
    const ciuic_options *graph;           /* [count], instead of names, set and chosen: passes are listed freely */
} axis;

static void set_quantize(ciuic_options *o, size_t choice)
{
    o->quantize = (ciuic_quantize)choice;
    o->quantizer = usual_quantizer(o->quantize);
}

static void set_quantizer(ciuic_options *o, size_t choice)
{
    o->quantizer = (ciuic_quantizer)choice;
}

static const char *const group_names[] = {"32", "64", "128", "row"};

static void set_group(ciuic_options *o, size_t choice)
{
    static const int groups[COUNT(group_names)] = {32, 64, 128, CIUIC_GROUP_ROW};
    o->group = groups[choice];
}

static const char *const asymmetric_names[] = {"false", "true"};

static void set_asymmetric(ciuic_options *o, size_t choice)
{
    o->asymmetric = choice != 0;
}

static void set_activations(ciuic_options *o, size_t choice)
{
    o->activations = (ciuic_activations)choice;
}

static void set_memory(ciuic_options *o, size_t choice)
{
    o->memory = (ciuic_memory)choice;
}

/* Every combination, the last list turning fastest; one that contradicts itself is refused by its name. */
static ciuic_status combine(suite *s, const char *where, const axis *axes, size_t n)
{
    size_t total = 1;
    for (size_t a = 0; a < n; a++) total *= axes[a].count > 0 ? axes[a].count : 1;
    s->product = calloc(total, sizeof *s->product);
    if (s->product == NULL) return ciuic_fail_memory("the variants", total * sizeof *s->product);
    for (size_t i = 0; i < total; i++) {
        ciuic_options *o = &s->product[s->product_count];
        char name[VARIANT_NAME_SIZE], place[WHERE_MAX + VARIANT_NAME_SIZE + 2];
        size_t each = total, rest = i;
        for (size_t a = 0; a < n; a++) {
            if (axes[a].count == 0) continue;
            each /= axes[a].count;
            if (axes[a].graph != NULL) {
                o->graph = axes[a].graph[rest / each].graph;
                o->passes = axes[a].graph[rest / each].passes;
            } else {
                axes[a].set(o, axes[a].chosen[rest / each]);
            }
            rest %= each;
        }
        variant_name(o, name);
        name[strcspn(name, "+")] = '\0'; /* what the stages after quantize are does not matter here */
        snprintf(place, sizeof place, "%s: %s", where, name);
        CIUIC_TRY(variant_json_check(place, o));
        s->product_count++;
    }
    return CIUIC_OK;
}

/* The settings of the graph stage in a list, each at most once. */
static ciuic_status read_graphs(const cJSON *product, const char *where, ciuic_options *graph, size_t *count)
{
    const cJSON *list = NULL, *item = NULL;
    CIUIC_TRY(suite_list(product, where, "graph", 1, SUITE_LIST_MAX, &list));
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: graph[%zu]: expected a string such as \"on\"", where, *count);
        ciuic_options *o = &graph[*count];
        CIUIC_TRY(graph_setting_parse(CIUIC_ERROR_INPUT, where, item->valuestring, o));
        for (size_t i = 0; i < *count; i++)
            if (graph[i].graph == o->graph && graph[i].passes == o->passes)
                return ciuic_fail(CIUIC_ERROR_INPUT, "%s: graph: \"%s\" is given twice", where, item->valuestring);
        ++*count;
    }
    return CIUIC_OK;
}

static ciuic_status read_product(suite *s, const cJSON *variants)
{
    ciuic_options graphs[SUITE_LIST_MAX] = {{0}};
    axis axes[] = {
        {"quantize", true, suite_quantize_names(), CIUIC_QUANTIZE_COUNT, set_quantize, {0}, 0, NULL},
        {"quantizer", false, suite_quantizer_names(), CIUIC_QUANTIZER_COUNT, set_quantizer, {0}, 0, NULL},
        {"group", false, group_names, COUNT(group_names), set_group, {0}, 0, NULL},
        {"asymmetric", false, asymmetric_names, COUNT(asymmetric_names), set_asymmetric, {0}, 0, NULL},
        {"activations", false, suite_activations_names(), CIUIC_ACTIVATIONS_COUNT, set_activations, {0}, 0, NULL},
        {.key = "graph", .required = true, .graph = graphs},
        {"memory", true, suite_memory_names(), CIUIC_MEMORY_COUNT, set_memory, {0}, 0, NULL},
    };
    const char *keys[COUNT(axes) + 1];
    char where[WHERE_MAX];
    snprintf(where, sizeof where, "%s: variants.product", s->file);
    size_t chosen[SUITE_LIST_MAX];
    const cJSON *product = NULL;
    if (json_find(variants, "product") == NULL) return CIUIC_OK;
    for (size_t a = 0; a < COUNT(axes); a++) keys[a] = axes[a].key;
    keys[COUNT(axes)] = "kernels";
    CIUIC_TRY(json_get_object(variants, where, "product", &product));
    CIUIC_TRY(json_only_keys(product, where, keys, COUNT(keys)));
    for (size_t a = 0; a < COUNT(axes); a++)
        if (axes[a].graph != NULL)
            CIUIC_TRY(read_graphs(product, where, graphs, &axes[a].count));
        else if (axes[a].required || json_find(product, axes[a].key) != NULL)
            CIUIC_TRY(
                suite_choices(product, where, axes[a].key, axes[a].names, axes[a].n, axes[a].chosen, &axes[a].count));
    CIUIC_TRY(
        suite_choices(product, where, "kernels", suite_kernel_names(), SUITE_KERNEL_NAMES, chosen, &s->kernels_count));
    for (size_t i = 0; i < s->kernels_count; i++) s->kernels[i] = suite_kernel_names()[chosen[i]];
    return combine(s, where, axes, COUNT(axes));
}

/* ---- one by one ------------------------------------------------------------------------------------------------- */

static ciuic_status read_choice(const cJSON *item, const char *where, const char *key, const char *const *names,
                                size_t n, size_t *chosen)
{
    const char *text = NULL;
    CIUIC_TRY(json_get_string(item, where, key, &text));
    return suite_one_of(where, key, text, names, n, chosen);
}

/* Only what a folder can hold: the writer of quantised folders takes a setting for all matrices at once. */
static ciuic_status read_packed(const cJSON *item, const char *where, suite_variant *v)
{
    if (json_find(item, "packed") == NULL) return CIUIC_OK;
    CIUIC_TRY(json_get_bool(item, where, "packed", &v->packed));
    if (v->packed && v->options.quantize == CIUIC_QUANTIZE_NONE)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: packed: there is nothing to pack with quantize \"none\"; the checkpoint is run as it is",
                          where);
    if (v->packed && v->options.quantize == CIUIC_QUANTIZE_MIXED)
        return ciuic_fail(
            CIUIC_ERROR_INPUT,
            "%s: packed: mixed precision is not packed by a bench; make the folder with 'ciuic optimize', "
            "and give that as a checkpoint",
            where);
    return CIUIC_OK;
}

static ciuic_status read_extra(suite *s, size_t index, const cJSON *item)
{
    static const char *const stages[] = {"quantize", "graph", "memory", "kernels", "prefix_cache_bytes", "packed"};
    const char *keys[COUNT(stages) + VARIANT_JSON_KEYS];
    char where[WHERE_MAX];
    snprintf(where, sizeof where, "%s: variants.extra[%zu]", s->file, index);
    if (!cJSON_IsObject(item)) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: expected an object", where);
    memcpy(keys, stages, sizeof stages);
    memcpy(keys + COUNT(stages), variant_json_keys, sizeof variant_json_keys);
    CIUIC_TRY(json_only_keys(item, where, keys, COUNT(keys)));
    suite_variant *v = &s->extra[index];
    size_t chosen = 0;
    CIUIC_TRY(read_choice(item, where, "quantize", suite_quantize_names(), CIUIC_QUANTIZE_COUNT, &chosen));
    set_quantize(&v->options, chosen);
    const char *graph = NULL;
    CIUIC_TRY(json_get_string(item, where, "graph", &graph));
    CIUIC_TRY(graph_setting_parse(CIUIC_ERROR_INPUT, where, graph, &v->options));
    CIUIC_TRY(read_choice(item, where, "memory", suite_memory_names(), CIUIC_MEMORY_COUNT, &chosen));
    set_memory(&v->options, chosen);
    CIUIC_TRY(read_choice(item, where, "kernels", suite_kernel_names(), SUITE_KERNEL_NAMES, &chosen));
    v->kernels = suite_kernel_names()[chosen];
    CIUIC_TRY(variant_json_read(item, where, &v->options));
    if (json_find(item, "prefix_cache_bytes") != NULL)
        CIUIC_TRY(json_get_size(item, where, "prefix_cache_bytes", 1, (size_t)1 << 46, &v->prefix_cache));
    CIUIC_TRY(read_packed(item, where, v));
    s->extra_count = index + 1;
    return CIUIC_OK;
}

ciuic_status suite_read_variants(suite *s)
{
    static const char *const keys[] = {"product", "extra"};
    char where[WHERE_MAX];
    snprintf(where, sizeof where, "%s: variants", s->file);
    const cJSON *variants = NULL, *list = NULL, *item = NULL;
    CIUIC_TRY(json_get_object(s->json, s->file, "variants", &variants));
    CIUIC_TRY(json_only_keys(variants, where, keys, COUNT(keys)));
    CIUIC_TRY(read_product(s, variants));
    if (json_find(variants, "extra") != NULL) {
        CIUIC_TRY(suite_list(variants, where, "extra", 0, SUITE_EXTRA_MAX, &list));
        size_t index = 0;
        cJSON_ArrayForEach(item, list) CIUIC_TRY(read_extra(s, index++, item));
    }
    if (s->product_count == 0 && s->extra_count == 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: no variant; expected \"product\", \"extra\" or both", where);
    return CIUIC_OK;
}
