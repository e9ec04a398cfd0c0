/* quantized_summary.h - what `ciuic inspect` tells of a checkpoint that is quantised already: how its matrices are
 * stored, and what it was made from. */
#ifndef CIUIC_QUANTIZED_SUMMARY_H
#define CIUIC_QUANTIZED_SUMMARY_H

#include <cjson/cJSON.h>

#include "optimizer/checkpoint/checkpoint.h"

/* Prints nothing for an ordinary checkpoint. `indent`: the width of the names of lines, as in the rest of the page. */
void quantized_summary_print(const checkpoint *c, int indent);

/* Adds "quantized" to the object: null for an ordinary checkpoint, otherwise {"format_version", "made_by",
 * "activations", "source", "calibration", "verified", "settings": {NAME: {"tensors", "parameters", "bytes",
 * "bits_per_weight"}}}. False when out of memory. */
bool quantized_summary_add(cJSON *object, const checkpoint *c);

#endif
