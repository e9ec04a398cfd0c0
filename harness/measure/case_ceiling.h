/* case_ceiling.h - the best tokens per second that bytes and arithmetic allow a case on this machine.
 *
 * Each decoded token reads decode_bytes of weights and the positions of the KV cache so far; a prefill reads every weight
 * that one token needs at least once. A token's matmuls are decode_flops operations, of which a prefill does those of the
 * output head for its last token only; attention is not counted. Work is left out, never put in, so that the figure is a
 * ceiling:
 *
 *   seconds = max(bytes / bandwidth, operations / peak)
 *
 * The bandwidth is that of a buffer no larger than the bytes read again and again, since a model that fits into a cache
 * is read at the cache's speed. The peak is that of the best rung this machine has: FP32 FMA for floating-point and
 * affine weights, bfloat16 dot products where the answer to load says that it may multiply so (16-bit and FP8
 * weights), int8 dot products where weights and activations are quantised, whichever is higher. */
#ifndef CIUIC_CASE_CEILING_H
#define CIUIC_CASE_CEILING_H

#include <cjson/cJSON.h>

#include "harness/suite/suite.h"

/* Size of the buffer to measure bandwidth over for a case with this answer to load: decode_bytes, rounded down to a
 * 256 KiB step so that like cases share a measurement. 0 when the answer lacks it. */
size_t ceiling_buffer_bytes(const cJSON *loaded);

typedef struct case_ceiling {
    double tokens_per_s; /* NaN: not known */
    bool memory_bound;
    double bytes_per_token, flops_per_token;
    double bandwidth, peak; /* what the machine was measured to give */
    size_t buffer_bytes;
} case_ceiling;

/* `machine` is the machine record with its peaks; bandwidth in bytes per second, NaN when unknown. */
case_ceiling ceiling_of_case(const cJSON *loaded, const cJSON *machine, const suite_workload *w,
                             const ciuic_options *options, int threads, double bandwidth);

#endif
