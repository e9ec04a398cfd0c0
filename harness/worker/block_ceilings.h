/* block_ceilings.h - the bandwidth that bounds the cases of a block. */
#ifndef CIUIC_BLOCK_CEILINGS_H
#define CIUIC_BLOCK_CEILINGS_H

#include "harness/worker/block.h"

/* The ceiling of a case whose weights fit into a cache is that cache's bandwidth, not the memory's: it is measured, and
 * journalled, over a buffer as large as what the case reads, once in block `index` for each size. To be called when all of its
 * workers are gone. */
ciuic_status block_ceilings_measure(bench *b, size_t index);

#endif
