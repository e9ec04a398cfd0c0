/* matvec_transposed.c - y += a^T w for weights of any format. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/simd/dequantize.h"

void matvec_transposed_avx2(const kernel_matrix *w, const float *a, float *y)
{
    matvec_transposed(w, a, y);
}
