/* row_blocks.h - a matrix's rows, a few at a time, on several threads. */
#ifndef CIUIC_ROW_BLOCKS_H
#define CIUIC_ROW_BLOCKS_H

#include "optimizer/ciuic.h"

/* Works on rows [first, first + count). `thread`: from 0 to row_blocks_threads() - 1; two calls with the same one never overlap,
 * so memory may be kept for each. Nothing is allocated here, and it should not be there: a thread's first block costs an arena. */
typedef ciuic_status row_block_fn(void *context, int thread, size_t first, size_t count);

/* How many threads work on a matrix of so many values when `threads` (0: all cores this process may use) are offered: one where
 * they would wait for each other longer than they work. */
int row_blocks_threads(int threads, size_t rows, size_t columns);

/* Calls `work` for all blocks of `step` rows, the last one maybe shorter, on `threads` threads (what row_blocks_threads said), in
 * any order. Of several failures that of the first rows is returned, with its message; later blocks may have been worked on. */
ciuic_status row_blocks_each(size_t rows, size_t step, int threads, row_block_fn *work, void *context);

#endif
