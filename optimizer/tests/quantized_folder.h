/* quantized_folder.h - a quantised checkpoint in memory, made round to nearest from one under datasets/, for tests that
 * damage it before they write it. */
#ifndef CIUIC_TESTS_QUANTIZED_FOLDER_H
#define CIUIC_TESTS_QUANTIZED_FOLDER_H

#include <cjson/cJSON.h>

#include "optimizer/checkpoint/safetensors.h"
#include "optimizer/quantize/setting.h"

/* How the matrices whose names contain `part` are stored. */
typedef struct quantized_rule {
    const char *part;
    const char *setting; /* "none": as in the source */
    size_t interleave;
} quantized_rule;

enum { QUANTIZED_RULES = 6 };

typedef struct quantized_folder {
    tensor *tensors; /* [count] with room for a few more; values of the folder's own */
    size_t count, capacity;
    cJSON *config; /* all of config.json */
    void **owned;
    size_t owned_count;
} quantized_folder;

/* The first rule that fits decides; one without `part` ends the list and leaves the rest alone. Failures end the
 * test. */
void quantized_folder_make(const char *source, const quantized_rule rules[QUANTIZED_RULES], quantized_folder *f);
void quantized_folder_free(quantized_folder *f);
/* Writes config.json and model.safetensors into the folder `path`. */
void quantized_folder_write(const quantized_folder *f, const char *path);

/* The same as a recipe for the source. Free with recipe_free. */
void quantized_rules_recipe(const char *source, const quantized_rule rules[QUANTIZED_RULES], recipe *r);

tensor *quantized_folder_find(quantized_folder *f, const char *name);
/* A copy of its values that may be changed. */
void *quantized_folder_unshare(quantized_folder *f, tensor *t);
cJSON *quantized_folder_entry(quantized_folder *f, const char *name); /* of "tensors" */

#endif
