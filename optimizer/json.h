/* json.h - cJSON made strict: what cJSON 1.7 lets through (trailing junk, duplicate and mis-cased keys, numbers that do
 * not round-trip) is refused or repaired here, and every refusal names file, place, what was found and what was
 * expected.
 *
 * `where` names the place of `object` for messages, e.g. "suites/quick.json: variants[3]". */
#ifndef CIUIC_JSON_H
#define CIUIC_JSON_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

/* Reads a file of at most max_bytes and parses it; errors carry line and column. Free with cJSON_Delete. */
ciuic_status json_read_file(const char *path, size_t max_bytes, cJSON **out);
/* Parses `length` bytes (need not end in NUL) that came from `name`. No trailing junk, no duplicate key in any object,
 * no NUL, nesting at most 64, numbers finite. */
ciuic_status json_parse(const char *text, size_t length, const char *name, cJSON **out);

/* Case-sensitive look-up; NULL when absent. An explicit null counts as absent. */
const cJSON *json_find(const cJSON *object, const char *key);

/* A parsed number, or one made by json_double or json_size below. Use this and not cJSON_IsNumber: the latter are raw
 * items in memory, with valuedouble set. */
bool json_is_number(const cJSON *item);

/* Members of results, where what is absent, or of another type, is not known: NaN, and "". */
double json_number(const cJSON *object, const char *key);
const char *json_text(const cJSON *object, const char *key); /* borrowed */

/* Required members. CIUIC_ERROR_INPUT when absent, of another type or out of range. Sizes and integers must be
 * whole. */
ciuic_status json_get_size(const cJSON *object, const char *where, const char *key, size_t min, size_t max,
                           size_t *out);
ciuic_status json_get_double(const cJSON *object, const char *where, const char *key, double min, double max,
                             double *out);
ciuic_status json_get_bool(const cJSON *object, const char *where, const char *key, bool *out);
ciuic_status json_get_string(const cJSON *object, const char *where, const char *key, const char **out); /* borrowed */
ciuic_status json_get_array(const cJSON *object, const char *where, const char *key, const cJSON **out);
ciuic_status json_get_object(const cJSON *object, const char *where, const char *key, const cJSON **out);

/* Refuses any member of `object` whose name is not among the n `keys`; suggests the nearest one. */
ciuic_status json_only_keys(const cJSON *object, const char *where, const char *const *keys, size_t n);

/* Adding members that read back as the same number. NaN and infinity become null. Out of memory: false. */
bool json_add_double(cJSON *object, const char *key, double value); /* shortest of %.15g..%.17g that round-trips */
bool json_add_size(cJSON *object, const char *key, size_t value);
/* The same as an item, for arrays; NULL when out of memory. */
cJSON *json_double(double value);
cJSON *json_size(size_t value);

/* Makes every number of a parsed tree print as itself: what was read can be written again. Out of memory: false. */
bool json_exact_numbers(cJSON *tree);

/* Writes the printed object and a newline by way of atomic_file. */
ciuic_status json_write_file(const char *path, const cJSON *object);

#endif
