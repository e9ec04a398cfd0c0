/* conv_blocks.h - what the blocked convolutions of all rungs share: where the numbers of an image lie, and which weights of
 * the kernel meet the image and not its padding. Outputs for which these are the same form stretches: all but the borders
 * of an image are one. */
#ifndef CIUIC_KERNELS_CONV_BLOCKS_H
#define CIUIC_KERNELS_CONV_BLOCKS_H

#include "kernels/kernels.h"

/* Channel k, row r, column j of an image are at k / KERNEL_BLOCK * block + k % KERNEL_BLOCK * channel + r * row +
 * j * pixel. */
typedef struct conv_places {
    size_t block, channel, row, pixel;
} conv_places;

static inline conv_places conv_places_of(const kernel_conv2d *c, kernel_layout layout)
{
    const size_t plane = c->height * c->width;
    switch (layout) {
    case KERNEL_CHANNELS_FIRST:
        return (conv_places){.block = KERNEL_BLOCK * plane, .channel = plane, .row = c->width, .pixel = 1};
    case KERNEL_CHANNELS_LAST:
        return (conv_places){
            .block = KERNEL_BLOCK, .channel = 1, .row = c->width * c->in_channels, .pixel = c->in_channels};
    case KERNEL_CHANNELS_BLOCKED:
        break;
    }
    return (conv_places){
        .block = KERNEL_BLOCK * plane, .channel = 1, .row = c->width * KERNEL_BLOCK, .pixel = KERNEL_BLOCK};
}

/* Taps [first, end) of the kernel along one side. */
typedef struct conv_taps {
    size_t first, end;
} conv_taps;

static inline size_t conv_steps_up(size_t distance, size_t step)
{
    return distance / step + (distance % step != 0);
}

/* Those that meet the image in output `at`; dilation is at least 1. */
static inline conv_taps conv_taps_at(const kernel_conv2d *c, int side, size_t at)
{
    const size_t input = side == 0 ? c->height : c->width, start = at * c->stride[side], padding = c->padding[side];
    const size_t before = start < padding ? padding - start : 0, dilation = c->dilation[side];
    const size_t left = start < padding + input ? padding + input - start : 0; /* of the padded side, up to its end */
    const size_t first = conv_steps_up(before, dilation), end = conv_steps_up(left, dilation);
    const conv_taps taps = {.first = first, .end = end < c->kernel[side] ? end : c->kernel[side]};
    return taps.first < taps.end ? taps : (conv_taps){0, 0};
}

/* Outputs [first, end) along one side that the same taps meet the image in. */
typedef struct conv_stretch {
    size_t first, end;
    conv_taps taps;
} conv_stretch;

/* The stretch from output `first` on, up to `limit`. */
static inline conv_stretch conv_stretch_from(const kernel_conv2d *c, int side, size_t first, size_t limit)
{
    conv_stretch s = {.first = first, .end = first + 1, .taps = conv_taps_at(c, side, first)};
    if (s.taps.first == 0 && s.taps.end == c->kernel[side]) {
        const size_t input = side == 0 ? c->height : c->width;
        const size_t last = c->padding[side] + input - 1 - (c->kernel[side] - 1) * c->dilation[side];
        const size_t end = last / c->stride[side] + 1; /* the outputs whose last tap is inside */
        s.end = end < limit ? end : limit;
        return s;
    }
    for (; s.end < limit; s.end++) {
        const conv_taps next = conv_taps_at(c, side, s.end);
        if (next.first != s.taps.first || next.end != s.taps.end) break;
    }
    return s;
}

/* Where the first of the taps stands in the side of the image for output `at`; they are not none. */
static inline size_t conv_first_input(const kernel_conv2d *c, int side, size_t at, const conv_taps *taps)
{
    return at * c->stride[side] + taps->first * c->dilation[side] - c->padding[side];
}

#endif
