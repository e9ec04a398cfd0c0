/* matmul_int8.c - the product of int8 weights with int8 activations, by multiply-adds of int16 pairs. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/dot_pairs.h"
#include "kernels/avx2/kernels_avx2.h"
#include "kernels/c/kernels_c.h"
#include "kernels/simd/matmul_q8.h"

void matmul_int8_avx2(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    if (w->interleave == LANES && w->columns > 0)
        matmul_q8(KERNEL_INT8, w, m, x, y, ldy);
    else
        matmul_int8_c(w, m, x, y, ldy);
}
