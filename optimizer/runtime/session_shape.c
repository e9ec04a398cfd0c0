/* session_shape.c - see session_shape.h. */
#include "optimizer/runtime/session_shape.h"

#include <omp.h>

#include "optimizer/error.h"
#include "optimizer/runtime/buffers.h"

ciuic_status session_check_options(const ciuic_model *model, const ciuic_session_options *options)
{
    if (options == NULL) return CIUIC_OK;
    if (options->context > model->config->max_position)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: a context of %zu positions was asked for; the model has at most %zu",
                          checkpoint_path(model->source), options->context, model->config->max_position);
    if (options->threads < 0 || options->threads > 4096)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%d threads were asked for; 1 to 4096 are possible, 0 means all cores",
                          options->threads);
    if (options->threads > omp_get_thread_limit()) /* fewer than asked for would run, and be reported as more */
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "%d threads were asked for; OpenMP is limited to %d here: unset "
                          "OMP_THREAD_LIMIT or ask for fewer",
                          options->threads, omp_get_thread_limit());
    return CIUIC_OK;
}

/* The vectors that a half of a cache row is cut into: those that attention reads. */
static size_t cache_heads(const graph *g)
{
    for (int i = 0; i < g->op_count && g->cache != GRAPH_CACHE_LATENT; i++)
        if (g->ops[i].kind == GRAPH_ATTENTION) return g->ops[i].kv_heads;
    return 1;
}

kv_cache_shape session_cache_shape(const graph *g, ciuic_memory memory, size_t positions)
{
    static const kernel_cache formats[CIUIC_MEMORY_COUNT] = {[CIUIC_MEMORY_OFF] = KERNEL_CACHE_F32,
                                                             [CIUIC_MEMORY_ON] = KERNEL_CACHE_F16,
                                                             [CIUIC_MEMORY_AGGRESSIVE] = KERNEL_CACHE_INT8};
    return (kv_cache_shape){.format = formats[memory],
                            .layers = g->layers,
                            .positions = positions,
                            .width = {g->cache_width[0], g->cache_width[1]},
                            .heads = cache_heads(g),
                            .joined = g->cache == GRAPH_CACHE_LATENT};
}

ciuic_status session_shape_of(const ciuic_model *model, const ciuic_session_options *options, session_shape *shape)
{
    const ciuic_session_options defaults = {0};
    if (options == NULL) options = &defaults;
    CIUIC_TRY(session_check_options(model, options));
    const model_config *c = model->config;
    const ciuic_memory memory = model->options.memory;
    const graph *g = model->plans[GRAPH_DECODE].g;
    const size_t context = options->context > 0 ? options->context : c->max_position;
    const size_t usual = memory == CIUIC_MEMORY_AGGRESSIVE ? CIUIC_CHUNK : context;
    const size_t chunk = options->chunk > 0 ? options->chunk : usual;
    *shape = (session_shape){.context = context,
                             .chunk = chunk < context ? chunk : context,
                             .threads = options->threads > 0 ? options->threads : omp_get_num_procs(),
                             .cache = session_cache_shape(g, memory, context),
                             .rotated = model_type_has_mla(c->type) ? c->qk_rope_head_dim : c->head_dim,
                             .arena = memory != CIUIC_MEMORY_OFF,
                             .in_place = memory == CIUIC_MEMORY_AGGRESSIVE,
                             .cache_limit = options->cache_limit};
    return shape->arena ? CIUIC_OK : session_check_cache(shape, context); /* written whole, whatever is used of it */
}

ciuic_status session_check_cache(const session_shape *shape, size_t positions)
{
    const size_t row = shape->cache.layers * kv_cache_row_bytes(&shape->cache);
    if (shape->cache_limit == 0 || positions <= shape->cache_limit / row) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_USAGE,
                      "keys and values of %zu positions would take %zu bytes, and the session's bound is %zu: %zu "
                      "positions fit; raise cache_limit, truncate, or choose a shorter context",
                      positions, positions * row, shape->cache_limit, shape->cache_limit / row);
}

size_t session_scratch(const session_shape *shape, const graph *g, size_t tokens)
{
    const size_t needs[] = {attention_scratch(g, tokens, shape->context), cache_write_scratch(g, &shape->cache),
                            epilogue_scratch(g, tokens, shape->threads)};
    size_t most = 0;
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++) most = needs[i] > most ? needs[i] : most;
    return most;
}

size_t session_table_bytes(const ciuic_model *model, const session_shape *shape)
{
    size_t bytes = checkpoint_table_bytes(model->source) + weight_store_bytes(model->weights).tables + sizeof *model +
                   (size_t)shape->threads * sizeof(float *);
    for (int i = 0; i < GRAPH_PHASES; i++) {
        const graph *g = model->plans[i].g;
        if (g == NULL) continue;
        bytes += sizeof *g + (size_t)g->value_capacity * sizeof *g->values + (size_t)g->op_capacity * sizeof *g->ops +
                 (size_t)g->weight_capacity * sizeof *g->weights +
                 (size_t)g->weight_count * sizeof *model->plans[i].weights + buffers_table_bytes(g);
    }
    return bytes;
}
