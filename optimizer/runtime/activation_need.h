/* activation_need.h - what the matmuls of a weight read: activations as they are, or quantised in the groups of the weight.
 * Asked by name before weights are bound, and of bound ones: by the model that runs, and by what shows its graph. */
#ifndef CIUIC_ACTIVATION_NEED_H
#define CIUIC_ACTIVATION_NEED_H

#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/graph/graph.h"
#include "optimizer/quantize/setting.h"

/* What the checkpoint's matmuls read where `asked` is asked for: its weights may have been chosen for activations that are
 * not rounded. */
ciuic_activations activations_of(const checkpoint *source, ciuic_activations asked);
/* Of weights that are stored so. */
graph_q8_need activation_need(ciuic_activations activations, kernel_format format, size_t group);
/* Of the weight of that name, as the recipe has it. */
graph_q8_need activation_need_by_name(const recipe *r, ciuic_activations activations, const char *name);

#endif
