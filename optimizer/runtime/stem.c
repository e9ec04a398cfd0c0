/* stem.c - see stem.h. */
#include "optimizer/runtime/stem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/runtime/buffers.h"

struct stem {
    plan plan;
    float **vectors; /* [weight_count]: what the plan's weights point to */
    kernel_table kernels;
    buffers buffers;
    arena_block arena;
    bool planned; /* values share an arena */
};

typedef struct stem_source {
    stem_find_fn *find;
    void *context;
} stem_source;

static ciuic_status find_part(const stem_source *from, const char *name, stem_part part, size_t count,
                              const float **out)
{
    static const char *const parts[] = {"filters", "biases", "scale", "shift", "mean", "variance"};
    *out = from->find(from->context, name, part, count);
    if (*out != NULL) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "stem: %s: its %s are not there; expected %zu numbers", name, parts[part],
                      count);
}

/* What a batch normalisation does to channel c: x * factor + term. */
typedef struct normaliser {
    const float *scale, *shift, *mean, *variance;
    double eps;
} normaliser;

static ciuic_status find_normaliser(const stem_source *from, const char *name, size_t channels, double eps,
                                    normaliser *n)
{
    n->eps = eps;
    CIUIC_TRY(find_part(from, name, STEM_SCALE, channels, &n->scale));
    CIUIC_TRY(find_part(from, name, STEM_SHIFT, channels, &n->shift));
    CIUIC_TRY(find_part(from, name, STEM_MEAN, channels, &n->mean));
    return find_part(from, name, STEM_VARIANCE, channels, &n->variance);
}

static double factor_of(const normaliser *n, size_t c)
{
    return (double)n->scale[c] / sqrt((double)n->variance[c] + n->eps);
}

static double term_of(const normaliser *n, size_t c, double bias)
{
    return (bias - (double)n->mean[c]) * factor_of(n, c) + (double)n->shift[c];
}

/* Aligned for vectors: a block of filters is one. */
static float *make_vector(size_t count)
{
    enum { ALIGNMENT = KERNEL_BLOCK * sizeof(float) };
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, sizeof(float), &bytes) || bytes > SIZE_MAX - ALIGNMENT) return NULL;
    bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT; /* none is empty */
    float *vector = aligned_alloc(ALIGNMENT, bytes);
    if (vector != NULL) memset(vector, 0, bytes);
    return vector;
}

/* Filters, then biases, laid out once for the kernel that reads them; a normaliser that is folded in is worked out in double
 * and rounded once. */
static ciuic_status bind_filters(const stem_source *from, const graph_weight *w, float **out)
{
    const size_t channels = w->rows[0], taps = w->columns;
    const bool folded = w->fold[0] != '\0';
    const float *filters = NULL, *bias = NULL;
    normaliser n = {0};
    CIUIC_TRY(find_part(from, w->name[0], STEM_FILTERS, channels * taps, &filters));
    if (w->bias[0]) CIUIC_TRY(find_part(from, w->name[0], STEM_BIAS, channels, &bias));
    if (folded) CIUIC_TRY(find_normaliser(from, w->fold, channels, w->eps, &n));
    const size_t stored = w->blocked ? kernel_block_channels(channels) : channels;
    *out = make_vector(stored * (taps + 1));
    if (*out == NULL) return ciuic_fail_memory(w->name[0], stored * (taps + 1) * sizeof **out);
    for (size_t c = 0; c < channels; c++) {
        const double factor = folded ? factor_of(&n, c) : 1, plain = bias != NULL ? (double)bias[c] : 0;
        for (size_t i = 0; i < taps; i++)
            (*out)[w->blocked ? kernel_block_weight(taps, c, i) : c * taps + i] =
                (float)((double)filters[c * taps + i] * factor);
        (*out)[stored * taps + c] = (float)(folded ? term_of(&n, c, plain) : plain);
    }
    return CIUIC_OK;
}

static ciuic_status bind_normaliser(const stem_source *from, const graph_weight *w, float **out)
{
    const size_t channels = w->columns;
    normaliser n = {0};
    CIUIC_TRY(find_normaliser(from, w->name[0], channels, w->eps, &n));
    *out = make_vector(4 * channels);
    if (*out == NULL) return ciuic_fail_memory(w->name[0], 4 * channels * sizeof **out);
    for (size_t c = 0; c < channels; c++) {
        (*out)[c] = w->computed ? (float)factor_of(&n, c) : n.scale[c];
        (*out)[channels + c] = w->computed ? (float)term_of(&n, c, 0) : n.shift[c];
        (*out)[2 * channels + c] = n.mean[c];
        (*out)[3 * channels + c] = n.variance[c];
    }
    return CIUIC_OK;
}

static ciuic_status bind_weights(stem *s, const stem_source *from)
{
    const graph *g = s->plan.g;
    const size_t count = (size_t)g->weight_count;
    s->vectors = calloc(count + 1, sizeof *s->vectors);
    s->plan.weights = calloc(count + 1, sizeof *s->plan.weights);
    if (s->vectors == NULL || s->plan.weights == NULL) return ciuic_fail_memory("binding weights", count);
    for (int i = 0; i < g->op_count; i++) { /* folding leaves weights that no operation has */
        const int w = g->ops[i].weight;
        if (w == GRAPH_NONE || s->vectors[w] != NULL) continue;
        if (g->weights[w].kind == GRAPH_FILTERS)
            CIUIC_TRY(bind_filters(from, &g->weights[w], &s->vectors[w]));
        else
            CIUIC_TRY(bind_normaliser(from, &g->weights[w], &s->vectors[w]));
        s->plan.weights[w].vector = s->vectors[w];
    }
    return CIUIC_OK;
}

static ciuic_status make(stem *s, const ciuic_options *options, const stem_source *from)
{
    kernel_isa isa = KERNEL_ISA_C;
    if (options->isa != NULL && (!kernel_isa_parse(options->isa, &isa) || !kernel_isa_available(isa)))
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "stem: no kernels are called %s here; the best are %s", options->isa,
                          kernel_isa_name(kernel_isa_best()));
    if (options->kernels != NULL)
        s->kernels = *options->kernels;
    else
        kernel_table_fill(&s->kernels, isa);
    s->planned = options->memory != CIUIC_MEMORY_OFF;
    CIUIC_TRY(bind_weights(s, from));
    return buffers_create(&s->buffers, s->plan.g, options->memory == CIUIC_MEMORY_AGGRESSIVE);
}

ciuic_status stem_of_graph(graph *g, const ciuic_options *options, stem_find_fn *find, void *context, stem **out)
{
    const stem_source from = {.find = find, .context = context};
    stem *s = calloc(1, sizeof *s);
    if (s == NULL) {
        graph_free(g);
        return ciuic_fail_memory("a stem", sizeof *s);
    }
    s->plan.g = g;
    const ciuic_status status = make(s, options, &from);
    if (status != CIUIC_OK) {
        stem_free(s);
        return status;
    }
    *out = s;
    return CIUIC_OK;
}

ciuic_status stem_create(const stem_config *config, const ciuic_options *options, stem_find_fn *find, void *context,
                         stem **out)
{
    static const graph_pass_options passes = {.fold_norms = false};
    graph *g = NULL;
    CIUIC_TRY(ciuic_options_check(options));
    CIUIC_TRY(graph_build_stem(config, &g));
    const ciuic_status status = options->graph ? graph_optimize(g, &passes, options->passes) : CIUIC_OK;
    if (status != CIUIC_OK) {
        graph_free(g);
        return status;
    }
    return stem_of_graph(g, options, find, context, out);
}

void stem_free(stem *s)
{
    if (s == NULL) return;
    buffers_free(&s->buffers);
    free(s->arena.data);
    for (int i = 0; s->vectors != NULL && i < s->plan.g->weight_count; i++) free(s->vectors[i]);
    free(s->vectors);
    free(s->plan.weights);
    graph_free(s->plan.g);
    free(s);
}

size_t stem_inputs(const stem *s)
{
    return s->plan.g->ops[0].head_width;
}

size_t stem_outputs(const stem *s)
{
    return s->plan.g->values[s->plan.g->output].width;
}

const graph *stem_graph(const stem *s)
{
    return s->plan.g;
}

ciuic_status stem_run(stem *s, const float *images, size_t count, int threads, float *out)
{
    if (count == 0 || threads < 1)
        return ciuic_fail(CIUIC_ERROR_USAGE, "stem: %zu images on %d threads", count, threads);
    CIUIC_TRY(buffers_prepare(&s->buffers, count, count, s->planned ? &s->arena : NULL));
    buffers_bind(&s->buffers, count, count, s->planned ? &s->arena : NULL, NULL);
    const execution e = {.p = &s->plan,
                         .kernels = &s->kernels,
                         .values = s->buffers.values,
                         .stride = s->buffers.stride,
                         .q8 = s->buffers.q8,
                         .barrier = s->buffers.barrier,
                         .input = images,
                         .tokens = count,
                         .threads = threads};
    execute(&e);
    memcpy(out, s->buffers.values[s->plan.g->output], count * stem_outputs(s) * sizeof *out);
    return CIUIC_OK;
}
