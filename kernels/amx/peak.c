/* peak.c - the ceilings of the amx rung: nothing but tile products, whose six sums are independent. */
#include "kernels/peak.h"

#include "kernels/amx/tile.h"
#include <string.h>

enum { PEAK_SUMS = 6, PEAK_PRODUCTS = TILE_ROWS * 16 /* elements of each */ };

/* All tiles are full, of ordinary numbers: 63 as int8, about 0.75 as bfloat16. */
static void fill_tiles(void)
{
    _Alignas(64) uint8_t ordinary[TILE_BYTES];
    memset(ordinary, 0x3f, sizeof ordinary);
    const tile_config config = tile_config_for(TILE_ROW_BYTES);
    tile_configure(&config);
    tile_load(6, ordinary, TILE_ROW_BYTES);
    tile_load(7, ordinary, TILE_ROW_BYTES);
}

double peak_dot_amx(size_t rounds)
{
    fill_tiles();
    for (size_t n = 0; n < rounds; n++) {
        tile_dot_int8(0, 6, 7);
        tile_dot_int8(1, 6, 7);
        tile_dot_int8(2, 6, 7);
        tile_dot_int8(3, 6, 7);
        tile_dot_int8(4, 6, 7);
        tile_dot_int8(5, 6, 7);
    }
    tile_release();
    return 2.0 * TILE_ROW_BYTES * PEAK_PRODUCTS * PEAK_SUMS * (double)rounds;
}

double peak_bf16_amx(size_t rounds)
{
    fill_tiles();
    for (size_t n = 0; n < rounds; n++) {
        tile_dot_bf16(0, 6, 7);
        tile_dot_bf16(1, 6, 7);
        tile_dot_bf16(2, 6, 7);
        tile_dot_bf16(3, 6, 7);
        tile_dot_bf16(4, 6, 7);
        tile_dot_bf16(5, 6, 7);
    }
    tile_release();
    return 2.0 * (TILE_ROW_BYTES / 2) * PEAK_PRODUCTS * PEAK_SUMS * (double)rounds;
}
