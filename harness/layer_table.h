/* layer_table.h - where a variant's error enters, told: a table of 80 columns and one sentence, or JSON. */
#ifndef CIUIC_LAYER_TABLE_H
#define CIUIC_LAYER_TABLE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "optimizer/ciuic.h"

/* errors: [layers + 2], as ciuic_layer_errors wrote them. */
void layer_table_print(const ciuic_layer_error *errors, size_t layers);
/* Adds `embedding`, `layers` (every layer, then the head) and what they were measured on. False: out of memory. */
bool layer_table_json(cJSON *object, const ciuic_layer_error *errors, size_t layers);

#endif
