/* matmul_q8.h - y = x w^T for int8 and 4-bit weights in groups of 32 and int8 activations in the same groups.
 *
 * The dot-product instructions want one side unsigned. It is the weights': a 4-bit code is, an int8 becomes so by
 * flipping its top bit; that adds 8 or 128 to every weight, hence 8 or 128 times the group's sum of x to the product,
 * and the int32 sums begin with minus that. So a group's sum stays exact.
 *
 * Included after vector.h with Q8_TARGET (what the functions may use beyond the rung's flags), vi_dot4 (u of 8 bits)
 * and vi_dot4_low (u of 7) defined: a rung with and without VNNI are the same code. */
#ifndef CIUIC_KERNELS_SIMD_MATMUL_Q8_H
#define CIUIC_KERNELS_SIMD_MATMUL_Q8_H

#include "kernels/kernels.h"
#include "kernels/simd/prefetch.h"

#define Q8_INLINE Q8_TARGET ALWAYS_INLINE

enum {
    VECTOR_BYTES = LANES * 4,
    VECTOR_GROUPS = VECTOR_BYTES / KERNEL_GROUP,
    Q8_PANEL_N = PANEL_VECTORS * LANES,
    Q8_PANEL_GROUPS = 16, /* columns of a panel: 16 groups, 512 bytes a row */
    Q8_QUADS = KERNEL_GROUP / 4,
    Q8_X_STRIDE = Q8_PANEL_GROUPS * KERNEL_GROUP + 64,
};

static Q8_INLINE vi dot4(kernel_format format, vi acc, vi u, vi s)
{
    return format == KERNEL_INT4 ? vi_dot4_low(acc, u, s) : vi_dot4(acc, u, s);
}

/* A row of weights from some group on. */
typedef struct q8_row {
    const uint8_t *values;
    const uint16_t *scales;
} q8_row;

/* `groups` is that of a whole row. */
static Q8_INLINE q8_row q8_row_at(const kernel_matrix *w, size_t groups, size_t row, size_t group)
{
    const size_t at = row * groups + group;
    const size_t bytes = w->format == KERNEL_INT4 ? KERNEL_GROUP / 2 : KERNEL_GROUP;
    return (q8_row){(const uint8_t *)w->values + at * bytes, w->scales + at};
}

static Q8_INLINE vf load_scales(const uint16_t *scales, size_t count)
{
    return count >= LANES ? vf_load_f16(scales) : vf_load_f16_part(scales, count);
}

/* ---- few rows of x: along the rows of w as they lie ---- */

/* acc[r] += the products of R rows with up to LANES groups of x, whose scales times x's are in scale[r].
 * INT8: a vector of weights spans VECTOR_GROUPS groups, 8 lanes each. */
static Q8_INLINE void dot_groups_int8(const int R, const q8_row *w, const uint8_t *x, size_t groups, size_t ahead,
                                      const vf *scale, vf *acc)
{
    const vi flip = vi_set1((int32_t)0x80808080u), step = vi_set1(VECTOR_GROUPS);
    vi group_of_lane = vi_lane_over(8);
    for (size_t g = 0; g < groups; g += VECTOR_GROUPS, group_of_lane = vi_add32(group_of_lane, step)) {
        const size_t at = g * KERNEL_GROUP, bytes = (groups - g) * KERNEL_GROUP;
        const bool whole = bytes >= VECTOR_BYTES;
        const vi xs = whole ? vi_load(x + at) : vi_load_part(x + at, bytes);
        const vi start = vi_sub32(vi_zero(), vi_dot4(vi_zero(), flip, xs));
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            _mm_prefetch((const char *)w[r].values + at + ahead, _MM_HINT_T0);
            const vi ws = whole ? vi_load(w[r].values + at) : vi_load_part(w[r].values + at, bytes);
            const vi sum = vi_dot4(start, vi_xor(ws, flip), xs);
            acc[r] = vf_fma(vf_of_vi(sum), vf_permute(scale[r], group_of_lane), acc[r]);
        }
    }
}

/* INT4: a vector of codes spans twice as many groups, 16 bytes each, the low and the high four bits of which meet the
 * first and the second half of a group of x. */
static Q8_INLINE void dot_groups_int4(const int R, const q8_row *w, const uint8_t *x, size_t groups, size_t ahead,
                                      const vf *scale, vf *acc)
{
    const vi nibble = vi_set1(0x0f0f0f0f), eights = vi_set1(0x08080808), step = vi_set1(2 * VECTOR_GROUPS);
    vi group_of_lane = vi_lane_over(4);
    for (size_t g = 0; g < groups; g += 2 * VECTOR_GROUPS, group_of_lane = vi_add32(group_of_lane, step)) {
        const size_t at = g * KERNEL_GROUP, bytes = (groups - g) * KERNEL_GROUP;
        const bool whole = bytes >= 2 * VECTOR_BYTES;
        vi first = vi_zero(), second = vi_zero();
        if (bytes >= VECTOR_BYTES)
            first = vi_load(x + at);
        else
            first = vi_load_part(x + at, bytes);
        if (whole)
            second = vi_load(x + at + VECTOR_BYTES);
        else if (bytes > VECTOR_BYTES)
            second = vi_load_part(x + at + VECTOR_BYTES, bytes - VECTOR_BYTES);
        const vi low = vi_even_blocks(first, second), high = vi_odd_blocks(first, second);
        const vi start = vi_sub32(vi_zero(), vi_dot4_low(vi_dot4_low(vi_zero(), eights, low), eights, high));
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            const uint8_t *codes = w[r].values + at / 2;
            _mm_prefetch((const char *)codes + ahead, _MM_HINT_T0);
            const vi ws = whole ? vi_load(codes) : vi_load_part(codes, bytes / 2);
            const vi sum = vi_dot4_low(vi_dot4_low(start, vi_and(ws, nibble), low), vi_high_nibbles(ws), high);
            acc[r] = vf_fma(vf_of_vi(sum), vf_permute(scale[r], group_of_lane), acc[r]);
        }
    }
}

/* R rows of w from the given one on against one row of x: acc[r] holds the product, spread over the lanes. */
static Q8_INLINE void q8_dot(kernel_format format, const int R, size_t groups, q8_row w, const uint8_t *x,
                             const float *x_scales, vf *acc)
{
    const size_t group_bytes = format == KERNEL_INT4 ? KERNEL_GROUP / 2 : KERNEL_GROUP;
    const size_t ahead = prefetch_distance((size_t)R, groups * group_bytes);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) acc[r] = vf_zero();
    for (size_t g = 0; g < groups; g += LANES) {
        const size_t count = groups - g < LANES ? groups - g : LANES;
        const vf xs = count == LANES ? vf_load(x_scales + g) : vf_load_part(x_scales + g, count);
        q8_row rows[Q8_ROWS];
        vf scale[Q8_ROWS];
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            const size_t at = (size_t)r * groups + g;
            rows[r] = (q8_row){w.values + at * group_bytes, w.scales + at};
            scale[r] = vf_mul(load_scales(rows[r].scales, count), xs);
        }
        if (format == KERNEL_INT4)
            dot_groups_int4(R, rows, x + g * KERNEL_GROUP, count, ahead, scale, acc);
        else
            dot_groups_int8(R, rows, x + g * KERNEL_GROUP, count, ahead, scale, acc);
    }
}

static Q8_INLINE void matmul_q8_dot(kernel_format format, const kernel_matrix *w, size_t m, const kernel_q8 *x,
                                    float *y, size_t ldy)
{
    const size_t groups = kernel_row_scales(format, w->columns);
    const uint8_t *values = (const uint8_t *)x->values;
    size_t n = 0;
    for (; n + Q8_ROWS <= w->rows; n += Q8_ROWS) {
        const q8_row row = q8_row_at(w, groups, n, 0);
        const __m128 bias = w->bias ? _mm_loadu_ps(w->bias + n) : _mm_setzero_ps();
        for (size_t i = 0; i < m; i++) {
            vf acc[Q8_ROWS];
            q8_dot(format, Q8_ROWS, groups, row, values + i * groups * KERNEL_GROUP, x->scales + i * groups, acc);
            _mm_storeu_ps(y + i * ldy + n, _mm_add_ps(vf_sum4(acc[0], acc[1], acc[2], acc[3]), bias));
        }
    }
    for (; n < w->rows; n++) {
        const q8_row row = q8_row_at(w, groups, n, 0);
        const float bias = w->bias ? w->bias[n] : 0.0f;
        for (size_t i = 0; i < m; i++) {
            vf acc[1];
            q8_dot(format, 1, groups, row, values + i * groups * KERNEL_GROUP, x->scales + i * groups, acc);
            y[i * ldy + n] = vf_sum(acc[0]) + bias;
        }
    }
}

/* ---- many rows of x: panels in which a vector holds four columns of LANES rows ---- */

typedef struct q8_panel {
    _Alignas(64) uint8_t values[Q8_PANEL_GROUPS * Q8_QUADS][PANEL_VECTORS][VECTOR_BYTES]; /* unsigned */
    _Alignas(64) float scales[Q8_PANEL_GROUPS][Q8_PANEL_N];
} q8_panel;

typedef struct q8_block {
    int8_t values[Q8_PANEL_ROWS * Q8_X_STRIDE];
    int32_t start[Q8_PANEL_ROWS][Q8_PANEL_GROUPS]; /* minus the offset times the group's sum */
    float scales[Q8_PANEL_ROWS][Q8_PANEL_GROUPS];
} q8_block;

/* VECTOR_BYTES columns of one row as unsigned bytes, from `groups` groups at most. */
static Q8_INLINE vi unsigned_columns(kernel_format format, const uint8_t *values, size_t groups)
{
    const size_t whole = groups < VECTOR_GROUPS ? groups : VECTOR_GROUPS;
    if (format == KERNEL_INT4) return vi_int4_columns(values, whole * KERNEL_GROUP / 2);
    const vi bytes = whole == VECTOR_GROUPS ? vi_load(values) : vi_load_part(values, whole * KERNEL_GROUP);
    return vi_xor(bytes, vi_set1((int32_t)0x80808080u));
}

/* Rows [row, row + rows) of w, groups [group, group + groups); absent rows get zeros with scale zero. */
static Q8_INLINE void q8_pack(kernel_format format, const kernel_matrix *w, size_t row, size_t rows, size_t group,
                              size_t groups, q8_panel *panel)
{
    const size_t stride = kernel_row_scales(format, w->columns);
    const size_t group_bytes = format == KERNEL_INT4 ? KERNEL_GROUP / 2 : KERNEL_GROUP;
    for (size_t v = 0; v < PANEL_VECTORS; v++) {
        for (size_t g = 0; g < groups; g += VECTOR_GROUPS) {
            vi square[LANES];
#pragma GCC unroll 16
            for (size_t r = 0; r < LANES; r++) {
                const size_t n = v * LANES + r;
                const q8_row from = q8_row_at(w, stride, row + (n < rows ? n : 0), group);
                square[r] = n < rows ? unsigned_columns(format, from.values + g * group_bytes, groups - g) : vi_zero();
            }
            vi_transpose(square);
            const size_t quads = (groups - g < VECTOR_GROUPS ? groups - g : VECTOR_GROUPS) * Q8_QUADS;
            for (size_t q = 0; q < quads; q++) vi_store(panel->values[g * Q8_QUADS + q][v], square[q]);
        }
    }
    for (size_t n = 0; n < Q8_PANEL_N; n++) {
        float scales[Q8_PANEL_GROUPS + LANES] = {0};
        const uint16_t *from = q8_row_at(w, stride, row + (n < rows ? n : 0), group).scales;
        if (n < rows) {
            size_t g = 0;
            for (; g + LANES <= groups; g += LANES) vf_store(scales + g, vf_load_f16(from + g));
            if (g < groups) vf_store(scales + g, vf_load_f16_part(from + g, groups - g));
        }
        for (size_t g = 0; g < groups; g++) panel->scales[g][n] = scales[g];
    }
}

/* M rows of x from row i on. The group's sum of q is an integer below 2^12, so sums / scales is that integer but for a
 * rounding that the conversion takes back; where the scale is 0 or NaN the product is, too, whatever the integer. */
static Q8_INLINE void q8_copy(kernel_format format, const int M, const kernel_matrix *w, const kernel_q8 *x, size_t i,
                              size_t group, size_t groups, q8_block *block)
{
    const size_t stride = kernel_row_scales(w->format, w->columns);
    const vi offset = vi_set1(format == KERNEL_INT4 ? -8 : -128);
    for (int r = 0; r < M; r++) {
        const size_t at = (i + (size_t)r) * stride + group;
        memcpy(block->values + r * Q8_X_STRIDE, x->values + at * KERNEL_GROUP, groups * KERNEL_GROUP);
        memcpy(block->scales[r], x->scales + at, groups * sizeof(float));
        for (size_t g = 0; g < groups; g += LANES) {
            const size_t count = groups - g < LANES ? groups - g : LANES;
            const vf sums = count == LANES ? vf_load(x->sums + at + g) : vf_load_part(x->sums + at + g, count);
            const vf scales = vf_load(block->scales[r] + g);
            vi_store(block->start[r] + g, vi_mul32(vi_of_vf(vf_div(sums, scales)), offset));
        }
    }
}

/* y (+)= M rows of x times the panel; `start` as in matmul_panel.h. */
static Q8_INLINE void q8_tile(kernel_format format, const int M, size_t groups, const q8_panel *panel,
                              const q8_block *block, const float *start, size_t columns, float *y, size_t ldy)
{
    vf acc[Q8_PANEL_ROWS][PANEL_VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < PANEL_VECTORS; v++) acc[i][v] = vf_zero();
    }
    for (size_t g = 0; g < groups; g++) {
        vi sum[Q8_PANEL_ROWS][PANEL_VECTORS];
#pragma GCC unroll 8
        for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
            for (int v = 0; v < PANEL_VECTORS; v++) sum[i][v] = vi_set1(block->start[i][g]);
        }
        for (size_t q = g * Q8_QUADS; q < (g + 1) * Q8_QUADS; q++) {
            vi weights[PANEL_VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < PANEL_VECTORS; v++) weights[v] = vi_load(panel->values[q][v]);
#pragma GCC unroll 8
            for (int i = 0; i < M; i++) {
                int32_t quad;
                memcpy(&quad, block->values + (size_t)i * Q8_X_STRIDE + q * 4, sizeof quad);
                const vi xs = vi_set1(quad);
#pragma GCC unroll 4
                for (int v = 0; v < PANEL_VECTORS; v++) sum[i][v] = dot4(format, sum[i][v], weights[v], xs);
            }
        }
#pragma GCC unroll 8
        for (int i = 0; i < M; i++) {
            const vf scale = vf_set1(block->scales[i][g]);
#pragma GCC unroll 4
            for (int v = 0; v < PANEL_VECTORS; v++) {
                const vf both = vf_mul(vf_load(panel->scales[g] + (size_t)v * LANES), scale);
                acc[i][v] = vf_fma(vf_of_vi(sum[i][v]), both, acc[i][v]);
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < PANEL_VECTORS; v++) {
            if (columns <= v * LANES) break;
            const size_t count = columns - v * LANES;
            float *out = y + (size_t)i * ldy + v * LANES;
            if (count >= LANES) {
                vf_store(out, vf_add(acc[i][v], vf_load(start ? start + v * LANES : out)));
            } else {
                const vf before = start ? vf_load(start + v * LANES) : vf_load_part(out, count);
                vf_store_part(out, count, vf_add(acc[i][v], before));
            }
        }
    }
}

static Q8_INLINE void matmul_q8_panel(kernel_format format, const kernel_matrix *w, size_t m, const kernel_q8 *x,
                                      float *y, size_t ldy)
{
    const size_t groups = kernel_row_scales(format, w->columns);
    q8_panel panel;
    q8_block block;
    memset(&block, 0, sizeof block);
    for (size_t n = 0; n < w->rows; n += Q8_PANEL_N) {
        const size_t rows = w->rows - n < Q8_PANEL_N ? w->rows - n : Q8_PANEL_N;
        _Alignas(64) float start[Q8_PANEL_N] = {0};
        if (w->bias) memcpy(start, w->bias + n, rows * sizeof *start);
        for (size_t g = 0; g < groups; g += Q8_PANEL_GROUPS) {
            const size_t count = groups - g < Q8_PANEL_GROUPS ? groups - g : Q8_PANEL_GROUPS;
            const float *first = g == 0 ? start : NULL;
            q8_pack(format, w, n, rows, g, count, &panel);
            size_t i = 0;
            for (; i + Q8_PANEL_ROWS <= m; i += Q8_PANEL_ROWS) {
                q8_copy(format, Q8_PANEL_ROWS, w, x, i, g, count, &block);
                q8_tile(format, Q8_PANEL_ROWS, count, &panel, &block, first, rows, y + i * ldy + n, ldy);
            }
            for (; i + 2 <= m; i += 2) {
                q8_copy(format, 2, w, x, i, g, count, &block);
                q8_tile(format, 2, count, &panel, &block, first, rows, y + i * ldy + n, ldy);
            }
            if (i < m) {
                q8_copy(format, 1, w, x, i, g, count, &block);
                q8_tile(format, 1, count, &panel, &block, first, rows, y + i * ldy + n, ldy);
            }
        }
    }
}

/* From how many rows of x on the transposition of w pays. */
enum { Q8_PANEL_FROM = Q8_PANEL_ROWS };

static Q8_INLINE void matmul_q8(kernel_format format, const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y,
                                size_t ldy)
{
    if (m >= Q8_PANEL_FROM && w->rows >= LANES && w->columns > 0)
        matmul_q8_panel(format, w, m, x, y, ldy);
    else
        matmul_q8_dot(format, w, m, x, y, ldy);
}

#endif
