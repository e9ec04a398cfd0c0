/* matvec_transposed.c - y += a^T w for weights of any format. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/simd/dequantize.h"

void matvec_transposed_avx512(const kernel_matrix *w, const float *a, float *y)
{
    matvec_transposed(w, a, y);
}
