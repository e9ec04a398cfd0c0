/* pass_block_channels.c - images between convolutions lie in blocks of channels, [channels / 16][height][width][16]: a
 * convolution then finds all channels of a block side by side, as vectors, and copies nothing (kernels/simd/
 * conv2d_blocked.h). A first convolution reads its image as it comes, channels first or last, and writes blocks; what works
 * by element, and batch normalisations, work on blocks as they are; a conversion is left only where somebody else reads, or
 * where a depthwise convolution, which takes blocks alone, is the first.
 *
 * Why it preserves the function: a layout is a permutation; a convolution sums the same products over the same taps, and
 * functions of each element do not ask where it lies. Channels that the last block lacks have zeros for filters, and no sum
 * reads them. Rounding: the blocked convolution of the portable rung adds the terms in the plain one's order, and its
 * results are the same to the bit; on others both sum t terms in an order of their own, each within t 2^-24 of the sum of
 * their magnitudes.
 *
 * When it pays: convolutions whose values meet in blocks are one region, taken whole or not at all. Each convolution must
 * gain by itself, and all of a region's gains together must outweigh the conversions at its ends. Groups that are neither
 * one, nor whole blocks, nor one for each channel have no blocked kernel, and stay. */
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

/* What things cost, in multiplications with an addition at the peak of AVX2 or AVX-512, as kernels/tests/bench_conv2d.c
 * times them: a plain convolution falls an eighth behind the peak, and copies each input under each tap, as if it had
 * COST_COPY output channels more; one of few output channels is bound by loads, and so is a blocked depthwise one. Of a
 * conversion, each number: between channels first and blocks one at a time, between channels last and blocks a block. */
enum {
    COST_BEHIND = 8,
    COST_COPY = 8,
    COST_FEW = 6,
    COST_DEPTHWISE = 2,
    FEW_CHANNELS = 4,
    COST_FROM_FIRST = 24,
    COST_FROM_LAST = 8
};

typedef struct survey {
    graph *g;
    const graph_pass_options *options;
    int *region;  /* [value]: the operation that the region of its blocks is named for; GRAPH_NONE: not in blocks */
    int *parent;  /* [op]: regions that are one: towards the operation that names it */
    double *gain; /* [op]: of the region that is named for it */
    graph_image *image; /* [value]: what it holds, if it can be in blocks */
    bool *spread;       /* [value]: somebody reads it channels first */
    int *plain;         /* [value]: the value that holds it channels first; GRAPH_NONE: there is none yet */
} survey;

static int region_of(const survey *s, int value)
{
    int at = value == GRAPH_NONE ? GRAPH_NONE : s->region[value];
    while (at != GRAPH_NONE && s->parent[at] != at) at = s->parent[at];
    return at;
}

/* Makes one region of two; the gains are of both. */
static void join(survey *s, int a, int b)
{
    const int from = region_of(s, a), to = region_of(s, b);
    if (from == to) return;
    s->parent[from] = to;
    s->gain[to] += s->gain[from];
}

static bool is_blocked(const survey *s, int value)
{
    const int region = region_of(s, value);
    return region != GRAPH_NONE && (s->gain[region] > 0 || s->options->block_anyway);
}

/* ---- what can be in blocks ---- */

/* Whether the operation reads and writes whole images, one a row. */
static bool takes_whole_rows(const graph *g, const graph_op *op, size_t reads, size_t writes)
{
    const graph_value *out = &g->values[op->out.value];
    bool whole = op->heads == 1 && !op->last && op->out.offset == 0 && out->width == writes &&
                 out->rows == GRAPH_TOKENS && !out->last && graph_written_once(g, op->out.value);
    for (int j = 0; j < GRAPH_MAX_INPUTS; j++) {
        const graph_operand *in = &op->in[j];
        if (in->value == GRAPH_NONE) continue;
        const graph_value *from = &g->values[in->value];
        whole = whole && in->offset == 0 && from->width == reads && from->rows == GRAPH_TOKENS && !from->last;
    }
    return whole;
}

/* What a convolution of one image costs as it is, less what it costs in blocks, with the channels that fill them up. */
static double conv_gain(const graph_image *m, size_t taps)
{
    const kernel_conv2d conv = graph_conv2d(m);
    const double sums = (double)graph_image_outputs(m) / (double)m->out_channels * (double)taps;
    const double channels = (double)m->out_channels, stored = (double)kernel_block_channels(m->out_channels);
    if (kernel_conv2d_depthwise(&conv)) return sums * (COST_FEW * channels - COST_DEPTHWISE * stored);
    if (m->out_channels / m->groups < FEW_CHANNELS) return sums * (COST_FEW * channels - stored);
    return sums * (channels + channels / COST_BEHIND + COST_COPY * (double)m->groups - stored);
}

static bool same_shape(const graph_image *a, const graph_image *b)
{
    return a->channels == b->channels && a->height == b->height && a->width == b->width;
}

static bool can_be_blocked(const survey *s, const graph_op *op)
{
    const graph *g = s->g;
    const graph_image *m = &op->image;
    const kernel_conv2d conv = graph_conv2d(m);
    if (op->kind != GRAPH_CONV2D || !kernel_conv2d_blockable(&conv, KERNEL_CHANNELS_BLOCKED)) return false;
    const int in = op->in[0].value;
    return (s->region[in] == GRAPH_NONE || same_shape(&s->image[in], m)) &&
           takes_whole_rows(g, op, graph_image_numbers(m, m->reads), graph_image_outputs(m)) &&
           (s->options->block_anyway || conv_gain(m, g->weights[op->weight].columns) > 0);
}

/* Whether the operation works on blocks as on anything else, and all that it reads can be in them. */
static bool follows(const survey *s, const graph_op *op)
{
    const bool element = op->kind == GRAPH_RELU || op->kind == GRAPH_SILU || op->kind == GRAPH_ADD ||
                         op->kind == GRAPH_MUL || op->kind == GRAPH_SWIGLU;
    if (!element && op->kind != GRAPH_BATCH_NORM) return false;
    const graph_image *first = &s->image[op->in[0].value];
    const size_t numbers = graph_image_numbers(first, KERNEL_CHANNELS_FIRST);
    for (int j = 0; j < GRAPH_MAX_INPUTS; j++) {
        const int value = op->in[j].value;
        if (value == GRAPH_NONE) continue;
        if (s->region[value] == GRAPH_NONE || !same_shape(first, &s->image[value])) return false;
    }
    return (element ? op->head_width == numbers : same_shape(first, &op->image)) &&
           takes_whole_rows(s->g, op, numbers, numbers);
}

/* The conversion to channels first that made the convolution's image; GRAPH_NONE when it was another operation. */
static int conversion_before(const graph *g, const graph_op *op)
{
    const int at = op->kind == GRAPH_CONV2D ? graph_producer(g, op->in[0].value) : GRAPH_NONE;
    if (at == GRAPH_NONE || g->ops[at].kind != GRAPH_CHANNELS_FIRST) return GRAPH_NONE;
    return same_shape(&g->ops[at].image, &op->image) && graph_written_once(g, g->ops[at].in[0].value) ? at : GRAPH_NONE;
}

/* Whether the operation puts an image that can be in blocks into channels last. */
static bool puts_last(const survey *s, const graph_op *op)
{
    return op->kind == GRAPH_CHANNELS_LAST && same_shape(&s->image[op->in[0].value], &op->image);
}

/* ---- what it earns ---- */

static void survey_conv(survey *s, int index)
{
    const graph_op *op = &s->g->ops[index];
    const graph_image *m = &op->image;
    const kernel_conv2d conv = graph_conv2d(m);
    const int in = op->in[0].value, out = op->out.value;
    const double read = (double)graph_image_numbers(m, KERNEL_CHANNELS_FIRST);
    size_t height, width;
    kernel_conv2d_size(&conv, &height, &width);
    s->region[out] = index;
    s->image[out] = (graph_image){.channels = m->out_channels, .height = height, .width = width};
    s->gain[index] = conv_gain(m, s->g->weights[op->weight].columns);
    if (s->region[in] != GRAPH_NONE) {
        join(s, in, out);
        return;
    }
    const bool last = conversion_before(s->g, op) != GRAPH_NONE;
    if (kernel_conv2d_depthwise(&conv)) s->gain[index] -= read * (last ? COST_FROM_LAST : COST_FROM_FIRST);
    if (last && graph_uses(s->g, in) == 1) s->gain[index] += read * COST_FROM_FIRST;
}

static void survey_follower(survey *s, const graph_op *op)
{
    const int out = op->out.value;
    s->region[out] = s->region[op->in[0].value];
    s->image[out] = s->image[op->in[0].value];
    for (int j = 1; j < GRAPH_MAX_INPUTS; j++)
        if (op->in[j].value != GRAPH_NONE) join(s, op->in[j].value, out);
}

/* Somebody reads the value outside of blocks: one conversion serves all who want channels first. */
static void survey_reader(survey *s, int value, bool last)
{
    if (value == GRAPH_NONE || s->region[value] == GRAPH_NONE || (!last && s->spread[value])) return;
    const double numbers = (double)graph_image_numbers(&s->image[value], KERNEL_CHANNELS_FIRST);
    s->gain[region_of(s, value)] += numbers * (last ? COST_FROM_FIRST - COST_FROM_LAST : -COST_FROM_FIRST);
    s->spread[value] = s->spread[value] || !last;
}

static void survey_graph(survey *s)
{
    for (int i = 0; i < s->g->op_count; i++) {
        const graph_op *op = &s->g->ops[i];
        s->parent[i] = i;
        if (can_be_blocked(s, op))
            survey_conv(s, i);
        else if (op->in[0].value != GRAPH_NONE && follows(s, op))
            survey_follower(s, op);
        else
            for (int j = 0; j < GRAPH_MAX_INPUTS; j++) survey_reader(s, op->in[j].value, puts_last(s, op));
    }
    survey_reader(s, s->g->output, false);
}

/* ---- the rewritten list ---- */

/* Appends a conversion of `value`, which holds `image`; the value that it writes, or GRAPH_NONE when out of memory. */
static int convert(graph *g, graph_op_kind kind, int value, graph_image image, const char *what)
{
    const size_t numbers = graph_image_numbers(&image, image.writes);
    const char *name = g->values[value].name;
    const int out = graph_add_value(g, GRAPH_F32, GRAPH_TOKENS, numbers, "%.80s.%s", name, what);
    const graph_op op = {.kind = kind,
                         .layer = GRAPH_NONE,
                         .weight = GRAPH_NONE,
                         .heads = 1,
                         .image = image,
                         .in = {graph_whole(value), {.value = GRAPH_NONE}, {.value = GRAPH_NONE}},
                         .out = graph_whole(out)};
    return out == GRAPH_NONE || graph_add_op(g, &op) == GRAPH_NONE ? GRAPH_NONE : out;
}

/* The value that holds `value`, which is in blocks, channels first. */
static int spread_out(survey *s, int value)
{
    graph_image image = s->image[value];
    image.reads = KERNEL_CHANNELS_BLOCKED, image.writes = KERNEL_CHANNELS_FIRST;
    if (s->plain[value] == GRAPH_NONE) s->plain[value] = convert(s->g, GRAPH_FROM_BLOCKS, value, image, "plain");
    return s->plain[value];
}

/* Where the convolution finds its image, and in which layout; false when out of memory. */
static bool bind_input(survey *s, graph_op *op, const graph_op *conversion)
{
    graph_operand *in = &op->in[0];
    const kernel_conv2d conv = graph_conv2d(&op->image);
    graph_image image = {.channels = op->image.channels, .height = op->image.height, .width = op->image.width};
    op->image.reads = KERNEL_CHANNELS_BLOCKED;
    if (is_blocked(s, in->value)) return true;
    if (conversion != NULL) in->value = conversion->in[0].value;
    image.reads = conversion != NULL ? KERNEL_CHANNELS_LAST : KERNEL_CHANNELS_FIRST;
    image.writes = KERNEL_CHANNELS_BLOCKED;
    if (!kernel_conv2d_depthwise(&conv)) {
        op->image.reads = image.reads;
        return true;
    }
    in->value = convert(s->g, GRAPH_TO_BLOCKS, in->value, image, "blocks");
    return in->value != GRAPH_NONE;
}

static bool rewrite_conv(survey *s, graph_op *op, const graph_op *conversion)
{
    graph_weight filters = s->g->weights[op->weight]; /* another convolution may read them as they were */
    filters.blocked = true;
    op->weight = graph_add_weight(s->g, &filters);
    if (op->weight == GRAPH_NONE || !bind_input(s, op, conversion)) return false;
    op->image.writes = KERNEL_CHANNELS_BLOCKED;
    s->g->values[op->out.value].width = graph_image_outputs(&op->image);
    return true;
}

static void rewrite_follower(survey *s, graph_op *op)
{
    const size_t numbers = graph_image_numbers(&s->image[op->out.value], KERNEL_CHANNELS_BLOCKED);
    s->g->values[op->out.value].width = numbers;
    if (op->kind == GRAPH_BATCH_NORM)
        op->image.reads = op->image.writes = KERNEL_CHANNELS_BLOCKED;
    else
        op->head_width = numbers;
}

/* Whoever else reads: channels last in one step, others channels first. */
static bool rewrite_reader(survey *s, graph_op *op)
{
    if (is_blocked(s, op->in[0].value) && puts_last(s, op)) {
        op->kind = GRAPH_FROM_BLOCKS;
        op->image.reads = KERNEL_CHANNELS_BLOCKED;
        op->image.writes = KERNEL_CHANNELS_LAST;
        return true;
    }
    for (int j = 0; j < GRAPH_MAX_INPUTS; j++) {
        if (!is_blocked(s, op->in[j].value)) continue;
        op->in[j].value = spread_out(s, op->in[j].value);
        if (op->in[j].value == GRAPH_NONE) return false;
    }
    return true;
}

static bool rewrite_op(survey *s, graph_op op, const graph_op *conversion)
{
    const bool blocked = is_blocked(s, op.out.value);
    if (blocked && op.kind == GRAPH_CONV2D) {
        if (!rewrite_conv(s, &op, conversion)) return false;
    } else if (blocked) {
        rewrite_follower(s, &op);
    } else if (!rewrite_reader(s, &op)) {
        return false;
    }
    return graph_add_op(s->g, &op) != GRAPH_NONE;
}

/* `conversions`: of each operation, which conversion wrote its input; GRAPH_NONE when none did. */
static ciuic_status rewrite_graph(survey *s, const int *conversions)
{
    graph *g = s->g;
    graph_op *old = g->ops;
    const int count = g->op_count, output = g->output;
    bool good = true;
    g->ops = NULL;
    g->op_count = g->op_capacity = 0;
    for (int i = 0; i < count && good; i++)
        good = rewrite_op(s, old[i], conversions[i] == GRAPH_NONE ? NULL : &old[conversions[i]]);
    if (good && is_blocked(s, output)) {
        g->output = spread_out(s, output);
        good = g->output != GRAPH_NONE;
    }
    free(old);
    return good ? CIUIC_OK : ciuic_fail_memory("a graph pass", (size_t)count * sizeof *old);
}

/* Whether a value is to be in blocks; and which conversions wrote what operations read. */
static bool prepare(const survey *s, int values, int *conversions)
{
    bool any = false;
    for (int i = 0; i < s->g->op_count; i++) conversions[i] = conversion_before(s->g, &s->g->ops[i]);
    for (int v = 0; v < values; v++) any = any || is_blocked(s, v);
    return any;
}

static bool has_blocks(const graph *g)
{
    for (int i = 0; i < g->op_count; i++)
        if (g->ops[i].image.reads == KERNEL_CHANNELS_BLOCKED || g->ops[i].image.writes == KERNEL_CHANNELS_BLOCKED)
            return true;
    return false;
}

ciuic_status graph_pass_block_channels(graph *g, const graph_pass_options *options, bool *changed)
{
    const size_t values = (size_t)g->value_count, ops = (size_t)g->op_count;
    if (has_blocks(g)) return CIUIC_OK; /* it was here before */
    survey s = {.g = g,
                .options = options,
                .region = malloc((values + 1) * sizeof *s.region),
                .parent = malloc((ops + 1) * sizeof *s.parent),
                .gain = calloc(ops + 1, sizeof *s.gain),
                .image = calloc(values + 1, sizeof *s.image),
                .spread = calloc(values + 1, sizeof *s.spread),
                .plain = malloc((values + 1) * sizeof *s.plain)};
    int *conversions = malloc((ops + 1) * sizeof *conversions);
    ciuic_status status = CIUIC_OK;
    if (!s.region || !s.parent || !s.gain || !s.image || !s.spread || !s.plain || !conversions) {
        status = ciuic_fail_memory("a graph pass", values);
        goto cleanup;
    }
    for (size_t v = 0; v < values; v++) s.region[v] = s.plain[v] = GRAPH_NONE;
    survey_graph(&s);
    if (prepare(&s, (int)values, conversions)) {
        *changed = true;
        status = rewrite_graph(&s, conversions);
        if (status == CIUIC_OK) status = graph_sweep(g, changed); /* conversions that nobody reads */
    }
cleanup:
    free(s.region);
    free(s.parent);
    free(s.gain);
    free(s.image);
    free(s.spread);
    free(s.plain);
    free(conversions);
    return status;
}
