/* folder_rows.h - the rows of one matrix on their way into the files of a quantised folder, a piece at a time. */
#ifndef CIUIC_FOLDER_ROWS_H
#define CIUIC_FOLDER_ROWS_H

#include "harness/optimize/folder_plan.h"
#include "optimizer/checkpoint/shards.h"

/* Writes a matrix that is quantised as `item` has it, rows as they lie: in item's panels. */
ciuic_status folder_rows_append(shards_writer *files, const planned_tensor *item, const kernel_matrix *m);

/* Quantises the source's matrix round to nearest as item says, writes it, and notes its relative error in
 * item->listed. */
ciuic_status folder_rows_quantize(shards_writer *files, const checkpoint *source, planned_tensor *item, int threads);

#endif
