/* schema.h - checks a JSON value against a JSON Schema (2020-12), as much of it as results.schema.json uses: type,
 * enum, const, required, properties, additionalProperties, items, minItems, minimum, exclusiveMinimum, maximum,
 * pattern-free strings with minLength, anyOf, and $ref to "#/$defs/...". Annotations (title, description, $schema,
 * $id, $defs) pass. */
#ifndef CIUIC_SCHEMA_H
#define CIUIC_SCHEMA_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

/* CIUIC_ERROR_INPUT names the first place in `value` (which came from `name`) that the schema does not allow. A
 * keyword in the schema that is not known is a failure too, so that nothing goes unchecked in silence. */
ciuic_status schema_check(const cJSON *value, const cJSON *schema, const char *name);

/* Against the schema of results.json that the program carries. */
ciuic_status schema_check_results(const cJSON *results, const char *name);

#endif
