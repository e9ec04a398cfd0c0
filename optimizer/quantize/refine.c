/* refine.c - see refine.h. */
#include "optimizer/quantize/refine.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/error.h"
#include "optimizer/quantize/codes.h"
#include "optimizer/quantize/dense.h"

enum { BLOCK = 128 }; /* columns whose slopes are computed at once: whole groups */

/* A row's columns of one block. */
typedef struct block {
    const float *h; /* [width] rows of `stride`: H of the block's columns among themselves */
    size_t stride, width;
    const float *w; /* [width] */
    float *slope;   /* [width]: e H */
    float *error;   /* [width] */
    int8_t *codes;  /* [width] */
    code_grid grid;
} block;

/* Columns [first, first + n) of the block change by `change`: what that adds to the row's error. */
static double cost_of(const block *b, size_t first, size_t n, const float *change)
{
    double cost = 0;
    for (size_t i = 0; i < n; i++) {
        const float *h = b->h + (first + i) * b->stride + first;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < n; j++) sum += h[j] * change[j];
        cost += (double)change[i] * ((double)sum - 2 * (double)b->slope[first + i]);
    }
    return cost;
}

static void apply(const block *b, size_t column, float change)
{
    const float *h = b->h + column * b->stride;
#pragma omp simd
    for (size_t j = 0; j < b->width; j++) b->slope[j] -= change * h[j];
    b->error[column] -= change;
}

/* The least-squares step of scale and minimum: how q changes is c * step[0] + step[1] for codes c (less zero). */
static bool scale_step(const block *b, size_t first, size_t n, bool asymmetric, double step[2])
{
    double cc = 0, c1 = 0, one = 0, cs = 0, s1 = 0;
    for (size_t i = 0; i < n; i++) {
        const float *h = b->h + (first + i) * b->stride + first;
        float with_codes = 0, with_one = 0;
#pragma omp simd reduction(+ : with_codes, with_one)
        for (size_t j = 0; j < n; j++) {
            with_codes += h[j] * (float)(b->codes[first + j] - b->grid.zero);
            with_one += h[j];
        }
        const double c = b->codes[first + i] - b->grid.zero, slope = (double)b->slope[first + i];
        cc += c * (double)with_codes;
        c1 += c * (double)with_one;
        one += (double)with_one;
        cs += c * slope;
        s1 += slope;
    }
    if (!asymmetric) {
        step[0] = cs / cc;
        step[1] = 0;
        return cc > 0;
    }
    const double determinant = cc * one - c1 * c1;
    step[0] = (cs * one - s1 * c1) / determinant;
    step[1] = (s1 * cc - cs * c1) / determinant;
    return determinant > 1e-9 * cc * one;
}

/* Moves the group's scale and minimum where that lowers the error. */
static void better_scale(const block *b, size_t first, size_t n, uint16_t *scale, uint16_t *minimum)
{
    double step[2];
    float change[BLOCK];
    if (!scale_step(b, first, n, minimum != NULL, step)) return;
    const float old_minimum = minimum != NULL ? float_from_f16(*minimum) : 0;
    const uint16_t to = float_to_f16((float)((double)float_from_f16(*scale) + step[0]));
    const uint16_t to_minimum = float_to_f16((float)((double)old_minimum + step[1]));
    const float new_scale = float_from_f16(to), new_minimum = minimum != NULL ? float_from_f16(to_minimum) : 0;
    if (!isfinite(new_scale) || !isfinite(new_minimum) || new_scale == 0) return;
    for (size_t i = 0; i < n; i++) {
        const float q = b->w[first + i] - b->error[first + i];
        change[i] = code_value(&b->grid, b->codes[first + i], new_scale, new_minimum) - q;
    }
    if (!(cost_of(b, first, n, change) < 0)) return;
    *scale = to;
    if (minimum != NULL) *minimum = to_minimum;
    for (size_t i = 0; i < n; i++) apply(b, first + i, change[i]);
}

/* Coordinate descent over the group's codes. */
static void better_codes(const block *b, size_t first, size_t n, float scale, float minimum)
{
    for (size_t i = first; i < first + n; i++) {
        const float q = b->w[i] - b->error[i], diagonal = b->h[i * b->stride + i];
        const int code = code_of(&b->grid, q + b->slope[i] / diagonal, scale, minimum);
        if (code == b->codes[i]) continue;
        const float change = (float)(code - b->codes[i]) * scale;
        if (!(change * (change * diagonal - 2 * b->slope[i]) < 0)) continue;
        b->codes[i] = (int8_t)code;
        apply(b, i, change);
    }
}

/* One row's columns [first, first + width). */
static void refine_row(const gptq_factor *f, const refine_state *s, size_t row, size_t first, size_t width,
                       float *slope)
{
    const size_t columns = s->m->columns, group = s->m->group > 0 ? s->m->group : columns;
    const size_t groups = kernel_row_scales(s->m);
    const block b = {.h = f->h + first * columns + first,
                     .stride = columns,
                     .width = width,
                     .w = s->w + row * columns + first,
                     .slope = slope,
                     .error = s->error + row * columns + first,
                     .codes = s->codes + row * columns + first,
                     .grid = code_grid_of(s->m->format, s->to.minimums != NULL)};
    for (size_t at = 0; at < width;) {
        const size_t g = row * groups + (first + at) / group;
        const size_t left = width - at, n = left < group ? left : group;
        uint16_t *minimum = s->to.minimums != NULL ? &s->to.minimums[g] : NULL;
        if (s->m->group > 0) better_scale(&b, at, n, &s->to.scales[g], minimum);
        better_codes(&b, at, n, float_from_f16(s->to.scales[g]), minimum != NULL ? float_from_f16(*minimum) : 0);
        at += n;
    }
}

ciuic_status refine_codes(const gptq_factor *f, const refine_state *s, int passes)
{
    const size_t rows = s->m->rows, columns = s->m->columns, step = dense_rows_at_once(rows);
    float *slope = malloc(rows * BLOCK * sizeof *slope);
    if (slope == NULL) return ciuic_fail_memory("refining a matrix", rows * BLOCK * sizeof *slope);
    dense_single_thread();
    for (int pass = 0; pass < passes; pass++)
        for (size_t first = 0; first < columns; first += BLOCK) {
            const size_t width = columns - first < BLOCK ? columns - first : BLOCK;
#pragma omp parallel for schedule(dynamic)
            for (size_t from = 0; from < rows; from += step) {
                const size_t count = rows - from < step ? rows - from : step;
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)count, (blasint)width, (blasint)columns,
                            1.0F, s->error + from * columns, (blasint)columns, f->h + first, (blasint)columns, 0.0F,
                            slope + from * BLOCK, BLOCK);
                for (size_t row = from; row < from + count; row++)
                    refine_row(f, s, row, first, width, slope + row * BLOCK);
            }
        }
    free(slope);
    return CIUIC_OK;
}
