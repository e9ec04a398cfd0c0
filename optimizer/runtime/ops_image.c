/* ops_image.c - operations of an image model's stem; a row is an image. */
#include <math.h>
#include <string.h>

#include "optimizer/runtime/execute.h"

void run_conv2d(const execution *e, const graph_op *op, int thread, int threads)
{
    const graph_image *m = &op->image;
    const graph_weight *w = &e->p->g->weights[op->weight];
    const float *filters = e->p->weights[op->weight].vector;
    const bool bias = w->bias[0] || w->fold[0] != '\0';
    const kernel_conv2d conv = {.in_channels = m->channels,
                                .out_channels = m->out_channels,
                                .groups = m->groups,
                                .height = m->height,
                                .width = m->width,
                                .kernel = {m->kernel[0], m->kernel[1]},
                                .stride = {m->stride[0], m->stride[1]},
                                .padding = {m->padding[0], m->padding[1]},
                                .dilation = {m->dilation[0], m->dilation[1]},
                                .weight = filters,
                                .bias = bias ? filters + m->out_channels * w->columns : NULL};
    const share s = share_of(m->out_channels, 1, thread, threads);
    for (size_t r = 0; r < operation_rows(e, op) && s.first < s.end; r++)
        e->kernels->conv2d(&conv, operand_row(e, op, &op->in[0], r), s.first, s.end - s.first,
                           operand_row(e, op, &op->out, r));
}

/* One channel of an image. */
static void normalise(size_t n, const float *x, const float *vectors, size_t channels, size_t c, double eps,
                      bool computed, float *y)
{
    const float a = vectors[c], b = vectors[channels + c];
    if (computed) {
        for (size_t i = 0; i < n; i++) y[i] = x[i] * a + b;
        return;
    }
    const float mean = vectors[2 * channels + c], deviation = sqrtf(vectors[3 * channels + c] + (float)eps);
    for (size_t i = 0; i < n; i++) y[i] = (x[i] - mean) / deviation * a + b;
}

void run_batch_norm(const execution *e, const graph_op *op, int thread, int threads)
{
    const size_t channels = op->image.channels, plane = op->image.height * op->image.width;
    const graph_weight *w = &e->p->g->weights[op->weight];
    const float *vectors = e->p->weights[op->weight].vector;
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++) {
        const float *x = operand_row(e, op, &op->in[0], r);
        float *y = operand_row(e, op, &op->out, r);
        for (size_t c = 0; c < channels; c++)
            normalise(plane, x + c * plane, vectors, channels, c, w->eps, w->computed, y + c * plane);
    }
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
