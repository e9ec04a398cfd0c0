/* test_epilogue.c - matmuls of gate and up that write silu(gate) * up: the same bits as the two operations, for any shape,
 * format and number of threads; what they take and cost; and whole models with and without. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "optimizer/graph/cost.h"
#include "optimizer/runtime/buffers.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/grouped_matrix.h"
#include "optimizer/tests/runner.h"

typedef struct shape {
    size_t width, columns, tokens; /* [tokens, columns] -> [tokens, width] */
} shape;
/* Odd widths; one unit of columns and several, of unequal shares; with 300 rows and more blocks of columns, with more than
 * 512 blocks of rows, which are of unequal size in the last. */
static const shape shapes[] = {{1, 40, 1},     {15, 33, 3},    {17, 64, 9},     {100, 96, 40},  {1000, 64, 1},
                               {333, 64, 300}, {200, 32, 513}, {129, 32, 1025}, {260, 64, 1024}};

typedef struct form {
    kernel_format format;
    size_t group;
    bool minimums;
    bool rows_only; /* as it lies, where kernels like panels better */
} form;
static const form forms[] = {{.format = KERNEL_F32},
                             {.format = KERNEL_BF16},
                             {.format = KERNEL_INT8},
                             {.format = KERNEL_INT4, .group = 32, .minimums = true},
                             {.format = KERNEL_INT4, .group = 64, .rows_only = true}};

/* ---- one multiplication ----------------------------------------------------------------------------------------- */

typedef struct weights {
    grouped_matrix rows[2];
    void *panels[2][3]; /* values, scales, minimums */
    float *bias;
    kernel_matrix parts[2];
} weights;

static void make_weights(const shape *s, const form *f, size_t interleave, weights *w)
{
    unsigned long long state = 11 + s->width;
    float *numbers = floats(s->width * s->columns);
    *w = (weights){.bias = floats(s->width)};
    random_fill(&state, 0.1f, s->width, w->bias);
    for (int i = 0; i < 2; i++) {
        grouped_matrix *g = &w->rows[i];
        random_fill(&state, 1.0f / (float)s->columns, s->width * s->columns, numbers);
        grouped_matrix_create(g, f->format, s->width, s->columns, f->group, f->minimums);
        CU_ASSERT_EQUAL_FATAL(quantize_rows(&g->m, g->to, 0, s->width, numbers), CIUIC_OK);
        w->parts[i] = g->m;
        if (interleave > 0) {
            kernel_matrix *p = &w->parts[i];
            p->interleave = interleave;
            const size_t stored = kernel_stored_rows(p), scales = stored * kernel_row_scales(p) * sizeof(uint16_t);
            w->panels[i][0] = calloc(1, stored * kernel_row_bytes(p->format, p->columns));
            w->panels[i][1] = calloc(1, scales);
            w->panels[i][2] = f->minimums ? calloc(1, scales) : NULL;
            kernel_interleave(&g->m, interleave, w->panels[i][0], w->panels[i][1], w->panels[i][2]);
            p->values = w->panels[i][0];
            p->scales = w->panels[i][1];
            p->minimums = w->panels[i][2];
        }
    }
    w->parts[0].bias = w->bias; /* gate has one, up has none */
    free(numbers);
}

static void free_weights(weights *w)
{
    for (int i = 0; i < 2; i++) {
        grouped_matrix_free(&w->rows[i]);
        for (int j = 0; j < 3; j++) free(w->panels[i][j]);
    }
    free(w->bias);
}

/* x -> gate|up -> silu(gate) * up. */
static graph *build(const shape *s)
{
    graph *g = calloc(1, sizeof *g);
    CU_ASSERT_PTR_NOT_NULL_FATAL(g);
    const graph_operand none = {.value = GRAPH_NONE};
    const graph_weight weight = {.kind = GRAPH_MATRIX,
                                 .parts = 2,
                                 .name = {"gate_proj", "up_proj"},
                                 .rows = {s->width, s->width},
                                 .columns = s->columns};
    graph_op op = {.layer = GRAPH_NONE, .weight = GRAPH_NONE, .heads = 1, .in = {none, none, none}};
    g->phase = GRAPH_PREFILL_ALL;
    const int x = graph_add_value(g, GRAPH_F32, GRAPH_TOKENS, s->columns, "x");
    const int both = graph_add_value(g, GRAPH_F32, GRAPH_TOKENS, 2 * s->width, "gate|up");
    g->output = graph_add_value(g, GRAPH_F32, GRAPH_TOKENS, s->width, "gated");
    op.kind = GRAPH_INPUT;
    op.head_width = s->columns;
    op.out = graph_whole(x);
    graph_add_op(g, &op);
    op.kind = GRAPH_MATMUL;
    op.weight = graph_add_weight(g, &weight);
    op.in[0] = graph_whole(x);
    op.out = graph_whole(both);
    graph_add_op(g, &op);
    op.kind = GRAPH_SWIGLU;
    op.weight = GRAPH_NONE;
    op.head_width = s->width;
    op.in[0] = graph_whole(both);
    op.in[1] = (graph_operand){.value = both, .offset = s->width};
    op.out = graph_whole(g->output);
    graph_add_op(g, &op);
    CHECK(graph_validate(g) == CIUIC_OK, "the test's own graph: %s", ciuic_last_error());
    return g;
}

static void fuse(graph *g)
{
    bool changed = false;
    const graph_pass_options options = {.fold_norms = false};
    CU_ASSERT_EQUAL(graph_pass_swiglu_epilogue(g, &options, &changed), CIUIC_OK);
    CU_ASSERT_TRUE_FATAL(changed && g->op_count == 2 && g->ops[1].kind == GRAPH_MATMUL_SWIGLU);
    CU_ASSERT_EQUAL(graph_validate(g), CIUIC_OK);
}

/* The graph's output [tokens][width], from workspaces that hold what is behind them. */
static void run(graph *g, const shape *s, const weights *w, const kernel_table *kernels, int threads, const float *x,
                float *out)
{
    const bool quantised = kernel_is_grouped(w->parts[0].format);
    const graph_q8_need need = {.quantised = quantised, .group = w->parts[0].group};
    const bound_weight bound = {.parts = w->parts};
    const plan p = {.g = g, .weights = (bound_weight *)&bound};
    const size_t room = epilogue_scratch(g, s->tokens, threads), behind = 32;
    float *scratch[3];
    buffers memory;
    arena_block arena = {0};
    for (int i = 0; i < 3; i++) scratch[i] = floats(room + behind);
    CU_ASSERT_EQUAL_FATAL(graph_insert_quantize(g, &need, true), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(buffers_create(&memory, g, true), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(buffers_prepare(&memory, s->tokens, s->tokens, &arena), CIUIC_OK);
    buffers_bind(&memory, s->tokens, s->tokens, &arena, NULL);
    const execution e = {.p = &p,
                         .kernels = kernels,
                         .values = memory.values,
                         .stride = memory.stride,
                         .q8 = memory.q8,
                         .barrier = memory.barrier,
                         .scratch = scratch,
                         .input = x,
                         .tokens = s->tokens,
                         .threads = threads};
    execute(&e);
    memcpy(out, memory.values[g->output], s->tokens * s->width * sizeof *out);
    for (int i = 0; i < 3; i++) {
        for (size_t j = room; j < room + behind; j++)
            CHECK(scratch[i][j] == 0, "%zu rows, %d threads: workspace %d is overrun", s->tokens, threads, i);
        free(scratch[i]);
    }
    buffers_free(&memory);
    free(arena.data);
}

/* Bits on portable kernels, which sum a row in one order however many others there are. Elsewhere |x| <= 1 and |w| <= 1 /
 * columns, about, so that what is summed is 1.1 in all with the bias, and either order is within columns * 2^-24 of it: 2.2
 * columns * 2^-24 apart; of silu(gate) * up, where silu' < 1.1, at most 1.1 * 1.1 + 1.1 times that. */
static void check_shape(const shape *s, const form *f, kernel_isa isa)
{
    kernel_table kernels;
    kernel_table_fill(&kernels, isa);
    const size_t count = s->tokens * s->width;
    const size_t interleave = kernel_is_grouped(f->format) && !f->rows_only ? kernels.interleave : 0;
    const double allowed = isa == KERNEL_ISA_C ? 0 : 2.31 * 2.2 * (double)s->columns * 0x1p-24;
    float *x = floats(s->tokens * s->columns), *want = floats(count), *got = floats(count);
    unsigned long long state = 7;
    weights w;
    random_fill(&state, 1, s->tokens * s->columns, x);
    make_weights(s, f, interleave, &w);
    graph *two = build(s);
    run(two, s, &w, &kernels, 1, x, want);
    for (int threads = 1; threads <= 3; threads++) {
        graph *one = build(s);
        fuse(one);
        memset(got, 0xff, count * sizeof *got);
        run(one, s, &w, &kernels, threads, x, got);
        const double difference = max_abs_difference(want, got, count);
        CHECK(difference <= allowed, "%s %s, %zu x %zu, %zu rows, %d threads: differs by %.3g, allowed %.3g",
              kernel_isa_name(isa), kernel_format_name(f->format), s->width, s->columns, s->tokens, threads, difference,
              allowed);
        graph_free(one);
    }
    graph_free(two);
    free_weights(&w);
    free(x);
    free(want);
    free(got);
}

static void test_shapes(void)
{
    for (int isa = KERNEL_ISA_C; isa < KERNEL_ISAS; isa++) {
        if (!kernel_isa_available((kernel_isa)isa)) continue;
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            for (size_t j = 0; j < sizeof forms / sizeof forms[0]; j++)
                check_shape(&shapes[i], &forms[j], (kernel_isa)isa);
    }
}

/* ---- what it takes ---------------------------------------------------------------------------------------------- */

/* Workspace: rows by the widest share of columns, of units of 16; 256 KiB at most. */
static void test_scratch(void)
{
    static const struct {
        size_t width, tokens;
        int threads;
        bool last;
        size_t floats;
    } table[] = {
        {100, 40, 1, false, 40 * 112}, {100, 40, 2, false, 40 * 64},      {100, 40, 3, false, 40 * 48},
        {100, 40, 3, true, 48},        {100, 40, 64, false, 40 * 16},     {100, 512, 2, false, 512 * 64},
        {100, 4096, 2, false, 32768},  {8960, 512, 2, false, (1u << 16)}, {8960, 1, 2, false, 4480},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const shape s = {.width = table[i].width, .columns = 8};
        graph *g = build(&s);
        CU_ASSERT_EQUAL(epilogue_scratch(g, table[i].tokens, table[i].threads), 0);
        fuse(g);
        g->ops[1].last = table[i].last;
        const size_t floats = epilogue_scratch(g, table[i].tokens, table[i].threads);
        CHECK(floats == table[i].floats, "row %zu: %zu floats, expected %zu", i, floats, table[i].floats);
        graph_free(g);
    }
}

/* What lies between has no memory, is neither written nor read, and costs no operation less. */
static void test_arena_and_cost(void)
{
    const shape s = {.width = 1000, .columns = 64};
    const size_t tokens = 100;
    const graph_storage storage = {.weight = 2, .cache = 2};
    graph *g = build(&s);
    size_t bytes = 0, bound = 0;
    CU_ASSERT_EQUAL(buffers_plan(g, false, true, tokens, tokens, &bytes, &bound), CIUIC_OK);
    CU_ASSERT_TRUE(bound >= tokens * 3 * s.width * sizeof(float));
    const graph_cost before = graph_total_cost(g, &storage);
    fuse(g);
    CU_ASSERT_EQUAL(buffers_plan(g, false, true, tokens, tokens, &bytes, &bound), CIUIC_OK);
    CU_ASSERT_EQUAL(bound, tokens * (s.width + s.columns) * sizeof(float));
    const graph_cost after = graph_total_cost(g, &storage);
    CU_ASSERT_EQUAL(after.flops.of[GRAPH_TERM_T], before.flops.of[GRAPH_TERM_T]);
    CU_ASSERT_EQUAL(after.weight_bytes.of[GRAPH_TERM_1], before.weight_bytes.of[GRAPH_TERM_1]);
    CU_ASSERT_EQUAL(before.activation_bytes.of[GRAPH_TERM_T] - after.activation_bytes.of[GRAPH_TERM_T],
                    2.0 * 2 * 4 * (double)s.width);
    graph_free(g);
}

/* Threads meet before what reads all columns, and where the input was made; where thread 0 does all, nowhere. */
static void test_barriers(void)
{
    static const struct {
        size_t width, columns, tokens;
        bool meets;
    } table[] = {{1000, 64, 40, true}, {1000, 64, 1, true}, {16, 16, 1, false}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const shape s = {.width = table[i].width, .columns = table[i].columns, .tokens = table[i].tokens};
        graph *g = build(&s);
        fuse(g);
        graph_weight down = {
            .kind = GRAPH_MATRIX, .parts = 1, .name = {"down_proj"}, .rows = {s.width}, .columns = s.width};
        graph_op op = g->ops[1];
        op.kind = GRAPH_MATMUL;
        op.weight = graph_add_weight(g, &down);
        op.in[0] = graph_whole(g->output);
        g->output = graph_add_value(g, GRAPH_F32, GRAPH_TOKENS, s.width, "down");
        op.out = graph_whole(g->output);
        graph_add_op(g, &op);
        CU_ASSERT_EQUAL_FATAL(graph_validate(g), CIUIC_OK);
        buffers memory;
        CU_ASSERT_EQUAL_FATAL(buffers_create(&memory, g, false), CIUIC_OK);
        CU_ASSERT_EQUAL_FATAL(buffers_prepare(&memory, s.tokens, s.tokens, NULL), CIUIC_OK);
        buffers_bind(&memory, s.tokens, s.tokens, NULL, NULL);
        CHECK(!memory.barrier[0] && memory.barrier[1] == table[i].meets && memory.barrier[2] == table[i].meets,
              "row %zu: before gate|up %d, before down %d", i, memory.barrier[1], memory.barrier[2]);
        buffers_free(&memory);
        graph_free(g);
    }
}

/* What looks alike and is not: parts in the other order, part of a part, another reader, unequal parts. */
static void swap_parts(graph *g)
{
    g->ops[2].in[0].offset = g->ops[2].head_width;
    g->ops[2].in[1].offset = 0;
}
static void read_less(graph *g)
{
    g->ops[2].head_width--;
}
static void read_again(graph *g)
{
    g->output = g->ops[1].out.value;
}
static void one_part(graph *g)
{
    g->weights[0].rows[0] *= 2;
    g->weights[0].parts = 1;
}
static void last_only(graph *g)
{
    g->ops[2].last = true;
    g->values[g->output].last = true;
}
static void test_left_alone(void)
{
    static void (*const changes[])(graph *) = {swap_parts, read_less, read_again, one_part, last_only};
    const shape s = {.width = 32, .columns = 16};
    const graph_pass_options options = {.fold_norms = false};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        bool changed = false;
        graph *g = build(&s);
        changes[i](g);
        CU_ASSERT_EQUAL(graph_pass_swiglu_epilogue(g, &options, &changed), CIUIC_OK);
        CHECK(!changed && g->op_count == 3, "change %zu: fused", i);
        graph_free(g);
    }
}

/* ---- whole models ----------------------------------------------------------------------------------------------- */

/* A prefill of all rows, one of the last, and a decoded token. */
static bool run_model(const golden *g, const ciuic_options *options, int threads, float *logits, size_t *activations)
{
    golden_session s;
    ciuic_memory_use use;
    const size_t half = g->count / 2;
    if (!golden_session_open(g->folder, options, threads, &s)) return false;
    const bool ok = ciuic_prefill(s.session, g->ids, half, true, logits) == CIUIC_OK &&
                    ciuic_prefill(s.session, g->ids + half, g->count - half - 1, false,
                                  logits + half * g->vocabulary) == CIUIC_OK &&
                    ciuic_decode(s.session, g->ids[g->count - 1], logits + (half + 1) * g->vocabulary) == CIUIC_OK;
    CHECK(ok, "%s: %s", g->folder, ciuic_last_error());
    ciuic_session_memory(s.session, &use);
    *activations = use.activations;
    golden_session_free(&s);
    return ok;
}

/* With and without the pass, all others on. */
static void check_model(const golden *g, const ciuic_options *options, int threads, double allowed)
{
    const size_t count = (g->count / 2 + 2) * g->vocabulary;
    float *want = floats(count), *got = floats(count);
    size_t without = 0, with = 0;
    ciuic_options others = *options;
    others.passes = ((1u << CIUIC_PASSES) - 1) & ~(1u << CIUIC_PASS_SWIGLU_EPILOGUE);
    if (run_model(g, &others, threads, want, &without) && run_model(g, options, threads, got, &with)) {
        const double difference = max_abs_difference(want, got, count);
        CHECK(difference <= allowed, "%s %s quantize %d memory %d threads %d: differs by %.3g", g->folder, options->isa,
              options->quantize, options->memory, threads, difference);
        CHECK(with <= without, "%s: activations of %zu bytes, %zu without", g->folder, with, without);
    }
    free(want);
    free(got);
}

/* On the best rung sums may be of another order: test_variants.c says what that comes to in logits, FP32 cache. */
static void test_models(void)
{
    static const ciuic_options portable[] = {
        {.graph = true, .memory = CIUIC_MEMORY_ON, .isa = "c"},
        {.graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "c", .quantize = CIUIC_QUANTIZE_INT8},
        {.graph = true, .memory = CIUIC_MEMORY_ON, .isa = "c", .quantize = CIUIC_QUANTIZE_INT4, .group = 32}};
    static const ciuic_options best = {.graph = true, .isa = "best"};
    for (size_t i = 0; i < golden_folder_count; i++) {
        golden g;
        if (!golden_open(golden_folders[i], &g)) continue;
        for (int threads = 1; threads <= 3; threads++) {
            check_model(&g, &portable[(size_t)threads % 3], threads, 0);
            check_model(&g, &portable[(size_t)(threads + 1) % 3], threads, 0);
            check_model(&g, &best, threads, 5e-4);
        }
        golden_close(&g);
    }
}

static const test_case cases[] = {
    {"the same as two operations", test_shapes}, {"workspace", test_scratch},
    {"arena and cost", test_arena_and_cost},     {"where threads meet", test_barriers},
    {"what is left alone", test_left_alone},     {"whole models", test_models},
};
TEST_SUITE(epilogue, cases);
