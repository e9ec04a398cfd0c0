/* finite_weights.h - whether a checkpoint's weights are numbers: one that is not spoils whatever is measured with it. */
#ifndef CIUIC_FINITE_WEIGHTS_H
#define CIUIC_FINITE_WEIGHTS_H

#include "optimizer/checkpoint/checkpoint.h"

/* Reads every tensor that the architecture uses, block scales of FP8 included. CIUIC_ERROR_INPUT names the first tensor
 * that holds a NaN or an infinity, and where in it. */
ciuic_status finite_weights_check(const checkpoint *c);

#endif
