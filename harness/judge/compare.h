/* compare.h - a model over windows of ids, position by position, and a second one beside it. */
#ifndef CIUIC_COMPARE_H
#define CIUIC_COMPARE_H

#include "harness/judge/accuracy.h"
#include "harness/token_windows.h"

/* What the variant put out for the ids [position, position + n) of a window: [n][vocabulary], gone after the call. */
typedef void comparison_logits_fn(void *context, size_t window, size_t position, size_t n, const float *logits);

typedef struct comparison {
    ciuic_model *variant, *reference; /* reference NULL: the variant alone */
    const token_windows *windows;
    size_t first, count;         /* the windows [first, first + count) */
    int threads;                 /* 0: all cores */
    const char *what;            /* the work, as progress calls it: "verifying" */
    ciuic_progress_fn *progress; /* windows done; NULL: nobody waits */
    void *progress_context;
    comparison_logits_fn *logits; /* NULL: nobody looks */
    void *logits_context;
} comparison;

typedef struct comparison_result {
    accuracy_result accuracy;
    double seconds;          /* that the variant's passes took */
    int threads;             /* that they ran on */
    ciuic_memory_use memory; /* of the variant's session */
} comparison_result;

/* Runs every window on both models, each alone, and sums up how far apart they are. Logits that are not finite are no
 * failure: result->accuracy.finite says so. CIUIC_ERROR_INPUT: their vocabularies differ in size. */
ciuic_status compare_models(const comparison *c, comparison_result *result);

#endif
