/* panel_product.h - y = x w^T for many rows of x (Goto and van de Geijn 2008, with the roles that row-major weights give).
 *
 * Rows of x are copied by blocks of PANEL_BLOCK rows and spans of PANEL_SPAN words to a constant distance: rows a power of
 * two apart would share the sets of the L1 cache. PANEL_N rows of w are packed into a panel [word][row], and all rows of the
 * block pass it, PANEL_ROWS at a time: the inner loop multiplies a vector of weights by one broadcast word of x and needs no
 * sum across lanes, however short the rows. Panel and block come from the L2 cache and beyond; what is read in order is
 * asked for a little before it is needed, and so are the rows of w that come next, which lie far apart.
 *
 * A word is 32 bits of a row of w or x: a float, or as many smaller numbers as one instruction multiplies and adds up.
 *
 * Included after vector.h, with PANEL_TARGET (what functions may use beyond the rung's flags), PANEL_WORD_COLUMNS,
 * panel_multiply(acc, weights, x), panel_pack(format, w, row, rows, k, width, panel) (columns [k, k + width) of rows
 * [row, row + PANEL_N), of which `rows` are there; what is not is zero, to whole words) and panel_copy(x, width, to)
 * (`width` floats of x, zeros to whole words) defined. */
#ifndef CIUIC_KERNELS_SIMD_PANEL_PRODUCT_H
#define CIUIC_KERNELS_SIMD_PANEL_PRODUCT_H

#include "kernels/simd/prefetch.h"
#include "kernels/simd/tile_output.h"
#include "kernels/simd/weights.h"

#define PANEL_INLINE PANEL_TARGET ALWAYS_INLINE

enum {
    PANEL_N = PANEL_VECTORS * LANES,
    PANEL_UNIT = PANEL_ROWS / 3,      /* tiles are one, two or three units of rows high */
    PANEL_SPAN = 768,                 /* words: rows of y, which may be far away, are visited once a span */
    PANEL_BLOCK = 44 * PANEL_ROWS,    /* a panel is packed once a block, at the cost of about 15 rows */
    PANEL_X_STRIDE = PANEL_SPAN + 16, /* words */
    PANEL_AHEAD = 256,                /* words of a panel that are asked for early */
};

static PANEL_INLINE void panel_pack(kernel_format format, const weight_rows *w, size_t row, size_t rows, size_t k,
                                    size_t width, float *panel);
static PANEL_INLINE void panel_copy(const float *x, size_t width, float *to);
static PANEL_INLINE vf panel_multiply(vf acc, vf weights, vf x);

/* Where a tile of y begins. */
typedef struct panel_output {
    float *y;
    size_t ldy, columns; /* columns of y that are there; the tile may be wider */
    const float *start;  /* PANEL_N floats that y begins with in the first span, NULL after */
} panel_output;

/* y (+)= the first `rows` of M rows of x times the panel. */
static PANEL_INLINE void panel_tile(const int M, size_t words, const float *panel, const float *x, size_t rows,
                                    const panel_output *out)
{
    vf acc[PANEL_ROWS][PANEL_VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < PANEL_VECTORS; v++) {
            acc[i][v] = vf_zero();
            /* What the tile will be added to may be far away by now. */
            if ((size_t)i < rows) prefetch(out->y + (size_t)i * out->ldy + (size_t)v * LANES);
        }
    }
    for (size_t c = 0; c < words; c++) {
        vf weights[PANEL_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < PANEL_VECTORS; v++) {
            const float *p = panel + c * PANEL_N + (size_t)v * LANES;
            if (v * LANES % 16 == 0) prefetch(p + PANEL_AHEAD); /* once a cache line */
            weights[v] = vf_load(p);
        }
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const vf xs = vf_set1(x[i * PANEL_X_STRIDE + (ptrdiff_t)c]);
#pragma GCC unroll 4
            for (int v = 0; v < PANEL_VECTORS; v++) acc[i][v] = panel_multiply(acc[i][v], weights[v], xs);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; i++) {
        if ((size_t)i >= rows) break;
#pragma GCC unroll 4
        for (size_t v = 0; v < PANEL_VECTORS; v++)
            add_to_row(out->y + (size_t)i * out->ldy, out->columns, out->start, v, acc[i][v]);
    }
}

/* Rows of w that will be packed next, from column k on. */
typedef struct panel_next {
    const weight_rows *w;
    size_t row, rows, k, bytes; /* of each */
} panel_next;

/* Asks for the rows [first, first + count) of those. */
static PANEL_INLINE void ask_for_rows(kernel_format format, const panel_next *next, size_t first, size_t count)
{
    for (size_t r = first; r < first + count && r < next->rows; r++) {
        const char *at = weight_at(format, next->w, next->row + r, next->k);
        for (size_t line = 0; line < next->bytes; line += 64) prefetch_next(at + line);
    }
}

/* All rows of the block against the panel. Tiles are as high as possible without leaving a single unit for the last. */
static PANEL_INLINE void panel_rows(kernel_format format, size_t words, const float *panel, const float *x, size_t rows,
                                    const panel_next *next, panel_output out)
{
    const size_t tiles = (rows + PANEL_ROWS - 1) / PANEL_ROWS, ask = (PANEL_N + tiles - 1) / tiles;
    size_t asked = 0;
    for (size_t i = 0; i < rows; asked += ask) {
        const size_t left = rows - i, units = (left + PANEL_UNIT - 1) / PANEL_UNIT;
        const size_t height = (units < 3    ? units
                               : units == 4 ? 2
                                            : 3) *
                              PANEL_UNIT,
                     there = left < height ? left : height;
        ask_for_rows(format, next, asked, ask);
        if (height == PANEL_ROWS)
            panel_tile(PANEL_ROWS, words, panel, x + i * PANEL_X_STRIDE, there, &out);
        else if (height == 2 * PANEL_UNIT)
            panel_tile(2 * PANEL_UNIT, words, panel, x + i * PANEL_X_STRIDE, there, &out);
        else
            panel_tile(PANEL_UNIT, words, panel, x + i * PANEL_X_STRIDE, there, &out);
        i += height;
        out.y += height * out.ldy;
    }
}

static PANEL_INLINE void panel_product(kernel_format format, const kernel_matrix *matrix, size_t m, const float *x,
                                       size_t ldx, float *y, size_t ldy)
{
    _Alignas(64) float panel[PANEL_SPAN * PANEL_N], block[PANEL_BLOCK * PANEL_X_STRIDE], start[PANEL_N];
    const weight_rows w = rows_of_matrix(matrix);
    const size_t columns = matrix->columns, most = PANEL_SPAN * PANEL_WORD_COLUMNS, spans = (columns + most - 1) / most;
    if (m == 0 || spans == 0) return; /* the caller left no columns to another kernel */
    /* Spans and blocks of equal size, so that none is a short rest. */
    const size_t span = (columns / spans + (columns % spans != 0) + KERNEL_GROUP - 1) / KERNEL_GROUP * KERNEL_GROUP;
    const size_t blocks = (m + PANEL_BLOCK - 1) / PANEL_BLOCK,
                 units = (m / blocks + (m % blocks != 0) + PANEL_ROWS - 1) / PANEL_ROWS;
    const size_t most_rows = units * PANEL_ROWS;
    for (size_t k = 0; k < columns; k += span) {
        const size_t width = columns - k < span ? columns - k : span;
        const size_t words = (width + PANEL_WORD_COLUMNS - 1) / PANEL_WORD_COLUMNS;
        for (size_t i = 0; i < m; i += most_rows) {
            const size_t rows = m - i < most_rows ? m - i : most_rows;
            for (size_t r = 0; r < rows; r++) panel_copy(x + (i + r) * ldx + k, width, block + r * PANEL_X_STRIDE);
            for (size_t r = rows; r % PANEL_UNIT != 0; r++)
                memset(block + r * PANEL_X_STRIDE, 0, words * sizeof(float));
            for (size_t n = 0; n < matrix->rows; n += PANEL_N) {
                const size_t left = matrix->rows - n, there = left < PANEL_N ? left : PANEL_N;
                memset(start, 0, sizeof start);
                if (matrix->bias) memcpy(start, matrix->bias + n, there * sizeof *start);
                panel_pack(format, &w, n, there, k, width, panel);
                /* Interleaved, they are read in order, and the hardware has them ready by itself. */
                const size_t after = matrix->interleave ? 0 : left - there;
                const panel_next next = {&w, n + PANEL_N, after < PANEL_N ? after : PANEL_N, k,
                                         kernel_row_bytes(format, width)};
                panel_rows(format, words, panel, block, rows, &next,
                           (panel_output){y + i * ldy + n, ldy, there, k == 0 ? start : NULL});
            }
        }
    }
}

#endif
