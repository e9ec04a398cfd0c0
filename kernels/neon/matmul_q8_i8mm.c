/* matmul_q8_i8mm.c - the integer products for many rows of x by smmla, which multiplies eight columns of two rows of x by the
 * same columns of two rows of w: twice the products of an sdot, from as many loads.
 *
 * A panel of w is taken apart once for all rows of a block of x: the quads of rows 0 and 1 side by side, then those of rows 2
 * and 3. Rows of x stand in pairs. The four sums of an smmla belong to two rows of y: they are sorted after each group. Few
 * rows of x are bound by memory, and left to sdot. */
#include "kernels/neon/vector.h"

#include "kernels/c/kernels_c.h"
#include "kernels/neon/dot_product.h"
#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/matmul_q8.h"

enum {
    MM_PAIRS = 4,  /* of rows of x, by panels of w: 16 sums, 4 weights; the sums in float leave the registers */
    MM_PANELS = 2, /* of LANES rows */
    MM_COLUMNS = 8,
    MM_STEPS = KERNEL_GROUP / MM_COLUMNS,
    MM_X = 2 * MM_COLUMNS,               /* bytes of a pair in one step */
    MM_W = LANES * MM_COLUMNS,           /* and of a panel */
    MM_SPAN = 1024,                      /* columns at once */
    MM_BLOCK = 96,                       /* rows of x at once */
    MM_PAIR_STRIDE = 2 * (MM_SPAN + 64), /* rows a power of two apart would share the sets of the L1 cache */
};

/* A span of w's panels, and of a block of x. */
typedef struct mm_span {
    _Alignas(64) uint8_t w[MM_PANELS][MM_SPAN / MM_COLUMNS][MM_W];
    int8_t x[MM_BLOCK / 2 * MM_PAIR_STRIDE];
    q8_block block;
    size_t rows;                 /* of x */
    size_t blocks, group_blocks; /* runs of KERNEL_GROUP columns; those of a group */
} mm_span;

/* Where a tile of y begins. */
typedef struct mm_output {
    float *y;
    size_t ldy, columns; /* columns of y that are there; the tile may be wider */
    const float *bias;   /* what y begins with in the first span, NULL after */
} mm_output;

/* to[step] = rows 0 and 1, rows 2 and 3 of a panel over eight columns, two units, as signed bytes. */
static ALWAYS_INLINE void unpack_panel(kernel_format format, const uint8_t *from, size_t blocks, uint8_t to[][MM_W])
{
    for (size_t b = 0; b < blocks; b++, from += panel_block_bytes(format), to += MM_STEPS) {
#pragma GCC unroll 4
        for (int s = 0; s < MM_STEPS; s++) {
            const vi first = block_unit(format, from, 2 * s), second = block_unit(format, from, 2 * s + 1);
            vi_store(to[s], vzip1q_s32(first, second));
            vi_store(to[s] + MM_X, vzip2q_s32(first, second));
        }
    }
}

/* Rows [first, first + span->rows) of x, `span->blocks` blocks from `column` on, in pairs; a row of zeros makes an odd number
 * even. */
static void pair_rows(kernel_format format, const kernel_matrix *w, const kernel_q8 *x, size_t first, size_t column,
                      size_t width, mm_span *span)
{
    q8_block *block = &span->block;
    q8_block_fill(w, x, first, span->rows, column, width, zero_code(format, w->minimums), block);
    for (size_t i = 0; i < span->rows + span->rows % 2; i++) {
        const int8_t *from = block->values + i * block->stride;
        int8_t *to = span->x + i / 2 * MM_PAIR_STRIDE + i % 2 * MM_COLUMNS;
        for (size_t s = 0; s < span->blocks * MM_STEPS; s++) {
            if (i < span->rows)
                memcpy(to + s * MM_X, from + s * MM_COLUMNS, MM_COLUMNS);
            else
                memset(to + s * MM_X, 0, MM_COLUMNS);
        }
    }
    if (span->rows % 2 == 0) return;
    const size_t at = span->rows * block->groups;
    for (size_t g = 0; g < block->groups; g++) {
        block->scales[at + g] = block->sums[at + g] = 0;
        block->start[at + g] = 0;
    }
}

/* sum[p][v] += the products of P pairs with V panels over the blocks [b, end): rows 0 and 1 of the panel, rows 2 and 3. */
static ALWAYS_INLINE void mm_columns(const int P, const int V, const mm_span *span, const int8_t *x, size_t b,
                                     size_t end, vi sum[][MM_PANELS][2])
{
    for (size_t s = b * MM_STEPS; s < end * MM_STEPS; s++) {
        int8x16_t w[MM_PANELS][2];
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) {
            w[v][0] = vreinterpretq_s8_s32(vi_load(span->w[v][s]));
            w[v][1] = vreinterpretq_s8_s32(vi_load(span->w[v][s] + MM_X));
        }
#pragma GCC unroll 4
        for (int p = 0; p < P; p++) {
            const int8x16_t xs = vld1q_s8(x + p * MM_PAIR_STRIDE + s * MM_X);
#pragma GCC unroll 2
            for (int v = 0; v < V; v++) {
                sum[p][v][0] = vmmlaq_s32(sum[p][v][0], xs, w[v][0]);
                sum[p][v][1] = vmmlaq_s32(sum[p][v][1], xs, w[v][1]);
            }
        }
    }
}

/* sums, then minimums, of one row of x and one panel: times both scales, on top of acc. */
static ALWAYS_INLINE vf mm_scale(const q8_block *x, size_t at, const q8_panel *panel, size_t group, bool minimums,
                                 vi sum, vf acc)
{
    const vf scale = vf_mul(vf_load_f16(panel->scales + group * LANES), vf_set1(x->scales[at]));
    acc = vf_fma(vf_of_vi(sum), scale, acc);
    return minimums ? vf_fma(vf_load_f16(panel->minimums + group * LANES), vf_set1(x->sums[at]), acc) : acc;
}

/* y (+)= 2 P rows of x, from row `row` of the block on, times V panels; `rows` of them are there. */
static ALWAYS_INLINE void mm_tile(const int P, const int V, const bool minimums, const mm_span *span, size_t row,
                                  size_t rows, const q8_panel *panels, const mm_output *out)
{
    const q8_block *block = &span->block;
    const int8_t *x = span->x + row / 2 * MM_PAIR_STRIDE;
    vf acc[2 * MM_PAIRS][MM_PANELS];
#pragma GCC unroll 8
    for (int i = 0; i < 2 * P; i++) {
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) acc[i][v] = vf_zero();
    }
    size_t b = 0;
    for (size_t g = 0; b < span->blocks; g++) {
        vi sum[MM_PAIRS][MM_PANELS][2];
#pragma GCC unroll 4
        for (int p = 0; p < P; p++) {
            const int32_t *start = block->start + (row + 2 * (size_t)p) * block->groups + g;
            const vi both = vcombine_s32(vdup_n_s32(start[0]), vdup_n_s32(start[block->groups]));
#pragma GCC unroll 2
            for (int v = 0; v < V; v++) sum[p][v][0] = sum[p][v][1] = both;
        }
        const size_t rest = span->blocks - b, end = b + (rest < span->group_blocks ? rest : span->group_blocks);
        mm_columns(P, V, span, x, b, end, sum);
        b = end;
#pragma GCC unroll 4
        for (int p = 0; p < P; p++) {
            const size_t at = (row + 2 * (size_t)p) * block->groups + g;
#pragma GCC unroll 2
            for (int v = 0; v < V; v++) {
                const int64x2_t columns01 = vreinterpretq_s64_s32(sum[p][v][0]),
                                columns23 = vreinterpretq_s64_s32(sum[p][v][1]);
                const vi upper = vreinterpretq_s32_s64(vzip1q_s64(columns01, columns23)),
                         lower = vreinterpretq_s32_s64(vzip2q_s64(columns01, columns23));
                acc[2 * p][v] = mm_scale(block, at, &panels[v], g, minimums, upper, acc[2 * p][v]);
                acc[2 * p + 1][v] =
                    mm_scale(block, at + block->groups, &panels[v], g, minimums, lower, acc[2 * p + 1][v]);
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < 2 * P; i++) {
        if ((size_t)i >= rows) break;
#pragma GCC unroll 2
        for (int v = 0; v < V; v++)
            add_to_row(out->y + (size_t)i * out->ldy, out->columns, out->bias, (size_t)v, acc[i][v]);
    }
}

/* All rows of the block against V panels. */
static ALWAYS_INLINE void mm_rows(const int V, const bool minimums, const mm_span *span, const q8_panel *panels,
                                  mm_output out)
{
    size_t i = 0;
    /* The last tile may lack its last row. */
#define MM_STEP(P)                                                                                                     \
    for (; i + 2 * (P) <= span->rows + 1; i += 2 * (P), out.y += 2 * (P)*out.ldy)                                      \
    mm_tile((P), V, minimums, span, i, span->rows - i, panels, &out)
    MM_STEP(MM_PAIRS);
    MM_STEP(2);
    MM_STEP(1);
#undef MM_STEP
}

/* The span's rows and columns, from `column` on, times all of w. */
static ALWAYS_INLINE void mm_span_product(kernel_format format, const bool minimums, const kernel_matrix *w,
                                          size_t column, mm_span *span, float *y, size_t ldy)
{
    for (size_t n = 0; n < w->rows;) {
        const size_t left = w->rows - n, count = left > LANES ? MM_PANELS : 1;
        const size_t lanes = left < count * LANES ? left : count * LANES;
        _Alignas(64) float bias[MM_PANELS * LANES] = {0};
        q8_panel panels[MM_PANELS];
        if (w->bias) memcpy(bias, w->bias + n, lanes * sizeof *bias);
        for (size_t v = 0; v < count; v++) {
            panels[v] = q8_panel_at(format, w, n / LANES + v, column);
            unpack_panel(format, panels[v].values, span->blocks, span->w[v]);
        }
        const mm_output out = {y + n, ldy, lanes, column == 0 ? bias : NULL};
        if (count == MM_PANELS)
            mm_rows(MM_PANELS, minimums, span, panels, out);
        else
            mm_rows(1, minimums, span, panels, out);
        n += count * LANES;
    }
}

static ALWAYS_INLINE void matmul_mm(kernel_format format, const kernel_matrix *w, size_t m, const kernel_q8 *x,
                                    float *y, size_t ldy)
{
    mm_span span;
    for (size_t k = 0; k < w->columns; k += MM_SPAN) {
        const size_t width = w->columns - k < MM_SPAN ? w->columns - k : MM_SPAN;
        span.blocks = kernel_groups(width, KERNEL_GROUP);
        span.group_blocks = w->group ? w->group / KERNEL_GROUP : span.blocks;
        for (size_t i = 0; i < m; i += MM_BLOCK) {
            span.rows = m - i < MM_BLOCK ? m - i : MM_BLOCK;
            pair_rows(format, w, x, i, k, width, &span);
            if (w->minimums)
                mm_span_product(format, true, w, k, &span, y + i * ldy, ldy);
            else
                mm_span_product(format, false, w, k, &span, y + i * ldy, ldy);
        }
    }
}

void matmul_int8_i8mm(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    if (w->interleave == LANES && w->columns > 0 && m > Q8_FEW_INT8)
        matmul_mm(KERNEL_INT8, w, m, x, y, ldy);
    else
        matmul_int8_dotprod(w, m, x, y, ldy);
}

void matmul_int4_i8mm(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    if (w->interleave == LANES && w->columns > 0 && m > Q8_FEW_INT8)
        matmul_mm(KERNEL_INT4, w, m, x, y, ldy);
    else
        matmul_int4_dotprod(w, m, x, y, ldy);
}

void matmul_int3_i8mm(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    if (w->interleave == LANES && w->columns > 0 && m > Q8_FEW_INT8)
        matmul_mm(KERNEL_INT3, w, m, x, y, ldy);
    else
        matmul_int3_dotprod(w, m, x, y, ldy);
}
