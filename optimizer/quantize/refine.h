/* refine.h - codes and scales that are there made better, one group at a time, by the second moments of the inputs. */
#ifndef CIUIC_QUANTIZE_REFINE_H
#define CIUIC_QUANTIZE_REFINE_H

#include "optimizer/quantize/gptq.h"

/* One matrix between its values and its codes. */
typedef struct refine_state {
    const kernel_matrix *m;
    quantized_memory to; /* scales and minimums: read and bettered; values: packed by the caller afterwards */
    const float *w;      /* [rows][columns]: the values to come near to */
    int8_t *codes;       /* [rows][columns] */
    float *error;        /* [rows][columns]: w less what the codes decode to */
} refine_state;

/* `passes` rounds over all columns. With e = w - q the error of a row is e H e^T, and half its slope in q is -(e H). Group
 * after group, first the scale (and the minimum) takes the step that least squares asks for with the codes as they are,
 * rounded to binary16; then each column takes the code nearest to q_j + (e H)_j / H_jj (coordinate descent). A step that
 * does not lower the error is not taken, so that the result is never worse by that measure. Scales of whole rows stay.
 * CIUIC_ERROR_UNSUPPORTED: out of memory. */
ciuic_status refine_codes(const gptq_factor *factor, const refine_state *s, int passes);

#endif
