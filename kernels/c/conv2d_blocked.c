/* conv2d_blocked.c - convolution into blocks of channels, by definition: the outputs of a block in one place are summed
 * together, one weight of each at a time, in the order in which conv2d.c sums them: the results are the same to the bit. */
#include "kernels/c/conv_blocks.h"
#include "kernels/c/kernels_c.h"

#include <string.h>

bool kernel_conv2d_depthwise(const kernel_conv2d *c)
{
    return c->groups == c->in_channels && c->groups == c->out_channels && c->groups > 1;
}

bool kernel_conv2d_blockable(const kernel_conv2d *c, kernel_layout layout)
{
    if (c->groups == 0) return false;
    if (kernel_conv2d_depthwise(c)) return layout == KERNEL_CHANNELS_BLOCKED;
    return c->groups == 1 ||
           (c->in_channels / c->groups % KERNEL_BLOCK == 0 && c->out_channels / c->groups % KERNEL_BLOCK == 0);
}

size_t kernel_block_channels(size_t channels)
{
    return (channels / KERNEL_BLOCK + (channels % KERNEL_BLOCK != 0)) * KERNEL_BLOCK;
}

size_t kernel_block_weight(size_t taps, size_t channel, size_t tap)
{
    return (channel / KERNEL_BLOCK * taps + tap) * KERNEL_BLOCK + channel % KERNEL_BLOCK;
}

static void add_one(const float *restrict weights, float x, float *restrict sums)
{
#pragma omp simd
    for (size_t k = 0; k < KERNEL_BLOCK; k++) sums[k] += weights[k] * x;
}

static void add_each(const float *restrict weights, const float *restrict x, float *restrict sums)
{
#pragma omp simd
    for (size_t k = 0; k < KERNEL_BLOCK; k++) sums[k] += weights[k] * x[k];
}

/* What the outputs of one block have in common. */
typedef struct block_of_outputs {
    const kernel_conv2d *c;
    conv_places places;
    const float *x, *weights; /* x: [first channel of the group] */
    size_t inputs;            /* channels that are summed over; depthwise: 1, each its own */
    bool depthwise;
} block_of_outputs;

/* The sums of all of the block's outputs in one place, over the taps that meet the image there. */
static void add_taps(const block_of_outputs *b, size_t row, size_t column, float *sums)
{
    const kernel_conv2d *c = b->c;
    const conv_taps down = conv_taps_at(c, 0, row), across = conv_taps_at(c, 1, column);
    if (down.first == down.end || across.first == across.end) return;
    const size_t h = conv_first_input(c, 0, row, &down), w = conv_first_input(c, 1, column, &across);
    const float *corner = b->x + h * b->places.row + w * b->places.pixel;
    for (size_t i = 0; i < b->inputs; i++) {
        const float *channel = corner + i / KERNEL_BLOCK * b->places.block + i % KERNEL_BLOCK * b->places.channel;
        for (size_t k = down.first; k < down.end; k++) {
            const float *from = channel + (k - down.first) * c->dilation[0] * b->places.row;
            const float *weights = b->weights + ((i * c->kernel[0] + k) * c->kernel[1] + across.first) * KERNEL_BLOCK;
            for (size_t n = 0; n < across.end - across.first; n++, weights += KERNEL_BLOCK) {
                const float *at = from + n * c->dilation[1] * b->places.pixel;
                if (b->depthwise)
                    add_each(weights, at, sums);
                else
                    add_one(weights, *at, sums);
            }
        }
    }
}

void conv2d_blocked_c(const kernel_conv2d *c, kernel_layout layout, const float *x, const kernel_conv2d_part *part,
                      float *y)
{
    size_t rows, columns;
    kernel_conv2d_size(c, &rows, &columns);
    if (rows * columns == 0 || c->out_channels == 0) return;
    block_of_outputs b = {.c = c, .places = conv_places_of(c, layout), .depthwise = kernel_conv2d_depthwise(c)};
    const size_t group = c->in_channels / c->groups, taps = group * c->kernel[0] * c->kernel[1];
    b.inputs = b.depthwise ? 1 : group;
    for (size_t o = part->block; o < part->block + part->blocks; o++) {
        const size_t first = b.depthwise ? o * KERNEL_BLOCK : o * KERNEL_BLOCK / (c->out_channels / c->groups) * group;
        b.x = x + first / KERNEL_BLOCK * b.places.block;
        b.weights = c->weight + o * taps * KERNEL_BLOCK;
        for (size_t r = part->row; r < part->row + part->rows; r++) {
            for (size_t j = 0; j < columns; j++) {
                float sums[KERNEL_BLOCK];
                for (size_t k = 0; k < KERNEL_BLOCK; k++) sums[k] = c->bias ? c->bias[o * KERNEL_BLOCK + k] : 0.0f;
                add_taps(&b, r, j, sums);
                memcpy(y + ((o * rows + r) * columns + j) * KERNEL_BLOCK, sums, sizeof sums);
            }
        }
    }
}
