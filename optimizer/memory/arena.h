/* arena.h - where values live in one shared buffer, so that two values alive at the same time never overlap. */
#ifndef CIUIC_ARENA_H
#define CIUIC_ARENA_H

#include "optimizer/ciuic.h"

enum { ARENA_ALIGNMENT = 64 }; /* a cache line */

typedef struct arena_value {
    size_t bytes;
    int first, last; /* operations between which the value is alive, both included */
    size_t offset;   /* result; a multiple of ARENA_ALIGNMENT */
} arena_value;

/* Sets every offset; `total` is the size of the buffer, `lower_bound` the most bytes alive at any one operation, which no
 * plan can beat. Each value gets the lowest offset that is free, in several orders (by size: Pisarchyk and Lee,
 * arXiv:2001.03288; by size times life; the operations with most alive first, their "greedy by breadth"; as they are
 * made), and then in orders that put what lay on top of a plan earlier, until one reaches the bound or the patience ends;
 * the best plan is kept. The same values give the same plan. */
ciuic_status arena_plan(arena_value *values, size_t count, size_t *total, size_t *lower_bound);

#endif
