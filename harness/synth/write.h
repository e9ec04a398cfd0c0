/* write.h - a synthetic checkpoint on disk: config.json, the shards, and their index where there are several. */
#ifndef CIUIC_SYNTH_WRITE_H
#define CIUIC_SYNTH_WRITE_H

#include <stddef.h>

#include "optimizer/ciuic.h"

typedef struct synth_request {
    const char *like;   /* a model's config.json */
    const char *output; /* the folder to make; must not be there yet */
    size_t layers;      /* the first so many of the model's; 0: all of them */
    size_t seed;        /* at most 2^53 */
    size_t shard_bytes; /* at most this much in a file; 0: 4 GiB */
} synth_request;

typedef struct synth_result {
    size_t layers, tensors, shards;
    size_t parameters;
    size_t bytes; /* of the tensors */
} synth_result;

/* Told after every few megabytes; what it returns other than CIUIC_OK ends the writing. */
typedef ciuic_status synth_progress_fn(void *context, size_t done_bytes, size_t total_bytes);

/* Writes the checkpoint and opens it once, so that what appears under `output` is accepted everywhere else; on failure
 * nothing appears. Takes a few megabytes of memory whatever the size. CIUIC_ERROR_INPUT: `like` is not a config that can
 * be run, or `output` is there; CIUIC_ERROR_USAGE: more layers than the model has; CIUIC_ERROR_UNSUPPORTED: the disk is
 * too small. */
ciuic_status synth_write(const synth_request *request, synth_progress_fn *progress, void *context,
                         synth_result *result);

#endif
