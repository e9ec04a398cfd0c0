/* counted_cases.h - the simulated counters of a block's cases, one process after the other, when its workers are gone. */
#ifndef CIUIC_COUNTED_CASES_H
#define CIUIC_COUNTED_CASES_H

#include "harness/worker/block.h"

/* Counts every case of block `index` that is measured and not counted yet, and notes each ("counted"). A case that cannot be
 * counted has its reason instead; only an interruption, lack of memory and a journal that cannot be written end it early. */
ciuic_status counted_cases(bench *b, size_t index);

#endif
