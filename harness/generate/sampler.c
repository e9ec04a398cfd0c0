/* sampler.c - see sampler.h. In the order of Hugging Face's processors: temperature, then top-k, then top-p. */
#include "harness/generate/sampler.h"

#include <math.h>
#include <stdlib.h>

#include "harness/split_mix.h"
#include "optimizer/error.h"

typedef struct candidate {
    float logit;
    int32_t id;
} candidate;

struct sampler {
    sampler_options options;
    uint64_t state;
    size_t vocabulary;
    candidate *candidates; /* [vocabulary]; NULL where nothing is drawn */
    double *weights;       /* [vocabulary] */
};

ciuic_status sampler_create(const sampler_options *options, size_t vocabulary, sampler **out)
{
    sampler *s = calloc(1, sizeof *s);
    if (s == NULL) return ciuic_fail_memory("a sampler", sizeof *s);
    s->options = *options;
    s->vocabulary = vocabulary;
    if (options->temperature > 0) {
        s->candidates = calloc(vocabulary, sizeof *s->candidates);
        s->weights = calloc(vocabulary, sizeof *s->weights);
        if (s->candidates == NULL || s->weights == NULL) {
            sampler_free(s);
            return ciuic_fail_memory("a sampler", vocabulary * (sizeof *s->candidates + sizeof *s->weights));
        }
    }
    sampler_restart(s, 0);
    *out = s;
    return CIUIC_OK;
}

void sampler_free(sampler *s)
{
    if (s == NULL) return;
    free(s->candidates);
    free(s->weights);
    free(s);
}

void sampler_restart(sampler *s, size_t index)
{
    s->state = s->options.seed;
    s->state = split_mix_next(&s->state) ^ index; /* texts next to each other in number begin far apart */
    s->state = split_mix_next(&s->state);
}

static int32_t likeliest(const float *logits, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best]) best = i;
    return (int32_t)best;
}

static int harder(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
    return x->id < y->id ? -1 : 1;
}

static int32_t draw_one(sampler *s, const float *logits)
{
    const sampler_options *o = &s->options;
    for (size_t i = 0; i < s->vocabulary; i++) s->candidates[i] = (candidate){logits[i], (int32_t)i};
    qsort(s->candidates, s->vocabulary, sizeof *s->candidates, harder);
    size_t n = o->top_k > 0 && o->top_k < s->vocabulary ? o->top_k : s->vocabulary;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        s->weights[i] = exp(((double)s->candidates[i].logit - (double)s->candidates[0].logit) / o->temperature);
        sum += s->weights[i];
    }
    double kept = 0;
    size_t count = 0;
    while (count < n && (count == 0 || kept < o->top_p * sum)) kept += s->weights[count++];
    const double at = (double)(split_mix_next(&s->state) >> 11) * 0x1p-53 * kept;
    double passed = 0;
    for (size_t i = 0; i < count; i++) {
        passed += s->weights[i];
        if (at < passed) return s->candidates[i].id;
    }
    return s->candidates[count - 1].id; /* rounding of the sum */
}

ciuic_status sampler_pick(sampler *s, const float *logits, int32_t *id)
{
    for (size_t i = 0; i < s->vocabulary; i++)
        if (!isfinite(logits[i]))
            return ciuic_fail(CIUIC_ERROR_LIMIT, "the logits hold NaN or infinity: no next token");
    *id = s->options.temperature > 0 ? draw_one(s, logits) : likeliest(logits, s->vocabulary);
    return CIUIC_OK;
}
