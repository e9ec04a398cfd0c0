/* tile_products.h - the inner loop of the tile kernels: up to two by two tiles of a product, in all eight registers. Each
 * tile that is loaded then serves two products. */
#ifndef CIUIC_KERNELS_AMX_TILE_PRODUCTS_H
#define CIUIC_KERNELS_AMX_TILE_PRODUCTS_H

#include "kernels/amx/tile.h"
#include "kernels/avx512/vector.h"
#include "kernels/kernels.h"

enum { PRODUCT_ROWS = 2 * TILE_ROWS };

/* One side of the product: the first tile of each of two rows of tiles, and how to go on along k. */
typedef struct tile_side {
    const uint8_t *tile[2];
    size_t stride; /* bytes from row to row within a tile */
    size_t step;   /* bytes from tile to tile */
} tile_side;

/* As tile_side says, `tiles` tiles further along k. */
static ALWAYS_INLINE tile_side tile_side_at(tile_side side, size_t tiles)
{
    for (int i = 0; i < 2; i++) {
        if (side.tile[i]) side.tile[i] += tiles * side.step;
    }
    return side;
}

/* product = the sums of `steps` tile products; A (1 or 2) tiles high and B wide, whose elements are floats for KERNEL_BF16,
 * otherwise int32. A, B and format are constants at every call. */
static ALWAYS_INLINE void tile_products(kernel_format format, const int A, const int B, size_t steps, tile_side a,
                                        tile_side b, void *product)
{
    enum { STRIDE = PRODUCT_ROWS * 4 };
    char *const out = product;
    tile_zero(TILE_C00);
    if (B > 1) tile_zero(TILE_C01);
    if (A > 1) tile_zero(TILE_C10);
    if (A > 1 && B > 1) tile_zero(TILE_C11);
#define TILE_DOT(c, left, right)                                                                                       \
    do {                                                                                                               \
        if (format == KERNEL_BF16)                                                                                     \
            tile_dot_bf16(c, left, right);                                                                             \
        else                                                                                                           \
            tile_dot_int8(c, left, right);                                                                             \
    } while (0)
    for (size_t t = 0; t < steps; t++) {
        tile_load(TILE_B0, b.tile[0] + t * b.step, b.stride);
        if (B > 1) tile_load(TILE_B1, b.tile[1] + t * b.step, b.stride);
        tile_load(TILE_A0, a.tile[0] + t * a.step, a.stride);
        TILE_DOT(TILE_C00, TILE_A0, TILE_B0);
        if (B > 1) TILE_DOT(TILE_C01, TILE_A0, TILE_B1);
        if (A > 1) tile_load(TILE_A1, a.tile[1] + t * a.step, a.stride);
        if (A > 1) TILE_DOT(TILE_C10, TILE_A1, TILE_B0);
        if (A > 1 && B > 1) TILE_DOT(TILE_C11, TILE_A1, TILE_B1);
    }
#undef TILE_DOT
    tile_store(TILE_C00, out, STRIDE);
    if (B > 1) tile_store(TILE_C01, out + TILE_ROW_BYTES, STRIDE);
    if (A > 1) tile_store(TILE_C10, out + TILE_ROWS * STRIDE, STRIDE);
    if (A > 1 && B > 1) tile_store(TILE_C11, out + TILE_ROWS * STRIDE + TILE_ROW_BYTES, STRIDE);
}

/* The same for a side of one tile or two, known only when it runs. */
static ALWAYS_INLINE void tile_products_of(kernel_format format, size_t steps, tile_side a, tile_side b, void *product)
{
    if (a.tile[1] && b.tile[1])
        tile_products(format, 2, 2, steps, a, b, product);
    else if (a.tile[1])
        tile_products(format, 2, 1, steps, a, b, product);
    else if (b.tile[1])
        tile_products(format, 1, 2, steps, a, b, product);
    else
        tile_products(format, 1, 1, steps, a, b, product);
}

#endif
