/* find_weight.c - tensors by the names that graphs give their weights: "name.weight", or "name" itself where a tensor has no such
 * suffix (e_score_correction_bias). */
#include <stdio.h>
#include <stdlib.h>

#include "optimizer/checkpoint/checkpoint.h"

const tensor *checkpoint_find_weight(const checkpoint *c, const char *name)
{
    char full[QUANTIZE_UNIT_NAME + 16];
    const int length = snprintf(full, sizeof full, "%s.weight", name);
    const tensor *t = length > 0 && (size_t)length < sizeof full ? checkpoint_find(c, full) : NULL;
    return t != NULL ? t : checkpoint_find(c, name);
}

bool checkpoint_all_equal(const checkpoint *c, const char *name, size_t elements, float number)
{
    const tensor *t = checkpoint_find_weight(c, name);
    if (t == NULL || t->count != elements) return false;
    float *values = malloc((elements > 0 ? elements : 1) * sizeof *values);
    bool equal = values != NULL && tensor_to_f32(t, 0, elements, values) == CIUIC_OK;
    for (size_t i = 0; i < elements && equal; i++) equal = values[i] == number;
    free(values);
    return equal;
}
