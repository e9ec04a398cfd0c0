/* explain.h - why each unit of a mixed-precision model got the setting it has: a table that a person can argue with. */
#ifndef CIUIC_EXPLAIN_H
#define CIUIC_EXPLAIN_H

#include <cjson/cJSON.h>

#include "optimizer/quantize/allocate.h"

typedef struct explanation {
    const allocation_unit *units;
    size_t count, parameters, fixed_bytes, budget;
    allocation result;
    double seconds; /* that measuring took; 0: not told */
} explanation;

/* Prints the table, at most 96 columns wide: each unit's loss alone under the setting that was measured, and under the one
 * it has; and what the next better one would cost and save, against the price at which the budget ran out. */
void explain_print(const explanation *e);

/* The same as {"units": [...], "bytes", "bits_per_weight", "price_nats_per_mb", ...}; NULL when out of memory. */
cJSON *explain_json(const explanation *e);

#endif
