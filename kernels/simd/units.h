/* units.h - four columns of each row of an interleaved panel, one row a lane, as bytes. Included after vector.h.
 *
 * INT4's and INT3's bytes are shared by units: what does not depend on the unit is done once where several are taken
 * from a block. */
#ifndef CIUIC_KERNELS_SIMD_UNITS_H
#define CIUIC_KERNELS_SIMD_UNITS_H

#include "kernels/kernels.h"

enum { UNIT_VECTOR = LANES * 4, BLOCK_UNITS = KERNEL_GROUP / 4 };

/* Bytes of KERNEL_GROUP columns of a panel: its blocks. */
static ALWAYS_INLINE size_t panel_block_bytes(kernel_format format)
{
    return (format == KERNEL_INT8   ? KERNEL_GROUP
            : format == KERNEL_INT4 ? KERNEL_GROUP / 2
                                    : KERNEL_GROUP / 8 * 3) *
           LANES;
}

/* The code that stands for 0; INT8's needs none. */
static ALWAYS_INLINE int zero_code(kernel_format format, bool minimums)
{
    return minimums || format == KERNEL_INT8 ? 0 : format == KERNEL_INT4 ? 8 : 4;
}

/* Columns 4 * u to 4 * u + 3 of the block: int8, or codes. */
static ALWAYS_INLINE vi block_unit(kernel_format format, const uint8_t *block, int u)
{
    if (format == KERNEL_INT8) return vi_load(block + u * UNIT_VECTOR);
    if (format == KERNEL_INT4) {
        const vi both = vi_load(block + u % 4 * UNIT_VECTOR);
        return u < 4 ? vi_and(both, vi_set1(0x0f0f0f0f)) : vi_high_nibbles(both);
    }
    /* Two bits of every other unit in each of the first two vectors, the third one of all in the last. */
    const vi low = vi_load(block + u % 2 * UNIT_VECTOR), high = vi_load(block + 2 * UNIT_VECTOR);
    const int bit = u % 2 * 4 + u / 2;
    const vi third = bit < 2 ? vi_shift_left(high, 2 - bit) : vi_shift_right(high, bit - 2);
    return vi_xor(vi_and(vi_shift_right(low, u / 2 * 2), vi_set1(0x03030303)), vi_and(third, vi_set1(0x04040404)));
}

/* Column `column` of a unit, `zero` subtracted from its codes, as floats. */
static ALWAYS_INLINE vf unit_column(kernel_format format, vi unit, int column, int zero)
{
    if (format == KERNEL_INT8) return vf_of_vi(vi_shift_right(vi_shift_left(unit, 24 - 8 * column), 24));
    const vi code = vi_and(vi_shift_right(unit, 8 * column), vi_set1(15));
    return vf_of_vi(vi_sub32(code, vi_set1(zero)));
}

#endif
