/* allocate.h - mixed precision: which setting each unit gets, so that the loss is least and the bytes fit. */
#ifndef CIUIC_QUANTIZE_ALLOCATE_H
#define CIUIC_QUANTIZE_ALLOCATE_H

#include "optimizer/quantize/setting.h"

enum { ALLOCATION_CHOICES = 12 };

/* What one unit would cost and lose under one setting. */
typedef struct allocation_choice {
    quantize_setting setting;
    size_t bytes;
    double kl;            /* of the whole model with this unit alone so quantised, in nats */
    double squared_error; /* of the unit's outputs, summed over the calibration inputs */
    bool measured;        /* kl was measured; otherwise it is in the ratio of squared errors to the one that was */
} allocation_choice;

typedef struct allocation_unit {
    char unit[QUANTIZE_UNIT_NAME];
    size_t parameters, matrices; /* matrices: 1, or the experts */
    allocation_choice choices[ALLOCATION_CHOICES];
    size_t count;
    size_t chosen;
    double kl_error; /* standard error of the choice's kl that was measured */
} allocation_unit;

/* What the choice amounts to. */
typedef struct allocation {
    size_t bytes;       /* of all units, as chosen */
    size_t least_bytes; /* the smallest possible */
    double kl;          /* sum of the units' */
    double price;       /* nats that the last megabyte (10^6 bytes) bought; 0: everything has its best */
} allocation;

/* Chooses for each of the n units so that the sum of kl is small and the sum of bytes, with the `fixed` bytes of what is not
 * quantised, at most `budget`.
 *
 * The loss of a model is taken to be the sum of its units' losses, each measured alone. Under that, upgrades bought in the
 * order of nats saved a byte, along the lower convex hull of each unit's choices, are the best choice for every budget they
 * exactly use up (Shoham & Gersho 1988); what is left of the budget goes to the best upgrade that still fits, again and
 * again. CIUIC_ERROR_LIMIT when even the smallest choices exceed the budget: the message says how small they can be,
 * in bits for each of the model's `parameters`. */
ciuic_status allocate_bits(allocation_unit *units, size_t n, size_t budget, size_t fixed, size_t parameters,
                           allocation *result);

#endif
