/* matmul_bf16_dot_few.c - bfloat16 weights against some rows of x by vdpbf16ps: too many for the speed of memory, too few to
 * pay for packing the weights (a mixture of experts gives each of its experts such batches). Dot products run along the rows
 * of w as they lie, four at a time, as in kernels/simd/matmul_dot.h; nothing but x, rounded once, is converted. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/bf16.h"
#include "kernels/avx512/kernels_avx512.h"

enum {
    STEP = 2 * LANES, /* columns of a vector */
    MOST_X = 6,       /* rows of x against DOT_ROWS rows of w: 24 sums, 4 weights */
    ROOM = 1 << 19,   /* bfloat16 values of x at once: 1 MiB */
};

typedef struct rows_of_w {
    const uint16_t *values; /* of the first; those of the others `run` rows on */
    size_t stride;          /* values from one of them to the next */
} rows_of_w;

/* sums[i] = the products of R rows of w (1 or DOT_ROWS) with M rows of x over `width` columns. */
static BF16_TARGET ALWAYS_INLINE void tile(const int R, const int M, const rows_of_w *w, size_t width,
                                           const uint16_t *x, size_t stride, v4 sums[])
{
    vf acc[MOST_X][DOT_ROWS];
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (int r = 0; r < DOT_ROWS; r++) acc[i][r] = vf_zero();
    }
    for (size_t c = 0; c < width; c += STEP) {
        const size_t left = width - c;
        const __mmask32 mask = left >= STEP ? 0xffffffffu : (1u << left) - 1;
        vi weights[DOT_ROWS];
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) weights[r] = _mm512_maskz_loadu_epi16(mask, w->values + (size_t)r * w->stride + c);
#pragma GCC unroll 8
        for (int i = 0; i < M; i++) {
            const vi xs = vi_load(x + (size_t)i * stride + c);
#pragma GCC unroll 4
            for (int r = 0; r < R; r++) acc[i][r] = bf16_dot(acc[i][r], weights[r], xs);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < M; i++) sums[i] = vf_sum4(acc[i][0], acc[i][1], acc[i][2], acc[i][3]);
}

/* Where the outputs of R rows of w go, and what is added to them: the bias in the first span, then what is there. */
typedef struct outputs {
    float *y;
    size_t ldy, run;
    const float *bias; /* of the first of them; NULL: 0 */
    bool first;
} outputs;

static BF16_TARGET ALWAYS_INLINE void block(const int R, const int M, const rows_of_w *w, size_t width,
                                            const uint16_t *x, size_t stride, size_t i, const outputs *out)
{
    v4 sums[MOST_X];
    tile(R, M, w, width, x + i * stride, stride, sums);
#pragma GCC unroll 8
    for (int j = 0; j < M; j++) {
        float of_rows[DOT_ROWS];
        v4_store(of_rows, sums[j]);
        for (int r = 0; r < R; r++) {
            float *y = out->y + (i + (size_t)j) * out->ldy + (size_t)r * out->run;
            const float before = !out->first ? *y : out->bias ? out->bias[(size_t)r * out->run] : 0.0f;
            *y = before + of_rows[r];
        }
    }
}

/* All rows of x against R rows of w. */
static BF16_TARGET ALWAYS_INLINE void all_rows(const int R, const rows_of_w *w, size_t width, const uint16_t *x,
                                               size_t stride, size_t m, const outputs *out)
{
    size_t i = 0;
#define BLOCKS(M)                                                                                                      \
    for (; i + (M) <= m; i += (M)) block(R, (M), w, width, x, stride, i, out)
    /* Eight is twice four rather than six and two. */
    for (; i + 6 <= m && m - i != 8; i += 6) block(R, MOST_X, w, width, x, stride, i, out);
    BLOCKS(4);
    BLOCKS(2);
    BLOCKS(1);
#undef BLOCKS
}

BF16_TARGET void matmul_bf16_dot_few(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    _Alignas(64) uint16_t rounded[ROOM];
    const size_t run = w->rows / DOT_ROWS, most = ROOM / m / STEP * STEP - STEP;
    for (size_t k = 0; k < w->columns; k += most) {
        const size_t width = w->columns - k < most ? w->columns - k : most;
        const size_t stride =
            (width + STEP - 1) / STEP * STEP + STEP; /* rows a power of two apart share sets of the cache */
        for (size_t i = 0; i < m; i++) bf16_round_row(x + i * ldx + k, width, rounded + i * stride);
        const uint16_t *values = (const uint16_t *)w->values + k;
        for (size_t n = 0; n < run; n++) {
            const rows_of_w four = {values + n * w->columns, run * w->columns};
            const outputs out = {y + n, ldy, run, w->bias ? w->bias + n : NULL, k == 0};
            all_rows(DOT_ROWS, &four, width, rounded, stride, m, &out);
        }
        for (size_t n = run * DOT_ROWS; n < w->rows; n++) {
            const rows_of_w one = {values + n * w->columns, 0};
            const outputs out = {y + n, ldy, 0, w->bias ? w->bias + n : NULL, k == 0};
            all_rows(1, &one, width, rounded, stride, m, &out);
        }
    }
}
