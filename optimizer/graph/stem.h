/* stem.h - the convolutional stem of an image model as a graph: convolutions, each with or without a batch normalisation and
 * an activation behind it, in the same IR and under the same passes as decoders. A row is an image; T counts images. */
#ifndef CIUIC_GRAPH_STEM_H
#define CIUIC_GRAPH_STEM_H

#include "optimizer/graph/graph.h"

typedef enum stem_activation { STEM_NO_ACTIVATION, STEM_RELU, STEM_SILU } stem_activation;

typedef struct stem_layer {
    const char *conv; /* name of its filters (and biases), [out_channels][in channels / groups][kernel] */
    const char *norm; /* name of the batch normalisation's vectors; NULL: none */
    bool bias;
    size_t out_channels, groups;
    size_t kernel[2], stride[2], padding[2], dilation[2]; /* vertical, horizontal */
    double eps;                                           /* of the normalisation */
    stem_activation activation;
} stem_layer;

typedef struct stem_config {
    size_t channels, height, width;           /* of the images */
    bool channels_last_in, channels_last_out; /* [height][width][channels] instead of [channels][height][width] */
    const stem_layer *layers;
    size_t layer_count;
} stem_config;

/* Builds the graph: GRAPH_INPUT [T, numbers of an image] -> [T, numbers of the last layer's output]. Shapes that do not meet
 * (groups that do not divide channels, a kernel that does not fit, no layer) and sizes that cannot be counted are
 * CIUIC_ERROR_INPUT, with the layer's name. */
ciuic_status graph_build_stem(const stem_config *config, graph **out);

#endif
