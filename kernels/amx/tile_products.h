/* tile_products.h - the inner loop of the tile kernels: up to two by two tiles of a product, in all eight registers. Each
 * tile that is loaded then serves two products.
 *
 * Four products take 64 cycles, in which they want 4 KiB of tiles: as many bytes a cycle as the L2 cache can give at best,
 * and 75% of the speed when all of them come from there (measured on Emerald Rapids, as is what follows). So one side,
 * the weights of a few steps, stays in the L1 cache while x passes; x is loaded with the hint not to displace it. */
#ifndef CIUIC_KERNELS_AMX_TILE_PRODUCTS_H
#define CIUIC_KERNELS_AMX_TILE_PRODUCTS_H

#include "kernels/amx/tile.h"
#include "kernels/avx512/vector.h"
#include "kernels/kernels.h"

#include <stdbool.h>

enum {
    PRODUCT_ROWS = 2 * TILE_ROWS,
    SUB_STEPS = 16, /* steps of weights in the L1 cache: 32 KiB */
};

/* One side of the product: the first tile of each of two rows of tiles, and how to go on along k. */
typedef struct tile_side {
    const uint8_t *tile[2];
    size_t stride; /* bytes from row to row within a tile */
    size_t step;   /* bytes from tile to tile */
} tile_side;

/* As `side` says, `steps` further along k. */
static ALWAYS_INLINE tile_side tile_side_at(tile_side side, size_t steps)
{
    for (int i = 0; i < 2; i++) {
        if (side.tile[i]) side.tile[i] += steps * side.step;
    }
    return side;
}

/* Two by two tiles of a product, words each: [lower rows][right columns][row][column]. */
typedef uint32_t tile_square[2][2][TILE_ROWS][TILE_ROW_BYTES / 4];

/* ---- what comes next ---- */

/* The vectors and the caches have little to do meanwhile. So every step moves some lines of the weights that follow into
 * the L2 cache, and of the place in y that is to be written soon. */
typedef struct tile_ahead {
    /* `runs` runs, `run_bytes` apart, of `run_lines` lines from each of two places on. `pace` of them are followed at once,
     * a line a step: the hardware has the rest of a run ready in time when it is read slowly from end to end. */
    const uint8_t *from[2];
    size_t runs, run_bytes, run_lines, pace;
    size_t run, line; /* the next */
    const float *y;
    size_t ldy, rows; /* rows of y; 0: none */
} tile_ahead;

static ALWAYS_INLINE void tile_ahead_step(tile_ahead *p, size_t step)
{
    for (size_t r = p->run; r < p->run + p->pace && r < p->runs; r++) {
        const size_t at = r * p->run_bytes + p->line * TILE_ROW_BYTES;
        _mm_prefetch((const char *)p->from[0] + at, _MM_HINT_T1);
        _mm_prefetch((const char *)p->from[1] + at, _MM_HINT_T1);
    }
    if (++p->line >= p->run_lines) p->line = 0, p->run += p->pace;
    for (size_t i = 2 * step; i < p->rows && i < 2 * step + 2; i++) {
        _mm_prefetch((const char *)(p->y + i * p->ldy), _MM_HINT_T0);
        _mm_prefetch((const char *)(p->y + i * p->ldy + LANES), _MM_HINT_T0);
    }
}

/* Bytes of y from which on it goes straight to memory: twice the L2 cache, out of which most of it would be by the time that
 * it is read. A store into the caches first reads the line that it overwrites, and the many lines that products are waiting
 * for wait with it. On one core, 512 x 10944 of y, streaming gains a seventh in BF16 and two fifths in INT8 by rows; a tenth
 * when y is read afterwards, which was measured while others used the machine. A slice that the caches hold is better left
 * there: with 16 threads, INT8 by rows lost two fifths when everything was streamed. The modelled build does it early, for
 * the sake of the checks. */
#ifdef CIUIC_TILES_MODELLED
enum { LARGE_Y = 4 << 10 };
#else
enum { LARGE_Y = 4 << 20 };
#endif

/* Whether a call's y is that large, written once only, and in whole lines. */
static inline bool tile_stores_stream(const kernel_matrix *w, size_t m, size_t span, const float *y, size_t ldy)
{
    return w->columns <= span && m * w->rows * sizeof *y >= LARGE_Y && (uintptr_t)y % TILE_ROW_BYTES == 0 &&
           ldy % LANES == 0;
}

/* ---- up to two by two tiles: A (1 or 2) high and B wide, constants at every call ---- */

/* Goes on from `sums`, or from zero where that is NULL. */
static ALWAYS_INLINE void tile_products_begin(const int A, const int B, tile_square *sums)
{
    if (!sums) {
        tile_zero(TILE_C00);
        if (B > 1) tile_zero(TILE_C01);
        if (A > 1) tile_zero(TILE_C10);
        if (A > 1 && B > 1) tile_zero(TILE_C11);
        return;
    }
    tile_load(TILE_C00, (*sums)[0][0], TILE_ROW_BYTES);
    if (B > 1) tile_load(TILE_C01, (*sums)[0][1], TILE_ROW_BYTES);
    if (A > 1) tile_load(TILE_C10, (*sums)[1][0], TILE_ROW_BYTES);
    if (A > 1 && B > 1) tile_load(TILE_C11, (*sums)[1][1], TILE_ROW_BYTES);
}

#define TILE_LOAD_SIDE(is_x, tile, from, stride)                                                                       \
    do {                                                                                                               \
        if (is_x)                                                                                                      \
            tile_load_once(tile, from, stride);                                                                        \
        else                                                                                                           \
            tile_load(tile, from, stride);                                                                             \
    } while (0)
#define TILE_DOT(format, c, left, right)                                                                               \
    do {                                                                                                               \
        if (format == KERNEL_BF16)                                                                                     \
            tile_dot_bf16(c, left, right);                                                                             \
        else                                                                                                           \
            tile_dot_int8(c, left, right);                                                                             \
    } while (0)

/* Adds the products of the steps [first, end) of both sides: of floats for KERNEL_BF16, where b is x, otherwise of int8,
 * where a is. */
static ALWAYS_INLINE void tile_products_add(kernel_format format, const int A, const int B, size_t first, size_t end,
                                            tile_side a, tile_side b, tile_ahead *ahead)
{
    const bool x_is_b = format == KERNEL_BF16;
    for (size_t t = first; t < end; t++) {
        TILE_LOAD_SIDE(x_is_b, TILE_B0, b.tile[0] + t * b.step, b.stride);
        if (B > 1) TILE_LOAD_SIDE(x_is_b, TILE_B1, b.tile[1] + t * b.step, b.stride);
        TILE_LOAD_SIDE(!x_is_b, TILE_A0, a.tile[0] + t * a.step, a.stride);
        TILE_DOT(format, TILE_C00, TILE_A0, TILE_B0);
        if (B > 1) TILE_DOT(format, TILE_C01, TILE_A0, TILE_B1);
        if (A > 1) TILE_LOAD_SIDE(!x_is_b, TILE_A1, a.tile[1] + t * a.step, a.stride);
        if (A > 1) TILE_DOT(format, TILE_C10, TILE_A1, TILE_B0);
        if (A > 1 && B > 1) TILE_DOT(format, TILE_C11, TILE_A1, TILE_B1);
        tile_ahead_step(ahead, t);
    }
}

static ALWAYS_INLINE void tile_products_end(const int A, const int B, tile_square *sums)
{
    tile_store(TILE_C00, (*sums)[0][0], TILE_ROW_BYTES);
    if (B > 1) tile_store(TILE_C01, (*sums)[0][1], TILE_ROW_BYTES);
    if (A > 1) tile_store(TILE_C10, (*sums)[1][0], TILE_ROW_BYTES);
    if (A > 1 && B > 1) tile_store(TILE_C11, (*sums)[1][1], TILE_ROW_BYTES);
}

/* Calls multiply(A, B, ...) for sides a and b of one or two rows of tiles. */
#define TILE_EACH_SHAPE(multiply, a, b, ...)                                                                           \
    do {                                                                                                               \
        if ((a).tile[1] && (b).tile[1])                                                                                \
            multiply(2, 2, a, b, __VA_ARGS__);                                                                         \
        else if ((a).tile[1])                                                                                          \
            multiply(2, 1, a, b, __VA_ARGS__);                                                                         \
        else if ((b).tile[1])                                                                                          \
            multiply(1, 2, a, b, __VA_ARGS__);                                                                         \
        else                                                                                                           \
            multiply(1, 1, a, b, __VA_ARGS__);                                                                         \
    } while (0)

#endif
