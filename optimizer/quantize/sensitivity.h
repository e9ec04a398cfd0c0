/* sensitivity.h - what each unit of a model loses under each setting: the KL divergence of the whole model with that unit
 * alone quantised, measured on calibration ids. */
#ifndef CIUIC_QUANTIZE_SENSITIVITY_H
#define CIUIC_QUANTIZE_SENSITIVITY_H

#include "optimizer/quantize/allocate.h"
#include "optimizer/quantize/calibration_ids.h"

typedef struct sensitivity_request {
    const checkpoint *source;
    ciuic_quantizer quantizer;
    const calibration_ids *ids; /* all of them for second moments */
    size_t windows;             /* of them, evenly spaced, on which divergence is measured; 0: a usual number */
    const quantize_setting *settings; /* [count] by groups, that each unit is tried with */
    size_t count;                     /* less than ALLOCATION_CHOICES: leaving a unit as it is comes last of its choices */
    int threads;
    ciuic_progress_fn *progress; /* NULL: nobody waits */
    void *progress_context;
} sensitivity_request;

/* Measures every unit that can be quantised. *units is to be freed. */
ciuic_status sensitivity_measure(const sensitivity_request *request, allocation_unit **units, size_t *count);

#endif
