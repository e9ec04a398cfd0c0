/* cost.h - what an operation and a graph cost, as functions of the tokens of a call and the length of the cache, and the
 * choice between the two forms of MLA's attention that follows from it.
 *
 * An amount is a sum of terms in T (tokens of the call), S (positions in the cache after it) X (experts that a call
 * reads, at most: the fewer of all experts and of T * experts per token) and P (pairs of a token and a position that it
 * attends to, T * S - T * (T - 1) / 2). In decode T is 1, and only terms in S are left. */
#ifndef CIUIC_GRAPH_COST_H
#define CIUIC_GRAPH_COST_H

#include "optimizer/graph/graph.h"

typedef enum graph_term {
    GRAPH_TERM_1,
    GRAPH_TERM_T,
    GRAPH_TERM_S,
    GRAPH_TERM_X,
    GRAPH_TERM_P,
    GRAPH_TERMS
} graph_term;

typedef struct graph_amount {
    double of[GRAPH_TERMS];
} graph_amount;

/* Operations (a multiplication and an addition are two; an exponential, as in silu, four), bytes of weights read, and bytes
 * of activations and cache read and written. Bytes are those that the operation touches, cached by the processor or not;
 * weights that one call multiplies with many rows are read once for all of them. */
typedef struct graph_cost {
    graph_amount flops, weight_bytes, activation_bytes;
    graph_amount cache_bytes, written_bytes; /* of activation_bytes: those of the cache, and those written */
} graph_cost;

/* Bytes of a value of a weight matrix, and of the cache. */
typedef struct graph_storage {
    double weight, cache;
} graph_storage;

graph_cost graph_op_cost(const graph *g, const graph_op *op, const graph_storage *storage);
graph_cost graph_total_cost(const graph *g, const graph_storage *storage);
/* The amount for a call of so many tokens; `experts` of the model, 0 without. */
double graph_amount_at(const graph_amount *amount, const graph *g, size_t tokens, size_t context);
void graph_amount_add(graph_amount *sum, const graph_amount *amount, double times);
void graph_cost_add(graph_cost *sum, const graph_cost *cost);

enum { GRAPH_AMOUNT_SIZE = 96 };
/* "2.1M + 131k T + 64 P"; "0" of nothing. */
void graph_amount_text(const graph_amount *amount, char text[GRAPH_AMOUNT_SIZE]);
/* "1.23M": four characters and a letter at most. */
void graph_number_text(double number, char text[16]);

/* ---- MLA over a latent cache: expand or absorb ------------------------------------------------------------------ */

/* Widths of one layer's attention. */
typedef struct graph_mla {
    size_t heads, rank, nope, pe, value;
} graph_mla;

typedef enum graph_mla_form {
    GRAPH_MLA_EXPANDED, /* keys and values of every head are expanded from all cached positions, in every call */
    GRAPH_MLA_ABSORBED  /* queries and outputs go through kv_b, and attention is over the latent */
} graph_mla_form;

/* What differs between the forms, for one layer: operations, and bytes of weights, cache and activations together. */
void graph_mla_cost(const graph_mla *m, graph_mla_form form, graph_amount *flops, graph_amount *bytes);
/* The form that costs less, counting GRAPH_FLOPS_PER_BYTE operations as one byte. */
graph_mla_form graph_mla_choose(const graph_mla *m, size_t tokens, size_t context);
enum { GRAPH_FLOPS_PER_BYTE = 8 };
/* From how many cached positions on a call of so many tokens is absorbed; SIZE_MAX: never, up to `most`. */
size_t graph_mla_crossover(const graph_mla *m, size_t tokens, size_t most);
/* Widths of the model's attention; heads 0 where it is none of MLA. */
graph_mla graph_mla_of(const model_config *config);

#endif
