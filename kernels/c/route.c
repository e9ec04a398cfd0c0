/* route.c - the gates of a mixture of experts (DeepSeek-V2 section 2.2; DeepSeek-V3 section 2.1.2). Portable on every
 * rung: a token has at most some hundred experts to choose from.
 *
 * A NaN counts as minus infinity when experts are chosen, so that a closed group may be marked by NaN: top_k_c then takes
 * from it only what the open ones cannot fill, and the choice is valid whatever the logits are. */
#include "kernels/c/exp.h"
#include "kernels/c/kernels_c.h"

#include <math.h>

/* By e^-|x|, which never overflows. */
static float sigmoid(float x)
{
    const float e = exp_f32(-fabsf(x));
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}

/* What a group of `size` experts counts for: its best, or the sum of its two best. */
static float group_score(const float *choice, size_t size, bool by_two)
{
    float best = -INFINITY, second = -INFINITY;
    for (size_t i = 0; i < size; i++) {
        if (choice[i] > best) {
            second = best;
            best = choice[i];
        } else if (choice[i] > second) {
            second = choice[i];
        }
    }
    const float score = by_two && size > 1 ? best + second : best;
    return isnan(score) ? -INFINITY : score;
}

/* Closes the last of the open groups until groups_per_token are left; among equals the one of the highest index. */
static void close_groups(const kernel_router *r, float *choice)
{
    const size_t size = r->experts / r->groups;
    for (size_t open = r->groups; open > r->groups_per_token; open--) {
        size_t last = r->groups;
        float lowest = INFINITY;
        for (size_t g = 0; g < r->groups; g++) {
            const float *group = choice + g * size;
            if (isnan(group[0])) continue;
            const float score = group_score(group, size, r->group_by_two);
            if (score <= lowest) last = g, lowest = score;
        }
        for (size_t i = 0; i < size; i++) choice[last * size + i] = NAN;
    }
}

void route_c(const kernel_router *r, const float *logits, float *workspace, uint32_t *expert, float *weight)
{
    float *scores = workspace, *choice = workspace + r->experts;
    if (r->experts == 0) return;
    if (r->sigmoid)
        for (size_t i = 0; i < r->experts; i++) scores[i] = sigmoid(logits[i]);
    else
        softmax_c(r->experts, logits, scores);
    for (size_t i = 0; i < r->experts; i++) {
        const float score = r->bias ? scores[i] + r->bias[i] : scores[i];
        choice[i] = isnan(score) ? -INFINITY : score;
    }
    if (r->groups > 1) close_groups(r, choice);
    top_k_c(r->experts, choice, r->experts_per_token, expert);

    float sum = 0;
    for (size_t k = 0; k < r->experts_per_token; k++) {
        weight[k] = scores[expert[k]];
        sum += weight[k];
    }
    const float factor = r->normalize ? r->scale / (sum + 1e-20f) : r->scale;
    for (size_t k = 0; k < r->experts_per_token; k++) weight[k] *= factor;
}
