/* peak.c - the ceilings of the avx2 rung. */
#include "kernels/avx2/dot_pairs.h"

#include "kernels/simd/peak.h"

double peak_fma_avx2(size_t rounds)
{
    return fma_rounds(rounds);
}

void peak_load_avx2(const void *p, size_t bytes, size_t streams)
{
    load_all(p, bytes, streams);
}

/* The step that this rung's INT4 kernel is made of: products of bytes to int16, pairs to int32, sums. */
double peak_dot_avx2(size_t rounds)
{
    vi acc[CHAINS], u = vi_set1(0x01020304), s = vi_set1(0x04030201);
    PIN(u);
    PIN(s);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) acc[i] = vi_zero();
    for (size_t n = 0; n < rounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            PIN(u);
            acc[i] = q8_dot_codes(acc[i], u, s);
            PIN(acc[i]);
        }
    }
    return 8.0 * LANES * CHAINS * (double)rounds;
}

__attribute__((target("avxvnni"))) double peak_dot_avx_vnni(size_t rounds)
{
    vi acc[CHAINS], u = vi_set1(0x01020304), s = vi_set1(0x04030201);
    PIN(u);
    PIN(s);
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) acc[i] = vi_zero();
    for (size_t n = 0; n < rounds; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            acc[i] = _mm256_dpbusd_avx_epi32(acc[i], u, s);
            PIN(acc[i]);
        }
    }
    return 8.0 * LANES * CHAINS * (double)rounds;
}
