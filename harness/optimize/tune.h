/* tune.h - the cheapest mixed precision whose measured error stays within a limit. */
#ifndef CIUIC_TUNE_H
#define CIUIC_TUNE_H

#include "harness/optimize/attempt.h"
#include "optimizer/quantize/mixed.h"

/* What a limit is about. */
typedef enum error_metric {
    ERROR_MEAN_ABS, /* mean absolute error of the logits: the article's own */
    ERROR_KL,       /* mean KL divergence, nats */
    ERROR_NLL_RISE, /* of the next token's, nats */
    ERROR_METRICS
} error_metric;
extern const char *const error_metric_names[ERROR_METRICS]; /* "mean_abs_error", "kl", "nll_rise" */

/* The figure of that metric; infinity where logits were not finite. */
double error_metric_of(error_metric metric, const accuracy_result *r);

typedef struct tune_request {
    attempt_request attempt;
    allocation_unit *units; /* measured */
    size_t count;
    error_metric metric;
    double limit;
} tune_request;

enum { TUNE_ATTEMPTS = 7 };

/* One budget that was tried, and what came of it. */
typedef struct tune_step {
    double bits, error;
} tune_step;

typedef struct tuned {
    attempt best; /* of fewest bits within the limit; the largest, where even that is above it */
    recipe recipe;
    allocation allocation;
    size_t budget; /* bytes */
    tune_step steps[TUNE_ATTEMPTS + 2];
    size_t step_count;
} tuned;

/* Quantises and measures at most TUNE_ATTEMPTS budgets between the smallest and the largest that settings can make, halving
 * the interval on a logarithmic scale of error (each bit divides errors by about four). Where even the largest is above the
 * limit, it is the result all the same: whoever asked can say by how much and why. The units' choices are those of the
 * best. */
ciuic_status tune_bits(const tune_request *request, tuned *result);
void tuned_free(tuned *t); /* all zero is allowed */

#endif
