/* tile_output.h - how a tile of sums gets into y. Included after vector.h. */
#ifndef CIUIC_KERNELS_SIMD_TILE_OUTPUT_H
#define CIUIC_KERNELS_SIMD_TILE_OUTPUT_H

#include <stddef.h>

/* Adds vector v of a tile's row to y, the row's first element, of which `columns` are there (the tile may be wider): to what
 * y holds, or in the first span of columns to `start`, a whole row of the tile, and NULL after. */
static ALWAYS_INLINE void add_to_row(float *y, size_t columns, const float *start, size_t v, vf sum)
{
    const size_t at = v * LANES;
    if (columns <= at) return;
    const size_t count = columns - at;
    if (count >= LANES) {
        vf_store(y + at, vf_add(sum, vf_load(start ? start + at : y + at)));
    } else {
        const vf before = start ? vf_load(start + at) : vf_load_part(y + at, count);
        vf_store_part(y + at, count, vf_add(sum, before));
    }
}

#endif
