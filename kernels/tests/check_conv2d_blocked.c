/* check_conv2d_blocked.c - convolution into blocks of channels: on the portable rung the plain convolution's numbers to the
 * bit, on all others within what rounding allows of them; blocks in their places, and zeros for channels that are not. */
#include "kernels/tests/check.h"

#define SHAPE(in, out, group, h, w, kh, kw, sh, sw, ph, pw, dh, dw)                                                    \
    {                                                                                                                  \
        .in_channels = (in), .out_channels = (out), .groups = (group), .height = (h), .width = (w),                    \
        .kernel = {kh, kw}, .stride = {sh, sw}, .padding = {ph, pw}, .dilation = {                                     \
            dh,                                                                                                        \
            dw                                                                                                         \
        }                                                                                                              \
    }

static const kernel_conv2d shapes[] = {
    SHAPE(1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1),
    SHAPE(3, 16, 1, 17, 17, 3, 3, 2, 2, 1, 1, 1, 1),
    SHAPE(16, 8, 1, 12, 12, 3, 3, 1, 1, 1, 1, 1, 1),
    SHAPE(5, 7, 1, 9, 40, 1, 1, 1, 1, 0, 0, 1, 1),
    SHAPE(29, 37, 1, 11, 23, 3, 3, 1, 1, 1, 1, 1, 1), /* three blocks, the last one of five channels */
    SHAPE(40, 64, 1, 7, 7, 3, 3, 1, 1, 1, 1, 1, 1),
    SHAPE(3, 48, 1, 30, 31, 7, 7, 2, 2, 3, 3, 1, 1),
    SHAPE(2, 19, 1, 45, 47, 17, 19, 14, 13, 1, 0, 1, 1),
    SHAPE(3, 24, 1, 42, 28, 14, 14, 14, 14, 0, 0, 1, 1), /* patches */
    SHAPE(2, 3, 1, 7, 19, 2, 5, 1, 3, 0, 4, 3, 1),
    SHAPE(2, 2, 1, 2, 3, 3, 3, 1, 1, 5, 6, 1, 1), /* padding wider than the image: outputs of bias alone */
    SHAPE(1, 2, 1, 4, 70, 4, 3, 1, 1, 0, 1, 1, 31),
    SHAPE(2, 2, 1, 5, 5, 1, 1, 4, 7, 0, 0, 1, 1), /* stride beyond the image */
    SHAPE(2, 2, 1, 4, 4, 5, 3, 1, 1, 0, 0, 1, 1), /* does not fit */
    SHAPE(2, 2, 1, 0, 4, 1, 1, 1, 1, 0, 0, 1, 1),
    SHAPE(0, 2, 1, 3, 4, 1, 1, 1, 1, 0, 0, 1, 1), /* nothing to add to the bias */
    SHAPE(2, 0, 1, 3, 4, 1, 1, 1, 1, 0, 0, 1, 1),
    SHAPE(4, 9, 1, 130, 1, 3, 1, 1, 1, 1, 0, 1, 1), /* a column */
    SHAPE(17, 33, 1, 1, 50, 1, 4, 1, 2, 0, 3, 1, 5),
    SHAPE(2, 8, 1, 3, 9, 3, 3, 2, 2, 9, 9, 1, 1),
    SHAPE(1, 8, 1, 9, 9, 5, 5, 1, 1, 8, 8, 4, 4), /* between borders, never all of the taps */
    /* groups of whole blocks, one, two and three of them */
    SHAPE(32, 32, 2, 10, 10, 3, 3, 1, 1, 1, 1, 1, 1),
    SHAPE(64, 96, 2, 6, 9, 3, 2, 2, 1, 1, 0, 1, 2),
    SHAPE(32, 64, 2, 5, 5, 1, 1, 1, 1, 0, 0, 1, 1),
    /* depthwise */
    SHAPE(6, 6, 6, 11, 13, 3, 3, 1, 1, 1, 1, 1, 1),
    SHAPE(16, 16, 16, 5, 14, 3, 3, 1, 1, 1, 1, 1, 1),
    SHAPE(37, 37, 37, 14, 9, 3, 3, 2, 2, 1, 1, 1, 1),
    SHAPE(33, 33, 33, 9, 25, 5, 5, 1, 1, 2, 6, 2, 3),
    SHAPE(2, 2, 2, 6, 64, 2, 2, 2, 2, 0, 0, 1, 1),
    SHAPE(2, 2, 2, 6, 66, 3, 4, 3, 3, 2, 2, 1, 1),
};

static const struct {
    kernel_conv2d c;
    bool from_plain, from_blocks;
} groups[] = {
    {SHAPE(8, 24, 2, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1), false, false},   /* groups of 4 and 12 channels */
    {SHAPE(32, 24, 2, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1), false, false},  /* of 16 and 12 */
    {SHAPE(24, 32, 2, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1), false, false},  /* of 12 and 16 */
    {SHAPE(16, 32, 16, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1), false, false}, /* two outputs for each input */
    {SHAPE(16, 16, 16, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1), false, true},  /* depthwise */
    {SHAPE(64, 32, 2, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1), true, true},    /* of 32 and 16 */
    {SHAPE(3, 5, 1, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1), true, true},      /* one group */
    {SHAPE(1, 1, 1, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1), true, true},      /* of one channel */
    {SHAPE(16, 16, 0, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1), false, false},  /* none */
};

static void check_groups(check *c)
{
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        for (int layout = KERNEL_CHANNELS_FIRST; layout <= KERNEL_CHANNELS_BLOCKED; layout++) {
            const bool want = layout == KERNEL_CHANNELS_BLOCKED ? groups[i].from_blocks : groups[i].from_plain;
            if (kernel_conv2d_blockable(&groups[i].c, (kernel_layout)layout) != want)
                check_fail(c, "groups %zu in layout %d: %s", i, layout, want ? "refused" : "taken");
        }
}

/* The image x, channels first, in another layout; channels that are not there are zeros where they are read by their own
 * outputs, else the guard's pattern, which shows in a sum. */
static const float *laid_out(check *c, const kernel_conv2d *conv, kernel_layout layout, const float *x)
{
    const size_t plane = conv->height * conv->width, channels = conv->in_channels;
    if (layout == KERNEL_CHANNELS_FIRST) return x;
    const size_t numbers = (layout == KERNEL_CHANNELS_LAST ? channels : kernel_block_channels(channels)) * plane;
    float *out = check_alloc(c, numbers * sizeof *out);
    for (size_t i = 0; i < numbers && kernel_conv2d_depthwise(conv); i++) out[i] = 0;
    for (size_t k = 0; k < channels; k++)
        for (size_t i = 0; i < plane; i++) {
            const size_t block = (k / KERNEL_BLOCK * plane + i) * KERNEL_BLOCK + k % KERNEL_BLOCK;
            out[layout == KERNEL_CHANNELS_LAST ? i * channels + k : block] = x[k * plane + i];
        }
    return out;
}

/* The convolution with its weights and biases in blocks. */
static kernel_conv2d packed(check *c, const kernel_conv2d *conv, size_t taps)
{
    kernel_conv2d blocked = *conv;
    const size_t stored = kernel_block_channels(conv->out_channels);
    float *weight = check_alloc(c, stored * taps * sizeof *weight), *bias = check_alloc(c, stored * sizeof *bias);
    for (size_t o = 0; o < stored; o++) {
        const bool there = o < conv->out_channels;
        for (size_t t = 0; t < taps; t++)
            weight[kernel_block_weight(taps, o, t)] = there ? conv->weight[o * taps + t] : 0;
        bias[o] = there && conv->bias ? conv->bias[o] : 0;
    }
    blocked.weight = weight;
    blocked.bias = conv->bias ? bias : NULL;
    return blocked;
}

/* The plain convolution of magnitudes: what the roundings of its sums are a share of. */
static const float *magnitudes(check *c, const kernel_conv2d *conv, size_t taps, const float *x, size_t outputs)
{
    kernel_conv2d all = *conv;
    const size_t numbers = conv->in_channels * conv->height * conv->width;
    float *weight = check_alloc(c, conv->out_channels * taps * sizeof *weight);
    float *bias = check_alloc(c, conv->out_channels * sizeof *bias);
    float *inputs = check_alloc(c, numbers * sizeof *inputs), *sums = check_alloc(c, outputs * sizeof *sums);
    for (size_t i = 0; i < conv->out_channels * taps; i++) weight[i] = fabsf(conv->weight[i]);
    for (size_t i = 0; i < conv->out_channels; i++) bias[i] = conv->bias ? fabsf(conv->bias[i]) : 0;
    for (size_t i = 0; i < numbers; i++) inputs[i] = fabsf(x[i]);
    all.weight = weight, all.bias = bias;
    c->reference->conv2d(&all, inputs, 0, conv->out_channels, sums);
    return sums;
}

/* One of the call's outputs, in its place among the blocks. A sum of t products and a bias, here as in the reference, is
 * within gamma(t + 1) of its terms' magnitudes, whose own sum is as far off again: below three times that with the second
 * order, and what products lose below the smallest float. The portable rung adds the same terms in the same order. */
static void check_number(check *c, double terms, size_t at, float got, float want, float magnitude)
{
    if (c->table->isa == KERNEL_ISA_C)
        check_same(c, "y", 1, &got, &want);
    else
        check_value(c, "y", at, (double)got, (double)want,
                    3 * gamma_of(terms + 1) * (double)magnitude + 2 * terms * SMALLEST);
}

typedef struct blocked_call {
    kernel_conv2d conv; /* as the plain convolution takes it */
    kernel_conv2d_part part;
    size_t rows, columns, taps;
    bool wild;
} blocked_call;

static void check_blocks(check *c, const blocked_call *call, const float *want, const float *magnitude, const float *y)
{
    const size_t plane = call->rows * call->columns, stored = kernel_block_channels(call->conv.out_channels);
    const kernel_conv2d_part *p = &call->part;
    for (size_t i = 0; i < stored * plane; i++) {
        const size_t lane = i % KERNEL_BLOCK, at = i / KERNEL_BLOCK % plane, block = i / KERNEL_BLOCK / plane;
        const size_t channel = block * KERNEL_BLOCK + lane, row = at / call->columns;
        if (block < p->block || block >= p->block + p->blocks || row < p->row || row >= p->row + p->rows) {
            if (!check_untouched(&y[i], sizeof y[i])) check_fail(c, "wrote row %zu of block %zu", row, block);
        } else if (channel < call->conv.out_channels) {
            check_number(c, (double)call->taps, i, y[i], want[channel * plane + at], magnitude[channel * plane + at]);
        } else if (!call->wild && !(y[i] == 0)) {
            check_fail(c, "channel %zu, which is not there, is %g", channel, (double)y[i]);
        }
    }
}

/* All of the output, or the part that a thread has of its blocks or of its rows. */
static kernel_conv2d_part part_of(size_t blocks, size_t rows, size_t form)
{
    kernel_conv2d_part p = {.blocks = blocks, .rows = rows};
    if (form == 1) p.block = blocks / 3, p.blocks = blocks - blocks / 3;
    if (form == 2) p.row = rows / 3, p.rows = rows / 2;
    return p;
}

static void check_call(check *c, const kernel_conv2d *shape, kernel_layout layout, size_t form)
{
    blocked_call call = {.conv = *shape, .wild = form == 3};
    if (!kernel_conv2d_blockable(shape, layout)) return;
    kernel_conv2d_size(shape, &call.rows, &call.columns);
    call.taps = shape->in_channels / shape->groups * shape->kernel[0] * shape->kernel[1];
    const size_t stored = kernel_block_channels(shape->out_channels), plane = call.rows * call.columns;
    call.part = part_of(stored / KERNEL_BLOCK, call.rows, form);
    check_shape(c, "%zux%zux%zu, layout %d, to %zu in %zu groups, kernel %zux%zu, form %zu", shape->in_channels,
                shape->height, shape->width, (int)layout, shape->out_channels, shape->groups, shape->kernel[0],
                shape->kernel[1], form);
    const float *x = check_floats(c, shape->in_channels * shape->height * shape->width, call.wild);
    call.conv.weight = check_floats(c, shape->out_channels * call.taps, call.wild);
    if (form % 2) call.conv.bias = check_floats(c, shape->out_channels, call.wild);
    const kernel_conv2d blocked = packed(c, &call.conv, call.taps);
    const float *from = laid_out(c, shape, layout, x);
    float *want = check_alloc(c, shape->out_channels * plane * sizeof *want);
    c->reference->conv2d(&call.conv, x, 0, shape->out_channels, want);
    const float *magnitude = magnitudes(c, &call.conv, call.taps, x, shape->out_channels * plane);
    check_freeze(c);
    float *y = check_output(c, stored * plane * sizeof *y);
    CHECK_CALL(c->table->conv2d_blocked(&blocked, layout, from, &call.part, y));
    check_blocks(c, &call, want, magnitude, y);
}

static void check_conv2d_blocked(check *c)
{
    check_groups(c);
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (int layout = KERNEL_CHANNELS_FIRST; layout <= KERNEL_CHANNELS_BLOCKED; layout++)
            for (size_t form = 0; form < 4; form++) check_call(c, &shapes[s], (kernel_layout)layout, form);
}

const check_entry conv2d_blocked_checks[] = {
    {"conv2d_blocked", check_conv2d_blocked},
    {NULL, NULL},
};
