/* sensitivity.h - what each unit of a model loses under each setting: the KL divergence of the whole model with that unit
 * alone quantised, measured on calibration ids.
 *
 * Every unit is measured under one setting, the anchor; under the others its loss is that times the ratio of the squared
 * errors of its outputs, since a small divergence grows with the square of what causes it. Experts are held at the choice
 * of the unquantised model while it is measured: a router on the brink sends a token elsewhere upon the smallest change,
 * and a few such tokens (of which every unit causes some) would drown what the units differ by. */
#ifndef CIUIC_QUANTIZE_SENSITIVITY_H
#define CIUIC_QUANTIZE_SENSITIVITY_H

#include "optimizer/quantize/allocate.h"
#include "optimizer/quantize/calibration_ids.h"

typedef struct sensitivity_request {
    const checkpoint *source;
    ciuic_quantizer quantizer;
    const calibration_ids *ids;       /* all of them for second moments */
    size_t windows;                   /* of them, evenly spaced, on which divergence is measured; 0: a usual number */
    const quantize_setting *settings; /* [count] by groups, that each unit is tried with */
    size_t count;  /* less than ALLOCATION_CHOICES: leaving a unit as it is comes last of its choices */
    size_t anchor; /* index of the setting that is measured */
    int threads;
    ciuic_progress_fn *progress; /* NULL: nobody waits */
    void *progress_context;
} sensitivity_request;

/* Lists the units that can be quantised with the bytes of their choices, as `source`, `settings` and `count` say; their
 * losses are 0. Nothing is run. *units is to be freed. */
ciuic_status sensitivity_units(const sensitivity_request *request, allocation_unit **units, size_t *count);

/* Measures every unit that can be quantised. *units is to be freed. */
ciuic_status sensitivity_measure(const sensitivity_request *request, allocation_unit **units, size_t *count);

#endif
