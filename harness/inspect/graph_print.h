/* graph_print.h - the graph of a model before and after each pass, for `ciuic inspect --graph`: as text, as Graphviz, as
 * JSON. Nothing is run, and no weights are needed: a config.json is enough. */
#ifndef CIUIC_GRAPH_PRINT_H
#define CIUIC_GRAPH_PRINT_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/graph/cost.h"
#include "optimizer/graph/stem.h"

/* What is to be shown. */
typedef struct graph_request {
    const char *name;             /* what the graph is of */
    const model_config *config;   /* NULL: of a stem */
    const stem_config *stem;      /* NULL: of a model */
    const checkpoint *checkpoint; /* NULL: a config.json alone; then no weight is known to change nothing */
    ciuic_options options;        /* graph, passes, memory */
    bool decode;
    size_t tokens,
        depth; /* for totals: tokens of the call (decode: 1; a stem's images), and positions in the cache before it */
    double weight_bytes; /* a value of a weight matrix */
} graph_request;

/* The graph behind one pass, or as built. */
typedef struct graph_step {
    const char *name;
    bool ran, changed;
    int ops, values; /* values that operations touch */
    graph_cost cost;
    char did[512]; /* "-6 matmul", "" when nothing changed */
} graph_step;

typedef struct graph_trace {
    const graph_request *request;
    graph_storage storage;
    graph *g; /* behind all passes that ran, as it runs */
    graph_step steps[CIUIC_PASSES + 1];
    graph_step lowered; /* where weights are quantised, and so is what their matmuls read; otherwise its name is NULL */
} graph_trace;

/* Builds the graph and runs the passes one by one; free with graph_trace_free, also after a failure. */
ciuic_status graph_trace_make(const graph_request *request, graph_trace *trace);
void graph_trace_free(graph_trace *trace);

/* What the graph costs as it runs. */
const graph_cost *graph_trace_cost(const graph_trace *trace);
/* FLOPs, bytes of weights, other bytes, for the call asked for: "1.23M". */
typedef struct graph_cost_text {
    char flops[16], weights[16], others[16];
} graph_cost_text;
graph_cost_text graph_trace_cost_text(const graph_trace *trace, const graph_cost *cost);

/* "decode", "prefill" or "stem". */
const char *graph_request_phase(const graph_request *request);
/* Positions in the cache after the call. */
size_t graph_trace_context(const graph_trace *trace);
/* "[T, 640]", in symbols. */
enum { GRAPH_SHAPE_SIZE = 48 };
void graph_shape_text(const graph *g, int value, char text[GRAPH_SHAPE_SIZE]);
/* "q" of "3.q" in layer 3, "gate_proj" of "3.mlp.gate_proj"; of another layer, or of none, the name as it is. */
enum { GRAPH_SHORT_SIZE = 2 * GRAPH_NAME };
void graph_short_name(const graph *g, const graph_op *op, int value, char text[GRAPH_SHORT_SIZE]);

/* 100 columns; layers that are alike are printed once. */
void graph_print_text(const graph_trace *trace);
/* A digraph: operations are nodes, in a cluster for each layer, and values are edges; what each pass did, and the costs before
 * and behind it, are a table beside them. */
void graph_print_dot(const graph_trace *trace, FILE *out);
/* Members of `object`; false when out of memory. */
bool graph_print_json(const graph_trace *trace, cJSON *object);

#endif
