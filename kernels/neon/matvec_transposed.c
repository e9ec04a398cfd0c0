/* matvec_transposed.c - y += a^T w for weights of any format. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/dequantize.h"

void matvec_transposed_neon(const kernel_matrix *w, const float *a, float *y)
{
    matvec_transposed(w, a, y);
}
