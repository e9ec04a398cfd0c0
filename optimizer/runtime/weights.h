/* weights.h - the weights a model runs on: each tensor once, in the storage format its variant asks for, in the heap or
 * where the checkpoint is mapped. */
#ifndef CIUIC_WEIGHTS_H
#define CIUIC_WEIGHTS_H

#include "kernels/kernels.h"
#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/graph/graph.h"
#include "optimizer/quantize/quantized_set.h"
#include "optimizer/quantize/setting.h"

/* Where weights come from. All of it outlives the store; a set that is not used in place only has to outlive the last
 * binding. Matrices that the checkpoint has quantised stay so. */
typedef struct weight_source {
    const checkpoint *checkpoint;
    const recipe *recipe;     /* how the checkpoint's matrices are quantised, round to nearest, as they are loaded */
    const quantized_set *set; /* tensors that stand in for the checkpoint's, matrices and vectors; NULL: none */
    bool set_in_place;        /* its matrices are used where they lie, not interleaved: for FP32 activations */
} weight_source;

typedef struct weight_store weight_store;

/* A graph's weight as kernels take it. Owned by the store. */
typedef struct bound_weight {
    const kernel_matrix *parts; /* [experts or 1][parts]; NULL for a vector */
    const float *vector;        /* [columns]; NULL for a matrix */
} bound_weight;

/* `interleave`: how matrices of INT8 to INT3 are to be stored for the kernels in use (kernel_table). */
ciuic_status weight_store_create(const weight_source *source, const ciuic_options *options, size_t interleave,
                                 weight_store **store);
void weight_store_free(weight_store *store); /* NULL is allowed */

/* How a matrix of that format is best stored for kernels that like panels of `interleave` rows, and that multiply by
 * such activations; `slice` as of a graph_weight. 0: rows as they lie. */
size_t weight_interleave(kernel_format format, size_t interleave, size_t slice, ciuic_activations activations);

/* Loads what `w` names, unless it is there already, and binds it. */
ciuic_status weight_store_bind(weight_store *store, const graph_weight *w, bound_weight *bound);

/* What a store holds, or would hold, in bytes. */
typedef struct weight_bytes {
    size_t heap;   /* copies */
    size_t packed; /* of those: quantised, or laid out for the kernels in use */
    size_t mapped; /* used where the checkpoint is mapped */
    size_t tables; /* names, and what was bound to graphs */
    size_t load;   /* most that loading one matrix takes for a while */
} weight_bytes;
weight_bytes weight_store_bytes(const weight_store *store);
/* A store that only counts: nothing is read or allocated for weights, and what it binds has shapes but no values. Set before
 * the first binding. */
void weight_store_only_count(weight_store *store);
/* How many bytes of copies there will be: they are then taken from the system at once. */
void weight_store_expect(weight_store *store, size_t bytes);
/* Gives back the pages of the checkpoint that nothing in the store lies on. Advice: failing costs only memory. */
void weight_store_drop_sources(const weight_store *store);
/* One tensor as a store has it: a matrix or a vector. */
typedef struct stored_weight {
    const char *name;            /* of the tensor, without ".weight" */
    const char *fold;            /* norm whose weight is multiplied into the columns; "" for none */
    const kernel_matrix *matrix; /* NULL for a vector */
    const float *vector;         /* as many values as the tensor has; NULL for a matrix */
} stored_weight;
/* Calls `visit` for all of them until one fails, in no particular order. */
typedef ciuic_status weight_visitor(void *context, const stored_weight *w);
ciuic_status weight_store_each(const weight_store *store, weight_visitor *visit, void *context);
/* Bytes of values, scales and bias of one matrix. */
size_t weight_matrix_bytes(const kernel_matrix *w);

#endif
