/* variant_json.h - how a variant quantises, as JSON: the same members in suites, in a worker's orders and in results. */
#ifndef CIUIC_VARIANT_JSON_H
#define CIUIC_VARIANT_JSON_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

/* Their names, for lists of known keys: "quantizer", "group" (32, 64, 128 or "row"), "asymmetric", "layers_only", "activations", "bits",
 * "memory_limit_bytes". */
enum { VARIANT_JSON_KEYS = 7 };
extern const char *const variant_json_keys[VARIANT_JSON_KEYS];

/* Reads those that `object` has over `options`, whose quantize is set already, and checks that the settings go together.
 * What is absent is as the command line has it: mixed takes gptq, all else rtn. CIUIC_ERROR_INPUT names place, found and
 * expected. */
ciuic_status variant_json_read(const cJSON *object, const char *where, ciuic_options *options);
/* The check alone; `where` begins the message. */
ciuic_status variant_json_check(const char *where, const ciuic_options *options);

/* Adds those that say something about these options: variant_json_read makes the same of them. False: out of memory. */
bool variant_json_add(cJSON *object, const ciuic_options *options);

#endif
