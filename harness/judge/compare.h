/* compare.h - two models over the same windows, position by position. */
#ifndef CIUIC_COMPARE_H
#define CIUIC_COMPARE_H

#include "harness/judge/accuracy.h"
#include "harness/token_windows.h"

typedef struct comparison {
    ciuic_model *variant, *reference;
    const token_windows *windows;
    size_t first, count;         /* the windows [first, first + count) */
    int threads;                 /* 0: all cores */
    ciuic_progress_fn *progress; /* windows done; NULL: nobody waits */
    void *progress_context;
} comparison;

/* Runs every window on both models, each alone, and sums up how far apart they are. Logits that are not finite are no
 * failure: result->finite says so. */
ciuic_status compare_models(const comparison *c, accuracy_result *result);

#endif
