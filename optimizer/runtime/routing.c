/* routing.c - the router of a configuration, and the counting sort by expert. */
#include "optimizer/runtime/routing.h"

#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"

/* token, row, weight and chosen. */
enum { ROW_BYTES = 2 * sizeof(size_t) + sizeof(float) + sizeof(uint32_t) };

static kernel_router router_of(const model_config *c)
{
    return (kernel_router){.experts = c->experts,
                           .experts_per_token = c->experts_per_token,
                           .groups = c->route == ROUTE_GREEDY ? 1 : c->groups,
                           .groups_per_token = c->route == ROUTE_GREEDY ? 1 : c->top_groups,
                           .sigmoid = c->route == ROUTE_NOAUX_TC,
                           .group_by_two = c->route == ROUTE_NOAUX_TC,
                           .normalize = c->norm_topk_prob,
                           .scale = (float)c->routed_scaling_factor};
}

static ciuic_status allocate(routing *r)
{
    const size_t experts = r->experts, rows = r->capacity * r->per_token;
    r->first = malloc((experts + 1) * sizeof *r->first);
    r->token = malloc(rows * sizeof *r->token);
    r->row = malloc(rows * sizeof *r->row);
    r->weight = malloc(rows * sizeof *r->weight);
    r->chosen = malloc(rows * sizeof *r->chosen);
    r->workspace = malloc(2 * experts * sizeof *r->workspace);
    if (r->first && r->token && r->row && r->weight && r->chosen && r->workspace) return CIUIC_OK;
    routing_free(r);
    return ciuic_fail_memory("expert routing", rows * ROW_BYTES);
}

ciuic_status routing_create(routing *r, const model_config *config, size_t capacity)
{
    *r = (routing){.router = router_of(config),
                   .grouped = true,
                   .experts = config->experts,
                   .per_token = config->experts_per_token,
                   .capacity = capacity};
    return allocate(r);
}

ciuic_status routing_clone(routing *r, const routing *from)
{
    *r = (routing){
        .router = from->router, .experts = from->experts, .per_token = from->per_token, .capacity = from->tokens};
    CIUIC_TRY(allocate(r));
    routing_copy(r, from);
    return CIUIC_OK;
}

void routing_copy(routing *to, const routing *from)
{
    const size_t rows = from->tokens * from->per_token;
    to->tokens = from->tokens;
    to->grouped = from->grouped;
    if (from->grouped) memcpy(to->first, from->first, (from->experts + 1) * sizeof *to->first);
    memcpy(to->token, from->token, rows * sizeof *to->token);
    memcpy(to->row, from->row, rows * sizeof *to->row);
    memcpy(to->weight, from->weight, rows * sizeof *to->weight);
    memcpy(to->chosen, from->chosen, rows * sizeof *to->chosen);
}

void routing_free(routing *r)
{
    free(r->first);
    free(r->token);
    free(r->row);
    free(r->weight);
    free(r->chosen);
    free(r->workspace);
    *r = (routing){0};
}

static size_t bytes_for(size_t experts, size_t per_token, size_t capacity)
{
    if (experts == 0) return 0;
    return capacity * per_token * ROW_BYTES + (experts + 1) * sizeof(size_t) + 2 * experts * sizeof(float);
}

size_t routing_bytes(const routing *r)
{
    return bytes_for(r->experts, r->per_token, r->capacity);
}

size_t routing_need(const model_config *config, size_t capacity)
{
    return bytes_for(config->experts, config->experts_per_token, capacity);
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

static void keep_token_order(routing *r)
{
    for (size_t i = 0; i < r->tokens * r->per_token; i++) {
        r->token[i] = i / r->per_token;
        r->row[i] = i;
    }
}

void routing_choose(routing *r, kernel_route_fn *route, size_t tokens, const float *logits, size_t stride,
                    const float *bias)
{
    r->tokens = tokens;
    r->router.bias = bias;
    for (size_t t = 0; t < tokens; t++)
        route(&r->router, logits + t * stride, r->workspace, r->chosen + t * r->per_token,
              r->weight + t * r->per_token);
    if (r->grouped)
        sort_by_expert(r);
    else
        keep_token_order(r);
}
