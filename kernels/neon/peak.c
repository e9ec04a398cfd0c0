/* peak.c - the ceilings of the neon rung without extensions. */
#include "kernels/neon/dot_pairs.h"

#include "kernels/neon/peak_dot.h"

double peak_fma_neon(size_t rounds)
{
    return fma_rounds(rounds);
}

void peak_load_neon(const void *p, size_t bytes, size_t streams)
{
    load_all(p, bytes, streams);
}

/* The step that this rung's integer kernels are made of: products of bytes to int16, pairs to int32, sums. */
double peak_dot_neon(size_t rounds)
{
    return 8.0 * LANES * dot_rounds(rounds, dot_pairs);
}
