/* routing.h - which experts each token goes to, and the tokens sorted by expert. */
#ifndef CIUIC_ROUTING_H
#define CIUIC_ROUTING_H

#include "optimizer/checkpoint/config.h"
#include "optimizer/ciuic.h"

/* Result of routing `tokens` tokens; "row" is an index into the rows sorted by expert. */
typedef struct routing {
    size_t experts, per_token;
    size_t tokens;   /* of the present call */
    size_t capacity; /* tokens there is room for */
    size_t *first;   /* [experts + 1]: rows of expert e are first[e] .. first[e + 1] - 1 */
    size_t *token;   /* [capacity * per_token]: the token of each row */
    size_t *row;     /* [capacity][per_token]: the rows of each token, in order of choice */
    float *weight;   /* [capacity][per_token] */
    size_t *chosen;  /* [capacity][per_token]: experts, in order of choice */
    float *scores;   /* [experts]: workspace */
    bool *open;      /* [experts]: workspace */
} routing;

ciuic_status routing_create(routing *r, size_t experts, size_t per_token, size_t capacity);
void routing_free(routing *r);
size_t routing_bytes(const routing *r);

/* Chooses experts for `tokens` rows of router logits ([experts], `stride` floats apart) by the method of the
 * configuration; bias [experts] only selects (ROUTE_NOAUX_TC). Formulas: DeepSeek-V2 (arXiv:2405.04434, 2.2.1) and
 * DeepSeek-V3 (arXiv:2412.19437, 2.1.2). Ties go to the lower index; NaN scores lose to every number, and the choice is
 * valid whatever the logits are. */
void routing_choose(routing *r, const model_config *config, size_t tokens, const float *logits, size_t stride,
                    const float *bias);

#endif
