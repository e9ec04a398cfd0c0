/* test_passes.c - every pass alone and every pair, on every checkpoint, against graph = off; graphs that a pass finds nothing
 * in; random graphs; and graphs that cannot be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "optimizer/runtime/buffers.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/grouped_matrix.h"
#include "optimizer/tests/runner.h"

/* ---- whole models ----------------------------------------------------------------------------------------------- */

/* A prefill, decoding, and two short prefills over what is cached, of all rows and of the last: logits of all calls. */
enum { SHORT = 3 };

static size_t logit_count(const golden *g)
{
    const size_t half = g->count / 2, quarter = g->count / 4;
    return (1 + quarter + SHORT + (half + quarter + SHORT < g->count ? 1 : 0)) * g->vocabulary;
}

static bool run_calls(const golden *g, ciuic_session *session, float *logits)
{
    const size_t half = g->count / 2, quarter = g->count / 4;
    size_t at = half;
    bool ok = ciuic_session_truncate(session, 0) == CIUIC_OK &&
              ciuic_prefill(session, g->ids, half, false, logits) == CIUIC_OK;
    for (logits += g->vocabulary; at < half + quarter && ok; at++, logits += g->vocabulary)
        ok = ciuic_decode(session, g->ids[at], logits) == CIUIC_OK;
    ok = ok && ciuic_prefill(session, g->ids + at, SHORT, true, logits) == CIUIC_OK;
    at += SHORT, logits += SHORT * g->vocabulary;
    if (ok && at < g->count) ok = ciuic_prefill(session, g->ids + at, g->count - at, false, logits) == CIUIC_OK;
    CHECK(ok, "%s: %s", g->folder, ciuic_last_error());
    return ok;
}

static bool run_variant(const golden *g, const ciuic_options *options, float *logits)
{
    golden_session s;
    if (!golden_session_open(g->folder, options, 1, &s)) return false;
    const bool ok = run_calls(g, s.session, logits);
    golden_session_free(&s);
    return ok;
}

/* On one thread and portable kernels, which sum a row in one order however many rows there are, all passes but one leave
 * every bit as it is. Absorbing re-orders sums, by 5e-4 of logits whose deviation is about 1 (test_reference.c), and a few
 * cached values of 16 bits round the other way: four of them at once at most, by 2^-10 each (test_variants.c). */
static const double absorbed_tolerance = 5e-4 + 4.0 / 1024;

static void check_passes(const golden *g, const ciuic_options *off, const float *want, uint32_t passes, float *logits)
{
    ciuic_options some = *off;
    some.graph = true;
    some.passes = passes;
    if (!run_variant(g, &some, logits)) return;
    const double difference = max_abs_difference(want, logits, logit_count(g));
    const bool absorbs = graph_pass_selected(&some, CIUIC_PASS_ABSORB_MLA) && off->memory == CIUIC_MEMORY_ON;
    const double allowed = absorbs ? absorbed_tolerance : 0;
    CHECK(difference <= allowed, "%s passes %#x memory %d: differs by %.3g, allowed %.3g", g->folder, passes,
          off->memory, difference, allowed);
}

/* All passes, each alone, the three that an epilogue takes, and, where a model is small, each pair. */
static void check_folder(const char *folder, ciuic_memory memory, bool pairs)
{
    golden g;
    const ciuic_options off = {.memory = memory, .isa = "c"};
    if (!golden_open(folder, &g)) return;
    float *want = malloc(logit_count(&g) * sizeof *want), *logits = malloc(logit_count(&g) * sizeof *logits);
    CU_ASSERT_FATAL(want != NULL && logits != NULL);
    if (run_variant(&g, &off, want)) {
        check_passes(&g, &off, want, 0, logits);
        check_passes(&g, &off, want,
                     1u << CIUIC_PASS_FUSE_GATE_UP | 1u << CIUIC_PASS_FUSE_SWIGLU | 1u << CIUIC_PASS_SWIGLU_EPILOGUE,
                     logits);
        for (int a = 0; a < CIUIC_PASSES; a++)
            for (int b = a; b < CIUIC_PASSES; b++)
                if (a == b || pairs) check_passes(&g, &off, want, 1u << a | 1u << b, logits);
    }
    free(want);
    free(logits);
    golden_close(&g);
}

static void test_alone_and_in_pairs(void)
{
    for (size_t i = 0; i < golden_folder_count; i++) {
        const bool trained = strstr(golden_folders[i], "/golden/") == NULL;
        check_folder(golden_folders[i], CIUIC_MEMORY_ON, !trained);
        if (!trained) check_folder(golden_folders[i], CIUIC_MEMORY_OFF, false);
    }
}

/* ---- graphs in which there is nothing to find ------------------------------------------------------------------- */

static graph *copy_graph(const graph *g)
{
    graph *copy = malloc(sizeof *copy);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    *copy = *g;
    copy->values = malloc((size_t)g->value_count * sizeof *g->values);
    copy->ops = malloc((size_t)g->op_count * sizeof *g->ops);
    copy->weights = malloc((size_t)(g->weight_count + 1) * sizeof *g->weights);
    CU_ASSERT_FATAL(copy->values && copy->ops && copy->weights);
    memcpy(copy->values, g->values, (size_t)g->value_count * sizeof *g->values);
    memcpy(copy->ops, g->ops, (size_t)g->op_count * sizeof *g->ops);
    memcpy(copy->weights, g->weights, (size_t)g->weight_count * sizeof *g->weights);
    copy->value_capacity = g->value_count;
    copy->op_capacity = g->op_count;
    copy->weight_capacity = g->weight_count;
    return copy;
}

static bool identical(const graph *a, const graph *b)
{
    return a->op_count == b->op_count && a->value_count == b->value_count && a->weight_count == b->weight_count &&
           a->output == b->output && memcmp(a->ops, b->ops, (size_t)a->op_count * sizeof *a->ops) == 0 &&
           memcmp(a->values, b->values, (size_t)a->value_count * sizeof *a->values) == 0 &&
           memcmp(a->weights, b->weights, (size_t)a->weight_count * sizeof *a->weights) == 0;
}

/* A pass says whether it changed the graph, and what it did not change is the same bytes; the second time it finds
 * nothing. Some pairs of pass and model are known to find something, and some not. */
static void check_idle(const char *folder, const graph *g, int found[CIUIC_PASSES])
{
    const graph_pass_options options = {.fold_norms = false};
    for (int p = 0; p < CIUIC_PASSES; p++) {
        graph *copy = copy_graph(g);
        bool changed = false, again = false;
        CU_ASSERT_EQUAL(graph_passes[p].run(copy, &options, &changed), CIUIC_OK);
        CHECK(changed != identical(g, copy), "%s phase %d: %s %s, and the graph is %s", folder, g->phase,
              graph_passes[p].name, changed ? "found something" : "found nothing", changed ? "the same" : "another");
        CU_ASSERT_EQUAL(graph_validate(copy), CIUIC_OK);
        graph *once = copy_graph(copy);
        CU_ASSERT_EQUAL(graph_passes[p].run(copy, &options, &again), CIUIC_OK);
        CHECK(!again && identical(copy, once), "%s phase %d: %s finds more the second time", folder, g->phase,
              graph_passes[p].name);
        found[p] += changed ? 1 : 0;
        graph_free(copy);
        graph_free(once);
    }
}

static void test_idle(void)
{
    int found[CIUIC_PASSES] = {0};
    for (size_t i = 0; i < golden_folder_count; i++) {
        char path[256];
        model_config config;
        snprintf(path, sizeof path, "%s/config.json", golden_folders[i]);
        CU_ASSERT_EQUAL_FATAL(model_config_read(path, &config), CIUIC_OK);
        for (int phase = 0; phase < GRAPH_PHASES; phase++)
            for (int cache = 0; cache <= (model_type_has_mla(config.type) ? 1 : 0); cache++) {
                graph *g = NULL;
                CU_ASSERT_EQUAL_FATAL(graph_build(&config, (graph_phase)phase, (graph_cache)cache, &g), CIUIC_OK);
                check_idle(golden_folders[i], g, found);
                graph_free(g);
            }
    }
    /* Decoders as built hold no constants, duplicates, dead operations or images, FP32 is not asked for, and two passes
     * look for what others make. */
    static const ciuic_pass never[] = {CIUIC_PASS_FOLD_CONSTANTS, CIUIC_PASS_MERGE_EQUAL,     CIUIC_PASS_FOLD_NORMS,
                                       CIUIC_PASS_DROP_CONCATS,   CIUIC_PASS_SWIGLU_EPILOGUE, CIUIC_PASS_FOLD_BATCHNORM,
                                       CIUIC_PASS_DROP_LAYOUT,    CIUIC_PASS_BLOCK_CHANNELS,  CIUIC_PASS_DROP_DEAD};
    for (int p = 0; p < CIUIC_PASSES; p++) {
        bool expected = true;
        for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) expected = expected && (int)never[i] != p;
        CHECK((found[p] > 0) == expected, "%s found something in %d graphs", graph_passes[p].name, found[p]);
    }
}

/* ---- random graphs ---------------------------------------------------------------------------------------------- */

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

static void test_random_graphs(void)
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

/* ---- graphs that cannot be -------------------------------------------------------------------------------------- */

/* Two operations that read what the other writes. */
static void test_cycle(void)
{
    graph_value values[] = {{.name = "x", .width = 4}, {.name = "one", .width = 4}, {.name = "two", .width = 4}};
    const graph_operand none = {.value = GRAPH_NONE};
    graph_op ops[] = {
        {.kind = GRAPH_INPUT,
         .layer = GRAPH_NONE,
         .weight = GRAPH_NONE,
         .heads = 1,
         .head_width = 4,
         .in = {none, none, none},
         .out = {.value = 0}},
        {.kind = GRAPH_ADD,
         .layer = GRAPH_NONE,
         .weight = GRAPH_NONE,
         .heads = 1,
         .head_width = 4,
         .in = {{.value = 0}, {.value = 2}, none},
         .out = {.value = 1}},
        {.kind = GRAPH_ADD,
         .layer = GRAPH_NONE,
         .weight = GRAPH_NONE,
         .heads = 1,
         .head_width = 4,
         .in = {{.value = 0}, {.value = 1}, none},
         .out = {.value = 2}},
    };
    graph g = {.values = values, .value_count = 3, .ops = ops, .op_count = 3, .output = 2};
    CU_ASSERT_EQUAL(graph_validate(&g), CIUIC_ERROR_INPUT);
    CHECK(strstr(ciuic_last_error(), "graph operation 1 (add -> one): its input two is read before it is written") !=
              NULL,
          "%s", ciuic_last_error());
    ops[1].in[1].value = 0; /* cut */
    CU_ASSERT_EQUAL(graph_validate(&g), CIUIC_OK);
    ops[2].head_width = 5;
    CU_ASSERT_EQUAL(graph_validate(&g), CIUIC_ERROR_INPUT);
    CHECK(strstr(ciuic_last_error(), "its input x ends before the columns that are read") != NULL, "%s",
          ciuic_last_error());
}

/* Options that name no pass, or passes of a stage that is off. */
static void test_options(void)
{
    const ciuic_options unknown = {.graph = true, .passes = 1u << CIUIC_PASSES}, idle = {.passes = 1};
    CU_ASSERT_EQUAL(ciuic_options_check(&unknown), CIUIC_ERROR_USAGE);
    CU_ASSERT_EQUAL(ciuic_options_check(&idle), CIUIC_ERROR_USAGE);
    for (int i = 0; i < CIUIC_PASSES; i++) {
        ciuic_pass pass = CIUIC_PASSES;
        CHECK(ciuic_pass_parse(ciuic_pass_name((ciuic_pass)i), &pass) && (int)pass == i, "pass %d", i);
    }
    CU_ASSERT_PTR_NULL(ciuic_pass_name(CIUIC_PASSES));
}

static const test_case cases[] = {
    {"alone and in pairs, on every checkpoint", test_alone_and_in_pairs},
    {"what finds nothing changes nothing", test_idle},
    {"random graphs", test_random_graphs},
    {"a cycle, and shapes that do not meet", test_cycle},
    {"options", test_options},
};
TEST_SUITE(passes, cases);
