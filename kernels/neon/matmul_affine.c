/* matmul_affine.c - the product with weights of one scale and one minimum per matrix, w = q * scale + minimum by one
 * fused multiply-add on the way from memory. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/matmul_dot.h"
#include "kernels/simd/matmul_panel.h"

void matmul_affine8_neon(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (panel_pays(w, m))
        matmul_panel(KERNEL_AFFINE8, w, m, x, ldx, y, ldy);
    else
        matmul_dot(KERNEL_AFFINE8, w, m, x, ldx, y, ldy);
}

void matmul_affine4_neon(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (panel_pays(w, m))
        matmul_panel(KERNEL_AFFINE4, w, m, x, ldx, y, ldy);
    else
        matmul_dot(KERNEL_AFFINE4, w, m, x, ldx, y, ldy);
}
