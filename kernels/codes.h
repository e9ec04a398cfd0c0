/* codes.h - how the bits of the formats that come in groups lie, in numbers: one rule, from which kernels.h's words follow.
 *
 * KERNEL_GROUP columns are cut into units of four, a byte each, so that whatever is true of a unit is true of four bytes and
 * rows can be interleaved by four. Of a code, `low` bits come first: those of unit u in word u % low, a word being four bytes,
 * from bit u / low * low of each byte on. The words after those hold what bits are left, `high` of each code, in the order in
 * which units share the words before. INT8 is all low bits. */
#ifndef CIUIC_KERNELS_CODES_H
#define CIUIC_KERNELS_CODES_H

#include "kernels/kernels.h"

/* The format is a constant at most calls: nothing of these is left then. */
#define CODE_INLINE static inline __attribute__((always_inline))

CODE_INLINE int code_low_bits(kernel_format format)
{
    return format == KERNEL_INT8 ? 8 : format == KERNEL_INT3 ? 2 : 4;
}

CODE_INLINE int code_high_bits(kernel_format format)
{
    return format == KERNEL_INT6 ? 2 : format == KERNEL_INT5 || format == KERNEL_INT3;
}

CODE_INLINE int code_bits(kernel_format format)
{
    return code_low_bits(format) + code_high_bits(format);
}

/* The code that stands for 0; INT8's needs none. */
CODE_INLINE int code_zero(kernel_format format, bool minimums)
{
    return minimums || format == KERNEL_INT8 ? 0 : 1 << (code_bits(format) - 1);
}

/* Bytes of KERNEL_GROUP columns of a row. */
CODE_INLINE size_t code_block_bytes(kernel_format format)
{
    return (size_t)(KERNEL_GROUP / 8 * code_bits(format));
}

/* Where the high bits of unit u begin: in word at / 8 of theirs, at bit at % 8 of each byte. */
CODE_INLINE int code_high_at(kernel_format format, int u)
{
    const int low = code_low_bits(format);
    return (u % low * (8 / low) + u / low) * code_high_bits(format);
}

/* CALL(F), F being the format as a constant: what is inlined there is made for each of them. */
#define FOR_GROUPED_FORMAT(format, CALL)                                                                               \
    switch (format) {                                                                                                  \
    case KERNEL_INT4:                                                                                                  \
        CALL(KERNEL_INT4);                                                                                             \
        break;                                                                                                         \
    case KERNEL_INT3:                                                                                                  \
        CALL(KERNEL_INT3);                                                                                             \
        break;                                                                                                         \
    case KERNEL_INT5:                                                                                                  \
        CALL(KERNEL_INT5);                                                                                             \
        break;                                                                                                         \
    case KERNEL_INT6:                                                                                                  \
        CALL(KERNEL_INT6);                                                                                             \
        break;                                                                                                         \
    default:                                                                                                           \
        CALL(KERNEL_INT8);                                                                                             \
    }

#endif
