/* schedule.h - the order in which a round asks its slots, seeded, such that drift and after-effects hit all alike. */
#ifndef CIUIC_SCHEDULE_H
#define CIUIC_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

/* Writes the order of `round` over n slots: a permutation of 0..n-1 that depends on nothing but (n, seed, round).
 *
 * Over any n consecutive rounds that start at a multiple of n, every slot stands once in every place (a Latin square).
 * Over n rounds (n even) or 2n rounds (n odd), every slot follows every other slot equally often (Williams, 1949), so
 * that what a slow case leaves behind in caches and clock does not always fall on the same successor. */
void schedule_round(size_t n, uint64_t seed, size_t round, size_t *order);

#endif
