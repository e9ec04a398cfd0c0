/* conv2d_blocked.h - convolution into blocks of channels: the outputs of a few neighbouring places are summed in registers,
 * all channels of one or two blocks of each, and every weight that is loaded meets all of them. Nothing is copied: a number
 * of x is broadcast from where it lies, whatever the layout, and in a depthwise convolution a block of x is a vector as it
 * stands. Ceiling: with TILE_PLACES broadcasts and PANEL_VECTORS loads for their product of multiply-adds, the peak of
 * arithmetic.
 *
 * A tile is a run of places, in a row or in a column, which all meet the image with the same taps (conv_blocks.h): there
 * is no padding to ask about inside it, at the borders neither. Sums are formed in the order of c/conv2d_blocked.c. */
#ifndef CIUIC_KERNELS_SIMD_CONV2D_BLOCKED_H
#define CIUIC_KERNELS_SIMD_CONV2D_BLOCKED_H

#include "kernels/c/conv_blocks.h"
#include "kernels/c/kernels_c.h"

enum {
    TILE_PLACES = PANEL_ROWS,                           /* outputs of one channel in a tile, at most */
    TILE_BLOCKS = PANEL_VECTORS * LANES / KERNEL_BLOCK, /* blocks that share what is broadcast: 1 or 2 */
    BLOCK_VECTORS = KERNEL_BLOCK / LANES,
};

/* The work that tiles are cut from: `count` places with the same taps. */
typedef struct conv_strip {
    const kernel_conv2d *c;
    conv_places places;
    const float *x, *weights; /* of the first place, under the first of the taps, in the first channel; of that tap */
    float *y;
    size_t inputs, step, y_step; /* channels that are summed over; floats from one place to the next */
    size_t taps, plane;          /* of a block: its weights and its outputs are KERNEL_BLOCK times as many floats */
    const float *bias;           /* NULL: none */
    size_t down, across, count;  /* taps that meet the image; places */
} conv_strip;

/* Adds one tap: w, of N blocks whose weights are `next` floats apart, times x at M places. */
static ALWAYS_INLINE void tile_tap(const int M, const int N, const bool depthwise, const float *w, size_t next,
                                   const float *x, size_t step, vf acc[TILE_PLACES][PANEL_VECTORS])
{
    vf weights[PANEL_VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < N * BLOCK_VECTORS; v++)
        weights[v] = vf_load(w + (size_t)(v / BLOCK_VECTORS) * next + (size_t)(v % BLOCK_VECTORS) * LANES);
#pragma GCC unroll 16
    for (int p = 0; p < M; p++) {
        const float *at = x + (size_t)p * step;
        if (depthwise) {
#pragma GCC unroll 4
            for (int v = 0; v < BLOCK_VECTORS; v++) acc[p][v] = vf_fma(vf_load(at + v * LANES), weights[v], acc[p][v]);
        } else {
            const vf one = vf_set1(*at);
#pragma GCC unroll 4
            for (int v = 0; v < N * BLOCK_VECTORS; v++) acc[p][v] = vf_fma(one, weights[v], acc[p][v]);
        }
    }
}

/* M places of N blocks from place `first` of the strip on. */
static ALWAYS_INLINE void tile(const int M, const int N, const bool depthwise, const size_t step, const conv_strip *s,
                               size_t first)
{
    const kernel_conv2d *c = s->c;
    vf acc[TILE_PLACES][PANEL_VECTORS];
#pragma GCC unroll 16
    for (int p = 0; p < M; p++) {
#pragma GCC unroll 4
        for (int v = 0; v < N * BLOCK_VECTORS; v++) acc[p][v] = s->bias ? vf_load(s->bias + v * LANES) : vf_zero();
    }
    const size_t row = c->dilation[0] * s->places.row, pixel = c->dilation[1] * s->places.pixel;
    const size_t weight_row = c->kernel[1] * KERNEL_BLOCK, weights = c->kernel[0] * weight_row;
    /* A kernel of one tap has its channels in the innermost loop, where others have a row of taps: both weights stand side
     * by side. */
    const bool pointwise = weights == KERNEL_BLOCK && s->across == 1;
    const size_t inner_step = pointwise ? s->places.channel : pixel;
    const float *block = s->x + first * step, *block_weights = s->weights;
    for (size_t i = 0; i < s->inputs; i += KERNEL_BLOCK, block += s->places.block) {
        const size_t channels = s->inputs - i < KERNEL_BLOCK ? s->inputs - i : KERNEL_BLOCK;
        const size_t outer = pointwise ? 1 : channels, inner = pointwise ? channels : s->across;
        for (size_t k = 0; k < outer; k++) {
            const float *from = block + k * s->places.channel, *w = block_weights + k * weights;
            for (size_t down = 0; down < s->down; down++, from += row, w += weight_row) {
                const float *x = from;
                for (size_t n = 0; n < inner; n++, x += inner_step)
                    tile_tap(M, N, depthwise, w + n * KERNEL_BLOCK, s->taps * KERNEL_BLOCK, x, step, acc);
            }
        }
        block_weights += channels * weights;
    }
    float *y = s->y + first * s->y_step;
#pragma GCC unroll 16
    for (int p = 0; p < M; p++, y += s->y_step) {
#pragma GCC unroll 4
        for (int v = 0; v < N * BLOCK_VECTORS; v++)
            vf_store(y + (size_t)(v / BLOCK_VECTORS) * s->plane * KERNEL_BLOCK + (size_t)(v % BLOCK_VECTORS) * LANES,
                     acc[p][v]);
    }
}

/* All places of the strip, in tiles as equal as can be: a tile of one place takes as long as one of several. */
static ALWAYS_INLINE void strip_tiles(const int N, const bool depthwise, const size_t step, const conv_strip *s)
{
    const size_t tiles = (s->count + TILE_PLACES - 1) / TILE_PLACES;
    for (size_t t = 0; t < tiles; t++) {
        const size_t first = s->count * t / tiles, end = s->count * (t + 1) / tiles;
        switch (end - first) {
#define TILE_CASE(M)                                                                                                   \
    case (M):                                                                                                          \
        if ((M) <= TILE_PLACES) tile((M) <= TILE_PLACES ? (M) : 1, N, depthwise, step, s, first);                      \
        break
            TILE_CASE(1);
            TILE_CASE(2);
            TILE_CASE(3);
            TILE_CASE(4);
            TILE_CASE(5);
            TILE_CASE(6);
            TILE_CASE(7);
            TILE_CASE(8);
            TILE_CASE(9);
            TILE_CASE(10);
            TILE_CASE(11);
            TILE_CASE(12);
#undef TILE_CASE
        default:
            break;
        }
    }
}
_Static_assert(TILE_PLACES <= 12, "a tile has a case for each number of places");

/* Blocks side by side have a stride of their own in the code: the distance is part of the address then. */
static ALWAYS_INLINE void strip_sums(const int N, const bool depthwise, const conv_strip *s)
{
    if (s->step == KERNEL_BLOCK)
        strip_tiles(N, depthwise, KERNEL_BLOCK, s);
    else
        strip_tiles(N, depthwise, s->step, s);
}

/* What the outputs of a run of blocks have in common. */
typedef struct conv_blocks {
    const kernel_conv2d *c;
    conv_places places;
    const float *x; /* the first channel that they read */
    float *y;       /* the first of the blocks */
    size_t block, rows, columns;
    bool depthwise;
} conv_blocks;

/* The outputs of N blocks where the rows of one stretch meet the columns of another: along whichever is longer. */
static ALWAYS_INLINE void blocks_stretch(const int N, const bool depthwise, const conv_blocks *b,
                                         const conv_stretch *rows, const conv_stretch *columns)
{
    const kernel_conv2d *c = b->c;
    const size_t area = c->kernel[0] * c->kernel[1], inputs = depthwise ? 1 : c->in_channels / c->groups;
    const size_t high = rows->end - rows->first, wide = columns->end - columns->first, taps = inputs * area;
    const bool upright = high > wide;
    const size_t lines = upright ? wide : high, line_row = upright ? 0 : 1, line_column = upright ? 1 : 0;
    conv_strip s = {.c = c,
                    .places = b->places,
                    .x = b->x,
                    .inputs = inputs,
                    .step = upright ? c->stride[0] * b->places.row : c->stride[1] * b->places.pixel,
                    .y_step = (upright ? b->columns : 1) * KERNEL_BLOCK,
                    .taps = taps,
                    .plane = b->rows * b->columns,
                    .bias = c->bias ? c->bias + b->block * KERNEL_BLOCK : NULL,
                    .down = rows->taps.end - rows->taps.first,
                    .across = columns->taps.end - columns->taps.first,
                    .count = upright ? high : wide};
    const bool empty = s.down == 0 || s.across == 0;
    if (empty) s.inputs = 0;
    s.weights = c->weight + (b->block * taps + rows->taps.first * c->kernel[1] + columns->taps.first) * KERNEL_BLOCK;
    for (size_t n = 0; n < lines; n++) {
        const size_t row = rows->first + n * line_row, column = columns->first + n * line_column;
        if (!empty)
            s.x = b->x + conv_first_input(c, 0, row, &rows->taps) * b->places.row +
                  conv_first_input(c, 1, column, &columns->taps) * b->places.pixel;
        s.y = b->y + (row * b->columns + column) * KERNEL_BLOCK;
        strip_sums(N, depthwise, &s);
    }
}

/* The rows of the part in N blocks. */
static ALWAYS_INLINE void blocks_rows(const int N, const bool depthwise, const conv_blocks *b,
                                      const kernel_conv2d_part *part)
{
    const size_t end = part->row + part->rows;
    for (conv_stretch rows = {.end = part->row}; rows.end < end;) {
        rows = conv_stretch_from(b->c, 0, rows.end, end);
        for (conv_stretch columns = {.end = 0}; columns.end < b->columns;) {
            columns = conv_stretch_from(b->c, 1, columns.end, b->columns);
            blocks_stretch(N, depthwise, b, &rows, &columns);
        }
    }
}

static ALWAYS_INLINE void conv2d_blocked(const kernel_conv2d *c, kernel_layout layout, const float *x,
                                         const kernel_conv2d_part *part, float *y)
{
    conv_blocks b = {.c = c, .places = conv_places_of(c, layout), .depthwise = kernel_conv2d_depthwise(c)};
    kernel_conv2d_size(c, &b.rows, &b.columns);
    if (b.rows * b.columns == 0 || c->out_channels == 0) return;
    /* Two blocks of one group read the same channels. */
    const size_t together = b.depthwise ? KERNEL_BLOCK : kernel_block_channels(c->out_channels / c->groups);
    for (size_t o = part->block, blocks; o < part->block + part->blocks; o += blocks) {
        const size_t group = o * KERNEL_BLOCK / together, left = (group + 1) * together / KERNEL_BLOCK - o;
        const size_t first = b.depthwise ? o * KERNEL_BLOCK : group * (c->in_channels / c->groups);
        const bool two = TILE_BLOCKS > 1 && left > 1 && o + 1 < part->block + part->blocks;
        blocks = two ? 2 : 1;
        b.block = o;
        b.x = x + first / KERNEL_BLOCK * b.places.block;
        b.y = y + o * b.rows * b.columns * KERNEL_BLOCK;
        if (b.depthwise)
            blocks_rows(1, true, &b, part);
        else if (two)
            blocks_rows(TILE_BLOCKS, false, &b, part);
        else
            blocks_rows(1, false, &b, part);
    }
}

#endif
