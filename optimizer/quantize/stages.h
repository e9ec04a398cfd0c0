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
    /* Filled where an unquantised pass runs beside the quantised one: */
    float *drift; /* [width][width], sum of (x' - x) x^T for x' of the unquantised model: what x lacks */
    int residual; /* value that the output of operation `reader` is added to; GRAPH_NONE: to none */
    int reader;
    size_t rows;   /* of that value */
    float *behind; /* [rows][width], sum of (r' - r) x^T: what the residual lacks */
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
/* Room for what stage_input_collect adds up; `beside`: for drift and behind, too. */
ciuic_status stage_input_prepare(stage_input *input, bool beside);
void stage_input_release(stage_input *input);
/* Adds what the last run of `pass` put there, and how far it is from what `beside` did, unless that is NULL: a pass of the
 * unquantised model over the same tokens with the same experts. Out of memory is CIUIC_ERROR_UNSUPPORTED. */
ciuic_status stage_input_collect(const layer_pass *pass, const layer_pass *beside, size_t tokens, stage_input *input);

#endif
