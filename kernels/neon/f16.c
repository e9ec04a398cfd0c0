/* f16.c - arrays to and from binary16, by the machine's own conversions. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/elementwise.h"

void to_f16_neon(size_t n, const float *x, uint16_t *y)
{
    each_to_f16(n, x, y);
}

void from_f16_neon(size_t n, const uint16_t *x, float *y)
{
    each_from_f16(n, x, y);
}
