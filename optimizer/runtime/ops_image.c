/* ops_image.c - operations of an image model's stem; a row is an image. */
#include <math.h>
#include <string.h>

#include "optimizer/runtime/execute.h"

/* A thread's part of blocked outputs: of their blocks or of their rows, whichever can be shared out more evenly. */
static kernel_conv2d_part part_of(size_t blocks, size_t rows, int thread, int threads)
{
    const size_t t = (size_t)threads, blocks_each = (blocks + t - 1) / t, rows_each = (rows + t - 1) / t;
    if (blocks_each * rows <= rows_each * blocks) {
        const share s = share_of(blocks, 1, thread, threads);
        return (kernel_conv2d_part){.block = s.first, .blocks = s.end - s.first, .rows = rows};
    }
    const share s = share_of(rows, 1, thread, threads);
    return (kernel_conv2d_part){.blocks = blocks, .row = s.first, .rows = s.end - s.first};
}

static void run_blocked(const execution *e, const graph_op *op, const kernel_conv2d *conv, int thread, int threads)
{
    size_t rows, columns;
    kernel_conv2d_size(conv, &rows, &columns);
    const size_t blocks = kernel_block_channels(conv->out_channels) / KERNEL_BLOCK;
    const kernel_conv2d_part part = part_of(blocks, rows, thread, threads);
    for (size_t r = 0; r < operation_rows(e, op) && part.blocks > 0 && part.rows > 0; r++)
        e->kernels->conv2d_blocked(conv, op->image.reads, operand_row(e, op, &op->in[0], r), &part,
                                   operand_row(e, op, &op->out, r));
}

void run_conv2d(const execution *e, const graph_op *op, int thread, int threads)
{
    const graph_weight *w = &e->p->g->weights[op->weight];
    const size_t channels = w->blocked ? kernel_block_channels(w->rows[0]) : w->rows[0];
    kernel_conv2d conv = graph_conv2d(&op->image);
    conv.weight = e->p->weights[op->weight].vector;
    if (w->bias[0] || w->fold[0] != '\0') conv.bias = conv.weight + channels * w->columns;
    if (w->blocked) {
        run_blocked(e, op, &conv, thread, threads);
        return;
    }
    const share s = share_of(conv.out_channels, 1, thread, threads);
    for (size_t r = 0; r < operation_rows(e, op) && s.first < s.end; r++)
        e->kernels->conv2d(&conv, operand_row(e, op, &op->in[0], r), s.first, s.end - s.first,
                           operand_row(e, op, &op->out, r));
}

/* Numbers of one channel, `step` apart. */
static void normalise(size_t n, const float *x, size_t step, const float *vectors, size_t channels, size_t c,
                      const graph_weight *w, float *y)
{
    const float a = vectors[c], b = vectors[channels + c];
    if (w->computed) {
        for (size_t i = 0; i < n; i++) y[i * step] = x[i * step] * a + b;
        return;
    }
    const float mean = vectors[2 * channels + c], deviation = sqrtf(vectors[3 * channels + c] + (float)w->eps);
    for (size_t i = 0; i < n; i++) y[i * step] = (x[i * step] - mean) / deviation * a + b;
}

/* One image; channels that its last block lacks stay what they are. */
static void normalise_image(const graph_image *m, const float *x, const float *vectors, const graph_weight *w, float *y)
{
    const size_t plane = m->height * m->width, stored = graph_image_numbers(m, m->reads) / plane;
    const bool blocked = m->reads == KERNEL_CHANNELS_BLOCKED;
    for (size_t c = 0; c < stored; c++) {
        const size_t at = blocked ? c / KERNEL_BLOCK * plane * KERNEL_BLOCK + c % KERNEL_BLOCK : c * plane;
        const size_t step = blocked ? KERNEL_BLOCK : 1;
        if (c < m->channels)
            normalise(plane, x + at, step, vectors, m->channels, c, w, y + at);
        else
            for (size_t i = 0; i < plane; i++) y[at + i * step] = x[at + i * step];
    }
}

void run_batch_norm(const execution *e, const graph_op *op, int thread, int threads)
{
    const graph_weight *w = &e->p->g->weights[op->weight];
    const float *vectors = e->p->weights[op->weight].vector;
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++)
        normalise_image(&op->image, operand_row(e, op, &op->in[0], r), vectors, w, operand_row(e, op, &op->out, r));
}

void run_relu(const execution *e, const graph_op *op, int thread, int threads)
{
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++) {
        const float *x = operand_row(e, op, &op->in[0], r);
        float *y = operand_row(e, op, &op->out, r);
        for (size_t i = 0; i < op->head_width; i++) y[i] = x[i] < 0.0f ? 0.0f : x[i]; /* a NaN stays one */
    }
}

void run_layout(const execution *e, const graph_op *op, int thread, int threads)
{
    const size_t channels = op->image.channels, plane = op->image.height * op->image.width;
    const bool to_first = op->kind == GRAPH_CHANNELS_FIRST;
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++) {
        const float *x = operand_row(e, op, &op->in[0], r);
        float *y = operand_row(e, op, &op->out, r);
        for (size_t c = 0; c < channels; c++)
            for (size_t i = 0; i < plane; i++) {
                const size_t first = c * plane + i, last = i * channels + c;
                y[to_first ? first : last] = x[to_first ? last : first];
            }
    }
}

/* Pixels [first, end) of one block of an image and of its channels in another layout. */
typedef struct block_place {
    size_t first, end, plane; /* pixels; of a channel */
    size_t channel, channels; /* the block's first one; of the image */
    kernel_layout layout;     /* the other one */
} block_place;

/* Where the other layout has lane k of the block in pixel i. */
static size_t place_of(const block_place *b, size_t k, size_t i)
{
    return b->layout == KERNEL_CHANNELS_FIRST ? (b->channel + k) * b->plane + i : i * b->channels + b->channel + k;
}

static size_t lanes_of(const block_place *b)
{
    return b->channels - b->channel < KERNEL_BLOCK ? b->channels - b->channel : KERNEL_BLOCK;
}

static void to_block(const block_place *b, const float *x, float *block)
{
    for (size_t k = 0; k < KERNEL_BLOCK; k++)
        for (size_t i = b->first; i < b->end; i++)
            block[i * KERNEL_BLOCK + k] = k < lanes_of(b) ? x[place_of(b, k, i)] : 0.0f;
}

static void from_block(const block_place *b, const float *block, float *y)
{
    for (size_t k = 0; k < lanes_of(b); k++)
        for (size_t i = b->first; i < b->end; i++) y[place_of(b, k, i)] = block[i * KERNEL_BLOCK + k];
}

/* A thread takes rows of every image: a row of a block stays in its cache while its channels are sorted. */
static void convert_blocks(const execution *e, const graph_op *op, bool to, int thread, int threads)
{
    const graph_image *m = &op->image;
    const share s = share_of(m->height, 1, thread, threads);
    block_place b = {.plane = m->height * m->width, .channels = m->channels, .layout = to ? m->reads : m->writes};
    for (size_t r = 0; r < operation_rows(e, op); r++) {
        const float *x = operand_row(e, op, &op->in[0], r);
        float *y = operand_row(e, op, &op->out, r);
        for (b.channel = 0; b.channel < m->channels; b.channel += KERNEL_BLOCK) {
            const size_t block = b.channel * b.plane;
            for (size_t row = s.first; row < s.end; row++) {
                b.first = row * m->width, b.end = b.first + m->width;
                if (to)
                    to_block(&b, x, y + block);
                else
                    from_block(&b, x + block, y);
            }
        }
    }
}

void run_to_blocks(const execution *e, const graph_op *op, int thread, int threads)
{
    convert_blocks(e, op, true, thread, threads);
}

void run_from_blocks(const execution *e, const graph_op *op, int thread, int threads)
{
    convert_blocks(e, op, false, thread, threads);
}
