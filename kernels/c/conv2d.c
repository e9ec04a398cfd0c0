/* conv2d.c - convolution of an image, as cross-correlation, which is what deep learning means by it. One weight at a time
 * is multiplied with all inputs that it meets and added to the plane of outputs: a long, regular loop without a branch.
 * Padding is left out, not multiplied. */
#include "kernels/c/kernels_c.h"

/* Outputs along one side; 0 where the kernel does not fit. */
static size_t output_size(const kernel_conv2d *c, size_t input, int side)
{
    const size_t padded = input + 2 * c->padding[side];
    if (c->kernel[side] == 0 || c->stride[side] == 0) return 0;
    const size_t reach = c->dilation[side] * (c->kernel[side] - 1) + 1;
    return padded < reach ? 0 : (padded - reach) / c->stride[side] + 1;
}

void kernel_conv2d_size(const kernel_conv2d *c, size_t *height, size_t *width)
{
    *height = output_size(c, c->height, 0);
    *width = output_size(c, c->width, 1);
}

typedef struct range {
    size_t first, end;
} range;

/* The outputs along one side for which the weight at `tap` meets the input and not its padding. */
static range outputs_inside(const kernel_conv2d *c, size_t input, size_t outputs, int side, size_t tap)
{
    const size_t stride = c->stride[side], padding = c->padding[side], offset = tap * c->dilation[side];
    if (offset >= input + padding) return (range){0, 0};
    const size_t end = (input + padding - offset - 1) / stride + 1;
    return (range){.first = offset < padding ? (padding - offset + stride - 1) / stride : 0,
                   .end = end < outputs ? end : outputs};
}

static void add_row(size_t count, float weight, const float *restrict x, size_t stride, float *restrict y)
{
    if (stride == 1) {
#pragma omp simd
        for (size_t i = 0; i < count; i++) y[i] += weight * x[i];
    } else {
        for (size_t i = 0; i < count; i++) y[i] += weight * x[i * stride];
    }
}

/* Adds one weight times the plane x [height][width] of the input to the plane y [rows][columns] of the output. */
static void add_tap(const kernel_conv2d *c, float weight, size_t tap_row, size_t tap_column, const float *x,
                    size_t rows, size_t columns, float *y)
{
    const range down = outputs_inside(c, c->height, rows, 0, tap_row);
    const range across = outputs_inside(c, c->width, columns, 1, tap_column);
    if (across.first >= across.end) return;
    const size_t column = across.first * c->stride[1] + tap_column * c->dilation[1] - c->padding[1];
    for (size_t i = down.first; i < down.end; i++) {
        const size_t row = i * c->stride[0] + tap_row * c->dilation[0] - c->padding[0];
        add_row(across.end - across.first, weight, x + row * c->width + column, c->stride[1],
                y + i * columns + across.first);
    }
}

void conv2d_c(const kernel_conv2d *c, const float *x, size_t first, size_t count, float *y)
{
    size_t rows, columns;
    kernel_conv2d_size(c, &rows, &columns);
    if (rows * columns == 0 || c->out_channels == 0) return;
    const size_t inputs = c->in_channels / c->groups, outputs = c->out_channels / c->groups;
    for (size_t o = first; o < first + count; o++) {
        const float *planes = x + o / outputs * inputs * c->height * c->width;
        const float *weight = c->weight + o * inputs * c->kernel[0] * c->kernel[1];
        float *plane = y + o * rows * columns;
        for (size_t i = 0; i < rows * columns; i++) plane[i] = c->bias ? c->bias[o] : 0.0f;
        for (size_t i = 0; i < inputs; i++, planes += c->height * c->width) {
            for (size_t down = 0; down < c->kernel[0]; down++) {
                for (size_t across = 0; across < c->kernel[1]; across++)
                    add_tap(c, *weight++, down, across, planes, rows, columns, plane);
            }
        }
    }
}
