/* value_places.h - which results take the place of what they are made from.
 *
 * An operation that computes each element from the same element of an input (add, mul, silu, swiglu), or each head from the
 * same head (rms_norm, rope), may write over that input when nothing reads it afterwards: kernels allow it, and each row is
 * read and written by one thread. The result then lies in columns of the input's rows; its rows are as far apart as those. */
#ifndef CIUIC_VALUE_PLACES_H
#define CIUIC_VALUE_PLACES_H

#include "optimizer/graph/graph.h"

typedef struct value_place {
    int root;      /* the value whose memory it is; its own index where it has memory of its own */
    size_t offset; /* floats from the beginning of a row of the root */
    size_t stride; /* floats from one row to the next: the root's width */
} value_place;

/* First and last operation that touches a value; GRAPH_NONE when none does. The graph's output lives to the end. */
typedef struct value_life {
    int first, last;
} value_life;

/* Fills [value_count]. */
void value_lives(const graph *g, value_life *life);
/* Fills [value_count] from the lives; without `in_place` every value has memory of its own. */
void value_places(const graph *g, const value_life *life, bool in_place, value_place *place);

#endif
