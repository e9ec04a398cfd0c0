/* suite_lists.h - lists and names in suite files: choices from a closed set, each at most once, misspellings explained. */
#ifndef CIUIC_SUITE_LISTS_H
#define CIUIC_SUITE_LISTS_H

#include <cjson/cJSON.h>

#include "kernels/kernels.h"
#include "optimizer/ciuic.h"

enum { SUITE_KERNEL_NAMES = KERNEL_ISAS + 1 };

/* Every rung's name, then "best"; every setting's name; in the order of their enumerations. */
const char *const *suite_kernel_names(void);      /* [SUITE_KERNEL_NAMES] */
const char *const *suite_quantize_names(void);    /* [CIUIC_QUANTIZE_COUNT] */
const char *const *suite_memory_names(void);      /* [CIUIC_MEMORY_COUNT] */
const char *const *suite_quantizer_names(void);   /* [CIUIC_QUANTIZER_COUNT] */
const char *const *suite_activations_names(void); /* [CIUIC_ACTIVATIONS_COUNT] */

/* The index of `text` among the n names; otherwise CIUIC_ERROR_INPUT with what was expected and the nearest one. */
ciuic_status suite_one_of(const char *where, const char *key, const char *text, const char *const *names, size_t n,
                          size_t *index);
/* The array member `key`, with min to max items. */
ciuic_status suite_list(const cJSON *object, const char *where, const char *key, size_t min, size_t max,
                        const cJSON **list);
/* The array member `key` of at least one and different values out of the n names; chosen: [n] indices. A whole number and a
 * boolean count by how JSON spells them: 32 is "32". */
ciuic_status suite_choices(const cJSON *object, const char *where, const char *key, const char *const *names, size_t n,
                           size_t *chosen, size_t *count);

#endif
