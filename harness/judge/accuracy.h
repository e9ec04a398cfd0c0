/* accuracy.h - how far a variant's output is from the reference's: one accumulator, fed position by position. */
#ifndef CIUIC_ACCURACY_H
#define CIUIC_ACCURACY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

typedef struct accuracy accuracy;

typedef struct accuracy_result {
    size_t tokens;         /* positions whose next token is known (NLL is over these) */
    size_t positions;      /* positions compared with the reference */
    double nll, nll_error; /* mean -log p(next token) in nats, and its standard error */
    double perplexity;     /* exp(nll) */
    double reference_nll;  /* the reference's on the same tokens; NaN unless every one of them had a reference */
    double nll_rise, nll_rise_error;      /* nll - reference_nll, and its standard error token by token (paired) */
    double mean_abs_error, max_abs_error; /* of the logits */
    double relative_l2;                   /* |logits - reference| / |reference|, over all positions together */
    double cosine;                        /* of the two logit vectors, mean over positions */
    double kl, kl_error;                  /* mean KL(reference || variant) in nats, and its standard error */
    double kl_p99, kl_max;
    double top1_agreement; /* share of positions with the same argmax (the lowest id of equals) */
    bool finite;           /* false when any logit was NaN or infinite: then every metric is NaN */
} accuracy_result;

accuracy *accuracy_create(size_t vocabulary); /* NULL when out of memory */
void accuracy_free(accuracy *a);              /* NULL is allowed */
/* One position: logits [vocabulary]; reference logits or NULL; next: the id that followed, or -1. An id outside the
 * vocabulary counts as -1. False: out of memory, and the position was not counted. */
bool accuracy_add(accuracy *a, const float *logits, const float *reference, int32_t next);
/* A metric without data (no known next token, no reference, one value only for a standard error) is NaN. */
void accuracy_finish(const accuracy *a, accuracy_result *result);

/* The result as results.json and `eval --json` hold it: one member for each field above, NaN as null. NULL when out of
 * memory. */
cJSON *accuracy_json(const accuracy_result *result);

#endif
