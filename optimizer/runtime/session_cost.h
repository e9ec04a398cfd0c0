/* session_cost.h - what calls of a session come to in operations and bytes, worked out from its plans and from how its weights
 * and its cache are stored; nothing is run. */
#ifndef CIUIC_SESSION_COST_H
#define CIUIC_SESSION_COST_H

#include "optimizer/ciuic.h"
#include "optimizer/graph/graph.h"

/* Sums over operations; cost.h says what counts as one, and as a byte. */
typedef struct kind_cost {
    double flops;
    double weight_bytes;     /* read, as they are stored: codes, scales and biases */
    double cache_bytes;      /* of keys and values, read and written, with their scales */
    double activation_bytes; /* of all other values, read and written */
    double written_bytes;    /* of the last two together, those written */
} kind_cost;

/* Adds to costs[kind of operation] what a prefill of `tokens` tokens takes, in the chunks that the session would cut it
 * into, or with `decode` so many decodes, from `length` positions on. Of experts, as many as tokens can choose: the most that
 * may be read. */
void session_cost(const ciuic_session *session, bool decode, size_t length, size_t tokens,
                  kind_cost costs[GRAPH_OP_KINDS]);

#endif
