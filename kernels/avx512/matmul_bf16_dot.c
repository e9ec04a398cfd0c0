/* matmul_bf16_dot.c - bfloat16 weights against many rows of x by vdpbf16ps, where the machine has it: two multiply-adds a
 * lane. x is rounded to bfloat16, 2^-8 of each value at most; products are exact, sums are FP32, subnormals count as zero.
 *
 * As kernels/simd/matmul_panel.h, with pairs of columns for columns: rows of w are transposed into panels [pair][row] once
 * for all rows of x; the rows of x, copied as they are rounded, serve PANELS panels at a time. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/simd/tile_output.h"

#define TARGET __attribute__((target("avx512bf16")))

enum {
    PAIRS = 256, /* of columns in a span: a panel is 32 KiB */
    PANEL_N = PANEL_VECTORS * LANES,
    PANELS = 4, /* 128 KiB stay in the L2 cache */
    X_STRIDE =
        (PAIRS + LANES) * 2, /* bfloat16 values; rows a power of two apart would share the sets of the L1 cache */
    FULL_ROWS = PANEL_ROWS,
};

typedef struct panel {
    _Alignas(64) uint32_t pairs[PAIRS][PANEL_N];
} panel;

/* Columns [k, k + 2 * pairs) of rows [row, row + PANEL_N) of w; what is not there is zero. */
static void pack(const kernel_matrix *w, size_t row, size_t k, size_t width, panel *to)
{
    const uint16_t *values = w->values;
    for (size_t n = 0; n < PANEL_N; n += LANES) {
        for (size_t c = 0; c < width; c += 2 * LANES) {
            const size_t count = width - c < 2 * LANES ? width - c : 2 * LANES;
            const __mmask32 mask = count == 2 * LANES ? 0xffffffffu : (1u << count) - 1;
            vi square[LANES];
#pragma GCC unroll 16
            for (size_t r = 0; r < LANES; r++) {
                const size_t from = row + n + r;
                const uint16_t *at = values + (from < w->rows ? from : 0) * w->columns + k + c;
                square[r] = _mm512_maskz_loadu_epi16(from < w->rows ? mask : 0, at);
            }
            vi_transpose(square);
            for (size_t r = 0; r < LANES; r++) vi_store(&to->pairs[c / 2 + r][n], square[r]);
        }
    }
}

/* `width` floats as bfloat16, filled up with zeros to whole vectors. */
TARGET static void round_row(const float *x, size_t width, uint16_t *to)
{
    for (size_t c = 0; c < width; c += 2 * LANES) {
        const size_t left = width - c;
        const vf low = left >= LANES ? vf_load(x + c) : vf_load_part(x + c, left);
        vf high = vf_zero();
        if (left >= 2 * LANES)
            high = vf_load(x + c + LANES);
        else if (left > LANES)
            high = vf_load_part(x + c + LANES, left - LANES);
        vi_store(to + c, (vi)_mm512_cvtne2ps_pbh(high, low));
    }
}

/* M rows of x times a panel, added to y, or to `start` in the first span. */
TARGET static ALWAYS_INLINE void tile(const int M, size_t pairs, const panel *w, const uint16_t *x, const float *start,
                                      size_t columns, float *y, size_t ldy)
{
    vf acc[FULL_ROWS][PANEL_VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < PANEL_VECTORS; v++) {
            acc[i][v] = vf_zero();
            _mm_prefetch((const char *)(y + (size_t)i * ldy + v * LANES), _MM_HINT_T0);
        }
    }
    for (size_t p = 0; p < pairs; p++) {
        vi weights[PANEL_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < PANEL_VECTORS; v++) weights[v] = vi_load(&w->pairs[p][v * LANES]);
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vi xs = vi_set1_from(x + (size_t)i * X_STRIDE + 2 * p);
#pragma GCC unroll 4
            for (int v = 0; v < PANEL_VECTORS; v++)
                acc[i][v] = _mm512_dpbf16_ps(acc[i][v], (__m512bh)weights[v], (__m512bh)xs);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < PANEL_VECTORS; v++) add_to_row(y + (size_t)i * ldy, columns, start, v, acc[i][v]);
    }
}

typedef struct span {
    panel panels[PANELS];
    float start[PANELS][PANEL_N]; /* the bias */
} span;

/* M rows of x against the packed panels; `rows` outputs are left. */
TARGET static ALWAYS_INLINE void rows_of_x(const int M, const span *s, bool first, size_t width, size_t rows,
                                           const float *x, size_t ldx, float *y, size_t ldy)
{
    _Alignas(64) uint16_t rounded[FULL_ROWS * X_STRIDE];
    for (int i = 0; i < M; i++) round_row(x + (size_t)i * ldx, width, rounded + i * X_STRIDE);
    const size_t pairs = (width + 1) / 2;
    for (size_t p = 0; p * PANEL_N < rows; p++) {
        tile(M, pairs, &s->panels[p], rounded, first ? s->start[p] : NULL, rows - p * PANEL_N, y + p * PANEL_N, ldy);
    }
}

TARGET void matmul_bf16_dot(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (m < KERNEL_BF16_ROWS || w->columns == 0) {
        matmul_bf16_avx512(w, m, x, ldx, y, ldy);
        return;
    }
    span s;
    for (size_t n = 0; n < w->rows; n += PANELS * PANEL_N) {
        const size_t rest = w->rows - n, rows = rest < PANELS * PANEL_N ? rest : PANELS * PANEL_N;
        memset(s.start, 0, sizeof s.start);
        if (w->bias) memcpy(s.start, w->bias + n, rows * sizeof(float));
        for (size_t k = 0; k < w->columns; k += 2 * PAIRS) {
            const size_t width = w->columns - k < 2 * PAIRS ? w->columns - k : 2 * PAIRS;
            for (size_t p = 0; p * PANEL_N < rows; p++) pack(w, n + p * PANEL_N, k, width, &s.panels[p]);
            size_t i = 0;
#define STEP(M)                                                                                                        \
    for (; i + (M) <= m; i += (M)) rows_of_x((M), &s, k == 0, width, rows, x + i * ldx + k, ldx, y + i * ldy + n, ldy)
            STEP(FULL_ROWS);
            STEP(6);
            STEP(4);
            STEP(2);
            STEP(1);
#undef STEP
        }
    }
}
