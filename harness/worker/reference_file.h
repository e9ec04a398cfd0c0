/* reference_file.h - the file of the reference's logits, which a process of its own computes once for each workload; it is mapped
 * by every worker of it. */
#ifndef CIUIC_REFERENCE_FILE_H
#define CIUIC_REFERENCE_FILE_H

#include "harness/worker/block.h"
#include "harness/worker/process.h"

/* Writes the logits of the block's workload to `path`. `reason`: why there are none, "" when there are; an interruption is
 * CIUIC_ERROR_INTERRUPTED. */
ciuic_status reference_write(const bench *b, const bench_block *plan, const char *path, char reason[WORKER_REASON_MAX]);

#endif
