/* attention.c - causal attention over a cache of floats, of binary16 or of int8. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/simd/attention.h"

void attention_f32_avx2(const kernel_attention *a)
{
    attend(KERNEL_CACHE_F32, a);
}

void attention_f16_avx2(const kernel_attention *a)
{
    attend(KERNEL_CACHE_F16, a);
}

void attention_int8_avx2(const kernel_attention *a)
{
    attend(KERNEL_CACHE_INT8, a);
}
