/* quantize_q8.c - activations to int8 in groups. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/quantize.h"

void quantize_q8_neon(size_t m, size_t k, size_t group, const float *x, size_t ldx, kernel_q8 *q)
{
    quantize_rows(m, k, group, x, ldx, q);
}
