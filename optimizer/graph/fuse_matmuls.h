/* fuse_matmuls.h - what fuse-qkv, fuse-latent and fuse-gate-up have in common: matmuls of one input become one.
 *
 * Why it preserves the function: the outputs of a matmul are independent dot products; stacking the rows of two weight
 * matrices stacks their outputs. No rounding differs. The parts stay where they are in memory (a weight has parts), so
 * nothing is copied and a mapped checkpoint stays mapped. What it saves: one operation's hand-over between threads for
 * each matmul but the first, and with quantised weights the repeated quantisation of the input. Matrices that read their
 * input in different forms (one quantised, one not; other groups) stay apart, and so does the router. */
#ifndef CIUIC_FUSE_MATMULS_H
#define CIUIC_FUSE_MATMULS_H

#include "optimizer/graph/graph.h"

/* Fuses matmuls, of experts too, whose weights' names end in `names` (NULL behind the last). Those of `queries` (NULL: none) stay
 * apart from the others in the last layer of a prefill that gives the last token's logits: there only that token's queries
 * are needed (last-row), while keys and values are needed of all. */
ciuic_status graph_fuse_matmuls(graph *g, const graph_pass_options *options, const char *const *names,
                                const char *const *queries, bool *changed);

#endif
