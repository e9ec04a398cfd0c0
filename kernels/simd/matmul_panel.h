/* matmul_panel.h - y = x w^T for many rows of x (Goto and van de Geijn 2008, with the roles that row-major weights
 * give).
 *
 * PANEL_VECTORS * LANES rows of w are converted to float and transposed once, a span of columns at a time, into a panel
 * [column][row]; it stays in the L2 cache while all m rows of x pass, PANEL_ROWS at a time. The inner loop then
 * multiplies a vector of weights by one broadcast element of x and needs no sum across lanes, however short the rows.
 * The rows of x are copied to a constant distance: rows a power of two apart would share the sets of the L1 cache. */
#ifndef CIUIC_KERNELS_SIMD_MATMUL_PANEL_H
#define CIUIC_KERNELS_SIMD_MATMUL_PANEL_H

#include "kernels/simd/tile_output.h"
#include "kernels/simd/weights.h"

enum {
    PANEL_N = PANEL_VECTORS * LANES,
    PANEL_K = 384,
    PANELS = 2,                /* packed together, so that a copy of x serves more than one */
    X_STRIDE = PANEL_K + LANES /* floats; an odd number of vectors */
};

/* panel[c][n] = w[first + n][k + c], c < width; rows from `rows` on are zero. */
static ALWAYS_INLINE void pack_panel(kernel_format format, const weight_rows *w, size_t first, size_t rows, size_t k,
                                     size_t width, float *panel)
{
    for (size_t n = 0; n < PANEL_N; n += LANES) {
        for (size_t c = 0; c < width; c += LANES) {
            const size_t count = width - c < LANES ? width - c : LANES;
            vi square[LANES];
#pragma GCC unroll 16
            for (size_t r = 0; r < LANES; r++) {
                if (n + r >= rows)
                    square[r] = vi_zero();
                else if (count == LANES)
                    square[r] = vi_of_bits(load_weights(format, w, first + n + r, k + c));
                else
                    square[r] = vi_of_bits(load_weights_part(format, w, first + n + r, k + c, count));
            }
            vi_transpose(square);
            if (count == LANES) {
#pragma GCC unroll 16
                for (size_t r = 0; r < LANES; r++) vi_store(panel + (c + r) * PANEL_N + n, square[r]);
            } else {
                for (size_t r = 0; r < count; r++) vi_store(panel + (c + r) * PANEL_N + n, square[r]);
            }
        }
    }
}

/* Adds M rows of x times the panel to y; `start` holds what y begins with (the bias) in the first span, NULL after. */
static ALWAYS_INLINE void panel_tile(const int M, size_t width, const float *panel, const float *x, const float *start,
                                     size_t columns, float *y, size_t ldy)
{
    vf acc[PANEL_ROWS][PANEL_VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < PANEL_VECTORS; v++) acc[i][v] = vf_zero();
    }
    for (size_t c = 0; c < width; c++) {
        vf weights[PANEL_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < PANEL_VECTORS; v++) weights[v] = vf_load(panel + c * PANEL_N + (size_t)v * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vf element = vf_set1(x[i * X_STRIDE + (ptrdiff_t)c]);
#pragma GCC unroll 4
            for (int v = 0; v < PANEL_VECTORS; v++) acc[i][v] = vf_fma(weights[v], element, acc[i][v]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < PANEL_VECTORS; v++) add_to_row(y + (size_t)i * ldy, columns, start, v, acc[i][v]);
    }
}

/* M rows of x, copied once, against every packed panel. */
static ALWAYS_INLINE void panel_rows(const int M, size_t panels, size_t width, float panel[PANELS][PANEL_K * PANEL_N],
                                     const float *x, size_t ldx, float start[PANELS][PANEL_N], size_t columns, float *y,
                                     size_t ldy)
{
    float copy[PANEL_ROWS * X_STRIDE];
    for (int i = 0; i < M; i++) {
        const float *from = x + (size_t)i * ldx;
        float *to = copy + i * X_STRIDE;
        size_t c = 0;
        for (; c + LANES <= width; c += LANES) vf_store(to + c, vf_load(from + c));
        if (c < width) vf_store(to + c, vf_load_part(from + c, width - c));
    }
    for (size_t p = 0; p < panels; p++) {
        panel_tile(M, width, panel[p], copy, start ? start[p] : NULL, columns - p * PANEL_N, y + p * PANEL_N, ldy);
    }
}

static ALWAYS_INLINE void matmul_panel(kernel_format format, const kernel_matrix *matrix, size_t m, const float *x,
                                       size_t ldx, float *y, size_t ldy)
{
    _Alignas(64) float panel[PANELS][PANEL_K * PANEL_N], start[PANELS][PANEL_N];
    const weight_rows w = rows_of_matrix(matrix);
    const size_t columns = matrix->columns, spans = (columns + PANEL_K - 1) / PANEL_K;
    /* Spans of equal width, so that none is a short rest. */
    const size_t span = (columns / spans + (columns % spans != 0) + LANES - 1) / LANES * LANES;
    for (size_t n = 0; n < matrix->rows; n += PANELS * PANEL_N) {
        const size_t rest = matrix->rows - n, rows = rest < PANELS * PANEL_N ? rest : PANELS * PANEL_N;
        const size_t panels = (rows + PANEL_N - 1) / PANEL_N;
        for (size_t i = 0; i < panels * PANEL_N; i++) {
            start[i / PANEL_N][i % PANEL_N] = matrix->bias && i < rows ? matrix->bias[n + i] : 0.0f;
        }
        for (size_t k = 0; k < columns; k += span) {
            const size_t width = columns - k < span ? columns - k : span;
            for (size_t p = 0; p < panels; p++) {
                pack_panel(format, &w, n + p * PANEL_N, rows - p * PANEL_N, k, width, panel[p]);
            }
            float(*first)[PANEL_N] = k == 0 ? start : NULL;
            const float *xi = x + k;
            float *yi = y + n;
            size_t left = m;
#define PANEL_STEP(M)                                                                                                  \
    for (; left >= (M); left -= (M), xi += (M)*ldx, yi += (M)*ldy)                                                     \
    panel_rows((M), panels, width, panel, xi, ldx, first, rows, yi, ldy)
            PANEL_STEP(PANEL_ROWS);
            PANEL_STEP(PANEL_ROWS / 2);
            PANEL_STEP(PANEL_ROWS / 3);
            PANEL_STEP(1);
#undef PANEL_STEP
        }
    }
}

/* Transposing a weight costs about as much as 5 rows of x, summing across lanes about 33 / K of the work, and the rows
 * left over by a tile of PANEL_ROWS count most when they are few: measured, the two paths meet near these sizes. */
static ALWAYS_INLINE bool panel_pays(const kernel_matrix *w, size_t m)
{
    return m >= (w->columns < 128 ? 16 : 32) && w->rows >= LANES && w->columns > 0;
}

#endif
