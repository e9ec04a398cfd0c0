/* compare.h - a model over windows of ids, position by position, and a second one beside it. */
#ifndef CIUIC_COMPARE_H
#define CIUIC_COMPARE_H

#include "harness/judge/accuracy.h"
#include "harness/token_windows.h"

/* What the variant put out for the ids [position, position + n) of a window: [n][vocabulary], gone after the call. */
typedef void comparison_logits_fn(void *context, size_t window, size_t position, size_t n, const float *logits);

/* The windows are done and the sessions still there: `buffers` bytes of logits lie beside that of the variant. */
typedef void comparison_ran_fn(void *context, const ciuic_session *variant, size_t buffers);

typedef struct comparison {
    ciuic_model *variant, *reference; /* reference NULL: the variant alone */
    const token_windows *windows;
    size_t count;     /* windows that are run, spread evenly over all: the first ones alone may be hard or easy */
    int threads;      /* 0: all cores */
    const char *what; /* the work, as progress calls it: "verifying" */
    ciuic_progress_fn *progress; /* windows done; NULL: nobody waits */
    void *progress_context;
    comparison_logits_fn *logits; /* NULL: nobody looks */
    void *logits_context;
    comparison_ran_fn *ran; /* NULL: nobody measures */
    void *ran_context;
} comparison;

typedef struct comparison_result {
    accuracy_result accuracy;
    double seconds; /* that the variant's passes took */
    int threads;    /* that they ran on */
} comparison_result;

/* Tokens of these windows whose logits of one model are held at once. */
size_t comparison_piece(size_t vocabulary, const token_windows *windows);

/* Runs every window on both models, each alone, and sums up how far apart they are. Logits that are not finite are no
 * failure: result->accuracy.finite says so. CIUIC_ERROR_INPUT: their vocabularies differ in size. */
ciuic_status compare_models(const comparison *c, comparison_result *result);

#endif
