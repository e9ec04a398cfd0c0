/* layer_pass.c - see layer_pass.h. */
#include "optimizer/runtime/layer_pass.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/runtime/buffers.h"
#include "optimizer/runtime/execute.h"

struct layer_pass {
    const model_config *config;
    kernel_table kernels;
    weight_store *weights;
    plan plan;
    buffers buffers;
    kv_cache cache;
    rope_table rope;
    routing route;
    float **scratch; /* [threads] */
    size_t scratch_floats, window;
    int threads;
};

void layer_pass_kernels(kernel_table *kernels)
{
    const kernel_isa best = kernel_isa_best();
    const uint32_t rounding = CPU_AVX512_BF16 | CPU_AVX512_BF16_FAST;
    kernel_table_fill_for(kernels, best < KERNEL_ISA_AMX ? best : KERNEL_ISA_AVX512, cpu_flags() & ~rounding);
}

static const ciuic_options *pass_options(void)
{
    static const ciuic_options options = {.memory = CIUIC_MEMORY_ON, .activations = CIUIC_ACTIVATIONS_NONE};
    return &options;
}

static ciuic_status bind_weights(layer_pass *p)
{
    graph *g = p->plan.g;
    p->plan.weights = calloc((size_t)g->weight_count + 1, sizeof *p->plan.weights);
    if (p->plan.weights == NULL) return ciuic_fail_memory("a layer's weights", (size_t)g->weight_count);
    for (int i = 0; i < g->weight_count; i++)
        CIUIC_TRY(weight_store_bind(p->weights, &g->weights[i], &p->plan.weights[i]));
    return CIUIC_OK;
}

static ciuic_status prepare(layer_pass *p, const weight_source *from, size_t layer)
{
    const model_config *c = p->config;
    const size_t rotated = model_type_has_mla(c->type) ? c->qk_rope_head_dim : c->head_dim;
    CIUIC_TRY(graph_build_layer(c, layer, &p->plan.g));
    CIUIC_TRY(weight_store_create(from, pass_options(), 0, &p->weights));
    CIUIC_TRY(bind_weights(p));
    CIUIC_TRY(rope_table_create(&p->rope, &c->rope, rotated, p->window));
    const size_t *width = p->plan.g->cache_width;
    const kv_cache_shape shape = {
        .format = KERNEL_CACHE_F32, .layers = 1, .positions = p->window, .width = {width[0], width[1]}, .heads = 1};
    CIUIC_TRY(kv_cache_create(&p->cache, &shape, false));
    CIUIC_TRY(kv_cache_grow(&p->cache, p->window));
    CIUIC_TRY(buffers_create(&p->buffers, p->plan.g, false));
    CIUIC_TRY(buffers_prepare(&p->buffers, p->window, p->window, NULL));
    if (c->experts > 0) CIUIC_TRY(routing_create(&p->route, c, p->window));
    p->scratch_floats = attention_scratch(p->plan.g, p->window, p->window);
    p->scratch = calloc((size_t)p->threads, sizeof *p->scratch);
    if (p->scratch == NULL) return ciuic_fail_memory("a layer's workspace", (size_t)p->threads);
    for (int i = 0; i < p->threads && p->scratch_floats > 0; i++) {
        p->scratch[i] = malloc(p->scratch_floats * sizeof **p->scratch);
        if (p->scratch[i] == NULL) return ciuic_fail_memory("a layer's workspace", p->scratch_floats * sizeof(float));
    }
    return CIUIC_OK;
}

ciuic_status layer_pass_create(const weight_source *from, size_t layer, size_t window, int threads, layer_pass **out)
{
    /* Nothing is left to calibrate there; whoever looks at its errors brings its matrices in a set. */
    if (checkpoint_config(from->checkpoint)->quantised && from->set == NULL)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: is quantised already; give its source",
                          checkpoint_path(from->checkpoint));
    layer_pass *p = calloc(1, sizeof *p);
    if (p == NULL) return ciuic_fail_memory("a layer", sizeof *p);
    weight_source source = *from;
    source.set_in_place = true;
    p->config = checkpoint_config(from->checkpoint);
    p->window = window;
    p->threads = threads > 0 ? threads : omp_get_num_procs();
    layer_pass_kernels(&p->kernels);
    const ciuic_status status = prepare(p, &source, layer);
    if (status != CIUIC_OK) {
        layer_pass_free(p);
        return status;
    }
    *out = p;
    return CIUIC_OK;
}

void layer_pass_free(layer_pass *p)
{
    if (p == NULL) return;
    for (int i = 0; p->scratch != NULL && i < p->threads; i++) free(p->scratch[i]);
    free(p->scratch);
    buffers_free(&p->buffers);
    routing_free(&p->route);
    kv_cache_free(&p->cache);
    rope_table_free(&p->rope);
    graph_free(p->plan.g);
    free(p->plan.weights);
    weight_store_free(p->weights);
    free(p);
}

const graph *layer_pass_graph(const layer_pass *p)
{
    return p->plan.g;
}

static ciuic_status make_room(layer_pass *p, size_t tokens)
{
    CIUIC_TRY(buffers_prepare(&p->buffers, tokens, p->window, NULL));
    buffers_bind(&p->buffers, tokens, tokens, NULL, &p->route);
    return CIUIC_OK;
}

ciuic_status layer_pass_room(layer_pass *p, size_t tokens, int value, float **rows)
{
    CIUIC_TRY(make_room(p, tokens));
    *rows = p->buffers.values[value];
    return CIUIC_OK;
}

ciuic_status layer_pass_run(layer_pass *p, const float *x, size_t tokens, int end, const routing *chosen)
{
    return layer_pass_resume(p, x, tokens, 0, end, chosen);
}

ciuic_status layer_pass_resume(layer_pass *p, const float *x, size_t tokens, int begin, int end, const routing *chosen)
{
    const graph *g = p->plan.g;
    const graph_operand *input = &g->ops[0].out; /* of GRAPH_INPUT, which a layer begins with */
    CIUIC_TRY(make_room(p, tokens));
    if (begin > 0) {
        memcpy(p->buffers.values[input->value], x, tokens * g->values[input->value].width * sizeof *x);
        if (chosen != NULL) routing_copy(&p->route, chosen);
    }
    graph some = *g; /* the operations from `begin` to `end` */
    some.ops += begin;
    some.op_count = (end < g->op_count ? end : g->op_count) - begin;
    if (some.op_count <= 0) return CIUIC_OK;
    const plan until = {.g = &some, .weights = p->plan.weights};
    const execution e = {.p = &until,
                         .kernels = &p->kernels,
                         .config = p->config,
                         .values = p->buffers.values,
                         .q8 = p->buffers.q8,
                         .barrier = p->buffers.barrier + begin,
                         .cache = &p->cache,
                         .rope = &p->rope,
                         .route = &p->route,
                         .chosen = chosen,
                         .scratch = p->scratch,
                         .input = x,
                         .tokens = tokens,
                         .threads = p->threads};
    execute(&e);
    return CIUIC_OK;
}

const float *layer_pass_value(const layer_pass *p, int value)
{
    return p->buffers.values[value];
}

const routing *layer_pass_routing(const layer_pass *p)
{
    return p->config->experts > 0 ? &p->route : NULL;
}

ciuic_status layer_pass_embed(const weight_source *from, const int32_t *ids, size_t n, float *out)
{
    static const char name[] = "model.embed_tokens";
    const size_t hidden = checkpoint_config(from->checkpoint)->hidden_size;
    const kernel_matrix *table = from->set != NULL ? quantized_set_find(from->set, name) : NULL;
    kernel_table kernels;
    layer_pass_kernels(&kernels);
    for (size_t i = 0; i < n; i++) {
        if (table != NULL)
            kernels.dequantize_row(table, (size_t)ids[i], out + i * hidden);
        else
            CIUIC_TRY(checkpoint_read_f32(from->checkpoint, "model.embed_tokens.weight", (size_t)ids[i], 1,
                                          out + i * hidden));
    }
    return CIUIC_OK;
}
