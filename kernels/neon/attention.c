/* attention.c - causal attention over a cache of floats, of binary16 or of int8. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/attention.h"

void attention_f32_neon(const kernel_attention *a)
{
    attend(KERNEL_CACHE_F32, a);
}

void attention_f16_neon(const kernel_attention *a)
{
    attend(KERNEL_CACHE_F16, a);
}

void attention_int8_neon(const kernel_attention *a)
{
    attend(KERNEL_CACHE_INT8, a);
}
