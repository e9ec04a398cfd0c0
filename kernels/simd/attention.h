/* attention.h - causal attention with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022): a block of keys
 * at a time, whose scores stay in the L1 cache, for a group of query rows (heads of one token, or tokens of one head).
 * Of each row the largest score, the sum of exponentials and the unscaled output so far are kept.
 *
 * Keys and values of an INT8 cache are made floats a piece at a time, once for all rows of a group, in a buffer that stays
 * in the L1 cache beside the scores: whole keys four at a time, values a block of keys by one group of columns.
 *
 * All rows of a group share the keys that its first row sees. What later tokens see beyond is done row by row, so that
 * nothing is masked: a masked key's NaN or infinity could not be multiplied away. */
#ifndef CIUIC_KERNELS_SIMD_ATTENTION_H
#define CIUIC_KERNELS_SIMD_ATTENTION_H

#include "kernels/simd/matmul_dot.h"
#include "kernels/simd/vector_exp.h"

#include <math.h>

enum {
    KEY_BLOCK = 64,
    QUERY_ROWS = 32, /* rows of a group: 32 x 64 scores are 8 KiB */
    VALUE_ROWS = 4,
    KEY_SPAN = 1024, /* columns of four INT8 keys that are converted at once: 16 KiB, as a block of values */
};

/* The keys or the values of a call. `rows` is not used with an INT8 cache but for its address and stride. */
typedef struct cache_rows {
    weight_rows rows;
    const uint16_t *scales; /* INT8 only */
    size_t scale_stride;
} cache_rows;

/* Columns [d, d + width) of the positions [first, first + count) of an INT8 cache as floats, `stride` of them from one
 * position to the next; d is a multiple of a group. */
static ALWAYS_INLINE void convert_int8(const cache_rows *c, size_t first, size_t count, size_t d, size_t width,
                                       float *out, size_t stride)
{
    for (size_t j = 0; j < count; j++, out += stride) {
        const uint8_t *q = c->rows.values + (first + j) * c->rows.stride + d;
        const uint16_t *scales = c->scales + (first + j) * c->scale_stride + d / KERNEL_CACHE_GROUP;
        for (size_t i = 0; i < width;) {
            const vf scale = vf_set1(f16_to_f32(*scales++));
            const size_t end = width - i < KERNEL_CACHE_GROUP ? width : i + KERNEL_CACHE_GROUP;
            for (; i + LANES <= end; i += LANES) vf_store(out + i, vf_mul(vf_of_i8(load_bytes(q + i)), scale));
            if (i < end) {
                vf_store_part(out + i, end - i, vf_mul(vf_of_i8(load_bytes_part(q + i, end - i)), scale));
                i = end;
            }
        }
    }
}

/* Rows `stride` floats apart: of the query and of the output. */
typedef struct row_group {
    const float *query;
    float *out;
    size_t rows, query_stride, out_stride;
    float *partial; /* NULL, or the row's largest score and sum of exponentials, pairs partial_stride floats apart */
    size_t partial_stride;
} row_group;

typedef struct softmax_state {
    float scores[QUERY_ROWS][KEY_BLOCK], largest[QUERY_ROWS], sum[QUERY_ROWS], rescale[QUERY_ROWS];
} softmax_state;

/* Adds to scores[r][j..j + 4) the products of query row r, from column d on, with `width` columns of four keys. */
static ALWAYS_INLINE void add_quad_scores(const row_group *g, const weight_rows *quad, size_t d, size_t width, size_t j,
                                          softmax_state *s)
{
    v4 sums[DOT_X];
    const float *query = g->query + d;
    size_t r = 0;
    for (; r + DOT_X <= g->rows; r += DOT_X) {
        dot_tile(KERNEL_F32, DOT_X, quad, 0, 0, width, query + r * g->query_stride, g->query_stride, sums);
        for (size_t i = 0; i < DOT_X; i++) {
            v4_store(s->scores[r + i] + j, v4_add(v4_load(s->scores[r + i] + j), sums[i]));
        }
    }
    for (; r < g->rows; r++) {
        dot_tile(KERNEL_F32, 1, quad, 0, 0, width, query + r * g->query_stride, g->query_stride, sums);
        v4_store(s->scores[r] + j, v4_add(v4_load(s->scores[r] + j), sums[0]));
    }
}

/* As block_scores below, over an INT8 cache. */
static ALWAYS_INLINE void block_scores_int8(const row_group *g, const cache_rows *keys, size_t first, size_t count,
                                            size_t width, softmax_state *s)
{
    float converted[4 * KEY_SPAN];
    const weight_rows quad = {.values = (const unsigned char *)converted, .stride = KEY_SPAN * sizeof(float)};
    for (size_t r = 0; r < g->rows; r++) {
        for (size_t j = 0; j < count; j++) s->scores[r][j] = 0;
    }
    for (size_t j = 0; j < count; j += 4) {
        const size_t some = count - j < 4 ? count - j : 4;
        for (size_t d = 0; d < width; d += KEY_SPAN) {
            const size_t span = width - d < KEY_SPAN ? width - d : KEY_SPAN;
            convert_int8(keys, first + j, some, d, span, converted, KEY_SPAN);
            if (some == 4) {
                add_quad_scores(g, &quad, d, span, j, s);
                continue;
            }
            for (size_t r = 0; r < g->rows; r++) {
                for (size_t i = 0; i < some; i++) {
                    s->scores[r][j + i] += dot_one(KERNEL_F32, &quad, i, span, g->query + r * g->query_stride + d);
                }
            }
        }
    }
}

/* scores[r][j] = query row r . key j, for `count` keys. */
static ALWAYS_INLINE void block_scores(kernel_format format, const row_group *g, const weight_rows *keys, size_t first,
                                       size_t count, size_t width, softmax_state *s)
{
    size_t j = 0;
    for (; j + 4 <= count; j += 4) {
        v4 sums[DOT_X];
        size_t r = 0;
        for (; r + DOT_X <= g->rows; r += DOT_X) {
            dot_tile(format, DOT_X, keys, first + j, 0, width, g->query + r * g->query_stride, g->query_stride, sums);
            for (size_t i = 0; i < DOT_X; i++) v4_store(s->scores[r + i] + j, sums[i]);
        }
        for (; r < g->rows; r++) {
            dot_tile(format, 1, keys, first + j, prefetch_distance(DOT_ROWS, keys->stride), width,
                     g->query + r * g->query_stride, g->query_stride, sums);
            v4_store(s->scores[r] + j, sums[0]);
        }
    }
    for (; j < count; j++) {
        for (size_t r = 0; r < g->rows; r++) {
            s->scores[r][j] = dot_one(format, keys, first + j, width, g->query + r * g->query_stride);
        }
    }
}

/* Scores of one row to exponentials; updates its maximum and sum and says by what its output so far is to shrink. */
static ALWAYS_INLINE void online_softmax(size_t row, size_t count, float scale, softmax_state *s)
{
    float *scores = s->scores[row];
    const vf factor = vf_set1(scale), nothing = vf_set1(-INFINITY);
    /* Lanes past the count become minus infinity, whose exponential is 0. */
    for (size_t j = count; j % LANES; j++) scores[j] = -INFINITY;
    vf largest = nothing;
    for (size_t j = 0; j < count; j += LANES) {
        const size_t left = count - j;
        vf value = vf_load(scores + j);
        if (left >= LANES) {
            value = vf_mul(value, factor);
            vf_store(scores + j, value);
        } else {
            for (size_t i = j; i < count; i++) scores[i] *= scale;
            value = vf_load(scores + j);
        }
        largest = vf_max(value, largest);
    }
    const float before = s->largest[row], block = vf_largest(largest), now = block > before ? block : before;
    /* While every score was minus infinity there is nothing to shrink, and inf - inf would be a NaN. */
    const float base = now == -INFINITY ? 0.0f : now;
    const vf shift = vf_set1(base);
    vf sum = vf_zero();
    for (size_t j = 0; j < count; j += LANES) {
        const vf value = vf_exp(vf_sub(vf_load(scores + j), shift));
        vf_store(scores + j, value);
        sum = vf_add(sum, value);
    }
    s->rescale[row] = exp_f32(before - base);
    s->sum[row] = s->sum[row] * s->rescale[row] + vf_sum(sum);
    s->largest[row] = now;
}

/* out = out * rescale + the block's exponentials times its values, for M rows and V vectors of the width from d on;
 * only the first `part` lanes when V is 1 and part is not 0. */
static ALWAYS_INLINE void value_tile(kernel_format format, const int M, const int V, const row_group *g, size_t row,
                                     const weight_rows *values, size_t first, size_t count, size_t d, size_t part,
                                     const softmax_state *s)
{
    vf acc[VALUE_ROWS][VALUE_VECTORS];
#pragma GCC unroll 4
    for (size_t i = 0; i < (size_t)M; i++) {
        const vf factor = vf_set1(s->rescale[row + i]);
        const float *out = g->out + (row + i) * g->out_stride + d;
#pragma GCC unroll 4
        for (size_t v = 0; v < (size_t)V; v++) {
            acc[i][v] = vf_mul(factor, part ? vf_load_part(out, part) : vf_load(out + v * LANES));
        }
    }
    for (size_t j = 0; j < count; j++) {
        vf value[VALUE_VECTORS];
#pragma GCC unroll 4
        for (size_t v = 0; v < (size_t)V; v++) {
            value[v] = part ? load_weights_part(format, values, first + j, d, part)
                            : load_weights(format, values, first + j, d + v * LANES);
        }
#pragma GCC unroll 4
        for (size_t i = 0; i < (size_t)M; i++) {
            const vf p = vf_set1(s->scores[row + i][j]);
#pragma GCC unroll 4
            for (size_t v = 0; v < (size_t)V; v++) acc[i][v] = vf_fma(p, value[v], acc[i][v]);
        }
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < (size_t)M; i++) {
        float *out = g->out + (row + i) * g->out_stride + d;
#pragma GCC unroll 4
        for (size_t v = 0; v < (size_t)V; v++) {
            if (part)
                vf_store_part(out, part, acc[i][v]);
            else
                vf_store(out + v * LANES, acc[i][v]);
        }
    }
}

static ALWAYS_INLINE void value_rows(kernel_format format, const int M, const row_group *g, size_t row,
                                     const weight_rows *values, size_t first, size_t count, size_t width,
                                     const softmax_state *s)
{
    size_t d = 0;
    for (; d + VALUE_VECTORS * LANES <= width; d += VALUE_VECTORS * LANES) {
        value_tile(format, M, VALUE_VECTORS, g, row, values, first, count, d, 0, s);
    }
    for (; d + LANES <= width; d += LANES) value_tile(format, M, 1, g, row, values, first, count, d, 0, s);
    if (d < width) value_tile(format, M, 1, g, row, values, first, count, d, width - d, s);
}

/* The block's values, for every row of the group. */
static ALWAYS_INLINE void weigh_values(kernel_format format, const row_group *g, const weight_rows *values,
                                       size_t first, size_t count, size_t width, const softmax_state *s)
{
    size_t r = 0;
    for (; r + VALUE_ROWS <= g->rows; r += VALUE_ROWS) {
        value_rows(format, VALUE_ROWS, g, r, values, first, count, width, s);
    }
    for (; r < g->rows; r++) value_rows(format, 1, g, r, values, first, count, width, s);
}

static ALWAYS_INLINE void weigh_values_int8(const row_group *g, const cache_rows *values, size_t first, size_t count,
                                            size_t width, const softmax_state *s)
{
    enum { COLUMNS = KERNEL_CACHE_GROUP };
    float converted[KEY_BLOCK * COLUMNS];
    const weight_rows block = {.values = (const unsigned char *)converted, .stride = COLUMNS * sizeof(float)};
    row_group columns = *g;
    for (size_t d = 0; d < width; d += COLUMNS, columns.out += COLUMNS) {
        const size_t some = width - d < COLUMNS ? width - d : COLUMNS;
        convert_int8(values, first, count, d, some, converted, COLUMNS);
        weigh_values(KERNEL_F32, &columns, &block, 0, count, some, s);
    }
}

/* The keys [first, end), for every row of the group. `s` holds the state of its rows. */
static ALWAYS_INLINE void attend_keys(kernel_cache cache, const kernel_attention *a, const row_group *g,
                                      const cache_rows *keys, const cache_rows *values, size_t first, size_t end,
                                      softmax_state *s)
{
    const kernel_format format = cache == KERNEL_CACHE_F32 ? KERNEL_F32 : KERNEL_F16;
    for (; first < end; first += KEY_BLOCK) {
        const size_t count = end - first < KEY_BLOCK ? end - first : KEY_BLOCK;
        if (cache == KERNEL_CACHE_INT8)
            block_scores_int8(g, keys, first, count, a->key_width, s);
        else
            block_scores(format, g, &keys->rows, first, count, a->key_width, s);
        for (size_t r = 0; r < g->rows; r++) online_softmax(r, count, a->scale, s);
        if (cache == KERNEL_CACHE_INT8)
            weigh_values_int8(g, values, first, count, a->value_width, s);
        else
            weigh_values(format, g, &values->rows, first, count, a->value_width, s);
    }
}

/* The output so far divided by the sum, or that sum and the largest score for whoever puts the parts together. */
static ALWAYS_INLINE void finish_row(const kernel_attention *a, const row_group *g, size_t r, float largest, float sum)
{
    if (g->partial) {
        g->partial[r * g->partial_stride] = largest;
        g->partial[r * g->partial_stride + 1] = sum;
        return;
    }
    const float inverse = 1.0f / sum;
    for (size_t d = 0; d < a->value_width; d++) g->out[r * g->out_stride + d] *= inverse;
}

/* Row r of the group sees `visible` keys, and `later` more for each row after it (0 for heads, 1 for tokens). */
static ALWAYS_INLINE void attend_group(kernel_cache cache, const kernel_attention *a, const row_group *g,
                                       size_t visible, size_t later)
{
    const size_t bytes = cache == KERNEL_CACHE_F32   ? sizeof(float)
                         : cache == KERNEL_CACHE_F16 ? sizeof(uint16_t)
                                                     : sizeof(int8_t);
    const cache_rows keys = {{.values = a->key, .stride = a->key_stride * bytes}, a->key_scales, a->key_scale_stride};
    const cache_rows values = {
        {.values = a->value, .stride = a->value_stride * bytes}, a->value_scales, a->value_scale_stride};
    softmax_state s;
    for (size_t r = 0; r < g->rows; r++) {
        s.largest[r] = -INFINITY;
        s.sum[r] = 0;
        for (size_t d = 0; d < a->value_width; d++) g->out[r * g->out_stride + d] = 0;
    }
    attend_keys(cache, a, g, &keys, &values, 0, visible, &s);
    for (size_t r = 0; r < g->rows; r++) {
        float largest = s.largest[r], sum = s.sum[r];
        if (later && r > 0) {
            const row_group one = {
                .query = g->query + r * g->query_stride, .out = g->out + r * g->out_stride, .rows = 1};
            softmax_state rest;
            rest.largest[0] = largest;
            rest.sum[0] = sum;
            attend_keys(cache, a, &one, &keys, &values, visible, visible + r * later, &rest);
            largest = rest.largest[0];
            sum = rest.sum[0];
        }
        finish_row(a, g, r, largest, sum);
    }
}

static ALWAYS_INLINE void attend(kernel_cache cache, const kernel_attention *a)
{
    if (a->keys == 0) return;
    /* A group is made of whichever there are more of. */
    const bool by_head = a->heads >= a->tokens;
    const size_t inner = by_head ? a->heads : a->tokens, outer = by_head ? a->tokens : a->heads;
    for (size_t o = 0; o < outer; o++) {
        for (size_t i = 0; i < inner; i += QUERY_ROWS) {
            const size_t token = by_head ? o : i, head = by_head ? i : o;
            const row_group g = {
                .query = a->query + token * a->query_token_stride + head * a->query_head_stride,
                .out = a->out + token * a->out_token_stride + head * a->out_head_stride,
                .rows = inner - i < QUERY_ROWS ? inner - i : QUERY_ROWS,
                .query_stride = by_head ? a->query_head_stride : a->query_token_stride,
                .out_stride = by_head ? a->out_head_stride : a->out_token_stride,
                .partial = a->partial ? a->partial + 2 * (token * a->heads + head) : NULL,
                .partial_stride = by_head ? 2 : 2 * a->heads,
            };
            attend_group(cache, a, &g, a->keys + token, by_head ? 0 : 1);
        }
    }
}

#endif
