/* test_random_graphs.c - the property that every pass has: a graph that is made up, with operations in place, routers and
 * experts, computes the same bits before and behind any choice of passes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "optimizer/runtime/buffers.h"
#include "optimizer/tests/copied_graph.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/grouped_matrix.h"
#include "optimizer/tests/runner.h"

enum { WIDTH = 16, TOKENS = 5, VALUES = 40, WEIGHTS = 24, VOCABULARY = 32, EXPERTS = 4, CHOSEN = 2 };

static unsigned long long state;

static size_t below(size_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(state >> 33) % n;
}

/* A graph of row operations over values of WIDTH columns. Names are those that passes look for. */
typedef struct maker {
    graph *g;
    int values[VALUES], count;
} maker;

static void add(maker *m, graph_op op, size_t width)
{
    const int out = graph_add_value(m->g, GRAPH_F32, GRAPH_TOKENS, width, "v%d", m->g->value_count);
    op.layer = 0;
    if (op.heads == 0) op.heads = 1;
    if (op.kind != GRAPH_MATMUL && op.kind != GRAPH_EMBED && op.kind != GRAPH_RMS_NORM) op.weight = GRAPH_NONE;
    op.out.value = out;
    op.out.stride = op.heads > 1 ? op.head_width + op.tail_width : 0;
    for (int j = 0; j < GRAPH_MAX_INPUTS; j++)
        if (op.in[j].value == 0 && (j > 1 || op.kind == GRAPH_EMBED ||
                                    (j == 1 && op.kind != GRAPH_ADD && op.kind != GRAPH_MUL &&
                                     op.kind != GRAPH_SWIGLU && op.kind != GRAPH_CONCAT)))
            op.in[j].value = GRAPH_NONE;
    CU_ASSERT_FATAL(out != GRAPH_NONE && graph_add_op(m->g, &op) != GRAPH_NONE);
    if (width == WIDTH) m->values[m->count++] = out;
}

static int new_weight(maker *m, graph_weight_kind kind, size_t rows, size_t width)
{
    static const char *const matrices[] = {
        "q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "q_a_proj", "kv_a_proj_with_mqa", "o_proj"};
    graph_weight w = {.kind = kind, .parts = 1, .rows = {rows}, .columns = width};
    if (kind == GRAPH_MATRIX)
        snprintf(w.name[0], GRAPH_NAME, "w%zu.%s", below(2), matrices[below(8)]);
    else
        snprintf(w.name[0], GRAPH_NAME, "n%zu", below(4)); /* n0 is all ones */
    return graph_add_weight(m->g, &w);
}

static graph_operand any(maker *m)
{
    return graph_whole(m->values[below((size_t)m->count)]);
}

/* Two slices of a value, one rotated, put together again: as MLA's queries are. */
static void add_rotated_part(maker *m)
{
    const graph_operand x = any(m);
    const size_t heads = 1 + below(2), stride = WIDTH / heads, tail = stride / 2;
    graph_op part = {.kind = GRAPH_SLICE, .heads = heads, .head_width = stride - tail, .in = {{x.value, 0, stride}}};
    add(m, part, heads * (stride - tail));
    const int first = m->g->value_count - 1;
    part.in[0].offset = stride - tail;
    part.head_width = tail;
    add(m, part, heads * tail);
    part = (graph_op){.kind = GRAPH_ROPE, .heads = heads, .head_width = tail, .in = {{m->g->value_count - 1, 0, tail}}};
    add(m, part, heads * tail);
    part = (graph_op){.kind = GRAPH_CONCAT,
                      .heads = heads,
                      .head_width = stride - tail,
                      .tail_width = tail,
                      .in = {{first, 0, stride - tail}, {m->g->value_count - 1, 0, tail}}};
    add(m, part, WIDTH);
}

/* A norm, or a rotation, of some columns of what is there already: whoever reads it behind sees others than before. */
static void add_in_place(maker *m)
{
    const size_t width = below(2) ? WIDTH / 2 : WIDTH / 4, heads = 1 + below(WIDTH / width);
    graph_op op = {.kind = below(2) ? GRAPH_RMS_NORM : GRAPH_ROPE,
                   .weight = GRAPH_NONE,
                   .heads = heads,
                   .head_width = width,
                   .in = {any(m), {.value = GRAPH_NONE}, {.value = GRAPH_NONE}}};
    if (op.kind == GRAPH_RMS_NORM && heads == 1 && below(2)) op.head_width = WIDTH; /* the whole row */
    if (op.kind == GRAPH_RMS_NORM) {
        op.scale = 1e-3f;
        op.weight = new_weight(m, GRAPH_VECTOR, 1, op.head_width);
    }
    op.in[0].stride = op.head_width;
    op.in[0].offset = below(WIDTH / op.head_width - heads + 1) * op.head_width;
    op.out = op.in[0];
    CU_ASSERT_FATAL(graph_add_op(m->g, &op) != GRAPH_NONE);
}

/* Gate and up of one input, put together. */
static void add_mlp(maker *m)
{
    static const char *const names[] = {"gate_proj", "up_proj"};
    const graph_operand x = any(m);
    int made[2];
    for (int i = 0; i < 2; i++) {
        graph_weight w = {.kind = GRAPH_MATRIX, .parts = 1, .rows = {WIDTH}, .columns = WIDTH};
        snprintf(w.name[0], GRAPH_NAME, "w%zu.%s", below(2), names[i]);
        add(m, (graph_op){.kind = GRAPH_MATMUL, .in = {x}, .weight = graph_add_weight(m->g, &w)}, WIDTH);
        made[i] = m->values[m->count - 1];
        if (below(4) == 0) add_in_place(m);
    }
    add(m, (graph_op){.kind = GRAPH_SILU, .head_width = WIDTH, .in = {graph_whole(made[0])}}, WIDTH);
    const graph_operand silu = graph_whole(m->values[m->count - 1]);
    if (below(4) == 0) add_in_place(m);
    add(m, (graph_op){.kind = GRAPH_MUL, .head_width = WIDTH, .in = {silu, graph_whole(made[1])}}, WIDTH);
}

static int last_value(const maker *m)
{
    return m->g->value_count - 1;
}

/* Gate, up or down of the experts. */
static void add_expert_matmul(maker *m, int x, int choice, const char *name)
{
    graph_weight w = {.kind = GRAPH_EXPERTS, .parts = 1, .rows = {WIDTH}, .columns = WIDTH, .experts = EXPERTS};
    snprintf(w.name[0], GRAPH_NAME, "w%zu.experts.*.%s", below(2), name);
    const graph_op op = {.kind = GRAPH_EXPERT_MATMUL,
                         .heads = 1,
                         .in = {graph_whole(x), graph_whole(choice), {.value = GRAPH_NONE}},
                         .out =
                             graph_whole(graph_add_value(m->g, GRAPH_F32, GRAPH_ROUTED, WIDTH, "r%d", last_value(m))),
                         .weight = graph_add_weight(m->g, &w)};
    CU_ASSERT_FATAL(graph_add_op(m->g, &op) != GRAPH_NONE);
}

/* A mixture of experts; some other operation may come between its own, or rewrite what it reads. */
static void add_experts(maker *m)
{
    graph *g = m->g;
    const graph_operand x = any(m), absent = {.value = GRAPH_NONE};
    graph_weight router = {.kind = GRAPH_MATRIX, .parts = 1, .rows = {EXPERTS}, .columns = WIDTH, .exact = true};
    graph_weight bias = {.kind = GRAPH_VECTOR, .parts = 1, .rows = {1}, .columns = EXPERTS};
    snprintf(router.name[0], GRAPH_NAME, "w%zu.gate", below(2));
    snprintf(bias.name[0], GRAPH_NAME, "b%zu", below(2)); /* b0 is all zeros */
    add(m, (graph_op){.kind = GRAPH_MATMUL, .in = {x}, .weight = graph_add_weight(g, &router)}, EXPERTS);
    const int scores = last_value(m), choice = graph_add_value(g, GRAPH_ROUTING, GRAPH_TOKENS, 0, "routing%d", scores);
    graph_op op = {.kind = GRAPH_ROUTE,
                   .heads = 1,
                   .head_width = EXPERTS,
                   .in = {graph_whole(scores), absent, absent},
                   .out = graph_whole(choice),
                   .weight = below(2) ? graph_add_weight(g, &bias) : GRAPH_NONE};
    CU_ASSERT_FATAL(graph_add_op(g, &op) != GRAPH_NONE);
    op = (graph_op){.kind = GRAPH_GATHER,
                    .heads = 1,
                    .head_width = WIDTH,
                    .in = {x, graph_whole(choice), absent},
                    .out = graph_whole(graph_add_value(g, GRAPH_F32, GRAPH_ROUTED, WIDTH, "rows%d", choice)),
                    .weight = GRAPH_NONE};
    CU_ASSERT_FATAL(graph_add_op(g, &op) != GRAPH_NONE);
    const int rows = last_value(m);
    if (below(3) == 0) add_in_place(m);
    add_expert_matmul(m, rows, choice, "gate_proj");
    const int gate = last_value(m);
    add_expert_matmul(m, rows, choice, "up_proj");
    const int up = last_value(m);
    add(m, (graph_op){.kind = GRAPH_SWIGLU, .head_width = WIDTH, .in = {graph_whole(gate), graph_whole(up)}}, WIDTH);
    m->count--; /* of routed rows: not for others */
    g->values[last_value(m)].rows = GRAPH_ROUTED;
    add_expert_matmul(m, last_value(m), choice, "down_proj");
    op =
        (graph_op){.kind = GRAPH_COMBINE, .head_width = WIDTH, .in = {graph_whole(last_value(m)), graph_whole(choice)}};
    add(m, op, WIDTH);
}

static void add_random(maker *m)
{
    const graph_operand x = any(m), y = any(m);
    const graph_op_kind kinds[] = {GRAPH_SILU, GRAPH_MUL, GRAPH_ADD, GRAPH_ADD};
    switch (below(9)) {
    case 0:
        add(m, (graph_op){.kind = GRAPH_MATMUL, .in = {x}, .weight = new_weight(m, GRAPH_MATRIX, WIDTH, WIDTH)}, WIDTH);
        break;
    case 1:
        add(m,
            (graph_op){.kind = GRAPH_RMS_NORM,
                       .head_width = WIDTH,
                       .scale = 1e-3f,
                       .in = {x},
                       .weight = new_weight(m, GRAPH_VECTOR, 1, WIDTH)},
            WIDTH);
        break;
    case 2:
        add_rotated_part(m);
        break;
    case 3: { /* what is computed twice, now and then */
        graph_op again = m->g->ops[below((size_t)m->g->op_count)];
        const graph_value *made = &m->g->values[again.out.value];
        const bool in_place = again.out.value == again.in[0].value; /* of some columns only */
        if (again.kind != GRAPH_COMBINE && !in_place && made->width == WIDTH && made->rows == GRAPH_TOKENS)
            add(m, again, WIDTH);
        break;
    }
    case 4:
        add_mlp(m);
        break;
    case 5:
        add_in_place(m);
        break;
    case 6:
        if (below(2)) add_experts(m);
        break;
    default: { /* a block as models have it: silu(x) * y, or x + y and its norm */
        const graph_op_kind kind = kinds[below(4)];
        const graph_operand second = {.value = kind == GRAPH_SILU ? GRAPH_NONE : y.value};
        add(m, (graph_op){.kind = kind, .head_width = WIDTH, .in = {x, second}}, WIDTH);
        const graph_operand made = graph_whole(m->values[m->count - 1]);
        if (kind == GRAPH_SILU)
            add(m, (graph_op){.kind = GRAPH_MUL, .head_width = WIDTH, .in = {made, y}}, WIDTH);
        else if (kind == GRAPH_ADD)
            add(m,
                (graph_op){.kind = GRAPH_RMS_NORM,
                           .head_width = WIDTH,
                           .scale = 1e-3f,
                           .in = {made},
                           .weight = new_weight(m, GRAPH_VECTOR, 1, WIDTH)},
                WIDTH);
        break;
    }
    }
}

static graph *random_graph(void)
{
    maker m = {.g = calloc(1, sizeof *m.g)};
    CU_ASSERT_PTR_NOT_NULL_FATAL(m.g);
    m.g->phase = below(2) ? GRAPH_PREFILL : GRAPH_PREFILL_ALL;
    m.g->layers = 1;
    m.g->experts_per_token = CHOSEN;
    graph_weight table = {.kind = GRAPH_MATRIX, .parts = 1, .rows = {VOCABULARY}, .columns = WIDTH, .name = {"table"}};
    add(&m, (graph_op){.kind = GRAPH_EMBED, .head_width = WIDTH, .weight = graph_add_weight(m.g, &table)}, WIDTH);
    for (size_t left = 4 + below(12); left > 0 && m.count < VALUES - 4; left--) add_random(&m);
    m.g->output = m.values[m.count - 1];
    if (m.g->phase == GRAPH_PREFILL) {
        add(&m, (graph_op){.kind = GRAPH_LAST_ROW, .head_width = WIDTH, .in = {graph_whole(m.g->output)}}, WIDTH);
        m.g->output = m.values[m.count - 1];
        m.g->values[m.g->output].last = true;
    }
    CHECK(graph_validate(m.g) == CIUIC_OK, "the test's own graph: %s", ciuic_last_error());
    return m.g;
}

/* Numbers by name: matrices of small ones, vectors of powers of two, which multiply without rounding, so that folding a
 * norm's weights changes no bit either. */
static float number_of(const char *name, size_t i, bool vector)
{
    unsigned hash = 2166136261u;
    for (const char *c = name; *c != '\0'; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
    hash = (hash ^ (unsigned)i) * 2654435761u;
    if (vector && name[0] == 'b') return strcmp(name, "b0") == 0 ? 0 : (float)(hash >> 8) * 0x1p-24f;
    if (vector) return strcmp(name, "n0") == 0 ? 1 : (hash >> 20) % 3 == 0 ? 0.5f : (hash >> 20) % 3 == 1 ? 1 : 2;
    return ((float)(hash >> 8) * 0x1p-23f - 1) / 4;
}

static bool all_equal(const void *context, const char *name, size_t elements, float number)
{
    (void)context;
    for (size_t i = 0; i < elements; i++)
        if (number_of(name, i, true) != number) return false;
    return true;
}

enum { BOUND = WEIGHTS + 6 * VALUES };
typedef struct bound {
    bound_weight weights[BOUND];
    kernel_matrix parts[BOUND][EXPERTS * GRAPH_MAX_PARTS];
    float *owned[BOUND * EXPERTS * GRAPH_MAX_PARTS];
    size_t owned_count;
} bound;

/* The numbers of part `p`, of experts those of expert `expert`. */
static const float *make_numbers(const graph_weight *from, int p, size_t expert, bound *b)
{
    const size_t count = from->rows[p] * from->columns, before = expert * count;
    float *numbers = malloc(count * sizeof *numbers);
    CU_ASSERT_PTR_NOT_NULL_FATAL(numbers);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = number_of(from->name[p], before + i, from->kind == GRAPH_VECTOR);
        if (from->fold[0] != '\0') numbers[i] *= number_of(from->fold, i % from->columns, true);
    }
    b->owned[b->owned_count++] = numbers;
    return numbers;
}

static void bind(const graph *g, bound *b)
{
    CU_ASSERT_TRUE_FATAL(g->weight_count < BOUND);
    for (int w = 0; w < g->weight_count; w++) {
        const graph_weight *from = &g->weights[w];
        const size_t experts = from->kind == GRAPH_EXPERTS ? from->experts : 1, parts = (size_t)from->parts;
        for (size_t i = 0; i < experts * parts; i++) {
            const size_t p = i % parts;
            const float *numbers = make_numbers(from, (int)p, i / parts, b);
            b->parts[w][i] = (kernel_matrix){
                .format = KERNEL_F32, .rows = from->rows[p], .columns = from->columns, .values = numbers};
            b->weights[w] =
                from->kind == GRAPH_VECTOR ? (bound_weight){.vector = numbers} : (bound_weight){.parts = b->parts[w]};
        }
    }
}

/* Runs it in an arena, or a buffer each, and returns the output's [rows][WIDTH]. */
static size_t run_graph(graph *g, const rope_table *rope, bool arena_planned, int threads, float *out)
{
    static bound b; /* large */
    b.owned_count = 0;
    routing route;
    buffers memory;
    arena_block arena = {0};
    kernel_table kernels;
    const model_config config = {.type = MODEL_QWEN2,
                                 .experts = EXPERTS,
                                 .experts_per_token = CHOSEN,
                                 .groups = 2,
                                 .top_groups = 1,
                                 .route = ROUTE_NOAUX_TC,
                                 .routed_scaling_factor = 1};
    const int32_t ids[TOKENS] = {3, 1, 4, 1, 5};
    bind(g, &b);
    kernel_table_fill(&kernels, KERNEL_ISA_C);
    const plan p = {.g = g, .weights = b.weights};
    float *const scratch[] = {floats(epilogue_scratch(g, TOKENS, threads)),
                              floats(epilogue_scratch(g, TOKENS, threads))};
    CU_ASSERT_EQUAL_FATAL(buffers_create(&memory, g, arena_planned), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(buffers_prepare(&memory, TOKENS, TOKENS, arena_planned ? &arena : NULL), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(routing_create(&route, &config, TOKENS), CIUIC_OK);
    buffers_bind(&memory, TOKENS, TOKENS, arena_planned ? &arena : NULL, &route);
    const execution e = {.p = &p,
                         .kernels = &kernels,
                         .config = &config,
                         .values = memory.values,
                         .stride = memory.stride,
                         .q8 = memory.q8,
                         .barrier = memory.barrier,
                         .rope = rope,
                         .route = &route,
                         .scratch = scratch,
                         .ids = ids,
                         .tokens = TOKENS,
                         .threads = threads};
    execute(&e);
    const size_t rows = g->values[g->output].last ? 1 : TOKENS;
    memcpy(out, memory.values[g->output], rows * WIDTH * sizeof *out);
    buffers_free(&memory);
    routing_free(&route);
    free(arena.data);
    for (int i = 0; i < 2; i++) free(scratch[i]);
    for (size_t i = 0; i < b.owned_count; i++) free(b.owned[i]);
    return rows;
}

static void test_any_passes(void)
{
    enum { GRAPHS = 400, SELECTIONS = 4 };
    const rope_config rotation = {.type = ROPE_DEFAULT, .theta = 100};
    const graph_pass_options options = {.fold_norms = true, .all_equal = all_equal};
    rope_table rope;
    size_t removed = 0;
    state = test_seed();
    /* Rows of cosines and sines wide enough for every rotated part; narrower ones read a table of their own in them. */
    CU_ASSERT_EQUAL_FATAL(rope_table_create(&rope, &rotation, WIDTH / 2, TOKENS), CIUIC_OK);
    for (int i = 0; i < GRAPHS; i++) {
        graph *g = random_graph();
        float want[TOKENS * WIDTH], got[TOKENS * WIDTH];
        const size_t rows = run_graph(g, &rope, false, 1, want);
        for (int s = 0; s < SELECTIONS; s++) {
            graph *fast = copy_graph(g);
            const uint32_t passes = s == 0 ? 0 : (uint32_t)(1 + below((1u << CIUIC_PASSES) - 1));
            const ciuic_status status = graph_optimize(fast, &options, passes);
            CHECK(status == CIUIC_OK, "graph %d passes %#x: %s", i, passes, ciuic_last_error());
            if (status == CIUIC_OK) {
                CU_ASSERT_EQUAL(run_graph(fast, &rope, s % 2 == 0, i % 8 == 0 && s == 1 ? 2 : 1, got), rows);
                CHECK(memcmp(want, got, rows * WIDTH * sizeof *got) == 0,
                      "graph %d of %d operations, passes %#x: differs by %g", i, g->op_count, passes,
                      max_abs_difference(want, got, rows * WIDTH));
                removed += (size_t)(g->op_count - fast->op_count);
            }
            graph_free(fast);
        }
        graph_free(g);
    }
    CHECK(removed > GRAPHS, "passes removed %zu operations in all", removed);
    rope_table_free(&rope);
}

static const test_case cases[] = {
    {"any passes, the same bits", test_any_passes},
};
TEST_SUITE(random_graphs, cases);
