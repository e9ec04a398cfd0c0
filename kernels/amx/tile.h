/* tile.h - the tile instructions of AMX under names that the kernels use: eight registers of up to 16 rows of 64 bytes.
 *
 * A kernel is compiled twice: into the library with the instructions themselves, and for check-kernels, under
 * CIUIC_TILES_MODELLED, with a model of them in C (tile_model.h), which runs where there is no AMX. The numbers of tiles
 * are part of the instructions, hence macros.
 *
 * Every call of a kernel configures the registers and releases them, since it cannot know who used them before, and
 * while they are in use each switch of context saves 8 KiB more. Both together take 85 ns (Emerald Rapids at about 2.2 GHz,
 * as all the times here): nothing beside a product. Once a thread Linux makes room for them, at the first tile
 * instruction, which has not been measured.
 *
 * A product of two whole tiles takes 16 cycles, 7.2 ns; with half as deep tiles 5.8 ns, with 8 rows of A 4.5 ns, so that
 * small tiles waste the unit. To load a tile takes 3.3 ns from the L1 cache, but 8.4 ns where its rows are 4096 bytes
 * apart; to store one 5.9 ns. */
#ifndef CIUIC_KERNELS_AMX_TILE_H
#define CIUIC_KERNELS_AMX_TILE_H

#include <stddef.h>
#include <stdint.h>

enum {
    TILE_ROWS = 16,
    TILE_ROW_BYTES = 64,
    TILE_BYTES = TILE_ROWS * TILE_ROW_BYTES,
};

/* Two by two tiles of the product, two of its left side (rows) and two of its right side (columns). */
#define TILE_C00 0
#define TILE_C01 1
#define TILE_C10 2
#define TILE_C11 3
#define TILE_A0 4
#define TILE_A1 5
#define TILE_B0 6
#define TILE_B1 7

/* What LDTILECFG reads (Intel SDM volume 1, section 18.2, palette 1). */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16]; /* of tiles 0 to 7; the rest stays zero */
    uint8_t rows[16];       /* likewise */
} tile_config;
_Static_assert(sizeof(tile_config) == 64, "LDTILECFG reads 64 bytes");

/* Tiles of A with `row_bytes` bytes of each row, hence tiles of B with row_bytes / 4 rows. */
static inline tile_config tile_config_for(size_t row_bytes)
{
    tile_config c = {.palette = 1};
    for (int t = 0; t < 8; t++) {
        c.rows[t] = (uint8_t)(t < TILE_B0 ? TILE_ROWS : row_bytes / 4);
        c.row_bytes[t] = (uint16_t)(t == TILE_A0 || t == TILE_A1 ? row_bytes : TILE_ROW_BYTES);
    }
    return c;
}

#ifdef CIUIC_TILES_MODELLED
#include "kernels/amx/tile_model.h"
#else
#include <immintrin.h>

/* GCC 12 does not tell its optimiser which memory LDTILECFG and TILELOADD read: what was written must be there before. */
#define TILE_WRITTEN __asm__ volatile("" : : : "memory")

#define tile_configure(config)                                                                                         \
    do {                                                                                                               \
        TILE_WRITTEN;                                                                                                  \
        _tile_loadconfig(config);                                                                                      \
    } while (0)
#define tile_release() _tile_release()
#define tile_zero(tile) _tile_zero(tile)
/* The rows of the tile stand `stride` bytes apart. */
#define tile_load(tile, from, stride)                                                                                  \
    do {                                                                                                               \
        TILE_WRITTEN;                                                                                                  \
        _tile_loadd(tile, from, stride);                                                                               \
    } while (0)
/* The same, and the rows need no place in the L1 cache afterwards. */
#define tile_load_once(tile, from, stride)                                                                             \
    do {                                                                                                               \
        TILE_WRITTEN;                                                                                                  \
        _tile_stream_loadd(tile, from, stride);                                                                        \
    } while (0)
#define tile_store(tile, to, stride) _tile_stored(tile, to, stride)
/* c[i][j] += sum over k of a[i][k] * b[k / n][n * j + k % n], where n values make four bytes: bfloat16 in float, int8 in
 * int32. */
#define tile_dot_bf16(c, a, b) _tile_dpbf16ps(c, a, b)
#define tile_dot_int8(c, a, b) _tile_dpbssd(c, a, b)
#endif

#endif
