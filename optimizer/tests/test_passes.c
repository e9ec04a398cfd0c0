/* test_passes.c - every pass alone and every pair, on every checkpoint, against graph = off; weights and graphs that a pass
 * finds nothing in; and graphs that cannot be. Random graphs are test_random_graphs.c's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/graph/stem.h"
#include "optimizer/runtime/model.h"
#include "optimizer/tests/changed_checkpoint.h"
#include "optimizer/tests/copied_graph.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

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

/* What the graph is compared under; on one thread and portable kernels, which sum a row in one order however many rows
 * there are. */
typedef struct setting {
    const char *name;
    ciuic_options options;
    bool rounds; /* activations, or what is cached, to 8 bits */
} setting;
static const setting settings[] = {
    {"memory on", {.memory = CIUIC_MEMORY_ON, .isa = "c"}, false},
    {"memory off", {.memory = CIUIC_MEMORY_OFF, .isa = "c"}, false},
    {"memory aggressive", {.memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "c"}, true},
    {"int8", {.quantize = CIUIC_QUANTIZE_INT8, .memory = CIUIC_MEMORY_ON, .isa = "c"}, true},
    {"int4, memory aggressive", {.quantize = CIUIC_QUANTIZE_INT4, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "c"}, true},
    {"FP32 weights", {.weights_f32 = true, .memory = CIUIC_MEMORY_ON, .isa = "c"}, false},
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

/* All passes but two leave every bit as it is. Absorbing re-orders sums, by 5e-4 of logits whose deviation is about 1
 * (test_reference.c), and a few cached values of 16 bits round the other way: four of them at once at most, by 2^-10 each
 * (test_variants.c). Folding norms into FP32 weights rounds each once more, with the same two effects, smaller. */
static const double reordered_tolerance = 5e-4 + 4.0 / 1024;

/* A checkpoint under one setting, with graph = off. */
typedef struct unfused {
    const golden *g;
    const setting *s;
    float *want; /* [logit_count] */
    /* What rounding to 8 bits makes of a row, as typical_difference says: between this and the same weights, with activations
     * as they are and a cache of 16 bits. */
    double rounding;
} unfused;

/* The median over rows of the largest difference in each. A value that rounds the other way may turn a router's choice, and an
 * expert more or less moves all of a row: that happens to some rows, by no amount that rounding could tell. Infinity when a value
 * of any row is not finite. */
static double typical_difference(const golden *g, const float *a, const float *b)
{
    const size_t rows = logit_count(g) / g->vocabulary;
    double *largest = malloc(rows * sizeof *largest);
    CU_ASSERT_FATAL(largest != NULL);
    for (size_t i = 0; i < rows; i++)
        largest[i] = max_abs_difference(a + i * g->vocabulary, b + i * g->vocabulary, g->vocabulary);
    const double median = sorted_median(largest, rows), worst = largest[rows - 1];
    free(largest);
    return isinf(worst) ? worst : median;
}

/* Where sums are re-ordered, values of 8 bits round the other way as well. How many is nobody's to say, but they leave both
 * runs as far from the one that rounds nothing as rounding does, by `rounding`, give or take its half: three of those. */
static double allowed_difference(const unfused *u, const ciuic_options *some)
{
    const bool absorbs = graph_pass_selected(some, CIUIC_PASS_ABSORB_MLA) && u->s->options.memory != CIUIC_MEMORY_OFF;
    const bool folds = graph_pass_selected(some, CIUIC_PASS_FOLD_NORMS) && u->s->options.weights_f32;
    return absorbs || folds ? reordered_tolerance + 3 * u->rounding : 0;
}

static void check_passes(const unfused *u, uint32_t passes, float *logits)
{
    ciuic_options some = u->s->options;
    some.graph = true;
    some.passes = passes;
    if (!run_variant(u->g, &some, logits)) return;
    const double allowed = allowed_difference(u, &some);
    const double difference = u->rounding > 0 && allowed > 0 ? typical_difference(u->g, u->want, logits)
                                                             : max_abs_difference(u->want, logits, logit_count(u->g));
    CHECK(difference <= allowed, "%s passes %#x %s: differs by %.3g, allowed %.3g", u->g->folder, passes, u->s->name,
          difference, allowed);
}

static bool run_unfused(unfused *u, float *logits)
{
    u->rounding = 0;
    if (!run_variant(u->g, &u->s->options, u->want)) return false;
    if (!u->s->rounds) return true;
    ciuic_options exact = u->s->options;
    exact.memory = CIUIC_MEMORY_ON;
    if (exact.quantize != CIUIC_QUANTIZE_NONE) exact.activations = CIUIC_ACTIVATIONS_NONE;
    if (!run_variant(u->g, &exact, logits)) return false;
    u->rounding = typical_difference(u->g, u->want, logits);
    return true;
}

/* All passes, each alone, the three that an epilogue takes, and, where asked for, each pair. `folder` has weights of its
 * own for the ids of g; NULL: g's. */
static void check_folder(const char *folder, const char *weights, const setting *s, bool pairs)
{
    golden g;
    if (!golden_open(folder, &g)) return;
    if (weights != NULL) g.folder = weights;
    float *want = malloc(logit_count(&g) * sizeof *want), *logits = malloc(logit_count(&g) * sizeof *logits);
    CU_ASSERT_FATAL(want != NULL && logits != NULL);
    unfused u = {.g = &g, .s = s, .want = want};
    if (run_unfused(&u, logits)) {
        check_passes(&u, 0, logits);
        check_passes(&u,
                     1u << CIUIC_PASS_FUSE_GATE_UP | 1u << CIUIC_PASS_FUSE_SWIGLU | 1u << CIUIC_PASS_SWIGLU_EPILOGUE,
                     logits);
        for (int a = 0; a < CIUIC_PASSES; a++)
            for (int b = a; b < CIUIC_PASSES; b++)
                if (a == b || pairs) check_passes(&u, 1u << a | 1u << b, logits);
    }
    free(want);
    free(logits);
    golden_close(&g);
}

/* Pairs are for what is small; all weights, activations and cache quantised, for one model that has everything. */
static void test_alone_and_in_pairs(void)
{
    for (size_t i = 0; i < golden_folder_count; i++) {
        const char *folder = golden_folders[i];
        const bool trained = strstr(folder, "/golden/") == NULL;
        const bool everything = strcmp(folder, "datasets/golden/deepseek-v3") == 0;
        for (int s = 0; s < (trained ? 1 : SETTINGS); s++)
            check_folder(folder, NULL, &settings[s], !trained && (s == 0 || (everything && settings[s].rounds)));
    }
}

/* ---- weights that change nothing -------------------------------------------------------------------------------- */

enum { CONSTANTS = 64 };

/* A copy of the checkpoint whose norms are all ones and whose selection biases are all zeros. */
static void write_constants(const char *base, const char *path)
{
    checkpoint *c = NULL;
    checkpoint_change edits[CONSTANTS];
    size_t count = 0;
    CU_ASSERT_EQUAL_FATAL(checkpoint_open(base, &c), CIUIC_OK);
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const char *name = checkpoint_at(c, i)->name;
        const bool bias = strstr(name, "e_score_correction_bias") != NULL;
        if (!bias && strstr(name, "norm.weight") == NULL) continue;
        CU_ASSERT_FATAL(count < CONSTANTS);
        edits[count++] = (checkpoint_change){FILL, name, bias ? "0" : "1"};
    }
    changed_checkpoint_write(base, edits, count, path);
    checkpoint_release(c);
}

/* Norms and routers of decode's plan that read a vector. */
static int count_vectors(const char *folder, bool folded)
{
    ciuic_model *model = NULL, *optimized = NULL;
    const ciuic_options options = {
        .graph = folded, .passes = folded ? 1u << CIUIC_PASS_FOLD_CONSTANTS : 0, .memory = CIUIC_MEMORY_ON, .isa = "c"};
    int count = 0;
    CU_ASSERT_EQUAL_FATAL(ciuic_model_load(folder, &model), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(ciuic_optimize(model, &options, &optimized, NULL), CIUIC_OK);
    const graph *g = optimized->plans[GRAPH_DECODE].g;
    for (int i = 0; i < g->op_count; i++)
        if (g->ops[i].kind == GRAPH_RMS_NORM || g->ops[i].kind == GRAPH_ROUTE)
            count += g->ops[i].weight != GRAPH_NONE ? 1 : 0;
    ciuic_model_free(optimized);
    ciuic_model_free(model);
    return count;
}

static void test_constants(void)
{
    static const char base[] = "datasets/golden/deepseek-v3";
    temporary_folder folder;
    temporary_folder_create(&folder);
    write_constants(base, folder.path);
    /* 3 layers of 4 norms, a last one, and two routers */
    CHECK(count_vectors(base, false) == 15 && count_vectors(base, true) == 15, "%d and %d vectors of a trained model",
          count_vectors(base, false), count_vectors(base, true));
    CHECK(count_vectors(folder.path, false) == 15 && count_vectors(folder.path, true) == 0,
          "%d vectors, and %d when they change nothing", count_vectors(folder.path, false),
          count_vectors(folder.path, true));
    for (int s = 0; s < SETTINGS; s++) check_folder(base, folder.path, &settings[s], false);
    temporary_folder_remove(&folder);
}

/* ---- graphs in which there is nothing to find ------------------------------------------------------------------- */

static bool identical(const graph *a, const graph *b)
{
    return a->op_count == b->op_count && a->value_count == b->value_count && a->weight_count == b->weight_count &&
           a->output == b->output && memcmp(a->ops, b->ops, (size_t)a->op_count * sizeof *a->ops) == 0 &&
           memcmp(a->values, b->values, (size_t)a->value_count * sizeof *a->values) == 0 &&
           memcmp(a->weights, b->weights, (size_t)a->weight_count * sizeof *a->weights) == 0;
}

/* In how many graphs each pass found something, and in how many nothing. */
typedef struct tally {
    int found[CIUIC_PASSES], idle[CIUIC_PASSES];
} tally;

/* A pass says whether it changed the graph, and what it did not change is the same bytes; the second time it finds
 * nothing. */
static void check_idle(const char *name, const graph *g, const graph_pass_options *options, tally *t)
{
    for (int p = 0; p < CIUIC_PASSES; p++) {
        graph *copy = copy_graph(g);
        bool changed = false, again = false;
        CU_ASSERT_EQUAL(graph_passes[p].run(copy, options, &changed), CIUIC_OK);
        CHECK(changed != identical(g, copy), "%s phase %d: %s %s, and the graph is %s", name, g->phase,
              graph_passes[p].name, changed ? "found something" : "found nothing", changed ? "the same" : "another");
        CHECK(graph_validate(copy) == CIUIC_OK, "%s phase %d: %s: %s", name, g->phase, graph_passes[p].name,
              ciuic_last_error());
        graph *once = copy_graph(copy);
        CU_ASSERT_EQUAL(graph_passes[p].run(copy, options, &again), CIUIC_OK);
        CHECK(!again && identical(copy, once), "%s phase %d: %s finds more the second time", name, g->phase,
              graph_passes[p].name);
        t->found[p] += changed ? 1 : 0;
        t->idle[p] += changed ? 0 : 1;
        graph_free(copy);
        graph_free(once);
    }
}

static bool changes_nothing(const void *context, const char *name, size_t elements, float number)
{
    (void)context, (void)name, (void)elements, (void)number;
    return true;
}

/* As built; with what some passes leave for others; and with a matmul that is computed twice, the second time for nobody. */
static void check_decoder(const char *folder, const graph *built, tally *t)
{
    const graph_pass_options as_built = {.fold_norms = false}, constant = {.all_equal = changes_nothing},
                             widened = {.fold_norms = true};
    const uint32_t prepared = 1u << CIUIC_PASS_DROP_SLICES | 1u << CIUIC_PASS_ROPE_IN_PLACE |
                              1u << CIUIC_PASS_FUSE_GATE_UP | 1u << CIUIC_PASS_FUSE_SWIGLU;
    check_idle(folder, built, &as_built, t);
    check_idle(folder, built, &constant, t);
    check_idle(folder, built, &widened, t);
    graph *g = copy_graph(built);
    CU_ASSERT_EQUAL(graph_optimize(g, &as_built, prepared), CIUIC_OK);
    check_idle(folder, g, &as_built, t);
    graph_free(g);
    g = copy_graph(built);
    for (int i = 0; i < built->op_count; i++) {
        graph_op twice = built->ops[i];
        if (twice.kind != GRAPH_MATMUL) continue;
        const graph_value like = g->values[twice.out.value];
        twice.out.value = graph_add_value(g, like.dtype, like.rows, like.width, "twice");
        CU_ASSERT_FATAL(twice.out.value != GRAPH_NONE && graph_add_op(g, &twice) != GRAPH_NONE);
        break;
    }
    check_idle(folder, g, &as_built, t);
    graph_free(g);
}

/* Images that come and go with channels last, through two convolutions with their normalisations; and back and forth
 * again, for nothing. */
static void check_stem(tally *t)
{
    const stem_layer layer = {.conv = "a",
                              .norm = "n",
                              .out_channels = 16,
                              .groups = 1,
                              .kernel = {3, 3},
                              .stride = {1, 1},
                              .padding = {1, 1},
                              .dilation = {1, 1},
                              .eps = 1e-5,
                              .activation = STEM_RELU};
    const stem_layer layers[] = {layer, layer};
    const stem_config config = {.channels = 16,
                                .height = 8,
                                .width = 8,
                                .channels_last_in = true,
                                .channels_last_out = true,
                                .layers = layers,
                                .layer_count = 2};
    const graph_pass_options options = {.fold_norms = false};
    graph *g = NULL;
    CU_ASSERT_EQUAL_FATAL(graph_build_stem(&config, &g), CIUIC_OK);
    check_idle("stem", g, &options, t);
    for (int i = 0; i < 2; i++) { /* first, and last again */
        graph_op op = g->ops[g->op_count - 1];
        op.kind = i == 0 ? GRAPH_CHANNELS_FIRST : GRAPH_CHANNELS_LAST;
        op.in[0] = graph_whole(g->output);
        g->output = graph_add_value(g, GRAPH_F32, GRAPH_TOKENS, g->values[g->output].width, "again%d", i);
        op.out = graph_whole(g->output);
        CU_ASSERT_FATAL(g->output != GRAPH_NONE && graph_add_op(g, &op) != GRAPH_NONE);
    }
    check_idle("stem and back", g, &options, t);
    graph_free(g);
}

/* No pass of which this proves nothing: each finds something in some of these graphs, and nothing in others. */
static void test_idle(void)
{
    tally t = {{0}, {0}};
    for (size_t i = 0; i < golden_folder_count; i++) {
        char path[256];
        model_config config;
        snprintf(path, sizeof path, "%s/config.json", golden_folders[i]);
        CU_ASSERT_EQUAL_FATAL(model_config_read(path, &config), CIUIC_OK);
        for (int phase = 0; phase < GRAPH_PHASES; phase++)
            for (int cache = 0; cache <= (model_type_has_mla(config.type) ? 1 : 0); cache++) {
                graph *g = NULL;
                CU_ASSERT_EQUAL_FATAL(graph_build(&config, (graph_phase)phase, (graph_cache)cache, &g), CIUIC_OK);
                check_decoder(golden_folders[i], g, &t);
                graph_free(g);
            }
    }
    check_stem(&t);
    for (int p = 0; p < CIUIC_PASSES; p++)
        CHECK(t.found[p] > 0 && t.idle[p] > 0, "%s found something in %d graphs and nothing in %d",
              graph_passes[p].name, t.found[p], t.idle[p]);
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
    {"weights that change nothing", test_constants},
    {"what finds nothing changes nothing", test_idle},
    {"a cycle, and shapes that do not meet", test_cycle},
    {"options", test_options},
};
TEST_SUITE(passes, cases);
