/* split_mix.h - SplitMix64 (Steele, Lea, Flood 2014, https://doi.org/10.1145/2714064.2660195): the random numbers of the
 * harness. Any seed is a good seed, and the same everywhere, so that what is drawn can be drawn again. */
#ifndef CIUIC_SPLIT_MIX_H
#define CIUIC_SPLIT_MIX_H

#include <stdint.h>

/* The next of the numbers that *state stands for: all of 64 bits. A remainder by n is biased by less than n / 2^64. */
static inline uint64_t split_mix_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
