/* activation_need.c - see activation_need.h. */
#include "optimizer/runtime/activation_need.h"

ciuic_activations activations_of(const checkpoint *source, ciuic_activations asked)
{
    const quantized_provenance *made = checkpoint_provenance(source);
    return made != NULL && made->activations == CIUIC_ACTIVATIONS_NONE ? CIUIC_ACTIVATIONS_NONE : asked;
}

graph_q8_need activation_need(ciuic_activations activations, kernel_format format, size_t group)
{
    if (!kernel_is_grouped(format) || activations == CIUIC_ACTIVATIONS_NONE) return (graph_q8_need){0};
    return (graph_q8_need){.quantised = true, .group = group};
}

graph_q8_need activation_need_by_name(const recipe *r, ciuic_activations activations, const char *name)
{
    const quantize_setting s = recipe_find(r, name);
    return s.quantised ? activation_need(activations, s.format, s.group) : (graph_q8_need){0};
}
