/* matmul_q8_many.h - the products of matmul_q8.h for many rows of x (prefill), at the speed of the dot-product instruction.
 *
 * Rows of x are copied by blocks of Q8_BLOCK rows and spans of Q8_SPAN columns to a constant distance: rows a power of two
 * apart would share the sets of the L1 cache. Past a block go all panels of w, Q8_MANY_PANELS at a time, made ready once for
 * all its rows: codes become bytes, scales floats. They stay in the L2 cache and are asked for a little before they are
 * needed, as is, from memory, what the next panels are made of.
 *
 * A tile is Q8_MANY_ROWS rows of x by Q8_MANY_PANELS panels, its integer and its float sums in registers; where a span is
 * one group, Q8_TALL_ROWS rows, since float sums then are only made at its end. Per group of 32 and vector of sums that
 * is eight dot products, then a conversion, a multiplication and an FMA. Where, as on Zen 4, the last two share their units
 * with dot products, no more than 8 / 10 of the peak can be reached.
 *
 * The side that is unsigned is x where Q8_FLIPS_X is 1: its top bit is flipped as it is copied, and the sums begin with -128
 * times the group's sum of w. Weights then are used as they lie. Where it is 0, the weights' side may be unsigned, as for few
 * rows, and the sums begin with what x and Q8_INT8_OFFSET say.
 *
 * Included after vector.h with what matmul_q8.h asks for, and Q8_FLIPS_X, Q8_INT4_SIGNED (1: q8_dot_int4 takes a code
 * minus 8, of INT3 minus 4; needed by Q8_FLIPS_X), with Q8_FLIPS_X q8_dot_flipped(acc, w, x) (signed w, unsigned x)
 * and, where sums of int16 pairs are worth it, Q8_INT4_IN_16_BITS, q8_add_pairs(pairs, codes, x) and q8_sum_pairs(acc,
 * pairs) defined: 16 products of a code, 15 at most, and an int8 are less than 2^15. */
#ifndef CIUIC_KERNELS_SIMD_MATMUL_Q8_MANY_H
#define CIUIC_KERNELS_SIMD_MATMUL_Q8_MANY_H

#include "kernels/simd/matmul_q8.h"

enum {
    Q8_SPAN = 1536, /* columns: rows of y, which may be far away, are visited once a span */
    Q8_BLOCK = 512, /* rows of x: what a panel costs to make ready is shared by many */
    Q8_X_STRIDE = Q8_SPAN + 64,
    Q8_AHEAD = 512, /* bytes of a panel: about a hundred cycles */
    Q8_SPAN_GROUPS = Q8_SPAN / KERNEL_GROUP,
    Q8_TILE_LANES = Q8_MANY_PANELS * LANES,
};
_Static_assert(Q8_BLOCK *Q8_SPAN_GROUPS <= Q8_BLOCK_GROUPS, "a block's groups have room");
_Static_assert(Q8_BLOCK % Q8_TALL_ROWS == 0 && Q8_TALL_ROWS % Q8_MANY_ROWS == 0, "blocks are whole tiles");

/* A span of some panels, ready for all rows of a block. */
typedef struct q8_ready {
    const uint8_t *values[Q8_MANY_PANELS]; /* bytes, four columns a vector: as they lie, or in `unpacked` */
    const uint8_t *next[Q8_MANY_PANELS];   /* what lies where the panels after these begin; NULL: not asked for */
    size_t block_bytes;                    /* of `next`, for KERNEL_GROUP columns */
    size_t blocks, group_blocks;           /* runs of KERNEL_GROUP columns; those of a group */
    _Alignas(64) float scales[Q8_SPAN_GROUPS][Q8_TILE_LANES], minimums[Q8_SPAN_GROUPS][Q8_TILE_LANES];
    _Alignas(64) int32_t start[Q8_SPAN_GROUPS][Q8_TILE_LANES]; /* Q8_FLIPS_X only */
    _Alignas(64) uint8_t unpacked[Q8_MANY_PANELS][Q8_SPAN * LANES];
} q8_ready;

/* Where a tile of y begins. */
typedef struct q8_many_output {
    float *y;
    size_t ldy, columns; /* columns of y that are there; the tile may be wider */
    const float *bias;   /* Q8_TILE_LANES floats that y begins with in the first span, NULL after */
} q8_many_output;

static Q8_INLINE vi q8_dot_many(kernel_format format, vi sum, vi w, vi x)
{
#if Q8_FLIPS_X
    (void)format;
    return q8_dot_flipped(sum, w, x);
#else
    return q8_dot(format, sum, format == KERNEL_INT8 ? q8_int8(w) : w, x);
#endif
}

/* Four columns of a panel. */
static Q8_INLINE vi q8_weights(const q8_ready *w, int v, size_t at)
{
    const uint8_t *p = w->values[v] + at * UNIT_VECTOR;
    prefetch(p + Q8_AHEAD);
    return vi_load(p);
}

/* sum[i][v] += the products of M rows of x with V panels over KERNEL_GROUP columns from `block` on. */
static Q8_INLINE void q8_many_columns(kernel_format format, const int M, const int V, const q8_ready *w, size_t block,
                                      const int8_t *x, vi sum[][Q8_MANY_PANELS])
{
#ifdef Q8_INT4_IN_16_BITS
    if (format != KERNEL_INT8) {
        vi pairs[Q8_TALL_ROWS][Q8_MANY_PANELS];
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) pairs[i][v] = vi_zero();
        }
        for (size_t q = 0; q < KERNEL_GROUP / 4; q++) {
            vi weights[Q8_MANY_PANELS];
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) weights[v] = q8_weights(w, v, block * (KERNEL_GROUP / 4) + q);
#pragma GCC unroll 16
            for (int i = 0; i < M; i++) {
                const vi xs = vi_set1_from(x + (size_t)i * Q8_X_STRIDE + block * KERNEL_GROUP + 4 * q);
#pragma GCC unroll 4
                for (int v = 0; v < V; v++) pairs[i][v] = q8_add_pairs(pairs[i][v], weights[v], xs);
            }
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) sum[i][v] = q8_sum_pairs(sum[i][v], pairs[i][v]);
        }
        return;
    }
#endif
    for (size_t q = 0; q < KERNEL_GROUP / 4; q++) {
        vi weights[Q8_MANY_PANELS];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) weights[v] = q8_weights(w, v, block * (KERNEL_GROUP / 4) + q);
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vi xs = vi_set1_from(x + (size_t)i * Q8_X_STRIDE + block * KERNEL_GROUP + 4 * q);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) sum[i][v] = q8_dot_many(format, sum[i][v], weights[v], xs);
        }
    }
}

/* y (+)= the first `rows` of M rows of x, from row `row` of the block on, times V panels; `single`: the span is one group.
 * `ask`: for the next panels. */
static Q8_INLINE void q8_many_tile(kernel_format format, const int M, const int V, const bool minimums,
                                   const bool single, bool ask, const q8_ready *w, const q8_block *x, size_t row,
                                   size_t rows, const q8_many_output *out)
{
    vf acc[Q8_TALL_ROWS][Q8_MANY_PANELS];
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            acc[i][v] = vf_zero();
            /* What the tile will be added to may be far away by now. */
            if (!out->bias && (size_t)i < rows) prefetch(out->y + (size_t)i * out->ldy + (size_t)v * LANES);
        }
    }
    const int8_t *values = x->values + row * x->stride;
    size_t b = 0;
    for (size_t g = 0; b < w->blocks; g++) {
        const size_t at = row * x->groups + g;
        vi sum[Q8_TALL_ROWS][Q8_MANY_PANELS];
#pragma GCC unroll 8
        for (int i = 0; i < M; i++) {
            const vi start = Q8_FLIPS_X ? vi_zero() : vi_set1_from(x->start + at + (size_t)i * x->groups);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) sum[i][v] = Q8_FLIPS_X ? vi_load(w->start[g] + v * LANES) : start;
        }
        const size_t end = single || w->blocks - b < w->group_blocks ? w->blocks : b + w->group_blocks;
        for (; b < end; b++) {
            if (ask) {
#pragma GCC unroll 4
                for (int v = 0; v < V; v++)
                    for (size_t line = 0; line < w->block_bytes; line += 64)
                        prefetch_next(w->next[v] + b * w->block_bytes + line);
            }
            q8_many_columns(format, M, V, w, b, values, sum);
        }
        vf scale[Q8_MANY_PANELS];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) scale[v] = vf_load(w->scales[g] + v * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < M; i++) {
            const vf xs = vf_set1(x->scales[at + (size_t)i * x->groups]);
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) acc[i][v] = vf_fma(vf_of_vi(sum[i][v]), vf_mul(scale[v], xs), acc[i][v]);
        }
        if (minimums) {
#pragma GCC unroll 8
            for (int i = 0; i < M; i++) {
                const vf sums = vf_set1(x->sums[at + (size_t)i * x->groups]);
#pragma GCC unroll 4
                for (int v = 0; v < V; v++) acc[i][v] = vf_fma(vf_load(w->minimums[g] + v * LANES), sums, acc[i][v]);
            }
        }
        if (single) break;
    }
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) {
        if ((size_t)i >= rows) break;
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            add_to_row(out->y + (size_t)i * out->ldy, out->columns, out->bias, (size_t)v, acc[i][v]);
    }
}

/* ---- making ready ---- */

/* Codes to bytes, `zero` subtracted from each. */
static Q8_INLINE void q8_unpack(kernel_format format, size_t blocks, int zero, const uint8_t *from, uint8_t *to)
{
    const vi zeros = vi_set1(zero * 0x01010101);
    for (size_t b = 0; b < blocks; b++, from += panel_block_bytes(format)) {
#pragma GCC unroll 8
        for (int u = 0; u < BLOCK_UNITS; u++, to += UNIT_VECTOR)
            vi_store(to, vi_sub8(block_unit(format, from, u), zeros));
    }
}

#if Q8_FLIPS_X
/* What the sums of a panel's groups begin with: all of x as 128, subtracted. */
static Q8_INLINE void q8_starts(const q8_ready *w, const uint8_t *values, int32_t *start)
{
    const vi top = vi_set1((int32_t)0x80808080u);
    size_t b = 0;
    for (size_t g = 0; b < w->blocks; g++, start += Q8_TILE_LANES) {
        const size_t end = w->blocks - b < w->group_blocks ? w->blocks : b + w->group_blocks;
        vi sum[4] = {vi_zero(), vi_zero(), vi_zero(), vi_zero()};
        for (; b < end; b++) {
#pragma GCC unroll 8
            for (size_t q = 0; q < KERNEL_GROUP / 4; q++, values += UNIT_VECTOR)
                sum[q % 4] = q8_dot_flipped(sum[q % 4], vi_load(values), top);
        }
        vi_store(start, vi_sub32(vi_zero(), vi_add32(vi_add32(sum[0], sum[1]), vi_add32(sum[2], sum[3]))));
    }
}
#endif

/* Panel `panel` of w over columns from `column` on, as number v of those that are ready; `following`: the panel that will be
 * in its place next, none where it is not there. */
static Q8_INLINE void q8_make_ready(kernel_format format, const kernel_matrix *w, size_t panel, size_t following,
                                    size_t column, size_t v, q8_ready *ready)
{
    const q8_panel p = q8_panel_at(format, w, panel, column);
    const size_t groups = (ready->blocks + ready->group_blocks - 1) / ready->group_blocks;
    ready->values[v] = p.values;
    ready->next[v] = following * LANES < w->rows ? q8_panel_at(format, w, following, column).values : NULL;
    if (format != KERNEL_INT8) {
        const int zero = Q8_INT4_SIGNED ? zero_code(format, w->minimums) : 0;
        q8_unpack(format, ready->blocks, zero, p.values, ready->unpacked[v]);
        ready->values[v] = ready->unpacked[v];
    }
    for (size_t g = 0; g < groups; g++) {
        vf_store(ready->scales[g] + v * LANES, vf_load_f16(p.scales + g * LANES));
        if (p.minimums) vf_store(ready->minimums[g] + v * LANES, vf_load_f16(p.minimums + g * LANES));
    }
#if Q8_FLIPS_X
    q8_starts(ready, ready->values[v], ready->start[0] + v * LANES);
#endif
}

/* A block of x in `copy`: rows up to a multiple of Q8_MANY_ROWS, those that are not there as zeros. */
static Q8_INLINE void q8_copy_block(size_t rows, size_t width, int8_t *copy, q8_block *block)
{
    const size_t bytes = kernel_row_bytes(KERNEL_INT8, width);
    const vi flip = vi_set1(Q8_FLIPS_X ? (int32_t)0x80808080u : 0);
    for (size_t i = 0; i < (rows + Q8_MANY_ROWS - 1) / Q8_MANY_ROWS * Q8_MANY_ROWS; i++) {
        int8_t *to = copy + i * Q8_X_STRIDE;
        if (i >= rows) {
            memset(to, 0, bytes);
            for (size_t g = 0; g < block->groups; g++) {
                const size_t at = i * block->groups + g;
                block->scales[at] = block->sums[at] = 0;
                block->start[at] = 0;
            }
            continue;
        }
        const int8_t *from = block->values + i * block->stride;
        size_t k = 0;
        for (; k + UNIT_VECTOR <= bytes; k += UNIT_VECTOR) vi_store(to + k, vi_xor(vi_load(from + k), flip));
        if (k < bytes) { /* half a 512-bit vector; narrower ones divide KERNEL_GROUP */
            memcpy(to + k, from + k, bytes - k);
            vi_store(to + k, vi_xor(vi_load(to + k), flip));
        }
    }
    block->values = copy;
    block->stride = Q8_X_STRIDE;
}

/* ---- the loops ---- */

/* All rows of the block against V panels. */
static Q8_INLINE void q8_many_rows(kernel_format format, const int V, const bool minimums, const q8_ready *w,
                                   const q8_block *x, size_t rows, q8_many_output out)
{
    bool ask = w->next[V - 1] != NULL;
    size_t i = 0;
#define Q8_STEP(M, single)                                                                                             \
    for (; i + ((M)-Q8_MANY_ROWS) < rows; i += (M), out.y += (M)*out.ldy, ask = false)                                 \
    q8_many_tile(format, (M), V, minimums, single, ask, w, x, i, rows - i, &out)
    if (w->blocks > w->group_blocks) {
        Q8_STEP(Q8_MANY_ROWS, false);
    } else {
        if (Q8_TALL_ROWS > Q8_MANY_ROWS) Q8_STEP(Q8_TALL_ROWS, true);
        Q8_STEP(Q8_MANY_ROWS, true);
    }
#undef Q8_STEP
}

/* All panels against the block: columns [column, column + width) of w. */
static Q8_INLINE void q8_many_panels(kernel_format format, const bool minimums, const kernel_matrix *w,
                                     const q8_block *x, size_t rows, size_t column, size_t width, float *y, size_t ldy)
{
    q8_ready ready;
    ready.blocks = kernel_groups(width, KERNEL_GROUP);
    ready.group_blocks = w->group ? w->group / KERNEL_GROUP : ready.blocks;
    ready.block_bytes = panel_block_bytes(format);
    for (size_t n = 0; n < w->rows;) {
        const size_t left = w->rows - n;
        _Alignas(64) float bias[Q8_TILE_LANES] = {0};
        const bool wide = left > (Q8_MANY_PANELS - 1) * LANES;
        const size_t count = wide ? Q8_MANY_PANELS : 1, lanes = left < count * LANES ? left : count * LANES;
        if (w->bias) memcpy(bias, w->bias + n, lanes * sizeof *bias);
        for (size_t v = 0; v < count; v++)
            q8_make_ready(format, w, n / LANES + v, n / LANES + v + count, column, v, &ready);
        const q8_many_output out = {y + n, ldy, lanes, column == 0 ? bias : NULL};
        if (wide)
            q8_many_rows(format, Q8_MANY_PANELS, minimums, &ready, x, rows, out);
        else
            q8_many_rows(format, 1, minimums, &ready, x, rows, out);
        n += count * LANES;
    }
}

static Q8_INLINE void matmul_q8_many(kernel_format format, const bool minimums, const kernel_matrix *w, size_t m,
                                     const kernel_q8 *x, float *y, size_t ldy)
{
    const int offset = Q8_FLIPS_X              ? 0
                       : format == KERNEL_INT8 ? Q8_INT8_OFFSET
                       : Q8_INT4_SIGNED        ? 0
                                               : zero_code(format, minimums);
    q8_block block;
    _Alignas(64) int8_t copy[Q8_BLOCK * Q8_X_STRIDE];
    for (size_t k = 0; k < w->columns; k += Q8_SPAN) {
        const size_t width = w->columns - k < Q8_SPAN ? w->columns - k : Q8_SPAN;
        for (size_t i = 0; i < m; i += Q8_BLOCK) {
            const size_t rows = m - i < Q8_BLOCK ? m - i : Q8_BLOCK;
            q8_block_fill(w, x, i, rows, k, width, offset, &block);
            q8_copy_block(rows, width, copy, &block);
            q8_many_panels(format, minimums, w, &block, rows, k, width, y + i * ldy, ldy);
        }
    }
}

/* ---- the kernel ---- */

/* What is not interleaved for this rung is left to portable code. */
static Q8_INLINE void matmul_q8(kernel_format format, const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y,
                                size_t ldy)
{
    if (w->interleave != LANES || w->columns == 0) {
        (format == KERNEL_INT8   ? matmul_int8_c
         : format == KERNEL_INT4 ? matmul_int4_c
                                 : matmul_int3_c)(w, m, x, y, ldy);
        return;
    }
    if (m == 0) return;
    if (m <= (format == KERNEL_INT8 ? Q8_FEW_INT8 : Q8_FEW_CODES)) {
        if (w->minimums)
            matmul_q8_few(format, true, w, m, x, y, ldy);
        else
            matmul_q8_few(format, false, w, m, x, y, ldy);
    } else if (w->minimums) {
        matmul_q8_many(format, true, w, m, x, y, ldy);
    } else {
        matmul_q8_many(format, false, w, m, x, y, ldy);
    }
}

#endif
