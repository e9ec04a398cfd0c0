/* routing.c - softmax and sigmoid gates, group limits, and the counting sort by expert. */
#include "optimizer/runtime/routing.h"

#include <math.h>
#include <stdlib.h>

#include "optimizer/error.h"

ciuic_status routing_create(routing *r, size_t experts, size_t per_token, size_t capacity)
{
    const size_t rows = capacity * per_token;
    *r = (routing){.experts = experts, .per_token = per_token, .capacity = capacity};
    r->first = malloc((experts + 1) * sizeof *r->first);
    r->token = malloc(rows * sizeof *r->token);
    r->row = malloc(rows * sizeof *r->row);
    r->weight = malloc(rows * sizeof *r->weight);
    r->chosen = malloc(rows * sizeof *r->chosen);
    r->scores = malloc(experts * sizeof *r->scores);
    r->open = malloc(experts * sizeof *r->open);
    if (r->first && r->token && r->row && r->weight && r->chosen && r->scores && r->open) return CIUIC_OK;
    routing_free(r);
    return ciuic_fail_memory("expert routing", rows * (3 * sizeof(size_t) + sizeof(float)));
}

void routing_free(routing *r)
{
    free(r->first);
    free(r->token);
    free(r->row);
    free(r->weight);
    free(r->chosen);
    free(r->scores);
    free(r->open);
    *r = (routing){0};
}

size_t routing_bytes(const routing *r)
{
    return r->capacity * r->per_token * (3 * sizeof(size_t) + sizeof(float)) + (r->experts + 1) * sizeof(size_t) +
           r->experts * (sizeof(float) + sizeof(bool));
}

static void softmax(size_t n, const float *logits, float *out)
{
    float max = -INFINITY, sum = 0.0f;
    for (size_t i = 0; i < n; i++) max = fmaxf(max, logits[i]);
    for (size_t i = 0; i < n; i++) sum += out[i] = expf(logits[i] - max);
    for (size_t i = 0; i < n; i++) out[i] /= sum;
}

/* What an expert is chosen by: its score, plus the bias where there is one. */
static float choice_score(const routing *r, const float *bias, size_t expert)
{
    return bias != NULL ? r->scores[expert] + bias[expert] : r->scores[expert];
}

/* V2 ranks a group by its best expert, V3 by the sum of its two best. */
static float group_score(const routing *r, const float *bias, size_t first, size_t size, bool two)
{
    float best = -INFINITY, second = -INFINITY;
    for (size_t i = first; i < first + size; i++) {
        const float score = choice_score(r, bias, i);
        if (score > best) {
            second = best;
            best = score;
        } else if (score > second) {
            second = score;
        }
    }
    return two && size > 1 ? best + second : best;
}

/* Leaves only the experts of the best groups open. */
static void open_groups(routing *r, const model_config *c, const float *bias)
{
    const size_t size = r->experts / c->groups;
    for (size_t i = 0; i < r->experts; i++) r->open[i] = false;
    for (size_t chosen = 0; chosen < c->top_groups; chosen++) {
        size_t best = c->groups;
        float best_score = -INFINITY;
        for (size_t i = 0; i < c->groups; i++) {
            if (r->open[i * size]) continue;
            const float score = group_score(r, bias, i * size, size, c->route == ROUTE_NOAUX_TC);
            if (best == c->groups || score > best_score) {
                best = i;
                best_score = score;
            }
        }
        for (size_t i = 0; i < size; i++) r->open[best * size + i] = true;
    }
}

static void choose_for_token(routing *r, const model_config *c, const float *logits, const float *bias, size_t *chosen,
                             float *weight)
{
    if (c->route == ROUTE_NOAUX_TC)
        for (size_t i = 0; i < r->experts; i++) r->scores[i] = 1.0f / (1.0f + expf(-logits[i]));
    else
        softmax(r->experts, logits, r->scores);
    if (c->route == ROUTE_GREEDY)
        for (size_t i = 0; i < r->experts; i++) r->open[i] = true;
    else
        open_groups(r, c, bias);

    float sum = 0.0f;
    for (size_t k = 0; k < r->per_token; k++) {
        size_t best = r->experts;
        float best_score = -INFINITY;
        for (size_t i = 0; i < r->experts; i++) {
            if (!r->open[i]) continue;
            const float score = choice_score(r, bias, i);
            if (best == r->experts || score > best_score) {
                best = i;
                best_score = score;
            }
        }
        r->open[best] = false;
        chosen[k] = best;
        weight[k] = r->scores[best];
        sum += weight[k];
    }
    const float scale = (float)c->routed_scaling_factor / (c->norm_topk_prob ? sum + 1e-20f : 1.0f);
    for (size_t k = 0; k < r->per_token; k++) weight[k] *= scale;
}

/* Counting sort: rows of expert 0 first, each expert's in token order. */
static void sort_by_expert(routing *r)
{
    const size_t rows = r->tokens * r->per_token;
    for (size_t e = 0; e <= r->experts; e++) r->first[e] = 0;
    for (size_t i = 0; i < rows; i++) r->first[r->chosen[i] + 1]++;
    for (size_t e = 0; e < r->experts; e++) r->first[e + 1] += r->first[e];
    for (size_t i = 0; i < rows; i++) {
        const size_t row = r->first[r->chosen[i]]++; /* first[e] runs up to the end of e ... */
        r->token[row] = i / r->per_token;
        r->row[i] = row;
    }
    for (size_t e = r->experts; e > 0; e--) r->first[e] = r->first[e - 1]; /* ... and is moved back to its start */
    r->first[0] = 0;
}

void routing_choose(routing *r, const model_config *config, size_t tokens, const float *logits, size_t stride,
                    const float *bias)
{
    r->tokens = tokens;
    for (size_t t = 0; t < tokens; t++)
        choose_for_token(r, config, logits + t * stride, bias, r->chosen + t * r->per_token,
                         r->weight + t * r->per_token);
    sort_by_expert(r);
}
