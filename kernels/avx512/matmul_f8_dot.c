/* matmul_f8_dot.c - e4m3 weights against many rows of x by vdpbf16ps: every code is a bfloat16 (f8_table.h), and x is rounded
 * to it, 2^-8 of each value at most. Products are exact, sums are FP32, subnormals count as zero; the scale of a block
 * of 128 x 128 multiplies the block's sum.
 *
 * Rows of w are transposed into panels [pair of columns][row] once for all rows of x: as codes, four columns a word, and
 * converted on the way out. The rows of x, copied as they are rounded, serve PANELS panels at a time. */
#include "kernels/avx512/f8_table.h"

#include "kernels/avx512/bf16.h"
#include "kernels/avx512/kernels_avx512.h"

#define TARGET __attribute__((target("avx512bf16,avx512vbmi")))

enum {
    BLOCK_PAIRS = KERNEL_F8_BLOCK / 2, /* of columns */
    SPAN_BLOCKS = 4,
    SPAN = SPAN_BLOCKS * KERNEL_F8_BLOCK,
    PANEL_N = PANEL_VECTORS * LANES,
    PANELS = 4,                  /* of 32 KiB: they stay in the L2 cache */
    X_STRIDE = SPAN + 2 * LANES, /* bfloat16 values; rows a power of two apart would share the sets of the L1 cache */
    MOST_ROWS = PANEL_ROWS,
};

typedef struct span {
    _Alignas(64) uint32_t pairs[PANELS][SPAN_BLOCKS * BLOCK_PAIRS][PANEL_N];
    float scales[PANELS][SPAN_BLOCKS][PANEL_N]; /* times 2^8: codes are converted times 2^-8 */
    float start[PANELS][PANEL_N];               /* the bias */
} span;

/* 16 rows of 64 codes, of which `rows` and `width` are there, to 32 pairs of columns; what is not there is zero. */
TARGET static ALWAYS_INLINE void pack_square(const uint8_t *codes, size_t stride, size_t rows, size_t width,
                                             uint32_t to[][PANEL_N])
{
    /* Of four words of four codes: the first two of each word, then the last two. */
    const vi halves = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    const __mmask64 mask = width >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << width) - 1;
    vi square[LANES];
#pragma GCC unroll 16
    for (size_t r = 0; r < LANES; r++) {
        square[r] = r < rows ? _mm512_maskz_loadu_epi8(mask, codes + r * stride) : vi_zero();
    }
    vi_transpose(square);
#pragma GCC unroll 16
    for (size_t c = 0; c < LANES; c++) {
        vi low, high;
        f8_bytes(_mm512_shuffle_epi8(square[c], halves), &low, &high);
        vi_store(to[2 * c], _mm512_unpacklo_epi8(low, high));
        vi_store(to[2 * c + 1], _mm512_unpackhi_epi8(low, high));
    }
}

/* Columns [k, k + width) of rows [row, row + rows) of w, and their scales. */
TARGET static void pack_span(const kernel_matrix *w, size_t row, size_t rows, size_t k, size_t width, span *s)
{
    const size_t blocks = kernel_groups(w->columns, KERNEL_F8_BLOCK);
    const uint8_t *codes = (const uint8_t *)w->values + row * w->columns + k;
    for (size_t n = 0; n < rows; n += LANES) {
        for (size_t c = 0; c < width; c += 64) {
            pack_square(codes + n * w->columns + c, w->columns, rows - n, width - c,
                        (uint32_t(*)[PANEL_N])(s->pairs[n / PANEL_N][c / 2] + n % PANEL_N));
        }
    }
    for (size_t b = 0; b * KERNEL_F8_BLOCK < width; b++) {
        for (size_t n = 0; n < rows; n++) {
            const size_t at = (w->block_row + row + n) / KERNEL_F8_BLOCK * blocks + k / KERNEL_F8_BLOCK + b;
            s->scales[n / PANEL_N][b][n % PANEL_N] = 0x1p8f * (w->block_scales ? w->block_scales[at] : 1.0f);
        }
    }
}

/* sums[i] += M rows of x times one block of a panel, scaled; the first block sets them. */
TARGET static ALWAYS_INLINE void tile(const int M, size_t pairs, uint32_t w[][PANEL_N], const float *scales,
                                      const uint16_t *x, bool first, float sums[][PANEL_N])
{
    vf acc[MOST_ROWS][PANEL_VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < PANEL_VECTORS; v++) acc[i][v] = vf_zero();
    }
    for (size_t p = 0; p < pairs; p++) {
        vi weights[PANEL_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < PANEL_VECTORS; v++) weights[v] = vi_load(&w[p][v * LANES]);
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vi xs = vi_set1_from(x + (size_t)i * X_STRIDE + 2 * p);
#pragma GCC unroll 4
            for (int v = 0; v < PANEL_VECTORS; v++) acc[i][v] = bf16_dot(acc[i][v], weights[v], xs);
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < PANEL_VECTORS; v++) {
        const vf scale = vf_load(scales + v * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            float *sum = sums[i] + v * LANES;
            vf_store(sum, first ? vf_mul(acc[i][v], scale) : vf_fma(acc[i][v], scale, vf_load(sum)));
        }
    }
}

/* The sums of a span added to what y holds, or to `start` where that is not NULL. */
static void add_sums(int M, float sums[][PANEL_N], const float *start, size_t columns, float *y, size_t ldy)
{
    for (int i = 0; i < M; i++, y += ldy) {
        for (size_t n = 0; n < PANEL_N && n < columns; n += LANES) {
            const vf sum = vf_load(sums[i] + n);
            const size_t count = columns - n;
            if (count >= LANES)
                vf_store(y + n, vf_add(sum, vf_load(start ? start + n : y + n)));
            else
                vf_store_part(y + n, count, vf_add(sum, start ? vf_load(start + n) : vf_load_part(y + n, count)));
        }
    }
}

/* M rows of x against the packed span of `rows` rows of w. Rows of y may be a power of two apart, and share the sets of the
 * L1 cache: they are visited once a span, not once a block. */
TARGET static ALWAYS_INLINE void rows_of_x(const int M, span *s, bool first, size_t width, size_t rows, const float *x,
                                           size_t ldx, float *y, size_t ldy)
{
    _Alignas(64) uint16_t rounded[MOST_ROWS * X_STRIDE];
    _Alignas(64) float sums[MOST_ROWS][PANEL_N];
    for (int i = 0; i < M; i++) bf16_round_row(x + (size_t)i * ldx, width, rounded + i * X_STRIDE);
    for (size_t p = 0; p * PANEL_N < rows; p++) {
        for (size_t b = 0; b * KERNEL_F8_BLOCK < width; b++) {
            const size_t left = (width - b * KERNEL_F8_BLOCK + 1) / 2;
            tile(M, left < BLOCK_PAIRS ? left : BLOCK_PAIRS, s->pairs[p] + b * BLOCK_PAIRS, s->scales[p][b],
                 rounded + b * KERNEL_F8_BLOCK, b == 0, sums);
        }
        add_sums(M, sums, first ? s->start[p] : NULL, rows - p * PANEL_N, y + p * PANEL_N, ldy);
    }
}

TARGET void matmul_f8_dot(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (m < KERNEL_BF16_ROWS || w->columns == 0) {
        matmul_f8_vbmi(w, m, x, ldx, y, ldy);
        return;
    }
    span s;
    for (size_t n = 0; n < w->rows; n += PANELS * PANEL_N) {
        const size_t rest = w->rows - n, rows = rest < PANELS * PANEL_N ? rest : PANELS * PANEL_N;
        memset(s.start, 0, sizeof s.start);
        memset(s.scales, 0, sizeof s.scales);
        if (w->bias) memcpy(s.start, w->bias + n, rows * sizeof(float));
        for (size_t k = 0; k < w->columns; k += SPAN) {
            const size_t width = w->columns - k < SPAN ? w->columns - k : SPAN;
            pack_span(w, n, rows, k, width, &s);
            size_t i = 0;
#define STEP(M)                                                                                                        \
    for (; i + (M) <= m; i += (M)) rows_of_x((M), &s, k == 0, width, rows, x + i * ldx + k, ldx, y + i * ldy + n, ldy)
            STEP(MOST_ROWS);
            STEP(8);
            STEP(4);
            STEP(2);
            STEP(1);
#undef STEP
        }
    }
}
