/* divergence.h - the mean Kullback-Leibler divergence of one model's next-token distributions from another's. */
#ifndef CIUIC_QUANTIZE_DIVERGENCE_H
#define CIUIC_QUANTIZE_DIVERGENCE_H

#include <stddef.h>

/* Mean and squared deviations over positions, in nats; all zero to begin with. */
typedef struct divergence {
    size_t n;
    double mean, m2;
} divergence;

/* KL(reference || logits) of `rows` positions, [rows][vocabulary] each. A logit that is not finite makes the mean NaN. */
void divergence_add(divergence *d, size_t rows, size_t vocabulary, const float *reference, const float *logits);
/* The standard error of the mean; NaN for fewer than two positions. */
double divergence_error(const divergence *d);

#endif
