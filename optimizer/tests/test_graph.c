/* test_graph.c - graphs: what builders and passes make of each architecture, and what validation refuses. The numeric
 * proof that passes preserve the function is in test_variants.c. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/graph/graph.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/runner.h"

static const graph_pass_options no_folding = {.fold_norms = false}, folding = {.fold_norms = true};

static bool build(const char *folder, graph_phase phase, graph_cache cache, graph **g)
{
    char path[256];
    model_config config;
    snprintf(path, sizeof path, "%s/config.json", folder);
    const bool ok = model_config_read(path, &config) == CIUIC_OK && graph_build(&config, phase, cache, g) == CIUIC_OK;
    CHECK(ok, "%s: %s", folder, ciuic_last_error());
    return ok;
}

static int count_ops(const graph *g, graph_op_kind kind)
{
    int count = 0;
    for (int i = 0; i < g->op_count; i++) count += g->ops[i].kind == kind ? 1 : 0;
    return count;
}

/* What is left of each kind after all passes, for deepseek-v3-tiny: 6 layers, the first dense. */
typedef struct expectation {
    graph_op_kind kind;
    int before, after; /* decode over the latent cache */
} expectation;
static const uint32_t every_pass = (1u << CIUIC_PASSES) - 1;
static const expectation tiny_decode[] = {
    {GRAPH_EMBED, 1, 1},
    /* a layer: q_a, q_b, kv_a, kv_b, o = 5, dense mlp 3, shared mlp 3 and router 1, head 1 -> q_a|kv_a, q_b, o = 3,
     * down of dense and shared mlp, router, head 1; gate|up of dense and shared mlp and of experts with an epilogue */
    {GRAPH_MATMUL, 6 * 5 + 3 + 5 * 4 + 1, 6 * 3 + 1 + 5 * 2 + 1},
    {GRAPH_MATMUL_SWIGLU, 0, 6},
    {GRAPH_EXPERT_MATMUL, 5 * 3, 5},
    {GRAPH_EXPERT_SWIGLU, 0, 5},
    {GRAPH_SLICE, 6 * 6, 0},
    {GRAPH_CONCAT, 6 * 2, 0},
    {GRAPH_CACHE_READ, 6 * 2, 0},
    {GRAPH_ABSORB_QUERY, 0, 6},
    {GRAPH_ABSORB_VALUE, 0, 6},
    {GRAPH_ATTENTION, 6, 6},
    {GRAPH_SILU, 11, 0},
    {GRAPH_MUL, 11, 0},
    {GRAPH_SWIGLU, 0, 0},
    {GRAPH_CACHE_WRITE, 6, 6},
    /* input, q_a, kv_a, post-attention; all but the first input norm and the latent ones go with a residual sum */
    {GRAPH_RMS_NORM, 6 * 4 + 1, 6 * 2 + 1},
    {GRAPH_ADD, 6 * 2 + 5, 5},
    {GRAPH_ADD_NORM, 0, 6 * 2},
};

static void test_decode_passes(void)
{
    graph *g = NULL;
    if (!build("datasets/deepseek-v3-tiny", GRAPH_DECODE, GRAPH_CACHE_LATENT, &g)) return;
    for (size_t i = 0; i < sizeof tiny_decode / sizeof tiny_decode[0]; i++)
        CHECK(count_ops(g, tiny_decode[i].kind) == tiny_decode[i].before, "%s before: %d, expected %d",
              graph_op_name(tiny_decode[i].kind), count_ops(g, tiny_decode[i].kind), tiny_decode[i].before);
    CU_ASSERT_EQUAL(graph_optimize(g, &no_folding, every_pass), CIUIC_OK);
    for (size_t i = 0; i < sizeof tiny_decode / sizeof tiny_decode[0]; i++)
        CHECK(count_ops(g, tiny_decode[i].kind) == tiny_decode[i].after, "%s after: %d, expected %d",
              graph_op_name(tiny_decode[i].kind), count_ops(g, tiny_decode[i].kind), tiny_decode[i].after);
    graph_free(g);
}

/* Only what the last token's logits need is left to the last token: head and final norm, and the last layer's output
 * projection and feed-forward; the keys and values of all tokens are still computed. */
static void test_last_row(void)
{
    graph *g = NULL;
    if (!build("datasets/deepseek-v3-tiny", GRAPH_PREFILL, GRAPH_CACHE_LATENT, &g)) return;
    CU_ASSERT_EQUAL(count_ops(g, GRAPH_LAST_ROW), 1);
    CU_ASSERT_EQUAL(graph_optimize(g, &no_folding, every_pass), CIUIC_OK);
    CU_ASSERT_EQUAL(count_ops(g, GRAPH_LAST_ROW), 0);
    CU_ASSERT_TRUE(g->values[g->output].last);
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (op->layer >= 0 && op->layer < 5)
            CHECK(!op->last, "operation %d of layer %d runs for the last row", i, op->layer);
        if (op->kind == GRAPH_CACHE_WRITE) CU_ASSERT_FALSE(op->last);
        if (op->layer == 5 &&
            (op->kind == GRAPH_ATTENTION || op->kind == GRAPH_EXPERT_MATMUL || op->kind == GRAPH_ROUTE))
            CHECK(op->last, "%s of the last layer runs for all rows", graph_op_name(op->kind));
    }
    graph_free(g);
}

/* Folding takes the weights out of exactly the norms that matrices alone read: two a layer and the last. */
static void test_fold_norms(void)
{
    graph *g = NULL;
    if (!build("datasets/deepseek-v3-tiny", GRAPH_DECODE, GRAPH_CACHE_LATENT, &g)) return;
    CU_ASSERT_EQUAL(graph_optimize(g, &folding, every_pass), CIUIC_OK);
    int bare = 0, folded = 0;
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if ((op->kind == GRAPH_RMS_NORM || op->kind == GRAPH_ADD_NORM) && op->weight == GRAPH_NONE) bare++;
        if (graph_is_matmul(op->kind) && g->weights[op->weight].fold[0] != '\0') folded++;
    }
    /* q_a's norm too: only q_b reads it. The latent norm is cached and keeps its weights. */
    CHECK(bare == 6 * 3 + 1, "%d norms without weights", bare);
    /* q_a|kv_a and q_b a layer; gate|up dense; router, shared gate|up, experts' gate|up; head */
    CHECK(folded == 6 * 2 + 1 + 5 * 3 + 1, "%d matrices with a norm folded in", folded);
    graph_free(g);
}

static bool same_graph(const graph *a, const graph *b)
{
    return a->op_count == b->op_count && a->value_count == b->value_count && a->output == b->output &&
           memcmp(a->ops, b->ops, (size_t)a->op_count * sizeof *a->ops) == 0;
}

/* On every architecture, phase and cache: passes leave valid graphs, never more operations, and a second round finds
 * nothing to do and leaves the graph identical. */
static void test_passes_everywhere(void)
{
    for (size_t i = 0; i < golden_folder_count; i++)
        for (int phase = 0; phase < GRAPH_PHASES; phase++)
            for (int cache = GRAPH_CACHE_EXPANDED; cache <= GRAPH_CACHE_LATENT; cache++) {
                graph *g = NULL, *once = NULL;
                const bool mla = strstr(golden_folders[i], "-v2") || strstr(golden_folders[i], "-v3");
                if (cache == GRAPH_CACHE_LATENT && !mla) continue;
                if (!build(golden_folders[i], (graph_phase)phase, (graph_cache)cache, &g)) continue;
                if (!build(golden_folders[i], (graph_phase)phase, (graph_cache)cache, &once)) continue;
                const int before = g->op_count;
                CU_ASSERT_EQUAL(graph_optimize(once, &no_folding, every_pass), CIUIC_OK);
                CU_ASSERT_EQUAL(graph_optimize(g, &no_folding, every_pass), CIUIC_OK);
                for (size_t p = 0; p < CIUIC_PASSES; p++) {
                    bool changed = false;
                    CU_ASSERT_EQUAL(graph_passes[p].run(g, &no_folding, &changed), CIUIC_OK);
                    CHECK(!changed, "%s phase %d cache %d: pass %s finds more to do", golden_folders[i], phase, cache,
                          graph_passes[p].name);
                }
                CHECK(same_graph(g, once), "%s phase %d cache %d: an idle pass changed the graph", golden_folders[i],
                      phase, cache);
                CHECK(g->op_count < before, "%s: %d operations became %d", golden_folders[i], before, g->op_count);
                graph_free(g);
                graph_free(once);
            }
}

/* A prefill for the last token's logits computes the last layer's queries for that token only, though fusing them with keys and
 * values pays in every other layer. */
static void test_queries_of_the_last_layer(void)
{
    static const char *const names[] = {".q_proj", ".q_a_proj"};
    for (size_t i = 0; i < golden_folder_count; i++)
        for (int cache = GRAPH_CACHE_EXPANDED; cache <= GRAPH_CACHE_LATENT; cache++) {
            graph *g = NULL;
            int last = 0, fused = 0, last_layer = GRAPH_NONE;
            if (cache == GRAPH_CACHE_LATENT && !(strstr(golden_folders[i], "-v2") || strstr(golden_folders[i], "-v3")))
                continue;
            if (!build(golden_folders[i], GRAPH_PREFILL, (graph_cache)cache, &g)) continue;
            CU_ASSERT_EQUAL(graph_optimize(g, &no_folding, 0), CIUIC_OK);
            for (int o = 0; o < g->op_count; o++)
                last_layer = g->ops[o].layer > last_layer ? g->ops[o].layer : last_layer;
            for (int o = 0; o < g->op_count; o++) {
                const graph_op *op = &g->ops[o];
                const graph_weight *w = op->kind == GRAPH_MATMUL ? &g->weights[op->weight] : NULL;
                for (size_t n = 0; n < 2 && w != NULL; n++) {
                    if (strstr(w->name[0], names[n]) == NULL) continue;
                    if (op->layer == last_layer) last += op->last && w->parts == 1 ? 1 : -100;
                    if (op->layer == 0) fused += w->parts > 1 ? 1 : 0;
                }
            }
            CHECK(last == 1 && fused == 1, "%s cache %d: %d of the last layer, %d fused in the first",
                  golden_folders[i], cache, last, fused);
            graph_free(g);
        }
}

/* Damage to a valid graph, and words of the refusal. `kind`: the first operation of which is damaged; the graph is that of a
 * prefill, or with `absorbed` one of decode, over a latent cache where the model has one. */
typedef struct damage {
    const char *what, *folder;
    graph_op_kind kind;
    void (*apply)(graph *g, graph_op *op);
    const char *words;
    bool absorbed;
} damage;

static void swap_first_ops(graph *g, graph_op *op)
{
    const graph_op first = *op;
    g->ops[0] = g->ops[1];
    g->ops[1] = first;
}
static void unbind_input(graph *g, graph_op *op)
{
    op->in[0].value = g->value_count;
}
static void widen_operand(graph *g, graph_op *op)
{
    (void)g;
    op->in[0].offset = 1;
}
static void lose_weight(graph *g, graph_op *op)
{
    (void)g;
    op->weight = GRAPH_NONE;
}
static void lose_output(graph *g, graph_op *op)
{
    (void)op;
    g->output = g->value_count - 1;
    g->op_count = 2;
}
static void write_twice(graph *g, graph_op *op)
{
    op->out.value = g->ops[0].out.value;
}
static void odd_heads(graph *g, graph_op *op)
{
    (void)g;
    op->kv_heads = 3;
}
static void uneven_gate(graph *g, graph_op *op)
{
    (void)g;
    op->kind = GRAPH_MATMUL_SWIGLU;
}
static void odd_rotation(graph *g, graph_op *op)
{
    (void)g;
    op->head_width--;
}
static void rotate_beyond_head(graph *g, graph_op *op)
{
    (void)g;
    op->rotation = (graph_rotation){.heads = op->heads, .first = 2, .width = op->key_width, .input = 0};
}
static void rotate_sum(graph *g, graph_op *op)
{
    (void)g;
    op->rotation = (graph_rotation){.heads = 1, .width = 2};
}
static void lose_first_input(graph *g, graph_op *op)
{
    (void)g;
    op->in[0].value = GRAPH_NONE;
}
static void lose_second_input(graph *g, graph_op *op)
{
    (void)g;
    op->in[1].value = GRAPH_NONE;
}
static void add_third_input(graph *g, graph_op *op)
{
    (void)g;
    op->in[2] = op->in[0];
}
static void route_by_numbers(graph *g, graph_op *op)
{
    (void)g;
    op->in[1] = op->in[0];
}
static void multiply_routing(graph *g, graph_op *op)
{
    (void)g;
    op->in[0] = op->in[1];
}
static void one_column(graph *g, graph_op *op)
{
    g->weights[op->weight].columns = 1;
}
static void three_columns(graph *g, graph_op *op)
{
    g->weights[op->weight].columns = 3;
}
static void other_experts(graph *g, graph_op *op)
{
    g->weights[op->weight].experts++;
}
static void borrow_norm(graph *g, graph_op *op)
{
    for (int i = 0; i < g->op_count; i++)
        if (g->ops[i].kind == GRAPH_RMS_NORM) op->weight = g->ops[i].weight;
}
static void read_context(graph *g, graph_op *op)
{
    const int made = graph_producer(g, op->in[1].value);
    g->values[op->in[1].value].rows = GRAPH_CONTEXT;
    g->ops[made] = (graph_op){.kind = GRAPH_CACHE_READ,
                              .layer = 0,
                              .weight = GRAPH_NONE,
                              .heads = 1,
                              .head_width = g->cache_width[0],
                              .in = {{GRAPH_NONE, 0, 0}, {GRAPH_NONE, 0, 0}, {GRAPH_NONE, 0, 0}},
                              .out = op->in[1]};
}
/* The first operand is written for the last token only, but the sum runs for all. */
static void add_last_row(graph *g, graph_op *op)
{
    g->values[op->in[0].value].last = true;
    g->ops[graph_producer(g, op->in[0].value)].last = true;
}
static void sum_last_row(graph *g, graph_op *op)
{
    (void)g;
    op->last = true;
}
static void cache_last_row(graph *g, graph_op *op)
{
    (void)g;
    op->last = true;
}
static void far_layer(graph *g, graph_op *op)
{
    (void)g;
    op->layer = 1000;
}
static void no_layer(graph *g, graph_op *op)
{
    (void)g;
    op->layer = GRAPH_NONE;
}
static void seventh_half(graph *g, graph_op *op)
{
    (void)g;
    op->half = 7;
}
static void narrow_read(graph *g, graph_op *op)
{
    (void)g;
    op->head_width--;
}
static void fewer_key_heads(graph *g, graph_op *op)
{
    (void)g;
    op->kv_heads = 1;
}
static void wrap_offset(graph *g, graph_op *op)
{
    (void)g;
    op->in[0].offset = (size_t)-64;
}
static void wrap_stride(graph *g, graph_op *op)
{
    (void)g;
    op->in[0].stride = SIZE_MAX / 2;
}
static void wrap_output(graph *g, graph_op *op)
{
    (void)g;
    op->out.offset = (size_t)-64;
}
static void stale_routing(graph *g, graph_op *op)
{
    for (int i = 0; i < g->op_count; i++)
        if (g->ops[i].kind == GRAPH_GATHER) g->ops[i].in[1] = op->in[1];
}
static void quantise_sum(graph *g, graph_op *op)
{
    g->values[op->out.value].dtype = GRAPH_Q8;
}

#define LLAMA "datasets/golden/deepseek-llm"
#define MLA "datasets/golden/deepseek-v2-lite"
static const damage damages[] = {
    {"operations in the wrong order", LLAMA, GRAPH_EMBED, swap_first_ops,
     "its input embedding is read before it is written", false},
    {"an unbound input", LLAMA, GRAPH_RMS_NORM, unbind_input, "an input is no value", false},
    {"an operand beyond its value", LLAMA, GRAPH_RMS_NORM, widen_operand,
     "embedding ends before the columns that are read: it has ", false},
    {"a missing weight", LLAMA, GRAPH_EMBED, lose_weight, "needs a weight", false},
    {"no logits", LLAMA, GRAPH_EMBED, lose_output, "logits are not computed", false},
    {"two writers of one value", LLAMA, GRAPH_ADD, write_twice, "written before", false},
    {"query heads that do not divide", LLAMA, GRAPH_ATTENTION, odd_heads, "no multiple", false},
    {"an epilogue without gate and up", LLAMA, GRAPH_MATMUL, uneven_gate, "not a gate and an up of one size", false},
    {"pairs that do not come out", LLAMA, GRAPH_ROPE, odd_rotation, "of odd width", false},
    {"a rotation beyond a head", LLAMA, GRAPH_ATTENTION, rotate_beyond_head, "not within its heads", false},
    {"a rotation of what is not loaded so", LLAMA, GRAPH_ADD, rotate_sum, "cannot rotate what it reads", false},
    {"a matmul of nothing", LLAMA, GRAPH_MATMUL, lose_first_input,
     "(matmul -> 0.q): its input 0 is absent; expected F32 or Q8", false},
    {"a sum of one", LLAMA, GRAPH_ADD, lose_second_input, "(add -> 0.residual): its input 1 is absent; expected F32",
     false},
    {"a sum of three", LLAMA, GRAPH_ADD, add_third_input, "its input 2 is embedding; expected none", false},
    {"a cache written from nothing", LLAMA, GRAPH_CACHE_WRITE, lose_first_input,
     "(cache_write -> -): its input 0 is absent", false},
    {"rows gathered without a routing", MLA, GRAPH_GATHER, lose_second_input,
     "(gather -> 1.gathered): its input 1 is absent; expected a routing", false},
    {"a routing of numbers", MLA, GRAPH_EXPERT_MATMUL, route_by_numbers,
     "(expert_matmul -> 1.gate_proj): its input 1.gathered is F32; expected a routing", false},
    {"experts of a routing's columns", MLA, GRAPH_EXPERT_MATMUL, multiply_routing,
     "its input 1.routing is a routing; expected F32 or Q8", false},
    {"more experts than are routed to", MLA, GRAPH_EXPERT_MATMUL, other_experts,
     "expected 8, which its routing chooses from", false},
    {"a routing of an earlier layer", MLA, GRAPH_GATHER, stale_routing, "its input 1.routing was replaced by 2.routing",
     false},
    {"a narrow norm", LLAMA, GRAPH_RMS_NORM, one_column,
     "its weight model.layers.0.input_layernorm is [1, 1]; expected [1, ", false},
    {"a narrow embedding", LLAMA, GRAPH_EMBED, one_column, "its weight model.embed_tokens is [", false},
    {"a narrow kv_b", MLA, GRAPH_ABSORB_QUERY, three_columns, "its weight model.layers.0.self_attn.kv_b_proj is [",
     true},
    {"a norm for a matrix", LLAMA, GRAPH_MATMUL, borrow_norm, "it reads no weight like model.norm", false},
    {"a norm for a sum", LLAMA, GRAPH_ADD, borrow_norm, "it reads no weight like model.norm", false},
    {"a sum of tokens and positions", LLAMA, GRAPH_ADD, read_context,
     "its input 0.o has S rows; expected T, as its output has", false},
    {"a sum of one row and all", LLAMA, GRAPH_ADD, add_last_row, "its input embedding has the last token's row only",
     false},
    {"a sum of one row into all", LLAMA, GRAPH_ADD, sum_last_row,
     "it runs for the last token only, and its output has all rows", false},
    {"a cache of one row", LLAMA, GRAPH_CACHE_WRITE, cache_last_row, "writes the last token's row only", false},
    {"a layer that there is not", LLAMA, GRAPH_ATTENTION, far_layer, "it is of layer 1000; expected one below 3",
     false},
    {"a cache of no layer", LLAMA, GRAPH_CACHE_WRITE, no_layer, "it uses a layer's cache, and is of no layer", false},
    {"a cache of seven halves", MLA, GRAPH_CACHE_READ, seventh_half, "it reads half 7 of the cache; expected 0 or 1",
     false},
    {"a part of a half", MLA, GRAPH_CACHE_READ, narrow_read, "columns of half 0; expected all ", false},
    {"fewer key heads than are cached", LLAMA, GRAPH_ATTENTION, fewer_key_heads, "1 key heads of ", false},
    {"an offset that wraps", LLAMA, GRAPH_MATMUL, wrap_offset, "further than can be counted", false},
    {"a stride that wraps", LLAMA, GRAPH_ATTENTION, wrap_stride, "further than can be counted", false},
    {"an output that wraps", LLAMA, GRAPH_MATMUL, wrap_output, "its output reaches beyond", false},
    {"a sum that is quantised", LLAMA, GRAPH_ADD, quantise_sum, "its output is Q8; expected F32", false},
};

static graph_op *first_of(graph *g, graph_op_kind kind)
{
    for (int i = 0; i < g->op_count; i++)
        if (g->ops[i].kind == kind) return &g->ops[i];
    CU_FAIL_FATAL("no such operation");
    return NULL;
}

static void test_validation(void)
{
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        const damage *d = &damages[i];
        graph *g = NULL;
        bool changed = false;
        const graph_cache cache = strcmp(d->folder, MLA) == 0 ? GRAPH_CACHE_LATENT : GRAPH_CACHE_EXPANDED;
        if (!build(d->folder, d->absorbed ? GRAPH_DECODE : GRAPH_PREFILL, cache, &g)) continue;
        if (d->absorbed) CU_ASSERT_EQUAL(graph_pass_absorb_mla(g, &no_folding, &changed), CIUIC_OK);
        d->apply(g, first_of(g, d->kind));
        const ciuic_status status = graph_validate(g);
        CHECK(status == CIUIC_ERROR_INPUT, "%s is taken: status %d", d->what, (int)status);
        if (status != CIUIC_OK)
            CHECK(strstr(ciuic_last_error(), d->words) != NULL, "%s: \"%s\" lacks \"%s\"", d->what, ciuic_last_error(),
                  d->words);
        graph_free(g);
    }
}

/* Groups that kernels take, and those that they do not: refused by the matrix's name before there is a plan. A group of
 * KERNEL_GROUP_COLUMNS sums to at most 127 * 16909320 = 2147483640, below 2^31; one column more may not. */
static void test_groups(void)
{
    static const struct {
        size_t columns, group; /* 0 columns: the model's own */
        const char *words;     /* NULL: allowed */
    } table[] = {
        {0, 32, NULL},
        {0, 64, NULL},
        {0, 128, NULL},
        {0, 0, NULL},
        {16909320, 0, NULL},
        {16909321, 0, "model.layers.0.self_attn.q_proj: rows of 16909321 columns cannot be quantised as one group"},
        {16909321, 32, NULL},
        {SIZE_MAX, 0, "cannot be quantised as one group; expected at most 16909320"},
        {0, 1, "groups of 1 columns have no kernels; expected 32, 64, 128"},
        {0, 16, "groups of 16 columns"},
        {0, 33, "groups of 33 columns"},
        {0, 256, "groups of 256 columns"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        graph *g = NULL;
        if (!build("datasets/golden/deepseek-llm", GRAPH_DECODE, GRAPH_CACHE_EXPANDED, &g)) return;
        graph_q8_need *needs = calloc((size_t)g->weight_count, sizeof *needs);
        CU_ASSERT_PTR_NOT_NULL_FATAL(needs);
        int weight = GRAPH_NONE;
        for (int op = 0; op < g->op_count && weight == GRAPH_NONE; op++)
            if (g->ops[op].kind == GRAPH_MATMUL) weight = g->ops[op].weight;
        needs[weight] = (graph_q8_need){.quantised = true, .group = table[i].group};
        if (table[i].columns > 0) { /* and its input as wide, so that nothing else is wrong */
            g->weights[weight].columns = table[i].columns;
            for (int v = 0; v < g->value_count; v++) g->values[v].width = SIZE_MAX;
        }
        const ciuic_status status = graph_insert_quantize(g, needs, true);
        CHECK(status == (table[i].words ? CIUIC_ERROR_UNSUPPORTED : CIUIC_OK), "%zu columns, group %zu: status %d: %s",
              table[i].columns, table[i].group, (int)status, ciuic_last_error());
        if (table[i].words != NULL)
            CHECK(strstr(ciuic_last_error(), table[i].words) != NULL, "\"%s\" lacks \"%s\"", ciuic_last_error(),
                  table[i].words);
        free(needs);
        graph_free(g);
    }
}

/* It saves memory and costs time: for whoever names it. */
static void test_epilogue_is_asked_for(void)
{
    graph *g = NULL;
    if (!build("datasets/deepseek-v3-tiny", GRAPH_PREFILL, GRAPH_CACHE_LATENT, &g)) return;
    CU_ASSERT_EQUAL(graph_optimize(g, &no_folding, 0), CIUIC_OK);
    CU_ASSERT_EQUAL(count_ops(g, GRAPH_MATMUL_SWIGLU), 0);
    CU_ASSERT_EQUAL(count_ops(g, GRAPH_SWIGLU), 11);
    graph_free(g);
}

/* Queries and keys that are rotated where they are have two writers: a matmul of both would be rotated at other columns. A
 * gate that is rewritten behind its silu is another one when the product is computed. */
static void test_rewritten_values_stay_apart(void)
{
    graph *g = NULL;
    bool changed = false;
    if (!build("datasets/golden/deepseek-llm", GRAPH_DECODE, GRAPH_CACHE_EXPANDED, &g)) return;
    CU_ASSERT_EQUAL(graph_optimize(g, &no_folding, 1u << CIUIC_PASS_ROPE_IN_PLACE), CIUIC_OK);
    CU_ASSERT_EQUAL(graph_pass_fuse_qkv(g, &no_folding, &changed), CIUIC_OK);
    CHECK(!changed, "%d matmuls are left", count_ops(g, GRAPH_MATMUL));
    graph_op *silu = first_of(g, GRAPH_SILU);
    const graph_op rewrite = {.kind = GRAPH_RMS_NORM,
                              .layer = silu->layer,
                              .weight = GRAPH_NONE,
                              .heads = 1,
                              .head_width = silu->head_width,
                              .in = {silu->in[0], {.value = GRAPH_NONE}, {.value = GRAPH_NONE}},
                              .out = silu->in[0]};
    const int at = (int)(silu - g->ops) + 1, products = count_ops(g, GRAPH_MUL);
    CU_ASSERT_FATAL(graph_add_op(g, &rewrite) != GRAPH_NONE);
    for (int i = g->op_count - 1; i > at; i--) g->ops[i] = g->ops[i - 1];
    g->ops[at] = rewrite;
    CU_ASSERT_EQUAL(graph_optimize(g, &no_folding, 1u << CIUIC_PASS_FUSE_SWIGLU), CIUIC_OK);
    CHECK(count_ops(g, GRAPH_MUL) == 1 && count_ops(g, GRAPH_SWIGLU) == products - 1, "%d of %d products are left",
          count_ops(g, GRAPH_MUL), products);
    graph_free(g);
}

static const test_case cases[] = {
    {"rewritten values stay apart", test_rewritten_values_stay_apart},
    {"the epilogue is asked for", test_epilogue_is_asked_for},
    {"decode graph before and after", test_decode_passes},
    {"last row", test_last_row},
    {"fold norms", test_fold_norms},
    {"passes on every architecture", test_passes_everywhere},
    {"validation", test_validation},
    {"groups", test_groups},
    {"queries of the last layer", test_queries_of_the_last_layer},
};
TEST_SUITE(graph, cases);
