/* fresh_inputs.h - what "measure" may ask for besides a time: other token ids for every repetition, and the logits. An
 * audit asks so; a bench does not. */
#ifndef CIUIC_FRESH_INPUTS_H
#define CIUIC_FRESH_INPUTS_H

#include <cjson/cJSON.h>

#include "harness/worker/workload.h"

/* "ids": (iterations + 1) x tokens numbers, a row for the repetition that warms up and one for each that is timed. Without
 * them, repetitions take the workload's own ids (again). */
ciuic_status fresh_inputs_take(workload *w, const cJSON *request, size_t iterations);
/* "logits": a file, which gets those that the last repetition ended with, as floats: [vocabulary]. */
ciuic_status fresh_inputs_write_logits(const workload *w, const cJSON *request);

#endif
