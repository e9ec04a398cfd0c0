/* graph.c - building blocks of the IR. */
#include "optimizer/graph/graph.h"

#include <stdarg.h>
#include <stdint.h>
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

/* The product, which has to fit into memory as FP32 at least by its number; otherwise 0. */
static size_t numbers_of(size_t channels, size_t rows, size_t columns)
{
    size_t plane, all;
    if (__builtin_mul_overflow(rows, columns, &plane) || __builtin_mul_overflow(plane, channels, &all)) return 0;
    return all <= SIZE_MAX / sizeof(float) ? all : 0;
}

/* Channels as they lie: in whole blocks, or as many as there are; 0 where blocks of them cannot be counted. */
static size_t stored_channels(size_t channels, kernel_layout layout)
{
    if (layout != KERNEL_CHANNELS_BLOCKED) return channels;
    const size_t blocked = kernel_block_channels(channels);
    return blocked < channels ? 0 : blocked;
}

size_t graph_image_outputs(const graph_image *image)
{
    return numbers_of(stored_channels(image->out_channels, image->writes), image_side(image, image->height, 0),
                      image_side(image, image->width, 1));
}

size_t graph_image_numbers(const graph_image *image, kernel_layout layout)
{
    return numbers_of(stored_channels(image->channels, layout), image->height, image->width);
}

size_t graph_filter_columns(const graph_image *image)
{
    return image->groups == 0 ? 0 : numbers_of(image->channels / image->groups, image->kernel[0], image->kernel[1]);
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

bool graph_written_once(const graph *g, int value)
{
    int writers = 0;
    for (int i = 0; i < g->op_count; i++) writers += graph_writes(&g->ops[i], value) ? 1 : 0;
    return writers == 1;
}

bool graph_written_between(const graph *g, int value, int first, int end)
{
    for (int i = first; i < end; i++)
        if (graph_writes(&g->ops[i], value)) return true;
    return false;
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
