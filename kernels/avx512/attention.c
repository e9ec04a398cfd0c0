/* attention.c - causal attention over a cache of floats, of binary16 or of int8. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/simd/attention.h"

void attention_f32_avx512(const kernel_attention *a)
{
    attend(KERNEL_CACHE_F32, a);
}

void attention_f16_avx512(const kernel_attention *a)
{
    attend(KERNEL_CACHE_F16, a);
}

void attention_int8_avx512(const kernel_attention *a)
{
    attend(KERNEL_CACHE_INT8, a);
}
