/* session_shape.h - what a session of a model is made of and what it takes, decided before anything is allocated: sessions
 * are made by it, and plans of memory are worked out from it, so that the two cannot differ. */
#ifndef CIUIC_SESSION_SHAPE_H
#define CIUIC_SESSION_SHAPE_H

#include "optimizer/runtime/model.h"

typedef struct session_shape {
    size_t context, chunk; /* chunk: most tokens of a pass */
    int threads;
    kv_cache_shape cache;
    size_t rotated; /* dimensions of a rotary table */
    bool arena, in_place;
    size_t cache_limit; /* bytes of keys and values; 0: no bound */
} session_shape;

/* What the layers' caches of a graph are under that setting. */
kv_cache_shape session_cache_shape(const graph *g, ciuic_memory memory, size_t positions);

/* What is wrong with the options can be said before weights are loaded. */
ciuic_status session_check_options(const ciuic_model *model, const ciuic_session_options *options);
/* The shape under these options (NULL: all defaults); the model has its graphs. CIUIC_ERROR_USAGE: a context longer than the
 * model's, a number of threads that cannot be. */
ciuic_status session_shape_of(const ciuic_model *model, const ciuic_session_options *options, session_shape *shape);

/* CIUIC_ERROR_USAGE where the rows of so many positions are above the shape's cache_limit. */
ciuic_status session_check_cache(const session_shape *shape, size_t positions);

/* Floats of each thread's workspace for passes of `tokens` tokens of that graph. */
size_t session_scratch(const session_shape *shape, const graph *g, size_t tokens);
/* Bytes of tables: of the session's own, of the model's graphs and bound weights, and of the checkpoint's index. */
size_t session_table_bytes(const ciuic_model *model, const session_shape *shape);

#endif
