/* test_conv2d.c - the convolution against what PyTorch computed: datasets/golden/conv-bn, whose outputs went through a batch
 * normalisation in evaluation mode as well, done here in double. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/kernels.h"
#include "optimizer/checkpoint/safetensors.h"
#include "optimizer/tests/runner.h"

enum { CASES = 4, IMAGES = 2 };

typedef struct conv_case {
    kernel_conv2d conv;
    const float *x, *y, *scale, *shift, *mean, *variance; /* x and y: [IMAGES] of them */
    size_t rows, columns;                                 /* of y */
} conv_case;

static const tensor *find(const safetensors *file, int index, const char *name)
{
    char full[32];
    snprintf(full, sizeof full, "%d.%s", index, name);
    return safetensors_find(file, full);
}

static const float *floats(const safetensors *file, int index, const char *name)
{
    const tensor *t = find(file, index, name);
    return t != NULL && t->dtype == TENSOR_F32 ? t->data : NULL;
}

static bool read_case(const safetensors *file, int index, conv_case *c)
{
    const tensor *x = find(file, index, "x"), *y = find(file, index, "y"), *w = find(file, index, "weight"),
                 *conv = find(file, index, "conv");
    if (!x || !y || !w || !conv || x->dims != 4 || y->dims != 4 || w->dims != 4 || conv->count != 4) return false;
    const int32_t *words = conv->data; /* stride, padding, dilation, groups */
    const size_t stride = (size_t)words[0], padding = (size_t)words[1], dilation = (size_t)words[2];
    c->conv = (kernel_conv2d){.in_channels = x->shape[1],
                              .out_channels = w->shape[0],
                              .groups = (size_t)words[3],
                              .height = x->shape[2],
                              .width = x->shape[3],
                              .kernel = {w->shape[2], w->shape[3]},
                              .stride = {stride, stride},
                              .padding = {padding, padding},
                              .dilation = {dilation, dilation},
                              .weight = w->data,
                              .bias = floats(file, index, "bias")};
    c->x = x->data, c->y = y->data;
    c->scale = floats(file, index, "gamma"), c->shift = floats(file, index, "beta");
    c->mean = floats(file, index, "running_mean"), c->variance = floats(file, index, "running_var");
    c->rows = y->shape[2], c->columns = y->shape[3];
    return x->shape[0] == IMAGES && c->scale && c->shift && c->mean && c->variance;
}

static float *magnitudes(size_t count, const float *values)
{
    float *out = malloc(count * sizeof *out);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    for (size_t i = 0; i < count; i++) out[i] = fabsf(values[i]);
    return out;
}

/* The same convolution of magnitudes: what rounding errors of the sums are a share of. */
static void convolve_magnitudes(const kernel_table *table, const conv_case *c, const float *x, float *out)
{
    kernel_conv2d conv = c->conv;
    const size_t weights = conv.out_channels * (conv.in_channels / conv.groups) * conv.kernel[0] * conv.kernel[1];
    float *w = magnitudes(weights, conv.weight), *bias = conv.bias ? magnitudes(conv.out_channels, conv.bias) : NULL;
    float *values = magnitudes(conv.in_channels * conv.height * conv.width, x);
    conv.weight = w, conv.bias = bias;
    table->conv2d(&conv, values, 0, conv.out_channels, out);
    free(w);
    free(bias);
    free(values);
}

/* A sum of t products and a bias is within (t + 1) u of itself relative to its terms' magnitudes, there as here, and so is the
 * sum of magnitudes: below twice that with the second order. Normalising takes at most eight roundings (PyTorch may fold
 * mean, scale and shift beforehand) of terms as large as value, mean, each scaled, and shift. */
static void check_image(const kernel_table *table, int index, const conv_case *c, size_t image)
{
    const size_t plane = c->rows * c->columns, outputs = c->conv.out_channels * plane;
    const float *x = c->x + image * c->conv.in_channels * c->conv.height * c->conv.width;
    const float *want = c->y + image * outputs;
    float *y = malloc(outputs * sizeof *y), *magnitude = malloc(outputs * sizeof *magnitude);
    CU_ASSERT_FATAL(y != NULL && magnitude != NULL);
    table->conv2d(&c->conv, x, 0, c->conv.out_channels, y);
    convolve_magnitudes(table, c, x, magnitude);
    const double unit = 0x1p-24;
    const size_t terms = c->conv.in_channels / c->conv.groups * c->conv.kernel[0] * c->conv.kernel[1];
    double worst = 0;
    for (size_t i = 0; i < outputs; i++) {
        const size_t o = i / plane;
        const double factor = (double)c->scale[o] / sqrt((double)c->variance[o] + 1e-5), mean = (double)c->mean[o];
        const double got = ((double)y[i] - mean) * factor + (double)c->shift[o];
        const double sums = 2.0 * 2 * (double)(terms + 1) * unit * (double)magnitude[i] * fabs(factor);
        const double normalising =
            8 * unit * ((fabs((double)y[i]) + fabs(mean)) * fabs(factor) + fabs((double)c->shift[o]));
        const double share = fabs(got - (double)want[i]) / (sums + normalising);
        if (!(share <= worst)) worst = share; /* a NaN stays */
    }
    CHECK(worst <= 1, "case %d, image %zu: error is %g of what rounding allows", index, image, worst);
    free(y);
    free(magnitude);
}

static void test_golden(void)
{
    safetensors *file = NULL;
    CU_ASSERT_EQUAL_FATAL(safetensors_open("datasets/golden/conv-bn/golden.safetensors", &file), CIUIC_OK);
    for (int isa = 0; isa < KERNEL_ISAS; isa++) {
        if (!kernel_isa_available((kernel_isa)isa)) continue;
        kernel_table table;
        kernel_table_fill(&table, (kernel_isa)isa);
        for (int i = 0; i < CASES; i++) {
            conv_case c;
            const bool complete = read_case(file, i, &c);
            CHECK(complete, "case %d lacks a tensor", i);
            if (!complete) continue;
            size_t rows, columns;
            kernel_conv2d_size(&c.conv, &rows, &columns);
            CHECK(rows == c.rows && columns == c.columns, "case %d: %zu x %zu outputs, expected %zu x %zu", i, rows,
                  columns, c.rows, c.columns);
            for (size_t image = 0; image < IMAGES && rows == c.rows && columns == c.columns; image++)
                check_image(&table, i, &c, image);
        }
    }
    safetensors_close(file);
}

static const test_case cases[] = {{"PyTorch's convolutions", test_golden}};
TEST_SUITE(conv2d, cases);
