/* matmul_bf16.c - the product of bfloat16 weights with many rows of x, which are rounded to bfloat16.
 *
 * A tile product wants its left side in rows and its right side in pairs of columns (VNNI). The weights are the left side:
 * 16 rows of 32 columns load as they lie, and nothing of them is packed. x is the right side, rounded and packed once for
 * a block of rows by a span of columns, which all of w then passes. The product is y transposed, and turned back, 16 x 16
 * at a time, on its way into y. */
#include "kernels/amx/kernels_amx.h"
#include "kernels/amx/tile_products.h"

#include <string.h>

enum {
    STEP_COLUMNS = TILE_ROW_BYTES / 2,
    SPAN_STEPS = 16,
    SPAN = SPAN_STEPS * STEP_COLUMNS,
    BLOCK_TILES = 8, /* of 16 rows of x: 128 KiB of packed x */
    BLOCK = BLOCK_TILES * TILE_ROWS,
    SPAN_BYTES = SPAN * 2,
};

/* ---- x ---- */

/* Rounded to nearest even, in the upper halves of the words; a NaN stays one. */
static ALWAYS_INLINE vi round_to_bf16(vf a)
{
    const vi bits = vi_of_bits(a), odd = vi_and(_mm512_srli_epi32(bits, 16), vi_set1(1));
    const vi rounded = vi_add32(bits, vi_add32(vi_set1(0x7fff), odd));
    return _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), bits, vi_set1(0x00400000));
}

/* The first `count` of 16 floats as bfloat16, then zeros. */
static ALWAYS_INLINE __m256i load_rounded(const float *x, size_t count)
{
    const vf a = count >= LANES ? vf_load(x) : vf_load_part(x, count);
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(round_to_bf16(a), 16));
}

/* STEP_COLUMNS columns of 16 rows of x, of which `rows` and `columns` are there, in pairs: packed[pair][row]. */
static ALWAYS_INLINE void pack_step(const float *x, size_t ldx, size_t rows, size_t columns, uint8_t *packed)
{
    vi square[TILE_ROWS];
#pragma GCC unroll 16
    for (size_t r = 0; r < TILE_ROWS; r++) {
        const float *row = x + r * ldx;
        square[r] = vi_zero();
        if (r < rows) square[r] = _mm512_castsi256_si512(load_rounded(row, columns));
        if (r < rows && columns > LANES)
            square[r] = _mm512_inserti64x4(square[r], load_rounded(row + LANES, columns - LANES), 1);
        else
            square[r] = _mm512_inserti64x4(square[r], _mm256_setzero_si256(), 1);
    }
    vi_transpose(square);
#pragma GCC unroll 16
    for (size_t r = 0; r < TILE_ROWS; r++) vi_store(packed + r * TILE_ROW_BYTES, square[r]);
}

static void pack_block(const float *x, size_t ldx, size_t rows, size_t width, uint8_t *packed)
{
    for (size_t i = 0; i < rows; i += TILE_ROWS) {
        for (size_t c = 0; c < width; c += STEP_COLUMNS) {
            uint8_t *to = packed + (i / TILE_ROWS * SPAN_STEPS + c / STEP_COLUMNS) * TILE_BYTES;
            pack_step(x + i * ldx + c, ldx, rows - i, width - c, to);
        }
    }
}

/* ---- w ---- */

/* Up to two tiles of 16 rows, `width` columns from column k on. Tiles that the matrix does not fill are made up in `copy`
 * with zeros. */
static tile_side weight_tiles(const kernel_matrix *w, size_t row, size_t k, size_t width,
                              uint8_t copy[2][TILE_ROWS * SPAN_BYTES])
{
    const size_t row_bytes = kernel_row_bytes(KERNEL_BF16, w->columns), left = w->rows - row;
    const uint8_t *values = (const uint8_t *)w->values + row * row_bytes + 2 * k;
    tile_side side = {{values, left > TILE_ROWS ? values + TILE_ROWS * row_bytes : NULL}, row_bytes, TILE_ROW_BYTES};
    if (left >= PRODUCT_ROWS && width % STEP_COLUMNS == 0) return side;
    for (size_t r = 0; r < PRODUCT_ROWS; r++) {
        uint8_t *to = copy[r / TILE_ROWS] + r % TILE_ROWS * SPAN_BYTES;
        const size_t bytes = r < left ? 2 * width : 0;
        if (bytes) memcpy(to, values + r * row_bytes, bytes);
        memset(to + bytes, 0, SPAN_BYTES - bytes);
    }
    side.stride = SPAN_BYTES;
    side.tile[0] = copy[0];
    if (side.tile[1]) side.tile[1] = copy[1];
    return side;
}

/* ---- y ---- */

/* y[i][n] = start[n] + product[n][i], or y[i][n] + product[n][i] where start is NULL; rows and columns are y's. */
static void add_transposed(float product[PRODUCT_ROWS][PRODUCT_ROWS], size_t rows, size_t columns, const float *start,
                           float *y, size_t ldy)
{
    for (size_t n = 0; n < columns; n += TILE_ROWS) {
        const size_t count = columns - n < TILE_ROWS ? columns - n : TILE_ROWS;
        for (size_t i = 0; i < rows; i += TILE_ROWS) {
            vi square[TILE_ROWS];
#pragma GCC unroll 16
            for (size_t r = 0; r < TILE_ROWS; r++) square[r] = vi_load(product[n + r] + i);
            vi_transpose(square);
            const size_t end = rows - i < TILE_ROWS ? rows - i : TILE_ROWS;
            for (size_t r = 0; r < end; r++) {
                float *out = y + (i + r) * ldy + n;
                const vf before = start ? vf_load_part(start + n, count) : vf_load_part(out, count);
                vf_store_part(out, count, vf_add(before, _mm512_castsi512_ps(square[r])));
            }
        }
    }
}

/* All of w's rows against the block of x: columns [k, k + width). */
static void multiply_block(const kernel_matrix *w, size_t k, size_t width, const uint8_t *packed, size_t rows, float *y,
                           size_t ldy)
{
    static const float zeros[PRODUCT_ROWS];
    const size_t steps = (width + STEP_COLUMNS - 1) / STEP_COLUMNS;
    uint8_t copy[2][TILE_ROWS * SPAN_BYTES];
    _Alignas(64) float product[PRODUCT_ROWS][PRODUCT_ROWS];
    for (size_t n = 0; n < w->rows; n += PRODUCT_ROWS) {
        const tile_side a = weight_tiles(w, n, k, width, copy);
        const size_t columns = w->rows - n < PRODUCT_ROWS ? w->rows - n : PRODUCT_ROWS;
        const float *start = k > 0 ? NULL : w->bias ? w->bias + n : zeros;
        for (size_t i = 0; i < rows; i += PRODUCT_ROWS) {
            const uint8_t *x = packed + i / TILE_ROWS * SPAN_STEPS * TILE_BYTES;
            const size_t there = rows - i < PRODUCT_ROWS ? rows - i : PRODUCT_ROWS;
            const tile_side b = {
                {x, there > TILE_ROWS ? x + SPAN_STEPS * TILE_BYTES : NULL}, TILE_ROW_BYTES, TILE_BYTES};
            tile_products_of(KERNEL_BF16, steps, a, b, product);
            add_transposed(product, there, columns, start, y + i * ldy + n, ldy);
        }
    }
}

void AMX(matmul_bf16)(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (m < AMX_LEAST_ROWS || w->columns == 0) {
        FEW_BF16(w, m, x, ldx, y, ldy);
        return;
    }
    _Alignas(64) uint8_t packed[BLOCK_TILES * SPAN_STEPS * TILE_BYTES];
    const tile_config config = tile_config_for(TILE_ROW_BYTES);
    tile_configure(&config);
    for (size_t k = 0; k < w->columns; k += SPAN) {
        const size_t width = w->columns - k < SPAN ? w->columns - k : SPAN;
        for (size_t i = 0; i < m; i += BLOCK) {
            const size_t rows = m - i < BLOCK ? m - i : BLOCK;
            pack_block(x + i * ldx + k, ldx, rows, width, packed);
            multiply_block(w, k, width, packed, rows, y + i * ldy, ldy);
        }
    }
    tile_release();
}
