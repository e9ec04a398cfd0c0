/* build_stem.c - see stem.h. One operation for each module, as its authors would write it; images that come or go with
 * channels last are converted by operations of their own, since convolutions take channels first. */
#include <stdio.h>
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/stem.h"

/* A stem under construction: the value that the next operation reads, and what image it holds. */
typedef struct stem_builder {
    graph *g;
    int value;
    size_t channels, height, width;
    bool failed; /* out of memory */
} stem_builder;

static void append(stem_builder *b, graph_op op, size_t width, const char *name, const char *suffix)
{
    if (b->failed) return;
    const int out = graph_add_value(b->g, GRAPH_F32, GRAPH_TOKENS, width, "%s%s", name, suffix);
    op.layer = GRAPH_NONE;
    op.heads = 1;
    op.in[0] = op.kind == GRAPH_INPUT ? (graph_operand){.value = GRAPH_NONE} : graph_whole(b->value);
    op.in[1] = op.in[2] = (graph_operand){.value = GRAPH_NONE};
    op.out = graph_whole(out);
    b->failed = out == GRAPH_NONE || graph_add_op(b->g, &op) == GRAPH_NONE;
    b->value = out;
}

static int add_weight(stem_builder *b, graph_weight w, const char *name)
{
    w.parts = 1;
    snprintf(w.name[0], sizeof w.name[0], "%s", name);
    const int index = graph_add_weight(b->g, &w);
    if (index == GRAPH_NONE) b->failed = true;
    return index;
}

static void append_layout(stem_builder *b, graph_op_kind kind, const char *name)
{
    const graph_op op = {
        .kind = kind, .weight = GRAPH_NONE, .image = {.channels = b->channels, .height = b->height, .width = b->width}};
    append(b, op, graph_image_numbers(&op.image, KERNEL_CHANNELS_FIRST), name, "");
}

/* Whether the convolution can be: numbers are the caller's, or a file's, and may be anything. */
static ciuic_status check_conv(const graph_image *m, const char *name)
{
    if (m->groups == 0 || m->channels % m->groups != 0 || m->out_channels % m->groups != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "stem: %s: %zu groups; expected a divisor of %zu channels in and %zu out",
                          name, m->groups, m->channels, m->out_channels);
    /* With a bias for each, and as many channels as whole blocks have, as the largest layout of them has it. */
    const size_t columns = graph_filter_columns(m);
    size_t channels, numbers, bytes;
    if (columns == 0 || __builtin_add_overflow(m->out_channels, KERNEL_BLOCK, &channels) ||
        __builtin_mul_overflow(columns + 1, channels, &numbers) ||
        __builtin_mul_overflow(numbers, sizeof(float), &bytes))
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "stem: %s: %zu filters of %zu x %zu over %zu channels each; expected at least one number in "
                          "each, and no more bytes than can be counted",
                          name, m->out_channels, m->kernel[0], m->kernel[1], m->channels / m->groups);
    graph_image one = *m;
    one.out_channels = 1;
    if (graph_image_outputs(&one) == 0)
        return ciuic_fail(
            CIUIC_ERROR_INPUT,
            "stem: %s: a kernel of %zu x %zu, dilated by %zu x %zu, does not fit into %zu x %zu pixels, padded by "
            "%zu x %zu, in steps of %zu x %zu",
            name, m->kernel[0], m->kernel[1], m->dilation[0], m->dilation[1], m->height, m->width, m->padding[0],
            m->padding[1], m->stride[0], m->stride[1]);
    if (graph_image_outputs(m) == 0)
        return ciuic_fail(
            CIUIC_ERROR_INPUT,
            "stem: %s: %zu channels of %zu numbers each; expected one channel at least, and no more bytes "
            "than can be counted",
            name, m->out_channels, graph_image_outputs(&one));
    return CIUIC_OK;
}

static ciuic_status append_conv(stem_builder *b, const stem_layer *l)
{
    const graph_image image = {.channels = b->channels,
                               .height = b->height,
                               .width = b->width,
                               .out_channels = l->out_channels,
                               .groups = l->groups,
                               .kernel = {l->kernel[0], l->kernel[1]},
                               .stride = {l->stride[0], l->stride[1]},
                               .padding = {l->padding[0], l->padding[1]},
                               .dilation = {l->dilation[0], l->dilation[1]}};
    CIUIC_TRY(check_conv(&image, l->conv));
    const size_t columns = graph_filter_columns(&image);
    const graph_weight filters = {
        .kind = GRAPH_FILTERS, .rows = {l->out_channels}, .columns = columns, .bias = {l->bias}};
    const graph_op op = {.kind = GRAPH_CONV2D, .weight = add_weight(b, filters, l->conv), .image = image};
    append(b, op, graph_image_outputs(&image), l->conv, "");
    const graph_image row = {.channels = 1,
                             .height = b->height,
                             .width = b->width,
                             .out_channels = 1,
                             .groups = 1,
                             .kernel = {image.kernel[0], b->width},
                             .stride = {image.stride[0], 1},
                             .padding = {image.padding[0], 0},
                             .dilation = {image.dilation[0], 1}};
    b->height = graph_image_outputs(&row); /* one column of outputs: as many as there are rows */
    b->width = graph_image_outputs(&image) / l->out_channels / b->height;
    b->channels = l->out_channels;
    return CIUIC_OK;
}

static ciuic_status append_layer(stem_builder *b, const stem_layer *l)
{
    CIUIC_TRY(append_conv(b, l));
    const size_t numbers = b->channels * b->height * b->width;
    if (l->norm != NULL) {
        const graph_weight vectors = {.kind = GRAPH_NORMALISER, .rows = {1}, .columns = b->channels, .eps = l->eps};
        const graph_op op = {.kind = GRAPH_BATCH_NORM,
                             .weight = add_weight(b, vectors, l->norm),
                             .image = {.channels = b->channels, .height = b->height, .width = b->width}};
        append(b, op, numbers, l->norm, ".normalised");
    }
    if (l->activation != STEM_NO_ACTIVATION) {
        const graph_op op = {
            .kind = l->activation == STEM_RELU ? GRAPH_RELU : GRAPH_SILU, .weight = GRAPH_NONE, .head_width = numbers};
        append(b, op, numbers, l->conv, ".active");
    }
    return CIUIC_OK;
}

static ciuic_status build(stem_builder *b, const stem_config *config)
{
    const graph_image images = {.channels = config->channels, .height = config->height, .width = config->width};
    const size_t numbers = graph_image_numbers(&images, KERNEL_CHANNELS_FIRST);
    if (numbers == 0 || config->layer_count == 0)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "stem: %zu layers over images of %zu x %zu x %zu; expected at least one of each, and no more "
                          "bytes than can be counted",
                          config->layer_count, config->channels, config->height, config->width);
    append(b, (graph_op){.kind = GRAPH_INPUT, .weight = GRAPH_NONE, .head_width = numbers}, numbers, "images", "");
    if (config->channels_last_in) append_layout(b, GRAPH_CHANNELS_FIRST, "images.channels_first");
    for (size_t i = 0; i < config->layer_count; i++) CIUIC_TRY(append_layer(b, &config->layers[i]));
    if (config->channels_last_out) append_layout(b, GRAPH_CHANNELS_LAST, "output.channels_last");
    if (b->failed) return ciuic_fail_memory("a graph", sizeof *b->g);
    b->g->output = b->value;
    return graph_validate(b->g);
}

ciuic_status graph_build_stem(const stem_config *config, graph **out)
{
    stem_builder b = {.g = calloc(1, sizeof *b.g),
                      .value = GRAPH_NONE,
                      .channels = config->channels,
                      .height = config->height,
                      .width = config->width};
    if (b.g == NULL) return ciuic_fail_memory("a graph", sizeof *b.g);
    b.g->phase = GRAPH_PREFILL_ALL;
    const ciuic_status status = build(&b, config);
    if (status != CIUIC_OK) {
        graph_free(b.g);
        return status;
    }
    *out = b.g;
    return CIUIC_OK;
}
