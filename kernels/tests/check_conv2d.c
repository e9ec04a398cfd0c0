/* check_conv2d.c - convolution against its definition: every output a sum over the kernel, in double. */
#include "kernels/tests/check.h"

/* Sizes are of the output when the formula of kernels.h is worked out by hand. */
typedef struct conv_shape {
    kernel_conv2d c;
    size_t rows, columns;
} conv_shape;

#define SHAPE(in, out, group, h, w, kh, kw, sh, sw, ph, pw, dh, dw)                                                    \
    .in_channels = (in), .out_channels = (out), .groups = (group), .height = (h), .width = (w), .kernel = {kh, kw},    \
    .stride = {sh, sw}, .padding = {ph, pw}, .dilation = {dh, dw}

static const conv_shape shapes[] = {
    {{SHAPE(1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1)}, 1, 1},
    {{SHAPE(3, 16, 1, 17, 17, 3, 3, 2, 2, 1, 1, 1, 1)}, 9, 9},
    {{SHAPE(16, 8, 1, 12, 12, 3, 3, 1, 1, 1, 1, 1, 1)}, 12, 12},
    {{SHAPE(5, 7, 1, 9, 40, 1, 1, 1, 1, 0, 0, 1, 1)}, 9, 40},
    {{SHAPE(32, 32, 4, 10, 10, 3, 3, 1, 1, 1, 1, 1, 1)}, 10, 10},
    {{SHAPE(6, 6, 6, 11, 13, 3, 3, 1, 1, 1, 1, 1, 1)}, 11, 13}, /* depthwise */
    {{SHAPE(8, 24, 2, 23, 23, 5, 5, 3, 3, 2, 2, 2, 2)}, 7, 7},  /* (23 + 4 - 8 - 1) / 3 + 1 */
    {{SHAPE(2, 3, 1, 7, 19, 2, 5, 1, 3, 0, 4, 3, 1)}, 4, 8},    /* (7 - 3 - 1) + 1; (19 + 8 - 4 - 1) / 3 + 1 */
    {{SHAPE(2, 2, 1, 2, 3, 3, 3, 1, 1, 5, 6, 1, 1)}, 10, 13},  /* padding wider than the image: outputs of bias alone */
    {{SHAPE(1, 2, 1, 4, 70, 4, 3, 1, 1, 0, 1, 1, 31)}, 1, 10}, /* (70 + 2 - 62 - 1) + 1 */
    {{SHAPE(2, 2, 1, 5, 5, 1, 1, 4, 7, 0, 0, 1, 1)}, 2, 1},    /* stride beyond the image */
    {{SHAPE(2, 2, 1, 4, 4, 5, 3, 1, 1, 0, 0, 1, 1)}, 0, 2},    /* does not fit */
    {{SHAPE(2, 2, 1, 4, 4, 3, 3, 1, 1, 0, 0, 1, 2)}, 2, 0},
    {{SHAPE(2, 2, 1, 0, 4, 1, 1, 1, 1, 0, 0, 1, 1)}, 0, 4},
    {{SHAPE(0, 2, 1, 3, 4, 1, 1, 1, 1, 0, 0, 1, 1)}, 3, 4}, /* nothing to add to the bias */
    {{SHAPE(2, 0, 1, 3, 4, 1, 1, 1, 1, 0, 0, 1, 1)}, 3, 4},
    /* many output channels, more taps than are taken at once, more outputs than a tile, rows longer and shorter than one */
    {{SHAPE(29, 37, 1, 11, 23, 3, 3, 1, 1, 1, 1, 1, 1)}, 11, 23},
    {{SHAPE(3, 64, 1, 46, 46, 7, 7, 2, 2, 3, 3, 1, 1)}, 23, 23},   /* (46 + 6 - 6 - 1) / 2 + 1 */
    {{SHAPE(2, 13, 1, 45, 47, 17, 19, 14, 13, 1, 0, 1, 1)}, 3, 3}, /* (45 + 2 - 17) / 14 + 1; (47 - 19) / 13 + 1 */
    {{SHAPE(3, 24, 1, 42, 28, 14, 14, 14, 14, 0, 0, 1, 1)}, 3, 2}, /* patches */
    {{SHAPE(4, 9, 1, 130, 1, 3, 1, 1, 1, 1, 0, 1, 1)}, 130, 1},    /* a column */
    {{SHAPE(5, 6, 1, 1, 300, 1, 4, 1, 2, 0, 3, 1, 5)}, 1, 146},    /* (300 + 6 - 15 - 1) / 2 + 1 */
    {{SHAPE(40, 12, 2, 5, 5, 5, 5, 1, 1, 2, 2, 1, 1)}, 5, 5},
    {{SHAPE(2, 8, 1, 3, 9, 3, 3, 2, 2, 9, 9, 1, 1)}, 10, 13}, /* padding wider than the image, strided */
    {{SHAPE(1, 8, 1, 3, 5, 2, 2, 1, 1, 40, 40, 1, 1)}, 82, 84},
    /* few output channels in a group: rows long and short, with borders wider than a vector, strides of 1, 2 and 3 */
    {{SHAPE(2, 2, 2, 5, 140, 3, 3, 1, 1, 1, 1, 1, 1)}, 5, 140},
    {{SHAPE(3, 6, 3, 7, 301, 3, 3, 2, 2, 1, 1, 1, 1)}, 4, 151}, /* (7 + 2 - 3) / 2 + 1; (301 + 2 - 3) / 2 + 1 */
    {{SHAPE(3, 3, 3, 14, 14, 3, 3, 2, 2, 1, 1, 1, 1)}, 7, 7},
    {{SHAPE(4, 3, 1, 9, 95, 5, 5, 1, 1, 2, 22, 2, 9)}, 5, 103}, /* 9 + 4 - 8; 95 + 44 - 36 */
    {{SHAPE(2, 2, 2, 6, 64, 2, 2, 2, 2, 0, 0, 1, 1)}, 3, 32},   /* the last input is the last one needed */
    {{SHAPE(2, 2, 2, 6, 66, 3, 4, 3, 3, 2, 2, 1, 1)}, 3, 23},   /* (6 + 4 - 3) / 3 + 1; (66 + 4 - 4) / 3 + 1 */
    {{SHAPE(1, 1, 1, 3, 90, 1, 1, 1, 1, 0, 7, 1, 1)}, 3, 104},
};

/* One output, the sum of its terms' magnitudes, and whether a weight that is not finite met padding: 0 times it is NaN,
 * and padding left out is nothing. Padding is signed here, so that borders need no case of their own. */
static double convolve(const kernel_conv2d *c, const float *x, size_t o, size_t row, size_t column, double *magnitude,
                       bool *padded)
{
    const size_t inputs = c->in_channels / c->groups, first = o / (c->out_channels / c->groups) * inputs;
    double sum = c->bias ? (double)c->bias[o] : 0;
    *magnitude = fabs(sum);
    *padded = false;
    for (size_t i = 0; i < inputs; i++) {
        for (size_t down = 0; down < c->kernel[0]; down++) {
            for (size_t across = 0; across < c->kernel[1]; across++) {
                const long h = (long)(row * c->stride[0] + down * c->dilation[0]) - (long)c->padding[0];
                const long w = (long)(column * c->stride[1] + across * c->dilation[1]) - (long)c->padding[1];
                const size_t at = ((o * inputs + i) * c->kernel[0] + down) * c->kernel[1] + across;
                if (h < 0 || w < 0 || h >= (long)c->height || w >= (long)c->width) {
                    *padded = *padded || !isfinite(c->weight[at]);
                    continue;
                }
                const double term =
                    (double)c->weight[at] * (double)x[((first + i) * c->height + (size_t)h) * c->width + (size_t)w];
                sum += term;
                *magnitude += fabs(term);
            }
        }
    }
    return sum;
}

/* Each of the terms is rounded when it is multiplied and with every sum after it, at most as often as there are terms, plus
 * the bias. */
static void check_channels(check *c, const kernel_conv2d *conv, const float *x, size_t first, size_t count, size_t rows,
                           size_t columns, const float *y)
{
    const double terms = (double)(conv->in_channels / conv->groups * conv->kernel[0] * conv->kernel[1]);
    for (size_t o = 0; o < conv->out_channels; o++) {
        const float *plane = y + o * rows * columns;
        if (o < first || o >= first + count) {
            if (!check_untouched(plane, rows * columns * sizeof *plane)) check_fail(c, "wrote channel %zu", o);
            continue;
        }
        for (size_t i = 0; i < rows * columns; i++) {
            double magnitude;
            bool padded;
            const double want = convolve(conv, x, o, i / columns, i % columns, &magnitude, &padded);
            if (padded && isnan(plane[i])) continue;
            check_value(c, "y", o * rows * columns + i, (double)plane[i], want,
                        gamma_of(terms + 1) * magnitude + terms * SMALLEST);
        }
    }
}

static void check_conv2d(check *c)
{
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0] * 4; s++) {
        kernel_conv2d conv = shapes[s / 4].c;
        const bool biased = s % 2, wild = s % 4 == 3;
        /* All channels, or those of one thread. */
        const size_t first = s % 4 == 2 ? conv.out_channels / 3 : 0;
        const size_t count = s % 4 == 2 ? conv.out_channels / 2 : conv.out_channels;
        check_shape(c, "%zux%zux%zu to %zu in %zu groups, kernel %zux%zu, channels %zu to %zu", conv.in_channels,
                    conv.height, conv.width, conv.out_channels, conv.groups, conv.kernel[0], conv.kernel[1], first,
                    first + count);
        size_t rows, columns;
        kernel_conv2d_size(&conv, &rows, &columns);
        if (rows != shapes[s / 4].rows || columns != shapes[s / 4].columns)
            check_fail(c, "size is %zux%zu, expected %zux%zu", rows, columns, shapes[s / 4].rows,
                       shapes[s / 4].columns);
        const size_t weights = conv.out_channels * (conv.in_channels / conv.groups) * conv.kernel[0] * conv.kernel[1];
        const float *x = check_floats(c, conv.in_channels * conv.height * conv.width, wild);
        conv.weight = check_floats(c, weights, wild && s % 8 == 3);
        if (biased) conv.bias = check_floats(c, conv.out_channels, wild);
        check_freeze(c);
        float *y = check_output(c, conv.out_channels * rows * columns * sizeof *y);
        CHECK_CALL(c->table->conv2d(&conv, x, first, count, y));
        check_channels(c, &conv, x, first, count, rows, columns, y);
    }
}

const check_entry conv2d_checks[] = {
    {"conv2d", check_conv2d},
    {NULL, NULL},
};
