/* mixed.h - mixed precision from a budget: sensitivities, allocation, and the recipe that comes of them. */
#ifndef CIUIC_QUANTIZE_MIXED_H
#define CIUIC_QUANTIZE_MIXED_H

#include "optimizer/quantize/allocate.h"
#include "optimizer/quantize/sensitivity.h"

/* The settings that mixed precision chooses among, beside leaving a matrix as it is. */
extern const quantize_setting mixed_settings[];
extern const size_t mixed_setting_count;
extern const size_t mixed_anchor; /* index of the one that sensitivity is measured with */

/* What everything that is never quantised takes, in FP32: norms, biases, the router. `units`: all that can be. */
size_t mixed_fixed_bytes(const checkpoint *source, const allocation_unit *units, size_t count);

/* The bytes of all weights that a budget allows: the smaller of bits a weight and bytes, where they are not 0. */
size_t mixed_budget(const checkpoint *source, double bits, size_t bytes);

/* Whether some choice of settings meets `budget`, which is known without measuring: better now than after minutes of that.
 * CIUIC_ERROR_LIMIT: none does; the message says the smallest possible. */
ciuic_status mixed_check_budget(const checkpoint *source, size_t budget);

/* Chooses for every unit under `budget` bytes of all weights, and writes the recipe. CIUIC_ERROR_LIMIT: no setting can meet
 * it; the message says the smallest possible. */
ciuic_status mixed_choose(const checkpoint *source, allocation_unit *units, size_t count, size_t budget,
                          allocation *result, recipe *r);

#endif
