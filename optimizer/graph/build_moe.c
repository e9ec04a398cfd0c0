/* build_moe.c - a mixture-of-experts layer as its equations are written (DeepSeek-V2, arXiv:2405.04434, 2.2.1): every token
 * through the MLPs of the experts that it chose, summed by the router's weights, plus the shared expert (one MLP of n_shared
 * * width, unweighted). group-experts sorts the tokens by expert, as the authors' own inference code does. */
#include "optimizer/graph/build.h"

#include <stdio.h>

static int build_expert_matmul(builder *b, int x, int routing, const char *name, size_t rows, size_t columns)
{
    if (b->failed) return GRAPH_NONE;
    graph_weight weight = {
        .kind = GRAPH_EXPERTS, .parts = 1, .rows = {rows}, .columns = columns, .experts = b->config->experts};
    snprintf(weight.name[0], GRAPH_NAME, "model.layers.%d.mlp.experts.*.%s", b->layer, name);
    const int index = graph_add_weight(b->g, &weight);
    if (index == GRAPH_NONE) b->failed = true;
    const graph_op op = {.kind = GRAPH_EXPERT_MATMUL,
                         .weight = index,
                         .heads = 1,
                         .in = {graph_whole(x), graph_whole(routing), {.value = GRAPH_NONE}}};
    return build_op(b, op, x, rows, name);
}

int build_moe(builder *b, int x)
{
    const model_config *c = b->config;
    const size_t hidden = c->hidden_size, width = c->moe_intermediate_size;
    const int router = build_matrix(b, "mlp.gate", c->experts, hidden, false);
    if (b->failed) return GRAPH_NONE;
    b->g->weights[router].exact = true;
    const int scores = build_matmul(b, x, router, "router");
    if (b->failed) return GRAPH_NONE;

    const bool biased = c->route == ROUTE_NOAUX_TC;
    const graph_operand absent = {.value = GRAPH_NONE};
    const graph_op route = {.kind = GRAPH_ROUTE,
                            .heads = 1,
                            .head_width = c->experts,
                            .in = {graph_whole(scores), absent, absent},
                            .weight =
                                biased ? build_vector(b, "mlp.gate.e_score_correction_bias", c->experts) : GRAPH_NONE};
    const int routing = build_op(b, route, scores, 0, "routing");
    if (b->failed) return GRAPH_NONE;
    b->g->values[routing].dtype = GRAPH_ROUTING;

    const graph_op gather = {.kind = GRAPH_GATHER,
                             .weight = GRAPH_NONE,
                             .heads = 1,
                             .head_width = hidden,
                             .in = {graph_whole(x), graph_whole(routing), absent}};
    const int rows = build_op(b, gather, x, hidden, "gathered");
    if (b->failed) return GRAPH_NONE;
    b->g->values[rows].rows = GRAPH_ROUTED;
    const int gate = build_expert_matmul(b, rows, routing, "gate_proj", width, hidden);
    const int up = build_expert_matmul(b, rows, routing, "up_proj", width, hidden);
    const int silu = build_elementwise(b, GRAPH_SILU, gate, GRAPH_NONE, "silu");
    const int product = build_elementwise(b, GRAPH_MUL, silu, up, "gated");
    const int down = build_expert_matmul(b, product, routing, "down_proj", hidden, width);
    if (b->failed) return GRAPH_NONE;
    const graph_op combine = {.kind = GRAPH_COMBINE,
                              .weight = GRAPH_NONE,
                              .heads = 1,
                              .head_width = hidden,
                              .in = {graph_whole(down), graph_whole(routing), absent}};
    const int routed = build_op(b, combine, x, hidden, "routed");
    if (c->shared_experts == 0) return routed;
    const int shared = build_mlp(b, x, "mlp.shared_experts", c->shared_experts * width);
    return build_elementwise(b, GRAPH_ADD, routed, shared, "mlp");
}
