/* plan_cost.h - what one call of a plan costs, with its weights as they are stored. */
#ifndef CIUIC_PLAN_COST_H
#define CIUIC_PLAN_COST_H

#include "optimizer/runtime/execute.h"
#include "optimizer/runtime/session_cost.h"

/* costs[kind] += times * (a call of `tokens` tokens after which the cache holds `context` positions of `cached` bytes a
 * value). */
void plan_cost_add(const plan *p, double cached, size_t tokens, size_t context, double times,
                   kind_cost costs[GRAPH_OP_KINDS]);

#endif
