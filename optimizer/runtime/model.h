/* model.h - the model behind the public handle: a checkpoint, a setting of the stages, and the plans of all phases. */
#ifndef CIUIC_MODEL_H
#define CIUIC_MODEL_H

#include <pthread.h>
#include <stdatomic.h>

#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/ciuic.h"
#include "optimizer/runtime/execute.h"

struct ciuic_model {
    atomic_int references;
    pthread_mutex_t preparing; /* held by the thread that loads weights and makes plans, calibration included */
    atomic_bool ready; /* that is done: at optimisation, or when the first session needs it. They change no more */
    checkpoint *source;
    const model_config *config; /* the checkpoint's */
    ciuic_options options;
    kernel_table kernels;
    recipe recipe;
    quantized_set *made; /* what calibration made, until the store has it; otherwise NULL */
    weight_store *weights;
    plan plans[GRAPH_PHASES]; /* those of absorbed prefills have no graph where nothing is absorbed */
};

/* A model of that checkpoint, without weights yet; takes over the caller's reference to `source`, even on failure. */
ciuic_status model_create(checkpoint *source, const ciuic_options *options, ciuic_model **out);
/* Makes the plans of a model that will only be asked how large it is: nothing is quantised or loaded. */
ciuic_status model_count(ciuic_model *model);
/* The plan for a prefill of `tokens` tokens after which the cache holds `context` positions. */
graph_phase model_prefill_phase(const ciuic_model *model, bool all_logits, size_t tokens, size_t context);
/* Loads weights and makes plans, unless that is done. Thread-safe: of several threads one does it, and the others wait for
 * it. Other models are not waited for, so that options.progress may do with them what it likes. */
ciuic_status model_prepare(ciuic_model *model);
ciuic_model *model_retain(ciuic_model *model);

/* Compares the logits of `model` with the reference's (verify.c). */
ciuic_status model_verify(const ciuic_model *reference, ciuic_model *model, ciuic_report *report);

#endif
