/* pack.h - "pack" as a worker is asked for it (process.h): a checkpoint quantised into a folder, in a process of its own, so
 * that neither the bench's memory nor any limit of it has to do with it. */
#ifndef CIUIC_WORKER_PACK_H
#define CIUIC_WORKER_PACK_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

/* Does what `request` asks: {checkpoint, source_sha256, output, quantize and what variant_json.h adds, isa, threads}. The
 * folder is written as 'ciuic optimize' writes it, and not measured: errors are the bench's to find. Every weight of it is
 * then made once more from the checkpoint and compared. Adds to `answer` {bytes, seconds, check_seconds, sha256, bits_per_weight,
 * weights_checked, weights_unchecked}; unchecked is what calibration made. On failure no folder is left. */
ciuic_status pack_folder(const cJSON *request, ciuic_progress_fn *progress, void *context, cJSON *answer);

#endif
