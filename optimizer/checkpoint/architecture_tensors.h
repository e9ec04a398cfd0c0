/* architecture_tensors.h - which tensors a model of a given config consists of, by name and shape. */
#ifndef CIUIC_ARCHITECTURE_TENSORS_H
#define CIUIC_ARCHITECTURE_TENSORS_H

#include "optimizer/checkpoint/config.h"

/* A tensor that the architecture needs. `name` is valid during the call only. */
typedef struct needed_tensor {
    const char *name;
    size_t dims; /* 1 or 2 */
    size_t shape[2];
    bool exact; /* the router's: never quantised */
} needed_tensor;

typedef ciuic_status needed_tensor_fn(void *context, const needed_tensor *needed);

/* Calls `visit` for each tensor in turn; stops at the first that does not return CIUIC_OK and returns that. */
ciuic_status architecture_tensors(const model_config *config, needed_tensor_fn *visit, void *context);

#endif
