/* layer_pass.h - one layer of a model run by itself, for calibration: rows in, rows out, and every value in between to be
 * looked at. Arithmetic is FP32 by the best kernels that round no activations; nothing is fused and nothing shared. */
#ifndef CIUIC_LAYER_PASS_H
#define CIUIC_LAYER_PASS_H

#include "optimizer/graph/graph.h"
#include "optimizer/runtime/routing.h"
#include "optimizer/runtime/weights.h"

typedef struct layer_pass layer_pass;

/* The kernels that calibration computes with. */
void layer_pass_kernels(kernel_table *kernels);

/* Layer `layer`, or with the number of layers the final norm and the head. Weights come from `from`, those of its set where
 * they lie: the set keeps them until the pass is freed. At most `window` tokens at once; threads 0: all cores. */
ciuic_status layer_pass_create(const weight_source *from, size_t layer, size_t window, int threads, layer_pass **out);
void layer_pass_free(layer_pass *p); /* NULL is allowed */

const graph *layer_pass_graph(const layer_pass *p);
/* Runs operations [0, end) for `tokens` rows of hidden states, a sequence from its beginning; end = op_count: all. Experts
 * are those that `chosen` holds, from another pass over the same tokens; NULL: the router chooses. */
ciuic_status layer_pass_run(layer_pass *p, const float *x, size_t tokens, int end, const routing *chosen);
/* The same of operations [begin, end), where the pass holds what those before `begin` made of the same rows: it has run them,
 * or layer_pass_room was filled. chosen: as above; NULL where the choice is behind: it stays. */
ciuic_status layer_pass_resume(layer_pass *p, const float *x, size_t tokens, int begin, int end, const routing *chosen);
/* Where a value's rows belong for a run of `tokens` tokens; out of memory is CIUIC_ERROR_UNSUPPORTED. */
ciuic_status layer_pass_room(layer_pass *p, size_t tokens, int value, float **rows);
/* A value that the last run wrote: its rows of the value's width. */
const float *layer_pass_value(const layer_pass *p, int value);
/* How the last run chose experts; NULL in a model without. */
const routing *layer_pass_routing(const layer_pass *p);

/* Embeds ids: out [n][hidden]. Of the set's table where it has one, otherwise of the checkpoint's. */
ciuic_status layer_pass_embed(const weight_source *from, const int32_t *ids, size_t n, float *out);

#endif
