/* accuracy.h - how far a variant's output is from the reference's: one accumulator, fed position by position.
 *
 * X_error is the standard error of X. All of them take positions for independent, which those of one text are not
 * quite. A maximum has none: it grows with the number of positions, and how fast depends on a tail that nobody has
 * seen. */
#ifndef CIUIC_ACCURACY_H
#define CIUIC_ACCURACY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

typedef struct accuracy accuracy;

typedef struct accuracy_result {
    size_t tokens;                               /* positions whose next token is known (NLL is over these) */
    size_t positions;                            /* positions compared with the reference */
    double nll, nll_error;                       /* mean -log p(next token) in nats */
    double perplexity, perplexity_error;         /* exp(nll), and by the delta method perplexity * nll_error */
    double reference_nll, reference_nll_error;   /* on the same tokens; NaN unless every one of them had a reference */
    double nll_rise, nll_rise_error;             /* nll - reference_nll; its error token by token (paired) */
    double mean_abs_error, mean_abs_error_error; /* of the logits; the error of means over a position's */
    double max_abs_error;
    double relative_l2, relative_l2_error; /* |logits - reference| / |reference|, over all positions (row_errors.h) */
    double cosine, cosine_error;           /* of the two logit vectors, mean over positions */
    double kl, kl_error;                   /* mean KL(reference || variant) in nats */
    double kl_p99, kl_p99_error;           /* nearest rank; the error from order statistics, NaN below 100 positions */
    double kl_max;
    double top1_agreement;       /* share of positions with the same argmax (the lowest id of equals) */
    double top1_agreement_error; /* binomial, sqrt(p (1 - p) / (positions - 1)): 0 for a share of 0 or 1, which then
                                    says little; verdicts take Wilson's interval */
    bool finite;                 /* false when any logit was NaN or infinite: then every metric is NaN */
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
