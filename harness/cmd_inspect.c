/* cmd_inspect.c - `ciuic inspect`: what a checkpoint is and what it weighs, without running it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/inspect/inspect_graph.h"
#include "harness/quantized_summary.h"
#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/json.h"

static const char help[] = "usage: ciuic inspect CHECKPOINT [--tensors | --graph] [--json]\n"
                           "\n"
                           "Architecture, tensors, bytes by dtype, bits per weight, and what the key/value\n"
                           "cache costs for each token; of a quantised checkpoint its settings, and what it\n"
                           "was made from. Checks the whole checkpoint and runs nothing.\n"
                           "\n"
                           "  --tensors   list every tensor: dtype, shape, bytes, file\n"
                           "  --json      one JSON object on stdout\n" GRAPH_FLAG_HELP "\n"
                           "examples:\n"
                           "  ciuic inspect datasets/deepseek-v3-tiny\n"
                           "  ciuic inspect datasets/deepseek-v3-tiny --graph --phase prefill\n";

/* Tensors and bytes of one dtype. */
typedef struct dtype_use {
    size_t tensors, bytes;
} dtype_use;

typedef struct inspection {
    const checkpoint *checkpoint;
    const model_config *config;
    dtype_use dtypes[TENSOR_DTYPES];
    size_t bytes, parameters, moe_layers;
    size_t unused_bytes; /* of tensors that the architecture does not use; not in `bytes` */
    double bits_per_weight;
    /* values cached for one token, all layers together: per-head keys and values, and the latent of MLA (0 without) */
    size_t expanded_values, latent_values;
} inspection;

static void inspect(const checkpoint *c, inspection *found)
{
    const model_config *config = checkpoint_config(c);
    *found = (inspection){.checkpoint = c, .config = config, .parameters = checkpoint_parameters(c)};
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const tensor *t = checkpoint_at(c, i);
        if (!checkpoint_uses(c, i)) {
            found->unused_bytes += t->bytes;
            continue;
        }
        found->dtypes[t->dtype].tensors++;
        found->dtypes[t->dtype].bytes += t->bytes;
        found->bytes += t->bytes;
    }
    for (size_t i = 0; i < config->layers; i++) found->moe_layers += model_config_is_moe(config, i) ? 1 : 0;
    found->bits_per_weight = found->parameters > 0 ? 8.0 * (double)found->bytes / (double)found->parameters : NAN;
    if (model_type_has_mla(config->type)) {
        const size_t key = config->qk_nope_head_dim + config->qk_rope_head_dim;
        found->expanded_values = config->layers * config->heads * (key + config->v_head_dim);
        found->latent_values = config->layers * (config->kv_lora_rank + config->qk_rope_head_dim);
    } else {
        found->expanded_values = config->layers * 2 * config->kv_heads * config->head_dim;
    }
}

/* Multi-head, grouped-query, multi-query or multi-head latent attention. */
static const char *attention_kind(const model_config *c)
{
    if (model_type_has_mla(c->type)) return "MLA";
    if (c->kv_heads == c->heads) return "MHA";
    return c->kv_heads == 1 ? "MQA" : "GQA";
}

static const char *route_name(route_method method)
{
    switch (method) {
    case ROUTE_GREEDY:
        return "greedy";
    case ROUTE_GROUP_LIMITED_GREEDY:
        return "group_limited_greedy";
    case ROUTE_NOAUX_TC:
        return "noaux_tc";
    }
    return "unknown";
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

enum { NAME_WIDTH = 14 };

static void print_line(const char *name)
{
    printf("  %-*s ", NAME_WIDTH, name);
}

static void print_attention(const model_config *c)
{
    print_line("attention");
    printf("%s, %zu heads", attention_kind(c), c->heads);
    if (model_type_has_mla(c->type)) {
        printf(" of %zu + %zu (rotated), values of %zu", c->qk_nope_head_dim, c->qk_rope_head_dim, c->v_head_dim);
        printf(";\n%17skey/value rank %zu, query rank ", "", c->kv_lora_rank);
        if (c->q_lora_rank > 0)
            printf("%zu\n", c->q_lora_rank);
        else
            printf("none (one q_proj)\n");
    } else {
        printf(" of %zu on %zu key/value heads%s\n", c->head_dim, c->kv_heads, c->attention_bias ? ", biases" : "");
    }
}

static void print_experts(const inspection *found)
{
    const model_config *c = found->config;
    if (c->experts == 0) return;
    print_line("experts");
    printf("%zu of %zu for each token, %zu shared, hidden size %zu;\n%17srouting %s", c->experts_per_token, c->experts,
           c->shared_experts, c->moe_intermediate_size, "", route_name(c->route));
    if (c->groups > 1) printf(", %zu groups of which %zu", c->groups, c->top_groups);
    putchar('\n');
}

static void print_rope(const model_config *c)
{
    print_line("RoPE");
    printf("%s, theta %g", rope_type_name(c->rope.type), c->rope.theta);
    if (c->rope.type != ROPE_DEFAULT) printf(", factor %g", c->rope.factor);
    if (c->rope.original_max_position > 0.0) printf(" over %g positions", c->rope.original_max_position);
    putchar('\n');
}

static void print_cache(const inspection *found)
{
    print_line("KV cache");
    printf("%zu bytes a token expanded in FP32, %zu in FP16", 4 * found->expanded_values, 2 * found->expanded_values);
    if (found->latent_values > 0) {
        printf(";\n%17s%zu latent in FP16, %.1f times less than expanded in FP32", "", 2 * found->latent_values,
               2.0 * (double)found->expanded_values / (double)found->latent_values);
    }
    putchar('\n');
}

static void print_shape(const tensor *t)
{
    putchar('[');
    for (size_t i = 0; i < t->dims; i++) printf("%s%zu", i > 0 ? ", " : "", t->shape[i]);
    putchar(']');
}

static void print_tensors(const checkpoint *c)
{
    puts("\n  dtype           bytes  name, shape");
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const tensor *t = checkpoint_at(c, i);
        printf("  %-8s %12zu  %s ", tensor_dtype_name(t->dtype), t->bytes, t->name);
        print_shape(t);
        puts(checkpoint_uses(c, i) ? "" : "  (unused)");
    }
}

static void print_text(const inspection *found, bool tensors)
{
    const model_config *c = found->config;
    printf("%s\n\n", checkpoint_path(found->checkpoint));
    print_line("architecture");
    printf("%s, %zu layers", model_type_name(c->type), c->layers);
    if (found->moe_layers > 0) printf(" (%zu of them mixture of experts)", found->moe_layers);
    putchar('\n');
    print_line("hidden size");
    printf("%zu, feed-forward %zu, vocabulary %zu%s\n", c->hidden_size, c->intermediate_size, c->vocabulary,
           c->tie_word_embeddings ? ", head tied to the embeddings" : "");
    print_attention(c);
    print_experts(found);
    print_rope(c);
    print_line("context");
    printf("%zu positions\n", c->max_position);
    print_cache(found);
    print_line("parameters");
    printf("%zu in %zu tensors\n", found->parameters, checkpoint_count(found->checkpoint));
    print_line("bytes");
    printf("%zu, %.2f bits a weight\n", found->bytes, found->bits_per_weight);
    for (int i = 0; i < TENSOR_DTYPES; i++) {
        if (found->dtypes[i].tensors == 0) continue;
        print_line("");
        printf("%-8s %12zu in %zu tensors\n", tensor_dtype_name((tensor_dtype)i), found->dtypes[i].bytes,
               found->dtypes[i].tensors);
    }
    if (found->unused_bytes > 0) {
        print_line("unused");
        printf("%zu bytes of tensors that the architecture does not use\n", found->unused_bytes);
    }
    quantized_summary_print(found->checkpoint, NAME_WIDTH);
    if (tensors) print_tensors(found->checkpoint);
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static bool add_rope(cJSON *object, const rope_config *rope)
{
    cJSON *json = cJSON_AddObjectToObject(object, "rope");
    return json != NULL && cJSON_AddStringToObject(json, "type", rope_type_name(rope->type)) != NULL &&
           json_add_double(json, "theta", rope->theta) && json_add_double(json, "factor", rope->factor);
}

static bool add_attention(cJSON *object, const model_config *c)
{
    cJSON *json = cJSON_AddObjectToObject(object, "attention");
    bool ok = json != NULL && cJSON_AddStringToObject(json, "kind", attention_kind(c)) != NULL &&
              json_add_size(json, "heads", c->heads);
    if (model_type_has_mla(c->type))
        return ok && json_add_size(json, "q_lora_rank", c->q_lora_rank) &&
               json_add_size(json, "kv_lora_rank", c->kv_lora_rank) &&
               json_add_size(json, "qk_nope_head_dim", c->qk_nope_head_dim) &&
               json_add_size(json, "qk_rope_head_dim", c->qk_rope_head_dim) &&
               json_add_size(json, "v_head_dim", c->v_head_dim);
    return ok && json_add_size(json, "kv_heads", c->kv_heads) && json_add_size(json, "head_dim", c->head_dim);
}

static bool add_experts(cJSON *object, const inspection *found)
{
    const model_config *c = found->config;
    if (c->experts == 0) return cJSON_AddNullToObject(object, "experts") != NULL;
    cJSON *json = cJSON_AddObjectToObject(object, "experts");
    return json != NULL && json_add_size(json, "routed", c->experts) &&
           json_add_size(json, "per_token", c->experts_per_token) && json_add_size(json, "shared", c->shared_experts) &&
           json_add_size(json, "groups", c->groups) && json_add_size(json, "top_groups", c->top_groups) &&
           json_add_size(json, "layers", found->moe_layers) &&
           json_add_size(json, "intermediate_size", c->moe_intermediate_size) &&
           cJSON_AddStringToObject(json, "routing", route_name(c->route)) != NULL;
}

static bool add_dtypes(cJSON *object, const inspection *found)
{
    cJSON *json = cJSON_AddObjectToObject(object, "bytes_by_dtype");
    bool ok = json != NULL;
    for (int i = 0; ok && i < TENSOR_DTYPES; i++)
        if (found->dtypes[i].tensors > 0)
            ok = json_add_size(json, tensor_dtype_name((tensor_dtype)i), found->dtypes[i].bytes);
    return ok;
}

static bool add_cache(cJSON *object, const inspection *found)
{
    cJSON *json = cJSON_AddObjectToObject(object, "kv_bytes_per_token");
    return json != NULL && json_add_size(json, "expanded_f32", 4 * found->expanded_values) &&
           json_add_size(json, "expanded_f16", 2 * found->expanded_values) &&
           (found->latent_values > 0 ? json_add_size(json, "latent_f16", 2 * found->latent_values)
                                     : cJSON_AddNullToObject(json, "latent_f16") != NULL);
}

static bool add_tensor(cJSON *list, const tensor *t, bool used)
{
    cJSON *json = cJSON_CreateObject();
    if (json == NULL || !cJSON_AddItemToArray(list, json)) {
        cJSON_Delete(json);
        return false;
    }
    cJSON *shape = NULL;
    bool ok = cJSON_AddStringToObject(json, "name", t->name) != NULL &&
              cJSON_AddStringToObject(json, "dtype", tensor_dtype_name(t->dtype)) != NULL &&
              (shape = cJSON_AddArrayToObject(json, "shape")) != NULL && json_add_size(json, "bytes", t->bytes) &&
              cJSON_AddStringToObject(json, "file", t->file) != NULL &&
              cJSON_AddBoolToObject(json, "used", used) != NULL;
    for (size_t i = 0; ok && i < t->dims; i++) ok = cJSON_AddItemToArray(shape, json_size(t->shape[i]));
    return ok;
}

static bool fill_json(cJSON *object, const inspection *found, bool tensors)
{
    const model_config *c = found->config;
    bool ok = cJSON_AddStringToObject(object, "checkpoint", checkpoint_path(found->checkpoint)) != NULL &&
              cJSON_AddStringToObject(object, "architecture", model_type_name(c->type)) != NULL &&
              json_add_size(object, "layers", c->layers) && json_add_size(object, "hidden_size", c->hidden_size) &&
              json_add_size(object, "intermediate_size", c->intermediate_size) &&
              json_add_size(object, "vocabulary", c->vocabulary) &&
              json_add_size(object, "max_position", c->max_position) &&
              cJSON_AddBoolToObject(object, "tie_word_embeddings", c->tie_word_embeddings) != NULL &&
              add_attention(object, c) && add_experts(object, found) && add_rope(object, &c->rope) &&
              json_add_size(object, "parameters", found->parameters) &&
              json_add_size(object, "tensor_count", checkpoint_count(found->checkpoint)) &&
              json_add_size(object, "weight_bytes", found->bytes) &&
              json_add_size(object, "unused_bytes", found->unused_bytes) &&
              json_add_double(object, "bits_per_weight", found->bits_per_weight) && add_dtypes(object, found) &&
              add_cache(object, found) && quantized_summary_add(object, found->checkpoint);
    if (!ok || !tensors) return ok;
    cJSON *list = cJSON_AddArrayToObject(object, "tensors");
    ok = list != NULL;
    for (size_t i = 0; ok && i < checkpoint_count(found->checkpoint); i++)
        ok = add_tensor(list, checkpoint_at(found->checkpoint, i), checkpoint_uses(found->checkpoint, i));
    return ok;
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

int cmd_inspect(int argc, char **argv)
{
    bool tensors = false, json = false;
    graph_flags graph = {0};
    const command_option options[] = {
        {.name = "--tensors", .kind = OPTION_SWITCH, .value = &tensors},
        {.name = "--json", .kind = OPTION_SWITCH, .value = &json},
        GRAPH_FLAG_OPTIONS(&graph),
    };
    command_operands operands;
    checkpoint *c = NULL;
    ciuic_status status = command_parse(argc, argv, help, options, sizeof options / sizeof options[0], 1, 1, &operands);
    if (status != CIUIC_OK || operands.help) return command_exit(status);
    if (!graph.graph && graph_flags_typed(&graph))
        return command_exit(ciuic_fail(CIUIC_ERROR_USAGE, "inspect: --phase, --passes, --memory, --tokens, --depth and "
                                                          "--format are about a graph; add --graph"));
    if (graph.graph && tensors)
        return command_exit(ciuic_fail(CIUIC_ERROR_USAGE, "inspect: --graph and --tensors exclude each other"));
    if (graph.graph) return command_exit(inspect_graph(operands.names[0], &graph, json));
    status = checkpoint_open(operands.names[0], &c);
    if (status != CIUIC_OK) return command_exit(status);

    inspection found;
    inspect(c, &found);
    if (json) {
        cJSON *object = cJSON_CreateObject();
        status = command_print_json(object, object != NULL && fill_json(object, &found, tensors));
    } else {
        print_text(&found, tensors);
    }
    checkpoint_release(c);
    return command_exit(status);
}
