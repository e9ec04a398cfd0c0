/* stages.h - what each stage earns: alone (added to a program with all stages off) and last (left out of one with all
 * stages on), in speed and in bytes. */
#ifndef CIUIC_STAGES_H
#define CIUIC_STAGES_H

#include "harness/judge/results.h"

/* The array `stages` of results.json: an entry for each group, each variant with everything on and each stage.
 * blocks[].noise_floor must be set. */
ciuic_status stages_make(const result_set *r, cJSON **stages);

#endif
