/* graph_json.c - a graph as JSON: every formula as text and as its value for the call asked for. */
#include <stdint.h>

#include "harness/inspect/graph_print.h"
#include "optimizer/json.h"

static bool add_amount(const graph_trace *t, cJSON *object, const char *key, const graph_amount *amount)
{
    char text[GRAPH_AMOUNT_SIZE];
    cJSON *json = cJSON_AddObjectToObject(object, key);
    graph_amount_text(amount, text);
    return json != NULL && cJSON_AddStringToObject(json, "formula", text) != NULL &&
           json_add_double(json, "total", graph_amount_at(amount, t->g, t->request->tokens, graph_trace_context(t)));
}

static bool add_cost(const graph_trace *t, cJSON *object, const graph_cost *cost)
{
    return add_amount(t, object, "flops", &cost->flops) && add_amount(t, object, "weight_bytes", &cost->weight_bytes) &&
           add_amount(t, object, "activation_bytes", &cost->activation_bytes);
}

static cJSON *new_item(cJSON *list)
{
    cJSON *item = cJSON_CreateObject();
    if (list == NULL || !cJSON_AddItemToArray(list, item)) {
        cJSON_Delete(item);
        return NULL;
    }
    return item;
}

static bool fill_step(const graph_trace *t, cJSON *item, const graph_step *step)
{
    return item != NULL && cJSON_AddStringToObject(item, "name", step->name) != NULL &&
           cJSON_AddBoolToObject(item, "ran", step->ran) != NULL &&
           cJSON_AddBoolToObject(item, "changed", step->changed) != NULL &&
           json_add_size(item, "operations", (size_t)step->ops) &&
           json_add_size(item, "values", (size_t)step->values) &&
           cJSON_AddStringToObject(item, "did", step->did) != NULL && add_cost(t, item, &step->cost);
}

/* null where nothing is quantised. */
static bool add_lowering(const graph_trace *t, cJSON *object)
{
    if (t->lowered.name == NULL) return cJSON_AddNullToObject(object, "lowering") != NULL;
    return fill_step(t, cJSON_AddObjectToObject(object, "lowering"), &t->lowered);
}

static bool add_operation(const graph_trace *t, cJSON *list, const graph_op *op)
{
    const graph *g = t->g;
    cJSON *item = new_item(list), *reads = NULL;
    char shape[GRAPH_SHAPE_SIZE] = "";
    bool ok = item != NULL && cJSON_AddStringToObject(item, "kind", graph_op_name(op->kind)) != NULL;
    if (ok && op->layer != GRAPH_NONE) ok = json_add_size(item, "layer", (size_t)op->layer);
    ok = ok && (reads = cJSON_AddArrayToObject(item, "reads")) != NULL;
    for (int j = 0; j < GRAPH_MAX_INPUTS && ok; j++)
        if (op->in[j].value != GRAPH_NONE)
            ok = cJSON_AddItemToArray(reads, cJSON_CreateString(g->values[op->in[j].value].name));
    if (ok && op->rotation.heads > 0)
        ok = cJSON_AddStringToObject(item, "rotates", g->values[op->in[op->rotation.input].value].name) != NULL;
    if (ok && op->weight != GRAPH_NONE) {
        cJSON *weights = cJSON_AddArrayToObject(item, "weights");
        for (int i = 0; i < g->weights[op->weight].parts && weights != NULL; i++)
            ok = ok && cJSON_AddItemToArray(weights, cJSON_CreateString(g->weights[op->weight].name[i]));
        ok = ok && weights != NULL;
    }
    if (ok && op->out.value != GRAPH_NONE) {
        graph_shape_text(g, op->out.value, shape);
        ok = cJSON_AddStringToObject(item, "writes", g->values[op->out.value].name) != NULL &&
             cJSON_AddStringToObject(item, "shape", shape) != NULL;
    }
    const graph_cost cost = graph_op_cost(g, op, &t->storage);
    return ok && add_cost(t, item, &cost);
}

static bool add_form(const graph_trace *t, cJSON *object, const graph_mla *m, graph_mla_form form)
{
    graph_amount flops, bytes;
    cJSON *json = cJSON_AddObjectToObject(object, form == GRAPH_MLA_ABSORBED ? "absorbed" : "expanded");
    graph_mla_cost(m, form, &flops, &bytes);
    return json != NULL && add_amount(t, json, "flops", &flops) && add_amount(t, json, "bytes", &bytes);
}

static bool add_choice(const graph_trace *t, cJSON *object)
{
    if (t->request->stem != NULL || t->g->cache != GRAPH_CACHE_LATENT)
        return cJSON_AddNullToObject(object, "mla") != NULL;
    const graph_mla m = graph_mla_of(t->request->config);
    cJSON *json = cJSON_AddObjectToObject(object, "mla");
    const bool absorbed = graph_mla_choose(&m, t->request->tokens, graph_trace_context(t)) == GRAPH_MLA_ABSORBED;
    const size_t from = graph_mla_crossover(&m, t->request->tokens, t->request->config->max_position);
    return json != NULL && add_form(t, json, &m, GRAPH_MLA_EXPANDED) && add_form(t, json, &m, GRAPH_MLA_ABSORBED) &&
           json_add_size(json, "flops_per_byte", GRAPH_FLOPS_PER_BYTE) &&
           cJSON_AddStringToObject(json, "cheaper", absorbed ? "absorbed" : "expanded") != NULL &&
           (from == SIZE_MAX ? cJSON_AddNullToObject(json, "absorbed_from") != NULL
                             : json_add_size(json, "absorbed_from", from));
}

bool graph_print_json(const graph_trace *t, cJSON *object)
{
    const graph_request *r = t->request;
    bool ok = cJSON_AddStringToObject(object, "checkpoint", r->name) != NULL &&
              cJSON_AddStringToObject(object, "phase", graph_request_phase(r)) != NULL &&
              json_add_size(object, "tokens", r->tokens) && json_add_size(object, "context", graph_trace_context(t)) &&
              json_add_double(object, "bytes_per_weight", t->storage.weight) &&
              json_add_double(object, "bytes_per_cached_value", t->storage.cache);
    cJSON *passes = cJSON_AddArrayToObject(object, "passes");
    for (int i = 0; i <= CIUIC_PASSES && ok; i++) ok = fill_step(t, new_item(passes), &t->steps[i]);
    ok = ok && add_lowering(t, object) && add_choice(t, object);
    cJSON *operations = cJSON_AddArrayToObject(object, "operations");
    for (int i = 0; i < t->g->op_count && ok; i++) ok = add_operation(t, operations, &t->g->ops[i]);
    return ok;
}
