/* buffers.h - memory for the values of a graph: planned into one arena shared by all phases (memory = on), or a buffer for
 * each value (memory = off). Sizes follow the number of tokens; contents do not outlive a call. */
#ifndef CIUIC_BUFFERS_H
#define CIUIC_BUFFERS_H

#include "optimizer/runtime/execute.h"
#include "optimizer/runtime/value_places.h"

/* The arena that a session's phases share. */
typedef struct arena_block {
    void *data;
    size_t bytes;
    unsigned generation; /* counts moves: pointers of an older generation are stale */
} arena_block;

typedef struct buffers {
    const graph *g;
    size_t tokens, context; /* room for */
    size_t planned_tokens;  /* that the barriers were planned for; 0: none */
    size_t planned_context;
    unsigned generation;
    size_t bytes, lower_bound; /* of the values; lower bound of an arena */
    bool in_place;             /* results may take the place of what they are made from */
    value_life *life;          /* [value_count] */
    value_place *place;        /* [value_count] */
    size_t *offset;            /* [value_count]: in the arena, of values that have memory of their own */
    void **owned;              /* [value_count]: memory = off; NULL entries with an arena */
    void **values;             /* [value_count] */
    size_t *stride;            /* [value_count]: floats from one row to the next */
    kernel_q8 *q8;             /* [value_count] */
    const char **begin, **end; /* [value_count] */
    bool *barrier;             /* [op_count] */
} buffers;

/* `in_place`: only for buffers that an arena holds. */
ciuic_status buffers_create(buffers *b, const graph *g, bool in_place);
void buffers_free(buffers *b);
/* Bytes of the tables that such buffers consist of besides the values. */
size_t buffers_table_bytes(const graph *g);

/* Makes room for `tokens` tokens over a cache of `context` positions. With `arena` the values are planned into it and it
 * grows where needed; NULL: a buffer each. On failure the buffers hold nothing and can be prepared again. */
ciuic_status buffers_prepare(buffers *b, size_t tokens, size_t context, arena_block *arena);
/* What such a preparation would take: bytes of the arena and the least any plan could, or of all values. */
ciuic_status buffers_plan(const graph *g, bool in_place, bool arena, size_t tokens, size_t context, size_t *bytes,
                          size_t *lower_bound);
/* Points values at their memory and plans where threads meet, for a call of so many tokens. `route` stands for the memory
 * of routing values. */
void buffers_bind(buffers *b, size_t tokens, size_t context, const arena_block *arena, const routing *route);

#endif
