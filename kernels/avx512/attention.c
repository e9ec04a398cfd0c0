/* attention.c - causal attention over a cache of floats or of binary16. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/simd/attention.h"

void attention_f32_avx512(const kernel_attention *a)
{
    attend(KERNEL_F32, a);
}

void attention_f16_avx512(const kernel_attention *a)
{
    attend(KERNEL_F16, a);
}
