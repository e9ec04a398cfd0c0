/* stages.h - in which order the matrices of a layer are quantised: a stage is what reads only what earlier stages made. */
#ifndef CIUIC_QUANTIZE_STAGES_H
#define CIUIC_QUANTIZE_STAGES_H

#include "optimizer/graph/graph.h"
#include "optimizer/quantize/second_moments.h"
#include "optimizer/quantize/setting.h"
#include "optimizer/runtime/layer_pass.h"

enum { STAGE_NONE = -1, INPUT_DENSE = -1, INPUT_POOLED = -2 };

typedef struct layer_stages {
    int *stage; /* [op_count]: of matmuls whose unit the recipe quantises by groups; STAGE_NONE for others */
    int count;
    int *end; /* [count]: operations that must run before the stage's inputs are all there */
} layer_stages;

/* Of a graph made by graph_build_layer, unfused. */
ciuic_status layer_stages_find(const graph *g, const recipe *r, layer_stages *stages);
void layer_stages_free(layer_stages *stages);

/* What some matmuls of a stage read: columns of a value, all rows or those of one expert. */
typedef struct stage_input {
    int value;
    size_t offset, width;
    int expert; /* INPUT_DENSE: every token; INPUT_POOLED: every row that went to any expert */
    second_moments moments;
} stage_input;

typedef struct stage_inputs {
    stage_input *inputs;
    size_t count;
} stage_inputs;

/* The distinct inputs of stage `stage`, experts each for themselves and once pooled, with no moments yet. */
ciuic_status stage_inputs_find(const graph *g, const layer_stages *stages, int stage, stage_inputs *inputs);
void stage_inputs_free(stage_inputs *inputs);
/* Whether the operation, a matmul, reads that input; of an expert's matmul, for that expert. */
bool stage_input_feeds(const graph *g, const stage_input *input, const graph_op *op);
/* Adds what the last run of `pass` put there. */
void stage_input_collect(const layer_pass *pass, size_t tokens, stage_input *input);

#endif
