/* setting.h - how the weights of one matrix are to be stored, and what that costs; recipe: one setting for each unit.
 *
 * A unit is what gets one setting: a matrix by the name of its tensor without ".weight", or one projection of all experts
 * of a layer, with '*' for the expert's number ("model.layers.3.mlp.experts.*.up_proj"). */
#ifndef CIUIC_QUANTIZE_SETTING_H
#define CIUIC_QUANTIZE_SETTING_H

#include "kernels/kernels.h"
#include "optimizer/ciuic.h"

enum { QUANTIZE_UNIT_NAME = 112 };

typedef struct quantize_setting {
    bool quantised;       /* false: left as the checkpoint has it, and nothing below counts */
    kernel_format format; /* INT8 to INT3, AFFINE8 or AFFINE4 */
    size_t group;         /* INT*: columns that share a scale, 32, 64 or 128; 0: a whole row */
    bool minimums;        /* INT*: asymmetric, a minimum for each group beside its scale */
} quantize_setting;

enum { SETTING_NAME = 24 };
/* "int4", "int4-g64", "int8-row", "int4-g128-asym", "affine8", "none": groups of 32 and symmetry go without saying. */
const char *quantize_setting_name(const quantize_setting *s, char name[SETTING_NAME]);
bool quantize_setting_parse(const char *name, quantize_setting *s);
/* Whether it quantises, by groups: INT8 to INT3, what calibration can better. */
bool quantize_setting_by_groups(const quantize_setting *s);
bool quantize_setting_equal(const quantize_setting *a, const quantize_setting *b);
/* What every matrix gets where one setting serves all; nothing is quantised under NONE and MIXED. */
quantize_setting quantize_setting_of(const ciuic_options *options);
/* Bytes of one matrix of that shape: codes, padding, scales and minimums. Not for a setting that quantises nothing. */
size_t quantize_setting_bytes(const quantize_setting *s, size_t rows, size_t columns);

typedef struct recipe_entry {
    char unit[QUANTIZE_UNIT_NAME];
    quantize_setting setting;
} recipe_entry;

/* All zero: nothing is quantised. */
typedef struct recipe {
    quantize_setting otherwise; /* of units without an entry */
    recipe_entry *entries;      /* [count], sorted by unit */
    size_t count;
} recipe;

/* What that unit gets. `unit` may be a tensor's name of one expert: its number counts as '*'. */
quantize_setting recipe_find(const recipe *r, const char *unit);
/* Adds or replaces. */
ciuic_status recipe_set(recipe *r, const char *unit, quantize_setting setting);
ciuic_status recipe_copy(const recipe *from, recipe *to);
void recipe_free(recipe *r);

/* What the options say of every unit; under MIXED, which chooses later, nothing is quantised. Free with recipe_free. */
ciuic_status recipe_of_options(const ciuic_options *options, recipe *r);

/* The unit that a tensor ("model.layers.3.mlp.experts.7.up_proj", without ".weight") belongs to. */
void quantize_unit_name(const char *tensor, char unit[QUANTIZE_UNIT_NAME]);

#endif
