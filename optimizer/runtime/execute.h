/* execute.h - running a graph: what one call binds together, and how operations find their rows and share them out.
 *
 * All threads run the whole list of operations; each takes its share of every operation, and waits for the others only
 * where the plan says that somebody else's result is needed. */
#ifndef CIUIC_EXECUTE_H
#define CIUIC_EXECUTE_H

#include "kernels/kernels.h"
#include "optimizer/graph/graph.h"
#include "optimizer/memory/kv_cache.h"
#include "optimizer/runtime/meeting.h"
#include "optimizer/runtime/rope_table.h"
#include "optimizer/runtime/routing.h"
#include "optimizer/runtime/weights.h"

/* A graph bound to its weights; immutable, shared by all sessions of a model. */
typedef struct plan {
    graph *g;
    bound_weight *weights; /* [g->weight_count] */
} plan;

/* Everything one forward pass needs. */
typedef struct execution {
    const plan *p;
    const kernel_table *kernels;
    const model_config *config;
    void *const *values;  /* [value_count]: where each value is; float, or the int8 part of a quantised value */
    const size_t *stride; /* [value_count]: floats from one row to the next; NULL: rows stand close */
    const kernel_q8 *q8;  /* [value_count]: set for quantised values */
    const bool *barrier;  /* [op_count]: all threads meet before the operation */
    kv_cache *cache;
    const rope_table *rope;
    routing *route;          /* NULL without experts */
    const routing *chosen;   /* experts are not chosen but taken from here; NULL: the router chooses */
    float *const *scratch;   /* [threads]: workspace of each thread, for attention and epilogues */
    float *partials;         /* attention_partials() floats, shared by the threads; NULL when that is 0 */
    meeting *place;          /* where the threads of this call meet; set by execute */
    const int32_t *ids;      /* [tokens] */
    const float *input;      /* [tokens] rows of GRAPH_INPUT; NULL in a graph without one */
    size_t tokens, position; /* tokens of this call; positions in the cache before it */
    int threads;
} execution;

/* Runs the graph on call->threads OpenMP threads. */
void execute(const execution *call);

/* How an operation is split over threads; two operations of one class give each row to the same thread. */
typedef enum split_class {
    SPLIT_SERIAL,  /* thread 0 does it all */
    SPLIT_ROWS,    /* by rows of the output */
    SPLIT_COLUMNS, /* by outputs of a matrix, heads, or in another way of its own */
} split_class;
split_class operation_split(const graph *g, const graph_op *op, size_t tokens, size_t context);

/* Decides where threads must meet: before an operation that touches what another thread wrote, or writes what another
 * thread still reads, since they last met. `begin` and `end`: the memory of each value. barrier: [op_count], result. */
void plan_barriers(const graph *g, const char *const *begin, const char *const *end, size_t tokens, size_t context,
                   bool *barrier);

/* Floats of workspace that a thread needs for any attention of the graph. */
size_t attention_scratch(const graph *g, size_t tokens, size_t context);
/* Floats of the same workspace that each of `threads` threads needs for the epilogue of any matmul of the graph. */
size_t epilogue_scratch(const graph *g, size_t tokens, int threads);
/* Floats of the same workspace that any write of the graph to such a cache needs. */
size_t cache_write_scratch(const graph *g, const kv_cache_shape *shape);
/* Into how many parts `threads` threads cut `positions` positions of the cache when one query row attends to them; 1: they
 * share out heads instead. position_bytes: what one key head holds for a position, keys and values. */
size_t attention_parts(const graph_op *op, size_t position_bytes, size_t positions, int threads);
/* Floats that the parts of any attention of the graph need between them, for up to `context` positions. */
size_t attention_partials(const graph *g, size_t context, int threads);
enum { PARTIALS_ALIGNMENT = 128 }; /* bytes, of where they begin; their size is a multiple of it */
/* Queries that one attention call takes at most: bounds its workspace. */
enum { ATTENTION_BLOCK = 64 };

/* ---- for the operations ----------------------------------------------------------------------------------------- */

typedef void operation_fn(const execution *e, const graph_op *op, int thread, int threads);

/* The share [first, end) of `total` things in runs of `unit`. */
typedef struct share {
    size_t first, end;
} share;
share share_of(size_t total, size_t unit, int thread, int threads);
/* The share under the operation's own class, by rows of its output. */
share share_rows(const execution *e, const graph_op *op, int thread, int threads);

/* Rows the operation runs for. */
size_t operation_rows(const execution *e, const graph_op *op);
/* Row r of the operation, in the value of the operand, at the operand's offset. */
float *operand_row(const execution *e, const graph_op *op, const graph_operand *operand, size_t r);
/* Floats from one row to the next. */
size_t operand_stride(const execution *e, const graph_operand *operand);

/* The position of row r of the operation in the cache. */
size_t row_position(const execution *e, const graph_op *op, size_t r);
/* Rotates `heads` heads of `width` for a position, from x to y, which may be the same. Strides in floats. */
void rotate_heads(const execution *e, size_t position, size_t heads, size_t width, const float *x, size_t x_stride,
                  float *y, size_t y_stride);

operation_fn run_embed, run_input, run_rms_norm, run_rope, run_slice, run_concat, run_elementwise, run_last_row,
    run_quantize, run_add_norm;
operation_fn run_matmul, run_absorb_query, run_absorb_value;
operation_fn run_cache_write, run_cache_read, run_attention;
operation_fn run_conv2d, run_batch_norm, run_relu, run_layout, run_to_blocks, run_from_blocks;
operation_fn run_route, run_gather, run_expert_matmul, run_combine;

#endif
