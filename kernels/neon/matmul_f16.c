/* matmul_f16.c - the product with binary16 weights: dot products for few rows of x, packed panels for many. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/matmul_dot.h"
#include "kernels/simd/matmul_panel.h"

void matmul_f16_neon(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (panel_pays(w, m))
        matmul_panel(KERNEL_F16, w, m, x, ldx, y, ldy);
    else
        matmul_dot(KERNEL_F16, w, m, x, ldx, y, ldy);
}
