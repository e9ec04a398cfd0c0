/* plan.h - what a synthetic checkpoint will consist of: every tensor of the architecture, divided into files. */
#ifndef CIUIC_SYNTH_PLAN_H
#define CIUIC_SYNTH_PLAN_H

#include "optimizer/checkpoint/config.h"
#include "optimizer/checkpoint/safetensors.h"

typedef struct synth_plan {
    tensor *tensors; /* [count] name (owned), dtype, shape, count and bytes; no data */
    size_t count;
    size_t parameters, bytes; /* of all tensors; headers not counted */
    size_t *shards;           /* [shard_count + 1] shard i holds tensors [shards[i], shards[i + 1]) */
    size_t shard_count;
} synth_plan;

/* The tensors that architecture_tensors names, in its order: BF16, but for F32 correction biases of the router, as
 * DeepSeek-V3 has them. A shard ends before the tensor that would take it beyond `shard_bytes`; one larger than that has
 * a shard of its own. `where` begins the error when the config asks for more than any model has. */
ciuic_status synth_plan_create(const char *where, const model_config *config, size_t shard_bytes, synth_plan *plan);
void synth_plan_free(synth_plan *plan);

#endif
