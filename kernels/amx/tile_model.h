/* tile_model.h - AMX's tile registers and instructions in C, written from their descriptions (Intel SDM volume 2:
 * LDTILECFG, TILELOADD, TILESTORED, TILEZERO, TDPBF16PS, TDPBSSD). What would raise an exception there traps here.
 *
 * It proves what the kernels compute and how they pack and address memory; nothing about the instructions themselves,
 * their encoding or their speed. */
#ifndef CIUIC_KERNELS_AMX_TILE_MODEL_H
#define CIUIC_KERNELS_AMX_TILE_MODEL_H

#include "kernels/amx/tile.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

typedef struct modelled_tile {
    size_t rows, row_bytes; /* 0 where the tile is not configured */
    uint8_t row[TILE_ROWS][TILE_ROW_BYTES];
} modelled_tile;

/* Each thread has its own registers, and each file that includes this: kernels configure them and release them. */
static _Thread_local modelled_tile modelled_tiles[8];

static inline void tile_fault_unless(bool holds)
{
    if (!holds) __builtin_trap();
}

static inline modelled_tile *modelled_tile_at(int tile)
{
    modelled_tile *t = &modelled_tiles[tile];
    tile_fault_unless(t->rows > 0); /* #UD */
    return t;
}

static inline void tile_configure(const tile_config *config)
{
    tile_config c;
    memcpy(&c, config, sizeof c);
    tile_fault_unless(c.palette == 1 && c.start_row == 0);
    for (size_t i = 0; i < sizeof c.reserved; i++) tile_fault_unless(c.reserved[i] == 0);
    for (size_t t = 0; t < 16; t++) {
        tile_fault_unless(c.rows[t] <= TILE_ROWS && c.row_bytes[t] <= TILE_ROW_BYTES);
        tile_fault_unless((c.rows[t] == 0) == (c.row_bytes[t] == 0));
        tile_fault_unless(t < 8 || c.rows[t] == 0);
        if (t < 8) modelled_tiles[t] = (modelled_tile){.rows = c.rows[t], .row_bytes = c.row_bytes[t]};
    }
}

static inline void tile_release(void)
{
    memset(modelled_tiles, 0, sizeof modelled_tiles);
}

static inline void tile_zero(int tile)
{
    memset(modelled_tile_at(tile)->row, 0, TILE_BYTES);
}

static inline void tile_load(int tile, const void *from, size_t stride)
{
    modelled_tile *t = modelled_tile_at(tile);
    memset(t->row, 0, TILE_BYTES); /* beyond its rows and their bytes, too */
    for (size_t r = 0; r < t->rows; r++) memcpy(t->row[r], (const uint8_t *)from + r * stride, t->row_bytes);
}

static inline void tile_load_once(int tile, const void *from, size_t stride)
{
    tile_load(tile, from, stride);
}

static inline void tile_store(int tile, void *to, size_t stride)
{
    const modelled_tile *t = modelled_tile_at(tile);
    for (size_t r = 0; r < t->rows; r++) memcpy((uint8_t *)to + r * stride, t->row[r], t->row_bytes);
}

/* The shapes fit, the tiles differ (#UD otherwise), and what lies beyond c's shape becomes zero. */
static inline void tile_check_dot(int c, int a, int b)
{
    modelled_tile *to = modelled_tile_at(c);
    const modelled_tile *left = modelled_tile_at(a), *right = modelled_tile_at(b);
    tile_fault_unless(c != a && c != b && a != b);
    tile_fault_unless(to->rows == left->rows && to->row_bytes == right->row_bytes &&
                      left->row_bytes == right->rows * 4);
    tile_fault_unless(to->row_bytes % 4 == 0);
    for (size_t r = 0; r < TILE_ROWS; r++) {
        const size_t kept = r < to->rows ? to->row_bytes : 0;
        memset(to->row[r] + kept, 0, TILE_ROW_BYTES - kept);
    }
}

/* Subnormal numbers are zero, on the way in and on the way out. */
static inline float tile_flush(float a)
{
    return fabsf(a) < FLT_MIN ? copysignf(0.0f, a) : a;
}

/* The bfloat16 values of a tile as floats: even ones in [0], odd ones in [1]. */
static inline void tile_widen(const modelled_tile *t, float value[2][TILE_ROWS][16])
{
    for (size_t r = 0; r < TILE_ROWS; r++) {
        for (size_t i = 0; i < 16; i++) {
            uint32_t pair, even, odd;
            memcpy(&pair, t->row[r] + 4 * i, sizeof pair);
            even = pair << 16;
            odd = pair & 0xffff0000u;
            memcpy(&value[0][r][i], &even, sizeof even);
            memcpy(&value[1][r][i], &odd, sizeof odd);
            value[0][r][i] = tile_flush(value[0][r][i]);
            value[1][r][i] = tile_flush(value[1][r][i]);
        }
    }
}

/* The even and the odd elements have a sum each, of fused multiply-adds in the order of k; then the two are added, and
 * their sum to c. Rounding is to nearest even. */
static inline void tile_dot_bf16(int c, int a, int b)
{
    tile_check_dot(c, a, b);
    modelled_tile *to = modelled_tile_at(c);
    float left[2][TILE_ROWS][16], right[2][TILE_ROWS][16];
    tile_widen(modelled_tile_at(a), left);
    tile_widen(modelled_tile_at(b), right);
    const size_t pairs = modelled_tile_at(a)->row_bytes / 4;
    for (size_t m = 0; m < to->rows; m++) {
        float even[16] = {0}, odd[16] = {0}, total[16];
        for (size_t k = 0; k < pairs; k++) {
            for (size_t n = 0; n < 16; n++) {
                even[n] = tile_flush(fmaf(left[0][m][k], right[0][k][n], even[n]));
                odd[n] = tile_flush(fmaf(left[1][m][k], right[1][k][n], odd[n]));
            }
        }
        memcpy(total, to->row[m], sizeof total);
        for (size_t n = 0; n < 16; n++) total[n] = tile_flush(tile_flush(total[n]) + tile_flush(even[n] + odd[n]));
        memcpy(to->row[m], total, to->row_bytes);
    }
}

/* Signed bytes both; sums wrap around. */
static inline void tile_dot_int8(int c, int a, int b)
{
    tile_check_dot(c, a, b);
    modelled_tile *to = modelled_tile_at(c);
    const modelled_tile *left = modelled_tile_at(a), *right = modelled_tile_at(b);
    for (size_t m = 0; m < to->rows; m++) {
        uint32_t total[16];
        memcpy(total, to->row[m], sizeof total);
        for (size_t k = 0; k < left->row_bytes; k++) {
            const int x = (int8_t)left->row[m][k];
            for (size_t n = 0; n < 16; n++) total[n] += (uint32_t)(x * (int8_t)right->row[k / 4][4 * n + k % 4]);
        }
        memcpy(to->row[m], total, to->row_bytes);
    }
}

#endif
