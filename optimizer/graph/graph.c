/* graph.c - building blocks of the IR and the checks that every graph must pass. */
#include "optimizer/graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"

/* Makes room for one more element in a growing array; false when out of memory. */
static bool reserve(void **array, int count, int *capacity, size_t element)
{
    if (count < *capacity) return true;
    const int grown = *capacity == 0 ? 64 : 2 * *capacity;
    void *moved = realloc(*array, (size_t)grown * element);
    if (moved == NULL) return false;
    *array = moved;
    *capacity = grown;
    return true;
}

int graph_add_value(graph *g, graph_dtype dtype, graph_rows rows, size_t width, const char *format, ...)
{
    graph_value value = {.dtype = dtype, .rows = rows, .width = width};
    va_list arguments; /* read before the array moves: they may be names of other values */
    va_start(arguments, format);
    vsnprintf(value.name, sizeof value.name, format, arguments);
    va_end(arguments);
    void *array = g->values;
    if (!reserve(&array, g->value_count, &g->value_capacity, sizeof *g->values)) return GRAPH_NONE;
    g->values = array;
    g->values[g->value_count] = value;
    return g->value_count++;
}

int graph_add_weight(graph *g, const graph_weight *weight)
{
    void *array = g->weights;
    if (!reserve(&array, g->weight_count, &g->weight_capacity, sizeof *g->weights)) return GRAPH_NONE;
    g->weights = array;
    g->weights[g->weight_count] = *weight;
    return g->weight_count++;
}

int graph_add_op(graph *g, const graph_op *op)
{
    void *array = g->ops;
    if (!reserve(&array, g->op_count, &g->op_capacity, sizeof *g->ops)) return GRAPH_NONE;
    g->ops = array;
    g->ops[g->op_count] = *op;
    return g->op_count++;
}

void graph_free(graph *g)
{
    if (g == NULL) return;
    free(g->values);
    free(g->ops);
    free(g->weights);
    free(g);
}

graph_operand graph_whole(int value)
{
    return (graph_operand){.value = value};
}

size_t graph_weight_rows(const graph_weight *w)
{
    size_t rows = 0;
    for (int i = 0; i < w->parts; i++) rows += w->rows[i];
    return rows;
}

bool graph_is_matmul(graph_op_kind kind)
{
    return kind == GRAPH_MATMUL || kind == GRAPH_EXPERT_MATMUL || kind == GRAPH_MATMUL_SWIGLU ||
           kind == GRAPH_EXPERT_SWIGLU;
}

bool graph_has_epilogue(graph_op_kind kind)
{
    return kind == GRAPH_MATMUL_SWIGLU || kind == GRAPH_EXPERT_SWIGLU;
}

size_t graph_matmul_outputs(const graph *g, const graph_op *op)
{
    const graph_weight *w = &g->weights[op->weight];
    return graph_has_epilogue(op->kind) ? w->rows[0] : graph_weight_rows(w);
}

/* Outputs along one side. */
static size_t image_side(const graph_image *image, size_t input, int side)
{
    size_t padded, reach;
    if (image->kernel[side] == 0 || image->stride[side] == 0 || image->dilation[side] == 0) return 0;
    if (__builtin_mul_overflow(image->padding[side], 2, &padded) || __builtin_add_overflow(padded, input, &padded) ||
        __builtin_mul_overflow(image->dilation[side], image->kernel[side] - 1, &reach))
        return 0;
    return padded <= reach ? 0 : (padded - reach - 1) / image->stride[side] + 1;
}

size_t graph_image_outputs(const graph_image *image)
{
    size_t plane, all;
    const size_t rows = image_side(image, image->height, 0), columns = image_side(image, image->width, 1);
    const size_t blocked = kernel_block_channels(image->out_channels);
    const size_t channels = image->writes == KERNEL_CHANNELS_BLOCKED ? blocked : image->out_channels;
    if (__builtin_mul_overflow(rows, columns, &plane) || __builtin_mul_overflow(plane, channels, &all)) return 0;
    return all;
}

size_t graph_image_numbers(const graph_image *image, kernel_layout layout)
{
    const bool blocked = layout == KERNEL_CHANNELS_BLOCKED;
    return (blocked ? kernel_block_channels(image->channels) : image->channels) * image->height * image->width;
}

kernel_conv2d graph_conv2d(const graph_image *image)
{
    return (kernel_conv2d){.in_channels = image->channels,
                           .out_channels = image->out_channels,
                           .groups = image->groups,
                           .height = image->height,
                           .width = image->width,
                           .kernel = {image->kernel[0], image->kernel[1]},
                           .stride = {image->stride[0], image->stride[1]},
                           .padding = {image->padding[0], image->padding[1]},
                           .dilation = {image->dilation[0], image->dilation[1]}};
}

bool graph_writes(const graph_op *op, int value)
{
    return op->out.value == value || (op->kind == GRAPH_ADD_NORM && op->in[0].value == value);
}

bool graph_reads(const graph_op *op, int value)
{
    for (int i = 0; i < GRAPH_MAX_INPUTS; i++)
        if (op->in[i].value == value) return true;
    return false;
}

int graph_uses(const graph *g, int value)
{
    int uses = g->output == value ? 1 : 0;
    for (int i = 0; i < g->op_count; i++) uses += graph_reads(&g->ops[i], value) ? 1 : 0;
    return uses;
}

int graph_producer(const graph *g, int value)
{
    for (int i = 0; i < g->op_count; i++)
        if (g->ops[i].out.value == value) return i;
    return GRAPH_NONE;
}

void graph_remove_ops(graph *g, const bool *dead)
{
    int kept = 0;
    for (int i = 0; i < g->op_count; i++)
        if (!dead[i]) g->ops[kept++] = g->ops[i];
    g->op_count = kept;
}

const char *graph_op_name(graph_op_kind kind)
{
    static const char *const names[GRAPH_OP_KINDS] = {
        [GRAPH_EMBED] = "embed",
        [GRAPH_INPUT] = "input",
        [GRAPH_RMS_NORM] = "rms_norm",
        [GRAPH_MATMUL] = "matmul",
        [GRAPH_SLICE] = "slice",
        [GRAPH_CONCAT] = "concat",
        [GRAPH_ROPE] = "rope",
        [GRAPH_CACHE_WRITE] = "cache_write",
        [GRAPH_CACHE_READ] = "cache_read",
        [GRAPH_ATTENTION] = "attention",
        [GRAPH_ABSORB_QUERY] = "absorb_query",
        [GRAPH_ABSORB_VALUE] = "absorb_value",
        [GRAPH_SILU] = "silu",
        [GRAPH_MUL] = "mul",
        [GRAPH_ADD] = "add",
        [GRAPH_SWIGLU] = "swiglu",
        [GRAPH_ADD_NORM] = "add_norm",
        [GRAPH_ROUTE] = "route",
        [GRAPH_GATHER] = "gather",
        [GRAPH_EXPERT_MATMUL] = "expert_matmul",
        [GRAPH_MATMUL_SWIGLU] = "matmul_swiglu",
        [GRAPH_EXPERT_SWIGLU] = "expert_swiglu",
        [GRAPH_COMBINE] = "combine",
        [GRAPH_LAST_ROW] = "last_row",
        [GRAPH_CONV2D] = "conv2d",
        [GRAPH_BATCH_NORM] = "batch_norm",
        [GRAPH_RELU] = "relu",
        [GRAPH_CHANNELS_FIRST] = "channels_first",
        [GRAPH_CHANNELS_LAST] = "channels_last",
        [GRAPH_TO_BLOCKS] = "to_blocks",
        [GRAPH_FROM_BLOCKS] = "from_blocks",
        [GRAPH_QUANTIZE] = "quantize",
    };
    return kind < GRAPH_OP_KINDS ? names[kind] : "?";
}

/* Columns that input `i` of the operation spans, counted from the operand's offset. */
static size_t input_span(const graph *g, const graph_op *op, int i)
{
    const size_t between = op->heads > 0 ? (op->heads - 1) * op->in[i].stride : 0;
    switch (op->kind) {
    case GRAPH_MATMUL:
    case GRAPH_EXPERT_MATMUL:
    case GRAPH_MATMUL_SWIGLU:
    case GRAPH_EXPERT_SWIGLU:
        return i == 0 ? g->weights[op->weight].columns : 0;
    case GRAPH_CONCAT:
        return between + (i == 0 ? op->head_width : op->tail_width);
    case GRAPH_ATTENTION:
        if (i == 0) return between + op->key_width;
        return (op->kv_heads - 1) * op->in[i].stride + (i == 1 ? op->key_width : op->value_width);
    case GRAPH_ABSORB_QUERY:
        return between + (i == 0 ? op->head_width : op->tail_width);
    case GRAPH_CACHE_WRITE:
        return g->cache_width[i];
    case GRAPH_ROUTE:
        return op->head_width;
    case GRAPH_CONV2D:
    case GRAPH_BATCH_NORM:
    case GRAPH_CHANNELS_FIRST:
    case GRAPH_CHANNELS_LAST:
    case GRAPH_TO_BLOCKS:
    case GRAPH_FROM_BLOCKS:
        return graph_image_numbers(&op->image, op->image.reads);
    case GRAPH_GATHER:
    case GRAPH_COMBINE:
        return i == 0 ? op->head_width : 0;
    default:
        return between + op->head_width;
    }
}

static size_t output_span(const graph *g, const graph_op *op)
{
    const size_t between = op->heads > 0 ? (op->heads - 1) * op->out.stride : 0;
    switch (op->kind) {
    case GRAPH_MATMUL:
    case GRAPH_EXPERT_MATMUL:
    case GRAPH_MATMUL_SWIGLU:
    case GRAPH_EXPERT_SWIGLU:
        return graph_matmul_outputs(g, op);
    case GRAPH_CONCAT:
        return between + op->head_width + op->tail_width;
    case GRAPH_ATTENTION:
        return between + op->value_width;
    case GRAPH_ABSORB_QUERY:
        return between + op->key_width;
    case GRAPH_ABSORB_VALUE:
        return between + op->value_width;
    case GRAPH_CACHE_WRITE:
    case GRAPH_ROUTE:
        return 0;
    case GRAPH_CONV2D:
        return graph_image_outputs(&op->image);
    case GRAPH_BATCH_NORM:
    case GRAPH_CHANNELS_FIRST:
    case GRAPH_CHANNELS_LAST:
    case GRAPH_TO_BLOCKS:
    case GRAPH_FROM_BLOCKS:
        return graph_image_numbers(&op->image, op->image.writes);
    default:
        return between + op->head_width;
    }
}

static ciuic_status bad_op(const graph *g, int index, const char *what)
{
    const graph_op *op = &g->ops[index];
    const char *out = op->out.value >= 0 && op->out.value < g->value_count ? g->values[op->out.value].name : "-";
    return ciuic_fail(CIUIC_ERROR_INPUT, "graph operation %d (%s -> %s): %s", index, graph_op_name(op->kind), out,
                      what);
}

/* Whether a convolution's channels, groups, kernel and filters meet. */
static ciuic_status validate_conv(const graph *g, int index)
{
    const graph_op *op = &g->ops[index];
    const graph_image *m = &op->image;
    const graph_weight *w = &g->weights[op->weight];
    if (m->groups == 0 || m->channels % m->groups != 0 || m->out_channels % m->groups != 0)
        return bad_op(g, index, "its channels are no multiple of its groups");
    if (graph_image_outputs(m) == 0) return bad_op(g, index, "its kernel does not fit into the image");
    if (w->rows[0] != m->out_channels || w->columns != m->channels / m->groups * m->kernel[0] * m->kernel[1])
        return bad_op(g, index, "its filters do not have the shape of its kernel and channels");
    const kernel_conv2d conv = graph_conv2d(m);
    const bool blocked = m->writes == KERNEL_CHANNELS_BLOCKED;
    if (blocked ? !kernel_conv2d_blockable(&conv, m->reads) : m->reads != KERNEL_CHANNELS_FIRST)
        return bad_op(g, index, "no kernel takes its groups from that layout into that one");
    if (w->blocked != blocked || m->writes == KERNEL_CHANNELS_LAST)
        return bad_op(g, index, "its filters do not lie as its outputs do");
    return CIUIC_OK;
}

static ciuic_status validate_shape(const graph *g, int index)
{
    const graph_op *op = &g->ops[index];
    if (op->kind >= GRAPH_OP_KINDS) return bad_op(g, index, "unknown kind");
    if (op->weight != GRAPH_NONE && (op->weight < 0 || op->weight >= g->weight_count))
        return bad_op(g, index, "its weight does not exist");
    const bool needs_weight = graph_is_matmul(op->kind) || op->kind == GRAPH_EMBED || op->kind == GRAPH_ABSORB_QUERY ||
                              op->kind == GRAPH_ABSORB_VALUE || op->kind == GRAPH_CONV2D ||
                              op->kind == GRAPH_BATCH_NORM;
    if (needs_weight && op->weight == GRAPH_NONE) return bad_op(g, index, "it needs a weight and has none");
    if (graph_has_epilogue(op->kind)) {
        const graph_weight *w = &g->weights[op->weight];
        if (w->parts != 2 || w->rows[0] != w->rows[1])
            return bad_op(g, index, "its weight is not a gate and an up of one size");
    }
    if (op->heads == 0) return bad_op(g, index, "it has no heads");
    if (op->kind == GRAPH_ATTENTION && (op->kv_heads == 0 || op->heads % op->kv_heads != 0))
        return bad_op(g, index, "its query heads are no multiple of its key heads");
    if (op->kind == GRAPH_ROPE && op->head_width % 2 != 0)
        return bad_op(g, index, "it rotates pairs, and its heads are of odd width");
    const bool to = op->kind == GRAPH_TO_BLOCKS, from = op->kind == GRAPH_FROM_BLOCKS;
    const kernel_layout inside = to ? op->image.writes : op->image.reads;
    if ((to || from) &&
        (inside != KERNEL_CHANNELS_BLOCKED || (to ? op->image.reads : op->image.writes) == KERNEL_CHANNELS_BLOCKED))
        return bad_op(g, index, "it does not convert between blocks and another layout");
    if (op->kind == GRAPH_BATCH_NORM && op->image.reads != op->image.writes)
        return bad_op(g, index, "it does not write the layout that it reads");
    return op->kind == GRAPH_CONV2D ? validate_conv(g, index) : CIUIC_OK;
}

/* The columns that are rotated lie within the heads of an input that its operation rotates as it reads. */
static ciuic_status validate_rotation(const graph *g, int index)
{
    const graph_op *op = &g->ops[index];
    const graph_rotation *r = &op->rotation;
    size_t width = 0, heads = op->heads;
    if (r->heads == 0) return CIUIC_OK;
    if (op->kind == GRAPH_ATTENTION && r->input == 0)
        width = op->key_width;
    else if (op->kind == GRAPH_ABSORB_QUERY && r->input == 1)
        width = op->tail_width;
    else if (op->kind == GRAPH_CACHE_WRITE && (r->input == 0 || r->input == 1)) {
        heads = r->heads;
        width = g->cache_width[r->input] / heads;
    } else
        return bad_op(g, index, "it cannot rotate what it reads");
    if (r->heads != heads || r->width % 2 != 0 || r->first > width || r->width > width - r->first)
        return bad_op(g, index, "what it rotates is not within its heads, in pairs");
    return CIUIC_OK;
}

static ciuic_status bad_input(const graph *g, int index, int value, const char *what)
{
    char text[GRAPH_NAME + 64];
    snprintf(text, sizeof text, "its input %s %s", g->values[value].name, what);
    return bad_op(g, index, text);
}

static ciuic_status validate_op(const graph *g, int index, const bool *written)
{
    const graph_op *op = &g->ops[index];
    CIUIC_TRY(validate_shape(g, index));
    CIUIC_TRY(validate_rotation(g, index));
    for (int i = 0; i < GRAPH_MAX_INPUTS; i++) {
        const graph_operand *in = &op->in[i];
        if (in->value == GRAPH_NONE) continue;
        if (in->value < 0 || in->value >= g->value_count) return bad_op(g, index, "an input is no value");
        if (!written[in->value]) return bad_input(g, index, in->value, "is read before it is written");
        if (g->values[in->value].dtype == GRAPH_ROUTING) continue;
        if (in->offset + input_span(g, op, i) > g->values[in->value].width)
            return bad_input(g, index, in->value, "ends before the columns that are read");
    }
    if (op->kind == GRAPH_CACHE_WRITE) return CIUIC_OK;
    if (op->out.value < 0 || op->out.value >= g->value_count) return bad_op(g, index, "its output is no value");
    if (op->out.offset + output_span(g, op) > g->values[op->out.value].width)
        return bad_op(g, index, "its output reaches beyond its value's columns");
    const bool in_place = (op->kind == GRAPH_ROPE || op->kind == GRAPH_RMS_NORM) && op->in[0].value == op->out.value;
    if (written[op->out.value] && !in_place) return bad_op(g, index, "its output was written before");
    return CIUIC_OK;
}

ciuic_status graph_validate(const graph *g)
{
    bool *written = calloc((size_t)g->value_count + 1, sizeof *written);
    if (written == NULL) return ciuic_fail_memory("a graph's checks", (size_t)g->value_count);
    ciuic_status status = CIUIC_OK;
    for (int i = 0; i < g->op_count && status == CIUIC_OK; i++) {
        status = validate_op(g, i, written);
        if (status == CIUIC_OK && g->ops[i].out.value != GRAPH_NONE) written[g->ops[i].out.value] = true;
    }
    if (status == CIUIC_OK && (g->output < 0 || g->output >= g->value_count || !written[g->output]))
        status = ciuic_fail(CIUIC_ERROR_INPUT, "graph: the logits are not computed");
    free(written);
    return status;
}
