/* stem_fixture.h - what the tests of convolutional stems share: the golden layers of datasets/golden/conv-bn, which PyTorch
 * computed, and weights that are made up from a name. */
#ifndef CIUIC_TESTS_STEM_FIXTURE_H
#define CIUIC_TESTS_STEM_FIXTURE_H

#include "optimizer/checkpoint/safetensors.h"
#include "optimizer/runtime/stem.h"

enum { STEM_CASES = 4, STEM_IMAGES = 2 }; /* layers "0" to "3" of the golden file, with as many images each */

/* The tensor name.part of the golden file; NULL when absent. */
const tensor *stem_tensor(const safetensors *file, const char *name, const char *part);
/* A stem_find_fn; its context is the golden file. */
stem_find_fn stem_golden_part;
/* One convolution and its normalisation, as the golden file has them. */
bool stem_golden_layer(const safetensors *file, const char *name, stem_layer *layer, stem_config *config);
/* What rounding may add to any output of the golden layer, at most. */
double stem_allowed_error(const safetensors *file, const stem_layer *l, const stem_config *c);

/* A stem_find_fn: at most 65536 numbers within 0..1 (variances within 0.5..1.5) that depend on the name and the part alone;
 * none of a name that begins with "lost", and of one that begins with "signed", filters and biases within -0.5..0.5. */
stem_find_fn stem_made_part;

/* Images [channels][height][width] with channels last, or back. */
void stem_transpose(const float *x, size_t images, size_t channels, size_t plane, bool to_last, float *y);
int stem_count_ops(const graph *g, graph_op_kind kind);

#endif
