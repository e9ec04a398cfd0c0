/* attention.h - causal attention with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022): a block of keys
 * at a time, whose scores stay in the L1 cache, for a group of query rows (heads of one token, or tokens of one head).
 * Of each row the largest score, the sum of exponentials and the unscaled output so far are kept.
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
};

/* Rows `stride` floats apart: of the query and of the output. */
typedef struct row_group {
    const float *query;
    float *out;
    size_t rows, query_stride, out_stride;
} row_group;

typedef struct softmax_state {
    float scores[QUERY_ROWS][KEY_BLOCK], largest[QUERY_ROWS], sum[QUERY_ROWS], rescale[QUERY_ROWS];
} softmax_state;

/* scores[r][j] = query row r . key j, for `count` keys. */
static ALWAYS_INLINE void block_scores(kernel_format format, const row_group *g, const weight_rows *keys, size_t first,
                                       size_t count, size_t width, softmax_state *s)
{
    size_t j = 0;
    for (; j + 4 <= count; j += 4) {
        __m128 sums[DOT_X][DOT_ROWS / 4];
        size_t r = 0;
        for (; r + DOT_X <= g->rows; r += DOT_X) {
            dot_tile(format, 4, DOT_X, keys, first + j, width, g->query + r * g->query_stride, g->query_stride, sums);
            for (size_t i = 0; i < DOT_X; i++) _mm_storeu_ps(s->scores[r + i] + j, sums[i][0]);
        }
        for (; r < g->rows; r++) {
            dot_tile(format, 4, 1, keys, first + j, width, g->query + r * g->query_stride, g->query_stride, sums);
            _mm_storeu_ps(s->scores[r] + j, sums[0][0]);
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

/* The keys [first, end), for every row of the group. `s` holds the state of its rows. */
static ALWAYS_INLINE void attend_keys(kernel_format format, const kernel_attention *a, const row_group *g,
                                      const weight_rows *keys, const weight_rows *values, size_t first, size_t end,
                                      softmax_state *s)
{
    for (; first < end; first += KEY_BLOCK) {
        const size_t count = end - first < KEY_BLOCK ? end - first : KEY_BLOCK;
        block_scores(format, g, keys, first, count, a->key_width, s);
        for (size_t r = 0; r < g->rows; r++) online_softmax(r, count, a->scale, s);
        size_t r = 0;
        for (; r + VALUE_ROWS <= g->rows; r += VALUE_ROWS) {
            value_rows(format, VALUE_ROWS, g, r, values, first, count, a->value_width, s);
        }
        for (; r < g->rows; r++) value_rows(format, 1, g, r, values, first, count, a->value_width, s);
    }
}

/* Row r of the group sees `visible` keys, and `later` more for each row after it (0 for heads, 1 for tokens). */
static ALWAYS_INLINE void attend_group(kernel_format format, const kernel_attention *a, const row_group *g,
                                       size_t visible, size_t later)
{
    const size_t bytes = format == KERNEL_F32 ? sizeof(float) : sizeof(uint16_t);
    const weight_rows keys = {a->key, a->key_stride * bytes, vf_zero(), vf_zero()};
    const weight_rows values = {a->value, a->value_stride * bytes, vf_zero(), vf_zero()};
    softmax_state s;
    for (size_t r = 0; r < g->rows; r++) {
        s.largest[r] = -INFINITY;
        s.sum[r] = 0;
        for (size_t d = 0; d < a->value_width; d++) g->out[r * g->out_stride + d] = 0;
    }
    attend_keys(format, a, g, &keys, &values, 0, visible, &s);
    for (size_t r = 0; r < g->rows; r++) {
        float *out = g->out + r * g->out_stride;
        float sum = s.sum[r];
        if (later && r > 0) {
            const row_group one = {g->query + r * g->query_stride, out, 1, 0, 0};
            softmax_state rest;
            rest.largest[0] = s.largest[r];
            rest.sum[0] = s.sum[r];
            attend_keys(format, a, &one, &keys, &values, visible, visible + r * later, &rest);
            sum = rest.sum[0];
        }
        const float inverse = 1.0f / sum;
        for (size_t d = 0; d < a->value_width; d++) out[d] *= inverse;
    }
}

static ALWAYS_INLINE void attend(kernel_format format, const kernel_attention *a)
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
            };
            attend_group(format, a, &g, a->keys + token, by_head ? 0 : 1);
        }
    }
}

#endif
