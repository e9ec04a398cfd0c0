/* units.h - four columns of each row of an interleaved panel, one row a lane, as bytes. Included after vector.h.
 *
 * The words of codes are shared by units: what does not depend on the unit is done once where several are taken from a
 * block. */
#ifndef CIUIC_KERNELS_SIMD_UNITS_H
#define CIUIC_KERNELS_SIMD_UNITS_H

#include "kernels/codes.h"

enum { UNIT_VECTOR = LANES * 4, BLOCK_UNITS = KERNEL_GROUP / 4 };

/* Bytes of KERNEL_GROUP columns of a panel: its blocks. */
static ALWAYS_INLINE size_t panel_block_bytes(kernel_format format)
{
    return code_block_bytes(format) * LANES;
}

/* The bits of each byte from bit `from` on, `count` of them, moved to bit `to`. */
static ALWAYS_INLINE vi vi_byte_bits(vi a, int from, int count, int to)
{
    const vi mask = vi_set1((((1 << count) - 1) << to) * 0x01010101);
    if (from == 4 && count == 4 && to == 0) return vi_high_nibbles(a);
    return vi_and(from < to ? vi_shift_left(a, to - from) : from > to ? vi_shift_right(a, from - to) : a, mask);
}

/* Columns 4 * u to 4 * u + 3 of the block: int8, or codes. */
static ALWAYS_INLINE vi block_unit(kernel_format format, const uint8_t *block, int u)
{
    const int low = code_low_bits(format), high = code_high_bits(format), at = code_high_at(format, u);
    const vi word = vi_load(block + u % low * UNIT_VECTOR);
    if (low == 8) return word;
    const vi code = vi_byte_bits(word, u / low * low, low, 0);
    if (high == 0) return code;
    return vi_xor(code, vi_byte_bits(vi_load(block + (low + at / 8) * UNIT_VECTOR), at % 8, high, low));
}

/* Column `column` of a unit, `zero` subtracted from its codes, as floats. */
static ALWAYS_INLINE vf unit_column(kernel_format format, vi unit, int column, int zero)
{
    if (format == KERNEL_INT8) return vf_of_vi(vi_shift_right(vi_shift_left(unit, 24 - 8 * column), 24));
    const vi code = vi_and(vi_shift_right(unit, 8 * column), vi_set1(255));
    return vf_of_vi(vi_sub32(code, vi_set1(zero)));
}

#endif
