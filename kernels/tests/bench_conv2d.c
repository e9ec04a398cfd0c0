/* bench_conv2d.c - the speed of convolutions on layers of well-known networks, against the peak of FP32 arithmetic: of each
 * byte of input and weight much is made, so that arithmetic is the ceiling, but for depthwise ones, which only move. */
#include "kernels/ceiling.h"
#include "kernels/tests/check.h"

enum { FEWEST = 3, MOST = 25 };
static const double layer_seconds = 0.5;

typedef struct bench_layer {
    const char *name;
    size_t in, out, groups, side, kernel, stride, padding;
} bench_layer;

static const bench_layer layers[] = {
    {"resnet50 stem 7x7/2", 3, 64, 1, 224, 7, 2, 3},
    {"resnet50 3x3", 64, 64, 1, 56, 3, 1, 1},
    {"resnet50 3x3/2", 128, 128, 1, 56, 3, 2, 1},
    {"resnet50 1x1", 64, 256, 1, 56, 1, 1, 0},
    {"resnet50 3x3 at 7x7", 512, 512, 1, 7, 3, 1, 1},
    {"mobilenet depthwise 3x3", 144, 144, 144, 56, 3, 1, 1},
    {"mobilenet depthwise 3x3/2", 144, 144, 144, 56, 3, 2, 1},
    {"vit patches 14x14/14", 3, 768, 1, 224, 14, 14, 0},
};

/* A convolution as a stem calls it: from the layout that its place in one gives it. */
typedef struct bench_call {
    const char *kernel;
    kernel_conv2d conv;
    bool blocked;
    kernel_layout layout; /* of x */
    kernel_conv2d_part part;
} bench_call;

static double median_seconds(check *c, const bench_call *call, const float *x, float *y)
{
    double times[MOST];
    size_t rounds = 0;
    for (double spent = 0; rounds < FEWEST || (rounds < MOST && spent < layer_seconds); spent += times[rounds++]) {
        const double start = bench_seconds(true);
        if (call->blocked)
            c->table->conv2d_blocked(&call->conv, call->layout, x, &call->part, y);
        else
            c->table->conv2d(&call->conv, x, 0, call->conv.out_channels, y);
        times[rounds] = bench_seconds(true) - start;
    }
    return bench_median(times, rounds);
}

/* Operations of channels that are not there are not counted: what fills up a block is a loss. */
static void bench_call_of(check *c, const bench_layer *l, const bench_call *call, double peak, bool json)
{
    const kernel_conv2d *conv = &call->conv;
    size_t rows, columns;
    kernel_conv2d_size(conv, &rows, &columns);
    const size_t taps = l->in / l->groups * l->kernel * l->kernel, outputs = l->out * rows * columns;
    const size_t read = call->layout == KERNEL_CHANNELS_BLOCKED ? kernel_block_channels(l->in) : l->in;
    const float *x = check_normals(c, read * l->side * l->side);
    float *y = check_output(c, (call->blocked ? kernel_block_channels(l->out) * rows * columns : outputs) * sizeof *y);
    const double seconds = median_seconds(c, call, x, y), rate = 2.0 * (double)taps * (double)outputs / seconds;
    const double bytes = (double)((l->in * l->side * l->side + l->out * taps + outputs) * sizeof(float)) / seconds;
    const char *isa = kernel_isa_name(c->table->isa);
    if (json)
        printf(",\n    {\"kernel\": \"%s\", \"isa\": \"%s\", \"layer\": \"%s\", \"median_s\": %.6g, "
               "\"bytes_per_s\": %.6g, \"operations_per_s\": %.6g, \"share_of_arithmetic\": %.4f}",
               call->kernel, isa, l->name, seconds, bytes, rate, peak > 0 ? rate / peak : 0);
    else
        printf("%-14s %-7s %-24s %9.1f us %6.1f GB/s %6.1f Gop/s %3.0f%% of arithmetic\n", call->kernel, isa, l->name,
               seconds * 1e6, bytes * 1e-9, rate * 1e-9, peak > 0 ? 100 * rate / peak : 0);
    fflush(stdout);
}

/* The layer by the plain convolution, and by the blocked one: the first layer of a network, of few channels, reads them as
 * they come. */
static void bench_layer_of(check *c, const bench_layer *l, const char *pattern, double peak, bool json)
{
    bench_call plain = {.kernel = "conv2d",
                        .conv = {.in_channels = l->in,
                                 .out_channels = l->out,
                                 .groups = l->groups,
                                 .height = l->side,
                                 .width = l->side,
                                 .kernel = {l->kernel, l->kernel},
                                 .stride = {l->stride, l->stride},
                                 .padding = {l->padding, l->padding},
                                 .dilation = {1, 1}}};
    bench_call blocked = plain;
    blocked.kernel = "conv2d_blocked";
    blocked.blocked = true;
    blocked.layout = l->in < KERNEL_BLOCK ? KERNEL_CHANNELS_FIRST : KERNEL_CHANNELS_BLOCKED;
    size_t rows, columns;
    kernel_conv2d_size(&plain.conv, &rows, &columns);
    blocked.part = (kernel_conv2d_part){.blocks = kernel_block_channels(l->out) / KERNEL_BLOCK, .rows = rows};
    const size_t taps = l->in / l->groups * l->kernel * l->kernel;
    plain.conv.weight = check_normals(c, l->out * taps);
    blocked.conv.weight = check_normals(c, kernel_block_channels(l->out) * taps);
    if (strstr(plain.kernel, pattern)) bench_call_of(c, l, &plain, peak, json);
    if (strstr(blocked.kernel, pattern)) bench_call_of(c, l, &blocked, peak, json);
}

void bench_conv2d(const kernel_table *table, const char *pattern, bool json)
{
    if (!strstr("conv2d", pattern) && !strstr("conv2d_blocked", pattern)) return;
    const double peak = ceiling_fma_peak(table->isa, 1, 0.1);
    if (json)
        printf(",\n  \"bench_conv2d_%s\": [{\"fma_peak\": %.6g}", kernel_isa_name(table->isa), peak);
    else
        printf("%s, one thread: peak of FP32: %.1f Gop/s\n", kernel_isa_name(table->isa), peak * 1e-9);
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        check c = {.kernel = "bench", .rung = kernel_isa_name(table->isa), .table = table, .random = 1};
        bench_layer_of(&c, &layers[i], pattern, peak, json);
        check_release(&c);
    }
    if (json) printf("]");
}
