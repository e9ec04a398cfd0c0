/* codes.c - see codes.h; where bits lie is kernels/codes.h's to say. */
#include "optimizer/quantize/codes.h"

#include <string.h>

#include "kernels/codes.h"

code_grid code_grid_of(kernel_format format, bool minimums)
{
    if (format == KERNEL_INT8) return (code_grid){.low = -127, .high = 127};
    return (code_grid){.high = (1 << code_bits(format)) - 1, .zero = code_zero(format, minimums)};
}

/* One block's codes; the bytes are zeros before. */
static void pack(kernel_format format, const int8_t codes[KERNEL_GROUP], unsigned char *block)
{
    const int low = code_low_bits(format), high = code_high_bits(format);
    for (int k = 0; k < KERNEL_GROUP; k++) {
        const int code = codes[k], u = k / 4, at = code_high_at(format, u);
        block[u % low * 4 + k % 4] |= (unsigned char)((code & ((1 << low) - 1)) << u / low * low);
        if (high > 0) block[(low + at / 8) * 4 + k % 4] |= (unsigned char)(code >> low << at % 8);
    }
}

void codes_pack(kernel_format format, const int8_t *codes, size_t first, size_t n, unsigned char *row)
{
    int8_t block[KERNEL_GROUP];
    memset(block, code_grid_of(format, false).zero, sizeof block);
    memcpy(block, codes, n);
    unsigned char *at = row + first / KERNEL_GROUP * kernel_row_bytes(format, KERNEL_GROUP);
    if (format == KERNEL_INT8) {
        memcpy(at, block, sizeof block);
        return;
    }
    memset(at, 0, code_block_bytes(format));
    pack(format, block, at);
}
