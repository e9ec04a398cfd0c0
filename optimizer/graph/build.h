/* build.h - what the builders share: a graph under construction whose first failure sticks, so that a builder reads like
 * the model and is checked once at its end. */
#ifndef CIUIC_GRAPH_BUILD_H
#define CIUIC_GRAPH_BUILD_H

#include "optimizer/graph/graph.h"

typedef struct builder {
    const model_config *config;
    graph *g;
    int layer;
    bool failed; /* out of memory */
} builder;

/* A weight matrix `name` ([rows, columns]) of the present layer; GRAPH_NONE layer: the name is complete. */
int build_matrix(builder *b, const char *name, size_t rows, size_t columns, bool bias);
int build_vector(builder *b, const char *name, size_t width);

/* One operation each; the result is the new value. x is a value whose columns are all used. */
int build_matmul(builder *b, int x, int weight, const char *name);
int build_rms_norm(builder *b, int x, size_t heads, size_t head_width, const char *weight, double eps,
                   const char *name);
int build_slice(builder *b, int x, size_t heads, size_t stride, size_t offset, size_t head_width, const char *name);
int build_rope(builder *b, int x, size_t heads, size_t head_width, const char *name);
/* silu, mul, add over all columns; y may be GRAPH_NONE for silu. */
int build_elementwise(builder *b, graph_op_kind kind, int x, int y, const char *name);
/* An operation of the present layer that writes a new value of `width` columns and the rows of `like`. */
int build_op(builder *b, graph_op op, int like, size_t width, const char *name);

/* Attention of one layer: normalised input -> output of o_proj. */
int build_attention_gqa(builder *b, int x);
int build_attention_mla(builder *b, int x);
/* Feed-forward of one layer: normalised input -> output. */
int build_mlp(builder *b, int x, const char *prefix, size_t width);
int build_moe(builder *b, int x);

/* The softmax scale of attention over keys of that width, with YaRN's factor (m * m) where mscale_all_dim is set. */
float build_attention_scale(const model_config *config, size_t key_width);

#endif
