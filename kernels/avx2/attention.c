/* attention.c - causal attention over a cache of floats or of binary16. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/simd/attention.h"

void attention_f32_avx2(const kernel_attention *a)
{
    attend(KERNEL_F32, a);
}

void attention_f16_avx2(const kernel_attention *a)
{
    attend(KERNEL_F16, a);
}
