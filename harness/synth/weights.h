/* weights.h - random weights that stand in for trained ones: the same whoever asks for which part in which order.
 *
 * What matters to speed and size is shape and dtype; what matters to quantisers is how values are spread:
 *   matrices             Gaussian of deviation 1/sqrt(columns), so that an output of a normalised input has variance one,
 *                        as trained projections roughly do; layers then neither fade nor explode, however many there are
 *   outlier channels     one input column in 256, six times larger. Trained transformers have a few such channels, and
 *                        they are what per-tensor quantisation fails on (https://arxiv.org/abs/2208.07339). All matrices
 *                        that read the residual stream have theirs in the same columns
 *   norms                1 and a deviation of 0.1
 *   biases               deviation 0.5, half that of the outputs they are added to
 *   correction biases    deviation 0.05 beside router scores of 0 to 1: they change choices, and do not make them
 * Such a model says nothing meaningful: its speed and memory are the real one's, its errors are not. */
#ifndef CIUIC_SYNTH_WEIGHTS_H
#define CIUIC_SYNTH_WEIGHTS_H

#include "optimizer/checkpoint/safetensors.h"

enum { SYNTH_OUTLIER_SPACING = 256, SYNTH_OUTLIER_GAIN = 6 };

typedef struct synth_weights synth_weights;

/* The weights of one `seed`. */
ciuic_status synth_weights_create(uint64_t seed, synth_weights **weights);
void synth_weights_free(synth_weights *weights); /* NULL is allowed */

/* The dtype of the tensor `name`: BF16, or F32 for the router's correction bias. */
tensor_dtype synth_dtype(const char *name);

/* Puts elements [first, first + n) of the tensor t (name, dtype BF16 or F32, shape) into `out`. They depend on the seed,
 * the name, the shape and their place alone. Uses all threads that OpenMP has. */
ciuic_status synth_values(const synth_weights *weights, const tensor *t, size_t first, size_t n, void *out);

#endif
