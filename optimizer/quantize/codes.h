/* codes.h - the codes of the formats in groups as numbers: value = (code - zero) * scale + minimum, and how they are packed. */
#ifndef CIUIC_QUANTIZE_CODES_H
#define CIUIC_QUANTIZE_CODES_H

#include <math.h>

#include "kernels/kernels.h"

/* The codes of a format. */
typedef struct code_grid {
    int low, high, zero; /* zero: of a symmetric format, the code of 0 */
} code_grid;

/* INT8: -127..127; otherwise 0 to 2^bits - 1, half of 2^bits standing for zero, or with minimums code 0 for the minimum. */
code_grid code_grid_of(kernel_format format, bool minimums);

/* The nearest code, halves to even; a scale of 0 decodes everything to `minimum`, and the code is then `zero`. */
static inline int code_of(const code_grid *g, float value, float scale, float minimum)
{
    if (scale == 0) return g->zero;
    const float code = nearbyintf((value - minimum) / scale) + (float)g->zero;
    return code <= (float)g->low ? g->low : code >= (float)g->high ? g->high : (int)code;
}

static inline float code_value(const code_grid *g, int code, float scale, float minimum)
{
    return (float)(code - g->zero) * scale + minimum;
}

/* Stores the codes of columns [first, first + n) of a row, first a multiple of KERNEL_GROUP and n at most that; the rest of
 * the block is padding, which decodes to 0 in a symmetric format. `row`: the row's bytes. */
void codes_pack(kernel_format format, const int8_t *codes, size_t first, size_t n, unsigned char *row);

#endif
