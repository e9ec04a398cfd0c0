/* pass_absorb_mla.c - attention works on the cached latent itself instead of expanding every cached position.
 *
 * Why it preserves the function: a head's key is k_nope = W_UK c, so q_nope . k_nope = (W_UK^T q_nope) . c; its value is
 * W_UV c, so sum_j p_j W_UV c_j = W_UV (sum_j p_j c_j). (DeepSeek-V2, arXiv:2405.04434, section 2.1.2.) Matrix products are
 * re-associated, so sums are rounded in another order: relative differences of a few ulp times the length of the sums.
 *
 * What it costs, and when it is taken, is cost.c's to say. A decoded token over a cache of S positions saves the expansion
 * of all of them, rank * (nope + v) multiplications for each head and position, for 2 * rank - nope - v more in attention.
 * A prefill shares one expansion among its T tokens: it is absorbed when they are few and the cache is long, by a plan of
 * its own (GRAPH_PREFILL_ABSORBED). The expanded cache (memory = off) holds no latent: nothing to absorb. */
#include "optimizer/error.h"
#include "optimizer/graph/cost.h"
#include "optimizer/graph/graph.h"

/* The operation that writes operand `in` when it is of that kind, otherwise NULL. */
static const graph_op *source(const graph *g, const graph_operand *in, graph_op_kind kind)
{
    if (in->value == GRAPH_NONE) return NULL;
    const int i = graph_producer(g, in->value);
    return i != GRAPH_NONE && g->ops[i].kind == kind ? &g->ops[i] : NULL;
}

static ciuic_status absorb(graph *g, int index, bool *changed)
{
    const graph_op *attention = &g->ops[index];
    const graph_op *query = source(g, &attention->in[0], GRAPH_CONCAT);
    const graph_op *keys = source(g, &attention->in[1], GRAPH_CONCAT);
    const graph_op *values = source(g, &attention->in[2], GRAPH_SLICE);
    const graph_op *k_nope = keys ? source(g, &keys->in[0], GRAPH_SLICE) : NULL;
    const graph_op *k_pe = keys ? source(g, &keys->in[1], GRAPH_CACHE_READ) : NULL;
    const graph_op *expand = values ? source(g, &values->in[0], GRAPH_MATMUL) : NULL;
    const graph_op *latent = expand ? source(g, &expand->in[0], GRAPH_CACHE_READ) : NULL;
    if (!query || !k_nope || !k_pe || !latent || k_nope->in[0].value != values->in[0].value) return CIUIC_OK;

    const size_t heads = attention->heads, nope = keys->head_width, pe = keys->tail_width;
    const size_t rank = latent->head_width, v_dim = attention->value_width;
    const int layer = attention->layer, kv_b = expand->weight, query_index = graph_producer(g, attention->in[0].value);
    const int absorbed = graph_add_value(g, GRAPH_F32, GRAPH_TOKENS, heads * (rank + pe), "%d.absorbed_query", layer);
    const int context = graph_add_value(g, GRAPH_F32, GRAPH_TOKENS, heads * rank, "%d.latent_context", layer);
    const graph_op blank = {.kind = GRAPH_ABSORB_VALUE,
                            .in = {{GRAPH_NONE, 0, 0}, {GRAPH_NONE, 0, 0}, {GRAPH_NONE, 0, 0}}};
    if (absorbed == GRAPH_NONE || context == GRAPH_NONE || graph_add_op(g, &blank) == GRAPH_NONE)
        return ciuic_fail_memory("a graph pass", heads * rank);

    graph_op *q = &g->ops[query_index];
    q->kind = GRAPH_ABSORB_QUERY; /* head_width = nope and tail_width = pe stay as the concatenation had them */
    q->weight = kv_b;
    q->key_width = rank + pe;
    q->value_width = v_dim;
    q->out = (graph_operand){.value = absorbed, .stride = rank + pe};

    for (int i = g->op_count - 1; i > index + 1; i--) g->ops[i] = g->ops[i - 1];
    graph_op *a = &g->ops[index];
    g->ops[index + 1] = (graph_op){.kind = GRAPH_ABSORB_VALUE,
                                   .layer = layer,
                                   .weight = kv_b,
                                   .heads = heads,
                                   .head_width = rank,
                                   .key_width = nope,
                                   .value_width = v_dim,
                                   .in = {{context, 0, rank}, {GRAPH_NONE, 0, 0}, {GRAPH_NONE, 0, 0}},
                                   .out = a->out};
    a->in[0] = (graph_operand){.value = absorbed, .stride = rank + pe};
    a->in[1] = a->in[2] = (graph_operand){.value = GRAPH_NONE};
    a->kv_heads = 1;
    a->key_width = rank + pe;
    a->value_width = rank;
    a->out = (graph_operand){.value = context, .stride = rank};
    *changed = true;
    return CIUIC_OK;
}

/* Decode is taken once for all lengths of the cache: by the one in the middle. */
static bool pays(const graph *g, const graph_op *attention)
{
    const graph_op *keys = source(g, &attention->in[1], GRAPH_CONCAT);
    const int from = keys != NULL ? graph_producer(g, keys->in[0].value) : GRAPH_NONE;
    const int expand = from != GRAPH_NONE ? graph_producer(g, g->ops[from].in[0].value) : GRAPH_NONE;
    if (expand == GRAPH_NONE || g->ops[expand].kind != GRAPH_MATMUL) return false;
    const graph_mla m = {.heads = attention->heads,
                         .rank = g->weights[g->ops[expand].weight].columns,
                         .nope = keys->head_width,
                         .pe = keys->tail_width,
                         .value = attention->value_width};
    return graph_mla_choose(&m, 1, g->context / 2 + 1) == GRAPH_MLA_ABSORBED;
}

ciuic_status graph_pass_absorb_mla(graph *g, const graph_pass_options *options, bool *changed)
{
    (void)options;
    const bool prefill = g->phase == GRAPH_PREFILL_ABSORBED || g->phase == GRAPH_PREFILL_ALL_ABSORBED;
    if (g->cache != GRAPH_CACHE_LATENT || !(prefill || g->phase == GRAPH_DECODE)) return CIUIC_OK;
    for (int i = 0; i < g->op_count; i++)
        if (g->ops[i].kind == GRAPH_ATTENTION && (prefill || pays(g, &g->ops[i]))) CIUIC_TRY(absorb(g, i, changed));
    return *changed ? graph_sweep(g, changed) : CIUIC_OK; /* what the expansion needed */
}
