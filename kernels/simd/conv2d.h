/* conv2d.h - convolution as a matrix product: y[o][p] = sum over taps of w[o][tap] * x[tap][p], p running through all
 * outputs of a plane, the taps through channels, rows and columns of the kernel as the weights lie.
 *
 * x[tap][p], the input under a tap, is copied for a block of outputs and a span of taps, whatever stride, padding and
 * dilation make of it, and used for all output channels of the group, CONV_ROWS at a time: then the inner loop is that of
 * a matrix product, two loads and CONV_ROWS broadcasts for twice as many multiply-adds, whose peak is its ceiling. Spans of
 * taps come outermost, so that their weights stay in the L2 cache. With few output channels (depthwise) the copy would be
 * most of the work: these sum their taps in registers, over x where it lies, a load for every multiply-add. */
#ifndef CIUIC_KERNELS_SIMD_CONV2D_H
#define CIUIC_KERNELS_SIMD_CONV2D_H

#include "kernels/c/kernels_c.h"

enum {
    CONV_ROWS = PANEL_ROWS,              /* output channels of a tile */
    CONV_PIXELS = PANEL_VECTORS * LANES, /* outputs of a tile */
    CONV_LINE = CONV_PIXELS + LANES,     /* floats of a panel's line: what a last vector stores too much has room */
    CONV_PANELS = 4,                     /* tiles that a copy of the weights serves */
    CONV_TAPS = 256,                     /* at once: a panel is 24 KiB in 256-bit vectors */
    CONV_STRIDE = CONV_TAPS + LANES,     /* floats; an odd number of vectors, so that rows do not share cache sets */
    CONV_FEW = 4                         /* fewer output channels do not pay for a copy of x */
};

/* ---- the input under the taps ---- */

/* Consecutive outputs of one row. */
typedef struct conv_run {
    size_t row, column, count;
} conv_run;

/* What a tap meets in a run of outputs, in every channel alike: zeros, then inputs from `at` in their plane on, then
 * zeros. */
typedef struct conv_view {
    size_t before, inside, after, at;
    size_t readable; /* floats from `at` to the end of the image's row */
} conv_view;

static inline size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline conv_view conv_look(const kernel_conv2d *c, size_t down, size_t across, const conv_run *run)
{
    const size_t stride = c->stride[1], padding = c->padding[1], end = padding + c->width;
    /* A row before the image wraps around to a number beyond any. */
    const size_t row = run->row * c->stride[0] + down * c->dilation[0] - c->padding[0];
    const size_t first = run->column * stride + across * c->dilation[1]; /* of the padded row */
    conv_view v = {.before = run->count};
    if (row >= c->height) return v;
    v.before = first < padding ? least((padding - first + stride - 1) / stride, run->count) : 0;
    const size_t left = run->count - v.before, start = first + v.before * stride;
    v.inside = start < end ? least((end - start - 1) / stride + 1, left) : 0;
    v.after = left - v.inside;
    v.readable = v.inside ? end - start : 0;
    v.at = v.inside ? row * c->width + start - padding : 0;
    return v;
}

/* Clears and copies whole vectors: up to LANES - 1 floats after the last one are overwritten. */
static ALWAYS_INLINE void conv_clear(size_t count, float *to)
{
    for (size_t i = 0; i < count; i += LANES) vf_store(to + i, vf_zero());
}

static ALWAYS_INLINE void conv_copy(size_t count, const float *from, float *to)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) vf_store(to + i, vf_load(from + i));
    if (i < count) vf_store(to + i, vf_load_part(from + i, count - i));
}

static ALWAYS_INLINE void conv_copy_strided(size_t count, const float *from, size_t stride, size_t readable, float *to)
{
    size_t i = 0;
    if (stride == 2) {
        for (; i + LANES <= count && 2 * (i + LANES) <= readable; i += LANES) {
            vf even, odd;
            vf_load_pairs(from + 2 * i, &even, &odd);
            vf_store(to + i, even);
        }
    }
    for (; i < count; i++) to[i] = from[i * stride];
}

/* A view of one channel, as it stands in a panel's line. */
static ALWAYS_INLINE void conv_fetch(const conv_view *v, const float *plane, size_t stride, float *to)
{
    conv_clear(v->before, to);
    if (stride == 1)
        conv_copy(v->inside, plane + v->at, to + v->before);
    else
        conv_copy_strided(v->inside, plane + v->at, stride, v->readable, to + v->before);
    conv_clear(v->after, to + v->before + v->inside);
}

/* panel[tap][p]: the inputs of outputs [first, first + count) of a plane under `width` taps from `tap` on, zeros after
 * them. Later parts of a line overwrite what earlier ones stored too much. */
static ALWAYS_INLINE void conv_pack(const kernel_conv2d *c, const float *planes, size_t columns, size_t tap,
                                    size_t width, size_t first, size_t count, float *panel)
{
    const size_t area = c->kernel[0] * c->kernel[1], plane = c->height * c->width, stride = c->stride[1];
    for (size_t t = 0; t < least(area, width); t++) {
        const size_t channel = (tap + t) / area, in_area = (tap + t) % area;
        const size_t down = in_area / c->kernel[1], across = in_area % c->kernel[1];
        conv_run run = {.row = first / columns, .column = first % columns};
        for (size_t done = 0; done < count; done += run.count, run.row++, run.column = 0) {
            run.count = least(count - done, columns - run.column);
            const conv_view v = conv_look(c, down, across, &run);
            const float *from = planes + channel * plane;
            float *to = panel + t * CONV_LINE + done;
            if (v.inside == CONV_PIXELS && stride == 1) {
                for (size_t k = t; k < width; k += area, from += plane, to += area * CONV_LINE)
                    conv_copy(CONV_PIXELS, from + v.at, to);
            } else {
                for (size_t k = t; k < width; k += area, from += plane, to += area * CONV_LINE)
                    conv_fetch(&v, from, stride, to);
            }
        }
        for (size_t k = t; k < width; k += area) conv_clear(CONV_PIXELS - count, panel + k * CONV_LINE + count);
    }
}

/* ---- products ---- */

/* y += M output channels, whose copied weights stand CONV_STRIDE apart, over `count` outputs. */
static ALWAYS_INLINE void conv_tile(const int M, size_t width, const float *weights, const float *panel, size_t count,
                                    float *y, size_t plane)
{
    vf acc[CONV_ROWS][PANEL_VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < PANEL_VECTORS; v++) acc[i][v] = vf_zero();
    }
    for (size_t k = 0; k < width; k++) {
        vf x[PANEL_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < PANEL_VECTORS; v++) x[v] = vf_load(panel + k * CONV_LINE + (size_t)v * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vf weight = vf_set1(weights[i * CONV_STRIDE + (ptrdiff_t)k]);
#pragma GCC unroll 4
            for (int v = 0; v < PANEL_VECTORS; v++) acc[i][v] = vf_fma(x[v], weight, acc[i][v]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < PANEL_VECTORS; v++) {
            if (count <= v * LANES) break;
            const size_t lanes = count - v * LANES;
            float *out = y + (size_t)i * plane + v * LANES;
            if (lanes >= LANES)
                vf_store(out, vf_add(acc[i][v], vf_load(out)));
            else
                vf_store_part(out, lanes, vf_add(acc[i][v], vf_load_part(out, lanes)));
        }
    }
}

/* Weights of one group over a span of taps, and the outputs they are for. */
typedef struct conv_span {
    const float *weights; /* of the first channel and tap; rows `taps` apart */
    size_t taps, width;   /* of a row; of the span */
    float *y;             /* of the first channel and output */
    size_t plane, count;  /* floats between channels; outputs */
} conv_span;

/* M output channels from `channel` on against every packed panel. */
static ALWAYS_INLINE void conv_rows(const int M, const conv_span *s, size_t channel, const float *panels)
{
    float weights[CONV_ROWS * CONV_STRIDE]; /* a copy's last vector fits into a row's end */
    for (int i = 0; i < M; i++)
        conv_copy(s->width, s->weights + (channel + (size_t)i) * s->taps, weights + i * CONV_STRIDE);
    for (size_t p = 0; p < s->count; p += CONV_PIXELS, panels += CONV_TAPS * CONV_LINE) {
        const size_t count = s->count - p < CONV_PIXELS ? s->count - p : CONV_PIXELS;
        conv_tile(M, s->width, weights, panels, count, s->y + channel * s->plane + p, s->plane);
    }
}

/* All output channels of the group against the packed panels. */
static ALWAYS_INLINE void conv_channels(const conv_span *s, size_t channels, const float *panels)
{
    size_t o = 0;
#define CONV_STEP(M)                                                                                                   \
    for (; o + (M) <= channels; o += (M)) conv_rows((M), s, o, panels)
    CONV_STEP(CONV_ROWS);
    CONV_STEP(CONV_ROWS / 2);
    CONV_STEP(CONV_ROWS / 3);
    CONV_STEP(1);
#undef CONV_STEP
}

/* Output channels [first, first + channels), all of one group, whose inputs are `planes`. */
static ALWAYS_INLINE void conv_group(const kernel_conv2d *c, const float *planes, size_t first, size_t channels,
                                     size_t rows, size_t columns, float *y)
{
    for (size_t i = 0; i < channels * rows * columns; i++)
        y[first * rows * columns + i] = c->bias ? c->bias[first + i / (rows * columns)] : 0.0f;
    _Alignas(64) float panels[CONV_PANELS][CONV_TAPS * CONV_LINE];
    const size_t area = c->kernel[0] * c->kernel[1], taps = c->in_channels / c->groups * area, plane = rows * columns;
    for (size_t k = 0; k < taps; k += CONV_TAPS) {
        for (size_t p = 0; p < plane; p += CONV_PANELS * CONV_PIXELS) {
            const size_t rest = plane - p;
            const conv_span span = {.weights = c->weight + first * taps + k,
                                    .taps = taps,
                                    .width = taps - k < CONV_TAPS ? taps - k : CONV_TAPS,
                                    .y = y + first * plane + p,
                                    .plane = plane,
                                    .count = rest < CONV_PANELS * CONV_PIXELS ? rest : CONV_PANELS * CONV_PIXELS};
            for (size_t at = 0; at < span.count; at += CONV_PIXELS) {
                const size_t count = span.count - at < CONV_PIXELS ? span.count - at : CONV_PIXELS;
                conv_pack(c, planes, columns, k, span.width, p + at, count, panels[at / CONV_PIXELS]);
            }
            conv_channels(&span, channels, panels[0]);
        }
    }
}

/* ---- few output channels ---- */

/* Adds one weight times the inputs that it meets to the outputs of one column, `columns` apart. `at`: the inputs' column. */
static inline void conv_border_tap(const kernel_conv2d *c, float weight, size_t down, const float *plane, size_t at,
                                   size_t rows, size_t columns, float *y)
{
    for (size_t r = 0; r < rows; r++) {
        const size_t h = r * c->stride[0] + down * c->dilation[0] - c->padding[0];
        if (h < c->height) y[r * columns] += weight * plane[h * c->width + at];
    }
}

/* The outputs of one column at the border, where some taps meet padding. One tap after the other passes down the column:
 * one output after the other would wait for its sum. */
static inline void conv_border(const kernel_conv2d *c, const float *planes, const float *weight, float bias,
                               size_t column, size_t rows, size_t columns, float *y)
{
    for (size_t r = 0; r < rows; r++) y[r * columns] = bias;
    for (size_t i = 0; i < c->in_channels / c->groups; i++, planes += c->height * c->width) {
        for (size_t down = 0; down < c->kernel[0]; down++) {
            for (size_t across = 0; across < c->kernel[1]; across++, weight++) {
                const size_t at = column * c->stride[1] + across * c->dilation[1] - c->padding[1];
                if (at < c->width) conv_border_tap(c, *weight, down, planes, at, rows, columns, y);
            }
        }
    }
}

/* V vectors of outputs from (row, column) on, the last one of `lanes` (with a stride of 1, otherwise all): no tap leaves the
 * image to the left or the right. The kernel is `width` taps wide. */
static ALWAYS_INLINE void conv_inner(const kernel_conv2d *c, const size_t stride, const size_t width, const int V,
                                     const float *planes, const float *weight, float bias, size_t row, size_t column,
                                     size_t lanes, float *y)
{
    vf acc[4];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) acc[v] = vf_set1(bias);
    for (size_t i = 0; i < c->in_channels / c->groups; i++, planes += c->height * c->width) {
        for (size_t down = 0; down < c->kernel[0]; down++, weight += width) {
            const size_t h = row * c->stride[0] + down * c->dilation[0] - c->padding[0];
            if (h >= c->height) continue;
            const float *from = planes + h * c->width + column * stride - c->padding[1];
#pragma GCC unroll 3
            for (size_t across = 0; across < width; across++, from += c->dilation[1]) {
                const vf w = vf_set1(weight[across]);
#pragma GCC unroll 4
                for (size_t v = 0; v < (size_t)V; v++) {
                    vf x, odd;
                    if (stride == 2)
                        vf_load_pairs(from + v * 2 * LANES, &x, &odd);
                    else
                        x = lanes < LANES ? vf_load_part(from, lanes) : vf_load(from + v * LANES);
                    acc[v] = vf_fma(x, w, acc[v]);
                }
            }
        }
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < (size_t)V; v++) {
        if (lanes < LANES)
            vf_store_part(y, lanes, acc[v]);
        else
            vf_store(y + v * LANES, acc[v]);
    }
}

/* The outputs [first, end) of one row, at least V vectors of them. A rest is computed with what came before it once more:
 * its sums take as long as those of a whole step. */
static ALWAYS_INLINE void conv_steps(const kernel_conv2d *c, const size_t stride, const size_t width, const int V,
                                     const float *planes, const float *weight, float bias, size_t row, size_t first,
                                     size_t end, float *y)
{
    const size_t step = (size_t)V * LANES;
    for (size_t j = first; j < end; j += step) {
        const size_t at = least(j, end - step);
        conv_inner(c, stride, width, V, planes, weight, bias, row, at, LANES, y + at);
    }
}

static ALWAYS_INLINE void conv_row(const kernel_conv2d *c, const size_t stride, const size_t width, const float *planes,
                                   const float *weight, float bias, size_t row, size_t first, size_t end, float *y)
{
    if (end - first >= 4 * LANES)
        conv_steps(c, stride, width, 4, planes, weight, bias, row, first, end, y);
    else if (end - first >= 2 * LANES)
        conv_steps(c, stride, width, 2, planes, weight, bias, row, first, end, y);
    else if (end - first >= LANES)
        conv_steps(c, stride, width, 1, planes, weight, bias, row, first, end, y);
    else
        conv_inner(c, stride, width, 1, planes, weight, bias, row, first, end - first, y + first);
}

/* One output channel, with a horizontal stride of 1 or 2: the sum of its taps stays in registers, x is read where it
 * lies. */
static ALWAYS_INLINE void conv_channel(const kernel_conv2d *c, const float *planes, size_t channel, size_t rows,
                                       size_t columns, float *y)
{
    const size_t stride = c->stride[1], padding = c->padding[1], padded = c->width + padding;
    /* The columns of outputs for which all taps meet inputs; vf_load_pairs reads one beyond the last it needs. */
    const size_t reach = (c->kernel[1] - 1) * c->dilation[1] + stride - 1;
    const size_t fit = padded > reach ? (padded - reach - 1) / stride + 1 : 0;
    const size_t first = least((padding + stride - 1) / stride, columns);
    size_t end = least(fit, columns);
    if (end < first || (stride == 2 && end - first < LANES)) end = first;
    const float *weight = c->weight + channel * (c->in_channels / c->groups) * c->kernel[0] * c->kernel[1];
    const float bias = c->bias ? c->bias[channel] : 0.0f;
    y += channel * rows * columns;
    for (size_t j = 0; j < first; j++) conv_border(c, planes, weight, bias, j, rows, columns, y + j);
    for (size_t j = end; j < columns; j++) conv_border(c, planes, weight, bias, j, rows, columns, y + j);
    if (first == end) return;
    for (size_t i = 0; i < rows; i++, y += columns) {
        if (stride == 2)
            conv_row(c, 2, c->kernel[1], planes, weight, bias, i, first, end, y);
        else if (c->kernel[1] == 3) /* so common that it has its loop unrolled */
            conv_row(c, 1, 3, planes, weight, bias, i, first, end, y);
        else
            conv_row(c, 1, c->kernel[1], planes, weight, bias, i, first, end, y);
    }
}

/* The output channels [first, first + count) of c. */
static ALWAYS_INLINE void conv2d(const kernel_conv2d *c, const float *x, size_t first, size_t count, float *y)
{
    size_t rows, columns;
    kernel_conv2d_size(c, &rows, &columns);
    if (rows * columns == 0 || c->out_channels == 0) return;
    const size_t inputs = c->in_channels / c->groups, outputs = c->out_channels / c->groups;
    for (size_t o = first, channels; o < first + count; o += channels) {
        const float *planes = x + o / outputs * inputs * c->height * c->width;
        channels = least(first + count - o, outputs - o % outputs);
        if (channels >= CONV_FEW)
            conv_group(c, planes, o, channels, rows, columns, y);
        else if (c->stride[1] <= 2)
            for (size_t i = o; i < o + channels; i++) conv_channel(c, planes, i, rows, columns, y);
        else
            conv2d_c(c, x, o, channels, y);
    }
}

#endif
