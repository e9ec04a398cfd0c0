/* codes.c - see codes.h; the layouts are those of kernels.h. */
#include "optimizer/quantize/codes.h"

#include <string.h>

enum { HALF = KERNEL_GROUP / 2 };

static void pack_int4(const int8_t codes[KERNEL_GROUP], unsigned char *block)
{
    for (size_t j = 0; j < HALF; j++) block[j] = (unsigned char)((unsigned)codes[j] | (unsigned)codes[j + HALF] << 4);
}

static void pack_int3(const int8_t codes[KERNEL_GROUP], unsigned char *block)
{
    memset(block, 0, kernel_row_bytes(KERNEL_INT3, KERNEL_GROUP));
    for (size_t k = 0; k < KERNEL_GROUP; k++) {
        const unsigned code = (unsigned)codes[k];
        block[k % 8] |= (unsigned char)((code & 3) << k / 8 * 2);
        block[8 + k % 4] |= (unsigned char)(code >> 2 << (k % 8 / 4 * 4 + k / 8));
    }
}

void codes_pack(kernel_format format, const int8_t *codes, size_t first, size_t n, unsigned char *row)
{
    int8_t block[KERNEL_GROUP];
    memset(block, code_grid_of(format, false).zero, sizeof block);
    memcpy(block, codes, n);
    unsigned char *at = row + first / KERNEL_GROUP * kernel_row_bytes(format, KERNEL_GROUP);
    if (format == KERNEL_INT8)
        memcpy(at, block, sizeof block);
    else if (format == KERNEL_INT4)
        pack_int4(block, at);
    else
        pack_int3(block, at);
}
