/* folder_plan.c - see folder_plan.h. */
#include "harness/optimize/folder_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/array_room.h"
#include "optimizer/checkpoint/architecture_tensors.h"
#include "optimizer/checkpoint/quantized_matrix.h"
#include "optimizer/error.h"
#include "optimizer/graph/graph.h"
#include "optimizer/runtime/weights.h"

typedef struct planning {
    folder_plan *plan;
    const checkpoint *source;
    const recipe *recipe;
    const graph *graph; /* of the model, for the slices of its weights */
    size_t interleave;
    ciuic_activations activations;
} planning;

/* ---- tensors of the files --------------------------------------------------------------------------------------- */

static ciuic_status add_tensor(folder_plan *plan, const char *name, const char *suffix, tensor t)
{
    tensor *grown = array_with_room(plan->tensors, plan->tensor_count, &plan->tensor_room, sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("the table of tensors", plan->tensor_count * sizeof *grown);
    plan->tensors = grown;
    char *full = NULL;
    if (asprintf(&full, "%s%s", name, suffix) < 0) return ciuic_fail_memory("a tensor's name", strlen(name));
    t.name = full;
    plan->tensors[plan->tensor_count++] = t;
    plan->bytes += t.bytes;
    return CIUIC_OK;
}

static ciuic_status add_quantised(folder_plan *plan, const planned_tensor *item)
{
    const size_t parts = quantized_part_count(&item->listed.setting);
    for (size_t i = 0; i < parts; i++)
        CIUIC_TRY(add_tensor(plan, item->stem, quantized_part_suffix[i],
                             quantized_part(&item->listed, item->rows, item->columns, (int)i)));
    return CIUIC_OK;
}

/* As in the source, but perhaps for its dtype; an FP8 matrix with its scales. */
static ciuic_status add_plain(const planning *p, const planned_tensor *item)
{
    tensor t = *item->source;
    t.dtype = item->dtype;
    t.bytes = t.count * tensor_dtype_bytes(t.dtype);
    CIUIC_TRY(add_tensor(p->plan, item->name, "", t));
    if (t.dtype != TENSOR_F8_E4M3) return CIUIC_OK;
    char name[256];
    snprintf(name, sizeof name, "%s_scale_inv", item->name);
    p->plan->blocks = true;
    return add_tensor(p->plan, name, "", *checkpoint_find(p->source, name)); /* checkpoint_open has seen it */
}

/* ---- tensors of the architecture -------------------------------------------------------------------------------- */

/* Rows that operations also read in runs of: see graph_weight. */
static size_t slice_of(const graph *g, const char *stem)
{
    for (int i = 0; i < g->weight_count; i++)
        if (g->weights[i].slice > 0 && strcmp(g->weights[i].name[0], stem) == 0) return g->weights[i].slice;
    return 0;
}

static ciuic_status choose(const planning *p, const needed_tensor *needed, planned_tensor *item)
{
    const bool matrix = needed->dims == 2 && !needed->exact;
    const quantize_setting setting = matrix ? recipe_find(p->recipe, item->stem) : (quantize_setting){0};
    item->listed = (quantized_tensor){.name = item->stem, .setting = setting};
    item->dtype = matrix ? item->source->dtype : TENSOR_F32;
    if (!setting.quantised) return CIUIC_OK;
    if (quantize_setting_by_groups(&setting) && !kernel_group_supported(item->columns, setting.group))
        return ciuic_fail(
            CIUIC_ERROR_UNSUPPORTED,
            "%s: rows of %zu columns have no kernels in groups of %zu; expected 32, 64 or 128, or whole rows "
            "of at most %d columns",
            item->name, item->columns, setting.group, KERNEL_GROUP_COLUMNS);
    item->listed.interleave =
        weight_interleave(setting.format, p->interleave, slice_of(p->graph, item->stem), p->activations);
    return CIUIC_OK;
}

static ciuic_status name_item(const char *name, planned_tensor *item)
{
    static const char suffix[] = ".weight";
    const size_t length = strlen(name), end = sizeof suffix - 1;
    const bool weight = length > end && strcmp(name + length - end, suffix) == 0;
    item->name = strdup(name);
    item->stem = strndup(name, weight ? length - end : length);
    return item->name != NULL && item->stem != NULL ? CIUIC_OK : ciuic_fail_memory("a tensor's name", length);
}

static ciuic_status add_item(void *context, const needed_tensor *needed)
{
    const planning *p = context;
    folder_plan *plan = p->plan;
    planned_tensor *grown = array_with_room(plan->items, plan->count, &plan->room, sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("the table of tensors", plan->count * sizeof *grown);
    plan->items = grown;
    planned_tensor *item = &plan->items[plan->count++];
    *item = (planned_tensor){.source = checkpoint_find(p->source, needed->name),
                             .rows = needed->shape[0],
                             .columns = needed->dims == 2 ? needed->shape[1] : 1};
    CIUIC_TRY(name_item(needed->name, item));
    CIUIC_TRY(choose(p, needed, item));
    return item->listed.setting.quantised ? add_quantised(plan, item) : add_plain(p, item);
}

static int compare_stems(const void *a, const void *b)
{
    return strcmp((*(planned_tensor *const *)a)->stem, (*(planned_tensor *const *)b)->stem);
}

static ciuic_status sort(folder_plan *plan)
{
    plan->by_stem = calloc(plan->count + 1, sizeof(planned_tensor *));
    if (plan->by_stem == NULL) return ciuic_fail_memory("the table of tensors", plan->count * sizeof(planned_tensor *));
    for (size_t i = 0; i < plan->count; i++) plan->by_stem[i] = &plan->items[i];
    qsort(plan->by_stem, plan->count, sizeof(planned_tensor *), compare_stems);
    return CIUIC_OK;
}

ciuic_status folder_plan_create(const checkpoint *source, const recipe *r, size_t interleave,
                                ciuic_activations activations, folder_plan *plan)
{
    graph *g = NULL;
    *plan = (folder_plan){0};
    CIUIC_TRY(graph_build(checkpoint_config(source), GRAPH_PREFILL, GRAPH_CACHE_EXPANDED, &g));
    planning p = {
        .plan = plan, .source = source, .recipe = r, .graph = g, .interleave = interleave, .activations = activations};
    ciuic_status status = architecture_tensors(checkpoint_config(source), add_item, &p);
    if (status == CIUIC_OK) status = sort(plan);
    graph_free(g);
    if (status != CIUIC_OK) folder_plan_free(plan);
    return status;
}

void folder_plan_free(folder_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        free(plan->items[i].name);
        free(plan->items[i].stem);
    }
    for (size_t i = 0; i < plan->tensor_count; i++) free((void *)(uintptr_t)plan->tensors[i].name);
    free(plan->items);
    free(plan->by_stem);
    free(plan->tensors);
    *plan = (folder_plan){0};
}

planned_tensor *folder_plan_find(const folder_plan *plan, const char *stem)
{
    planned_tensor key = {.stem = (char *)(uintptr_t)stem}, *key_pointer = &key;
    planned_tensor *const *found =
        bsearch(&key_pointer, plan->by_stem, plan->count, sizeof(planned_tensor *), compare_stems);
    return found != NULL ? *found : NULL;
}
