/* sampler.c - see sampler.h. In the order of Hugging Face's processors: temperature, then top-k, then top-p. Candidates are
 * ordered only as far as a draw has to know them: likely tokens come first, and a vocabulary is long. */
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
    candidate
        *candidates; /* [vocabulary], a heap before those that were taken out of it; NULL where nothing is drawn */
    size_t heap;     /* candidates still in the heap; those taken out follow, the likeliest last */
    double *weights; /* [vocabulary] of those taken out, the likeliest first */
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

/* The lowest id of equals comes first, so that the order is one. */
static bool before(candidate a, candidate b)
{
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

/* The heap's one candidate that may come after its children goes down to where it does not. */
static void sift_down(candidate *heap, size_t n, size_t at)
{
    const candidate moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], moved)) break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

static void fill_heap(sampler *s, const float *logits)
{
    s->heap = s->vocabulary;
    for (size_t i = 0; i < s->vocabulary; i++) s->candidates[i] = (candidate){logits[i], (int32_t)i};
    for (size_t i = s->vocabulary / 2; i-- > 0;) sift_down(s->candidates, s->heap, i);
}

static double weight_of(const sampler *s, float logit, float top)
{
    return exp(((double)logit - (double)top) / s->options.temperature);
}

/* The candidate of that rank, from 0, and its weight in s->weights[rank]. */
static int32_t ranked(sampler *s, size_t rank)
{
    const size_t last = s->vocabulary - 1;
    for (size_t taken; (taken = s->vocabulary - s->heap) <= rank;) {
        const candidate next = s->candidates[0];
        s->candidates[0] = s->candidates[--s->heap];
        sift_down(s->candidates, s->heap, 0);
        s->candidates[s->heap] = next;
        s->weights[taken] = weight_of(s, next.logit, s->candidates[last].logit);
    }
    return s->candidates[last - rank].id;
}

/* The weight of all that a draw is among, before top-p: of a whole vocabulary in the order of its ids, which asks for no other. */
static double sum_weights(sampler *s, const float *logits, size_t n)
{
    double sum = 0;
    const float top = s->candidates[0].logit;
    if (n == s->vocabulary)
        for (size_t i = 0; i < n; i++) sum += weight_of(s, logits[i], top);
    else
        for (size_t i = 0; i < n; i++) {
            ranked(s, i);
            sum += s->weights[i];
        }
    return sum;
}

static int32_t draw_one(sampler *s, const float *logits)
{
    const sampler_options *o = &s->options;
    fill_heap(s, logits);
    size_t count = o->top_k > 0 && o->top_k < s->vocabulary ? o->top_k : s->vocabulary;
    double kept = sum_weights(s, logits, count);
    if (o->top_p < 1) {
        const size_t n = count;
        const double enough = o->top_p * kept;
        for (count = 0, kept = 0; count < n && (count == 0 || kept < enough); kept += s->weights[count++])
            ranked(s, count);
    }
    const double at = (double)(split_mix_next(&s->state) >> 11) * 0x1p-53 * kept;
    double passed = 0;
    for (size_t i = 0; i < count; i++) {
        const int32_t id = ranked(s, i);
        passed += s->weights[i];
        if (at < passed) return id;
    }
    return ranked(s, count - 1); /* rounding of the sum */
}

ciuic_status sampler_pick(sampler *s, const float *logits, int32_t *id)
{
    for (size_t i = 0; i < s->vocabulary; i++)
        if (!isfinite(logits[i]))
            return ciuic_fail(CIUIC_ERROR_LIMIT, "the logits hold NaN or infinity: no next token");
    *id = s->options.temperature > 0 ? draw_one(s, logits) : likeliest(logits, s->vocabulary);
    return CIUIC_OK;
}
