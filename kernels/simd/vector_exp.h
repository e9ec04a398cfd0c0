/* vector_exp.h - e^x and x sigmoid(x) by lanes: the algorithm and the error bound of kernels/c/exp.h, with the
 * reduction fused (its error only shrinks) and 2^n applied as the machine can. */
#ifndef CIUIC_KERNELS_SIMD_VECTOR_EXP_H
#define CIUIC_KERNELS_SIMD_VECTOR_EXP_H

static ALWAYS_INLINE vf vf_exp(vf x)
{
    x = vf_max(vf_set1(EXP_LOWEST), x); /* the second operand where one is a NaN: x */
    x = vf_min(vf_set1(EXP_HIGHEST), x);
    const vf n = vf_round(vf_mul(x, vf_set1(EXP_LOG2E)));
    vf r = vf_fma(n, vf_set1(-EXP_LN2_HEAD), x);
    r = vf_fma(n, vf_set1(-EXP_LN2_TAIL), r);
    vf p = vf_set1(1.0f / 5040);
    p = vf_fma(p, r, vf_set1(1.0f / 720));
    p = vf_fma(p, r, vf_set1(1.0f / 120));
    p = vf_fma(p, r, vf_set1(1.0f / 24));
    p = vf_fma(p, r, vf_set1(1.0f / 6));
    p = vf_fma(p, r, vf_set1(0.5f));
    p = vf_add(vf_fma(p, vf_mul(r, r), r), vf_set1(1.0f));
    return vf_scale2(p, n);
}

static ALWAYS_INLINE vf vf_silu(vf x)
{
    const vf one = vf_set1(1.0f), e = vf_exp(vf_negate(vf_abs(x)));
    return vf_div(vf_mul(x, vf_if_negative(x, e, one)), vf_add(one, e));
}

#endif
