/* workload.h - one workload on one model: the token ids, the repetition that is timed, and its error. */
#ifndef CIUIC_WORKLOAD_H
#define CIUIC_WORKLOAD_H

#include <cjson/cJSON.h>

#include "harness/judge/accuracy.h"
#include "harness/sha256.h"
#include "harness/suite/suite.h"

typedef struct workload_spec {
    const char *checkpoint; /* folder */
    suite_phase phase;
    size_t tokens, depth;
    size_t windows, window_tokens; /* compared with the reference besides the timed positions */
    uint64_t seed;                 /* of the ids, where the checkpoint brings none */
    int threads;
    size_t prefix,
        prefix_cache; /* tokens that an earlier prompt began with; bytes of the cache that keeps them. 0: none */
} workload_spec;

typedef struct workload workload;

/* Makes a session of exactly depth + tokens positions on `model`, and prefills the `depth` ids. The ids are the
 * checkpoint's own (streams.safetensors:eval_ids), or seeded random ones when it has no such file: the same for every
 * variant. The model must outlive the workload. */
ciuic_status workload_create(ciuic_model *model, const workload_spec *spec, workload **out);
void workload_free(workload *w); /* NULL is allowed */

/* One repetition: prefill of `tokens` ids from nothing, logits of the last; or `tokens` decodes of given ids from
 * `depth` on. */
ciuic_status workload_run(workload *w);
/* From now on each repetition takes the next of these rows, [rows][tokens], in the place of the workload's own ids, and after
 * the last row the first again; they are copied. rows 0: its own ids again. CIUIC_ERROR_INPUT: an id outside the
 * vocabulary. */
ciuic_status workload_set_inputs(workload *w, const int32_t *ids, size_t rows);
size_t workload_tokens(const workload *w);
/* Those that the last repetition ended with: [*vocabulary], owned by the workload. */
const float *workload_logits(const workload *w, size_t *vocabulary);
/* Digest of the logits that the last repetition ended with. */
sha256_hex workload_output(const workload *w);
/* Tests: makes these logits wrong, as a kernel would that another process disturbs. */
void workload_spoil_output(workload *w);
void workload_memory(const workload *w, ciuic_memory_use *use);
/* What the cache of prefixes did, in the repetitions and for the earlier prompt; false: there is none. */
bool workload_prefixes(const workload *w, ciuic_prefix_use *use, size_t *computed);
/* Whether a cache of prefixes spares each repetition some of its work. */
bool workload_is_spared(const workload *w);
/* What one repetition computes and touches where nothing is spared, as computed_work.h has it; NULL when out of memory. */
cJSON *workload_computed(const workload *w);
/* Bytes of its own buffers: token ids and logits. */
size_t workload_buffer_bytes(const workload *w);

/* Positions that are compared: the timed ones (all of a prefill, all decoded ones), then windows * window_tokens. */
size_t workload_positions(const workload_spec *spec);
/* The model's logits at these positions, computed by prefill, into the file `path`: [positions][vocabulary] floats. The
 * model should be the reference. */
ciuic_status workload_write_reference(workload *w, const char *path);
/* Error of the model against that file. A prefill's logits come from prefills, a decode's from token-by-token decoding;
 * the last timed position is taken from a repetition exactly as timed. *scored is the digest of that position's logits,
 * made when they were compared: what a timed repetition must end with for these errors to be its own. */
ciuic_status workload_accuracy(workload *w, const char *path, accuracy_result *result, sha256_hex *scored);

#endif
