/* activation_scaling.h - columns whose inputs are large are made large before they are rounded, and their inputs small.
 *
 * AWQ (Lin et al., arXiv:2306.00978): W x = (W diag(s)) (diag(1/s) x). Where x is the output of an RMSNorm that only
 * matmuls read, 1/s goes into the norm's weights and costs nothing when the model runs; s into the columns of everything
 * that reads it, the router's, which stays FP32, included. s_k = (mean x_k^2)^(a/2), over its geometric mean; a from 0 to
 * 1 is the one with the smallest sum of mean x_k^2 (w_k - q_k / s_k)^2 under round to nearest. */
#ifndef CIUIC_QUANTIZE_ACTIVATION_SCALING_H
#define CIUIC_QUANTIZE_ACTIVATION_SCALING_H

#include "optimizer/quantize/quantized_set.h"
#include "optimizer/quantize/stage_walk.h"

typedef struct scaled_value {
    int value;    /* of the layer's graph: a norm's output, or rows gathered from it */
    float *scale; /* [columns]; shared by a norm's values, owned by the first of them */
    bool owner;
} scaled_value;

typedef struct scaled_values {
    scaled_value *values;
    size_t count;
} scaled_values;

/* For every norm whose readers the stage quantises: chooses s, puts the norm's new weights and the router's into `set`, and
 * notes the values. Norms with other readers, or with readers that the recipe leaves alone, are left alone. */
ciuic_status scaling_choose(const layer_work *w, const recipe *r, int stage, quantized_set *set, scaled_values *scaled);
/* The factors of the columns of whatever reads the value; NULL: none. */
const float *scaling_of(const scaled_values *scaled, int value);
void scaled_values_free(scaled_values *scaled);

#endif
