/* routing.h - which experts each token goes to, and the rows that they are multiplied in: token by token, in the order of
 * choice, or sorted by expert. */
#ifndef CIUIC_ROUTING_H
#define CIUIC_ROUTING_H

#include "kernels/kernels.h"
#include "optimizer/checkpoint/config.h"
#include "optimizer/ciuic.h"

/* Result of routing `tokens` tokens; "row" is an index into the routed rows. */
typedef struct routing {
    kernel_router router; /* the bias is that of the present call */
    bool grouped; /* rows are sorted by expert; otherwise row t * per_token + i is choice i of token t. Set before
                             choosing; routing_create sets it */
    size_t experts, per_token;
    size_t tokens;    /* of the present call */
    size_t capacity;  /* tokens there is room for */
    size_t *first;    /* [experts + 1], grouped: rows of expert e are first[e] .. first[e + 1] - 1 */
    size_t *token;    /* [capacity * per_token]: the token of each row */
    size_t *row;      /* [capacity][per_token]: the rows of each token, in order of choice */
    float *weight;    /* [capacity][per_token] */
    uint32_t *chosen; /* [capacity][per_token]: experts, in order of choice */
    float *workspace; /* [2][experts], of the kernel */
} routing;

/* For the router of the configuration, and at most `capacity` tokens. An error leaves nothing to be freed. */
ciuic_status routing_create(routing *r, const model_config *config, size_t capacity);
/* A router of its own that holds the choice of `from`, with room for no more tokens. An error leaves nothing to be freed. */
ciuic_status routing_clone(routing *r, const routing *from);
/* The choice that `from` holds, for a router of the same experts; `to` has room for its tokens. */
void routing_copy(routing *to, const routing *from);
void routing_free(routing *r);
size_t routing_bytes(const routing *r);
/* What routing that many tokens would take; 0 without experts. */
size_t routing_need(const model_config *config, size_t capacity);

/* Chooses experts for `tokens` rows of router logits ([experts], `stride` floats apart) by `route`, the kernel; bias
 * [experts] only selects, NULL: none. Formulas: DeepSeek-V2 (arXiv:2405.04434, 2.2.1) and DeepSeek-V3 (arXiv:2412.19437,
 * 2.1.2). Ties go to the lower index, a NaN score loses to every number, and the choice is valid whatever the logits
 * are. */
void routing_choose(routing *r, kernel_route_fn *route, size_t tokens, const float *logits, size_t stride,
                    const float *bias);

#endif
