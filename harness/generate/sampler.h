/* sampler.h - the next token from logits: the likeliest, or a seeded draw. */
#ifndef CIUIC_SAMPLER_H
#define CIUIC_SAMPLER_H

#include "optimizer/ciuic.h"

typedef struct sampler_options {
    double temperature; /* 0: the likeliest token, the lowest id of equals; otherwise logits are divided by it */
    size_t top_k;       /* a draw is among so many likeliest; 0: all */
    double top_p;       /* and of those among the fewest whose probabilities sum to at least this; 1: all */
    uint64_t seed;
} sampler_options;

typedef struct sampler sampler;

/* For logits [vocabulary]. */
ciuic_status sampler_create(const sampler_options *options, size_t vocabulary, sampler **out);
void sampler_free(sampler *s); /* NULL is allowed */
/* The draws that follow are those of text `index` under this seed, whatever was drawn before. */
void sampler_restart(sampler *s, size_t index);
/* CIUIC_ERROR_LIMIT: a logit is NaN or infinite. */
ciuic_status sampler_pick(sampler *s, const float *logits, int32_t *id);

#endif
