/* model.c - loading, optimising and describing models. */
#include "optimizer/runtime/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/finite_weights.h"
#include "optimizer/error.h"
#include "optimizer/graph/cost.h"
#include "optimizer/quantize/calibrate.h"
#include "optimizer/quantize/mixed.h"
#include "optimizer/runtime/activation_need.h"

static ciuic_status choose_kernels(const ciuic_options *options, kernel_table *kernels)
{
    if (options->kernels != NULL) {
        *kernels = *options->kernels;
        return CIUIC_OK;
    }
    kernel_isa isa = KERNEL_ISA_C;
    if (options->isa != NULL && !kernel_isa_parse(options->isa, &isa))
        return ciuic_fail(CIUIC_ERROR_USAGE, "isa %s: no such kernels; there are c, neon, avx2, avx512, amx and best",
                          options->isa);
    if (!kernel_isa_available(isa))
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "isa %s: this CPU cannot run it; use --isa best, which is %s here",
                          options->isa, kernel_isa_name(kernel_isa_best()));
    kernel_table_fill(kernels, isa);
    return CIUIC_OK;
}

/* "int4-g64", or "int4-g64 and others", of the matrices of a quantised checkpoint. */
static const char *settings_of(const quantized_config *q, char text[SETTING_NAME + 16])
{
    char name[SETTING_NAME];
    bool alike = true;
    for (size_t i = 1; i < q->count && alike; i++)
        alike = quantize_setting_equal(&q->tensors[0].setting, &q->tensors[i].setting);
    snprintf(text, SETTING_NAME + 16, "%s%s",
             q->count > 0 ? quantize_setting_name(&q->tensors[0].setting, name) : "no matrix",
             alike ? "" : " and others");
    return text;
}

/* What was quantised is not quantised again: errors would add up, and be measured against the wrong thing. */
static ciuic_status check_source(const checkpoint *source, const ciuic_options *options)
{
    char settings[SETTING_NAME + 16];
    const quantized_config *q = checkpoint_quantized(source);
    if (q == NULL || options->quantize == CIUIC_QUANTIZE_NONE) return CIUIC_OK;
    return ciuic_fail(
        CIUIC_ERROR_USAGE, "%s: is quantised already (%s, by %s); give its source, %s, or ask for quantize none",
        checkpoint_path(source), settings_of(q, settings), q->provenance.made_by, q->provenance.source_path);
}

ciuic_status model_create(checkpoint *source, const ciuic_options *options, ciuic_model **out)
{
    ciuic_model *model = calloc(1, sizeof *model);
    ciuic_status status = model != NULL ? ciuic_options_check(options) : ciuic_fail_memory("a model", sizeof *model);
    if (status == CIUIC_OK) status = check_source(source, options);
    if (status == CIUIC_OK) status = choose_kernels(options, &model->kernels);
    const quantized_provenance *made = checkpoint_provenance(source);
    if (status == CIUIC_OK)
        status = made != NULL ? recipe_copy(checkpoint_recipe(source), &model->recipe)
                              : recipe_of_options(options, &model->recipe);
    if (status == CIUIC_OK && pthread_mutex_init(&model->preparing, NULL) != 0) {
        recipe_free(&model->recipe);
        status = ciuic_fail_memory("a model", sizeof *model);
    }
    if (status != CIUIC_OK) {
        free(model);
        checkpoint_release(source);
        return status;
    }
    atomic_init(&model->references, 1);
    atomic_init(&model->ready, false);
    model->source = source;
    model->config = checkpoint_config(source);
    model->options = *options;
    model->options.isa = kernel_isa_name(model->kernels.isa);
    model->options.kernels = NULL;
    model->options.activations = activations_of(source, options->activations);
    *out = model;
    return CIUIC_OK;
}

ciuic_model *model_retain(ciuic_model *model)
{
    atomic_fetch_add(&model->references, 1);
    return model;
}

static void unload(ciuic_model *model)
{
    for (int phase = 0; phase < GRAPH_PHASES; phase++) {
        graph_free(model->plans[phase].g);
        free(model->plans[phase].weights);
        model->plans[phase] = (plan){0};
    }
    weight_store_free(model->weights);
    model->weights = NULL;
    quantized_set_free(model->made);
    model->made = NULL;
}

void ciuic_model_free(ciuic_model *model)
{
    if (model == NULL || atomic_fetch_sub(&model->references, 1) > 1) return;
    unload(model);
    recipe_free(&model->recipe);
    pthread_mutex_destroy(&model->preparing);
    checkpoint_release(model->source);
    free(model);
}

ciuic_status ciuic_model_load(const char *path, ciuic_model **model)
{
    checkpoint *source = NULL;
    CIUIC_TRY(checkpoint_open(path, &source));
    const ciuic_options off = {.isa = "c"};
    return model_create(source, &off, model);
}

/* What the matmuls of a weight read, before weights are bound. */
static graph_q8_need need_by_name(const void *context, const char *name)
{
    const ciuic_model *model = context;
    if (model->options.weights_f32) return (graph_q8_need){0}; /* what is quantised already may be widened */
    return activation_need_by_name(&model->recipe, model->options.activations, name);
}

/* Whether every element of a vector is that number: asked before weights are bound. What cannot be read, binding names. */
static bool all_equal(const void *context, const char *name, size_t elements, float number)
{
    const ciuic_model *model = context;
    const kernel_matrix *made = model->made != NULL ? quantized_set_find(model->made, name) : NULL;
    if (made == NULL) return checkpoint_all_equal(model->source, name, elements, number);
    const float *values = made->values;
    bool equal = made->rows * made->columns == elements;
    for (size_t i = 0; i < elements && equal; i++) equal = values[i] == number;
    return equal;
}

/* Of a bound weight: its matrices have one need, since only such are fused, and the experts of a layer are one unit. */
static graph_q8_need q8_need(const ciuic_model *model, const bound_weight *w)
{
    if (w->parts == NULL) return (graph_q8_need){0};
    return activation_need(model->options.activations, w->parts[0].format, w->parts[0].group);
}

/* A table may come from the caller, and lack what the portable rung has for every format. */
static ciuic_status check_kernels(const ciuic_model *model, const graph_weight *w, const bound_weight *bound)
{
    if (bound->parts == NULL) return CIUIC_OK;
    const kernel_matrix *m = &bound->parts[0];
    const kernel_table *k = &model->kernels;
    const bool quantised = q8_need(model, bound).quantised;
    if (quantised ? k->quantize_q8 && k->matmul_q8[m->format] : k->matmul[m->format] != NULL) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: the kernels in use (%s) have none for weights in %s", w->name[0],
                      model->options.isa, kernel_format_name(m->format));
}

/* Marks the weights that operations use: fused and dead ones leave others behind. A vector that no pass left a reader is part
 * of the model all the same: ciuic_layer_errors asks for it. FP32 matrices have theirs folded in. */
static bool *find_used(const ciuic_model *model, const graph *g)
{
    bool *used = calloc((size_t)g->weight_count + 1, sizeof *used);
    for (int i = 0; i < g->op_count && used != NULL; i++)
        if (g->ops[i].weight != GRAPH_NONE) used[g->ops[i].weight] = true;
    for (int i = 0; i < g->weight_count && used != NULL; i++)
        if (g->weights[i].kind == GRAPH_VECTOR && !model->options.weights_f32) used[i] = true;
    return used;
}

/* Bytes of the copies that the store will make, so that it can ask for them at once. */
static ciuic_status count_copies(ciuic_model *model, const weight_source *from, size_t *bytes)
{
    weight_store *store = NULL;
    CIUIC_TRY(weight_store_create(from, &model->options, model->kernels.interleave, &store));
    weight_store_only_count(store);
    ciuic_status status = CIUIC_OK;
    for (int phase = 0; phase < GRAPH_PHASES && status == CIUIC_OK; phase++) {
        const graph *g = model->plans[phase].g;
        if (g == NULL) continue;
        bool *used = find_used(model, g);
        if (used == NULL) status = ciuic_fail_memory("binding weights", (size_t)g->weight_count);
        for (int i = 0; i < g->weight_count && status == CIUIC_OK; i++) {
            bound_weight ignored;
            if (used[i]) status = weight_store_bind(store, &g->weights[i], &ignored);
        }
        free(used);
    }
    *bytes = weight_store_bytes(store).heap;
    weight_store_free(store);
    return status;
}

static ciuic_status bind_weights(ciuic_model *model, plan *p)
{
    const size_t count = (size_t)p->g->weight_count;
    graph_q8_need *needs = calloc(count + 1, sizeof *needs);
    bool *used = find_used(model, p->g);
    p->weights = calloc(count + 1, sizeof *p->weights);
    ciuic_status status = needs && used && p->weights ? CIUIC_OK : ciuic_fail_memory("binding weights", count);
    for (size_t i = 0; i < count && status == CIUIC_OK; i++) {
        if (used[i]) status = weight_store_bind(model->weights, &p->g->weights[i], &p->weights[i]);
        if (status == CIUIC_OK && used[i]) status = check_kernels(model, &p->g->weights[i], &p->weights[i]);
        if (status == CIUIC_OK && used[i]) needs[i] = q8_need(model, &p->weights[i]);
    }
    if (status == CIUIC_OK)
        status = graph_insert_quantize(p->g, needs, graph_pass_selected(&model->options, CIUIC_PASS_MERGE_EQUAL));
    free(needs);
    free(used);
    return status;
}

static ciuic_status build_graph(ciuic_model *model, graph_phase phase)
{
    plan *p = &model->plans[phase];
    const bool latent = model->options.memory != CIUIC_MEMORY_OFF && model_type_has_mla(model->config->type);
    const bool absorbed = phase == GRAPH_PREFILL_ABSORBED || phase == GRAPH_PREFILL_ALL_ABSORBED;
    if (absorbed && !(latent && graph_pass_selected(&model->options, CIUIC_PASS_ABSORB_MLA))) return CIUIC_OK;
    CIUIC_TRY(graph_build(model->config, phase, latent ? GRAPH_CACHE_LATENT : GRAPH_CACHE_EXPANDED, &p->g));
    const graph_pass_options passes = {
        .fold_norms = model->options.weights_f32, .need = need_by_name, .all_equal = all_equal, .context = model};
    return model->options.graph ? graph_optimize(p->g, &passes, model->options.passes) : CIUIC_OK;
}

graph_phase model_prefill_phase(const ciuic_model *model, bool all_logits, size_t tokens, size_t context)
{
    const graph_phase absorbed = all_logits ? GRAPH_PREFILL_ALL_ABSORBED : GRAPH_PREFILL_ABSORBED;
    const graph_mla mla = graph_mla_of(model->config);
    if (model->plans[absorbed].g != NULL && graph_mla_choose(&mla, tokens, context) == GRAPH_MLA_ABSORBED)
        return absorbed;
    return all_logits ? GRAPH_PREFILL_ALL : GRAPH_PREFILL;
}

/* Mixed precision: what each unit gets, under the budget. */
static ciuic_status choose_mixed(ciuic_model *model, const calibration_ids *ids)
{
    const ciuic_options *o = &model->options;
    const sensitivity_request request = {.source = model->source,
                                         .quantizer = o->quantizer,
                                         .ids = ids,
                                         .settings = mixed_settings,
                                         .count = mixed_setting_count,
                                         .anchor = mixed_anchor,
                                         .threads = o->threads,
                                         .progress = o->progress,
                                         .progress_context = o->progress_context};
    allocation_unit *units = NULL;
    size_t count = 0;
    allocation result;
    const size_t budget = mixed_budget(model->source, o->bits, o->weight_bytes);
    CIUIC_TRY(mixed_check_budget(model->source, budget));
    CIUIC_TRY(sensitivity_measure(&request, &units, &count));
    const ciuic_status status = mixed_choose(model->source, units, count, budget, &result, &model->recipe);
    free(units);
    return status;
}

/* What calibration has to make before weights can be loaded. */
static ciuic_status quantize(ciuic_model *model)
{
    const ciuic_options *o = &model->options;
    if (!ciuic_options_calibrate(o)) return CIUIC_OK;
    CIUIC_TRY(finite_weights_check(model->source)); /* one that is not would spoil all that is measured behind it */
    calibration_ids ids = {0};
    quantize_log log = {0};
    model->made = quantized_set_create();
    if (model->made == NULL) return ciuic_fail_memory("quantised weights", 1);
    ciuic_status status = calibration_ids_read(model->source, o->calibration, &ids);
    if (status == CIUIC_OK && o->quantize == CIUIC_QUANTIZE_MIXED) status = choose_mixed(model, &ids);
    const quantize_request request = {.source = model->source,
                                      .recipe = &model->recipe,
                                      .quantizer = o->quantizer,
                                      .ids = &ids,
                                      .threads = o->threads,
                                      .progress = o->progress,
                                      .progress_context = o->progress_context};
    if (status == CIUIC_OK) status = quantize_calibrate(&request, model->made, &log);
    calibration_ids_free(&ids);
    quantize_log_free(&log);
    return status;
}

/* Graphs of all phases, their weights, and the operations that those ask for. */
static ciuic_status make_plans(ciuic_model *model, bool only_count)
{
    const weight_source from = {.checkpoint = model->source, .recipe = &model->recipe, .set = model->made};
    size_t copies = 0;
    for (int phase = 0; phase < GRAPH_PHASES; phase++) CIUIC_TRY(build_graph(model, (graph_phase)phase));
    if (!only_count) CIUIC_TRY(count_copies(model, &from, &copies));
    CIUIC_TRY(weight_store_create(&from, &model->options, model->kernels.interleave, &model->weights));
    if (only_count)
        weight_store_only_count(model->weights);
    else
        weight_store_expect(model->weights, copies);
    for (int phase = 0; phase < GRAPH_PHASES; phase++)
        if (model->plans[phase].g != NULL) CIUIC_TRY(bind_weights(model, &model->plans[phase]));
    return CIUIC_OK;
}

ciuic_status model_count(ciuic_model *model)
{
    const ciuic_status status = make_plans(model, true);
    if (status != CIUIC_OK) unload(model);
    return status;
}

ciuic_status model_prepare(ciuic_model *model)
{
    pthread_mutex_lock(&model->preparing);
    ciuic_status status = CIUIC_OK;
    if (!model->ready) {
        status = quantize(model);
        if (status == CIUIC_OK) status = make_plans(model, false);
        if (status == CIUIC_OK) {
            quantized_set_free(model->made); /* the store has copies: a model would take its memory twice */
            model->made = NULL;
            if (model->options.memory == CIUIC_MEMORY_AGGRESSIVE) weight_store_drop_sources(model->weights);
            model->ready = true; /* last: ciuic_model_describe asks without the lock */
        } else {
            unload(model);
        }
    }
    pthread_mutex_unlock(&model->preparing);
    return status;
}

ciuic_status ciuic_optimize(const ciuic_model *model, const ciuic_options *options, ciuic_model **optimized,
                            ciuic_report *report)
{
    ciuic_model *made = NULL;
    ciuic_report found = {0};
    CIUIC_TRY(model_create(checkpoint_retain(model->source), options, &made));
    ciuic_status status = model_prepare(made);
    if (status == CIUIC_OK && options->max_error > 0.0) status = model_verify(model, made, &found);
    if (status == CIUIC_OK && found.verified && !(found.mean_abs_error <= options->max_error))
        status = ciuic_fail(CIUIC_ERROR_LIMIT,
                            "%s: mean absolute error of the logits is %.3g over %zu positions, above the "
                            "limit of %.3g; nothing was changed: raise the limit or choose a finer format",
                            checkpoint_path(model->source), found.mean_abs_error, found.tokens, options->max_error);
    if (report != NULL) *report = found;
    if (status != CIUIC_OK) {
        ciuic_model_free(made);
        return status;
    }
    *optimized = made;
    return CIUIC_OK;
}

/* Weight bytes that one decoded token reads, and floating-point operations of its matmuls. */
static void add_decode_cost(const ciuic_model *model, const graph_op *op, ciuic_model_info *info)
{
    const graph *g = model->plans[GRAPH_DECODE].g;
    if (op->weight == GRAPH_NONE) return;
    const graph_weight *w = &g->weights[op->weight];
    const bound_weight *bound = &model->plans[GRAPH_DECODE].weights[op->weight];
    if (bound->parts == NULL) {
        info->decode_bytes += w->columns * sizeof(float);
        return;
    }
    /* Experts are of one shape and format: those chosen cost what the first ones do. kv_b is read half by half. */
    const size_t experts = w->kind == GRAPH_EXPERTS ? g->experts_per_token : 1;
    double part = 1.0;
    if (op->kind == GRAPH_EMBED) part = 1.0 / (double)w->rows[0];
    if (op->kind == GRAPH_ABSORB_QUERY) part = (double)op->head_width / (double)(op->head_width + op->value_width);
    if (op->kind == GRAPH_ABSORB_VALUE) part = (double)op->value_width / (double)(op->key_width + op->value_width);
    for (size_t i = 0; i < experts * (size_t)w->parts; i++) {
        info->decode_bytes += (size_t)(part * (double)weight_matrix_bytes(&bound->parts[i]));
        if (op->kind != GRAPH_EMBED)
            info->decode_flops += part * 2.0 * (double)bound->parts[i].rows * (double)bound->parts[i].columns;
    }
}

void ciuic_model_describe(const ciuic_model *model, ciuic_model_info *info)
{
    const model_config *c = model->config;
    *info = (ciuic_model_info){
        .path = checkpoint_path(model->source),
        .architecture = model_type_name(c->type),
        .isa = model->options.isa,
        .quantised = checkpoint_provenance(model->source) != NULL,
        .synthetic = c->synthetic,
        .layers = c->layers,
        .hidden_size = c->hidden_size,
        .vocabulary = c->vocabulary,
        .max_context = c->max_position,
        .parameters = checkpoint_parameters(model->source),
    };
    if (!model->ready) return;
    info->mapped_bytes = weight_store_bytes(model->weights).mapped;
    info->weight_bytes = weight_store_bytes(model->weights).heap + info->mapped_bytes;
    info->bits_per_weight = 8.0 * (double)info->weight_bytes / (double)info->parameters;
    const graph *decode = model->plans[GRAPH_DECODE].g;
    for (int i = 0; i < decode->op_count; i++) add_decode_cost(model, &decode->ops[i], info);
}
