/* process.h - the parent's side of a worker: start it, ask it, and find out in plain words how it died.
 *
 * Protocol: one JSON object a line over a socket that is the worker's standard input. The parent asks, the worker
 * answers, one at a time:
 *
 *   {"do":"load", checkpoint, phase, tokens, depth, windows, window_tokens, seed, quantize and what variant_json.h adds,
 *    graph, memory, isa, matmul, threads, memory_limit, total_limit,
 *    cold_start, counters; prefix, prefix_cache where there is one; "fit" for a trial of a search for limits, see fit.h: the answer is then what it needs}
 *                                            -> sizes, load_s, computed, output_sha256 of the workload's first run
 *   {"do":"reference", "file":F}             -> writes the logits that accuracy is measured against; positions
 *   {"do":"accuracy", "file":F}              -> accuracy: the fields of accuracy_result; output_sha256 of what was scored
 *   {"do":"weights"}                         -> checked, unchecked: how many weights were made once more, see ciuic.h; seconds
 *   {"do":"measure", "iterations":k}         -> seconds, cpu_seconds, output_sha256; an audit adds what fresh_inputs.h says
 *   {"do":"pack", ...}                       -> what pack.h says; instead of all else: then the worker exits
 *   {"do":"finish"}                          -> peak_rss (until "accuracy" or "weights", which are not the workload's), counters; then
 *                                               the worker exits
 *
 * Before it answers, a worker that quantises says {"progress":"quantising","done":3,"total":12} now and then: the time it has
 * for its answer begins anew with each such line.
 *
 * An answer is {"ok":true, ...} or {"ok":false,"error":"one line"}, with "refused":{needed_bytes, limit_bytes} where the variant
 * needs more than total_limit; an answer to anything but `finish` comes only when
 * the worker's threads have stopped spinning, so that an idle worker does not disturb the one being timed; when they do
 * not stop, that is its error. */
#ifndef CIUIC_WORKER_PROCESS_H
#define CIUIC_WORKER_PROCESS_H

#include <cjson/cJSON.h>
#include <sys/types.h>

#include "optimizer/ciuic.h"

/* How a worker's threads are bound to cores: part of the method, and of the results. */
#define WORKER_OMP_PROC_BIND "OMP_PROC_BIND=true"
#define WORKER_OMP_PLACES "OMP_PLACES=cores"

/* PROGRESS_TIMES: whoever keeps telling of progress gets so many times timeout_s for an answer, and no more. */
enum { WORKER_REASON_MAX = 512, WORKER_LINE_MAX = 1 << 20, WORKER_PROGRESS_TIMES = 20 };

typedef struct worker_process worker_process;

typedef enum worker_outcome {
    WORKER_ANSWERED,
    WORKER_FAILED,      /* it said no, died, hung or babbled; `reason` says which, and it is dead now */
    WORKER_INTERRUPTED, /* command_interrupted() while waiting; still alive */
} worker_outcome;

/* Starts `<this program> worker`, which dies with its parent. `fault` makes it fail on purpose, for tests (see serve.c);
 * NULL: not at all. */
ciuic_status worker_start(const char *fault, worker_process **out);
/* The same of another program, `<program> worker`; NULL: of this one. It gets no fault. */
ciuic_status worker_start_program(const char *program, worker_process **out);
/* Sends `request` and waits for the answer, which the caller owns: at most timeout_s, and as long again from each line of
 * progress on, WORKER_PROGRESS_TIMES in all. */
worker_outcome worker_ask(worker_process *w, const cJSON *request, double timeout_s, cJSON **answer,
                          char reason[WORKER_REASON_MAX]);
/* What is called with every line of progress while worker_ask waits; none at first. */
typedef void worker_progress_fn(void *context, const char *what, size_t done, size_t total);
void worker_on_progress(worker_process *w, worker_progress_fn *progress, void *context);
/* Whether it was killed by the parent, which waited too long or heard what is no answer: not an end of its own. */
bool worker_given_up(const worker_process *w);
/* What it was refused for, {needed_bytes, limit_bytes}, when the last answer was that; NULL: it was not, or there is no worker (w NULL).
 * The worker's own. */
const cJSON *worker_refusal(const worker_process *w);
bool worker_alive(const worker_process *w);
pid_t worker_pid(const worker_process *w);
/* Kills the process if it still lives, and frees. NULL is allowed. */
void worker_stop(worker_process *w);

#endif
