/* test_block_channels.c - stems whose images lie in blocks of channels: the same numbers as channels first, to the bit in
 * portable C; which convolutions are taken, which stay as they are, and what is refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "optimizer/error.h"
#include "optimizer/tests/failure_sweep.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/stem_fixture.h"

static int blocked_convolutions(const graph *g)
{
    int count = 0;
    for (int i = 0; i < g->op_count; i++)
        count += g->ops[i].kind == GRAPH_CONV2D && g->ops[i].image.writes == KERNEL_CHANNELS_BLOCKED ? 1 : 0;
    return count;
}

/* The graph of the stem after `passes`, and in blocks whether that pays or not, if `blocks`. */
static graph *rewritten(const stem_config *config, uint32_t passes, bool blocks)
{
    const graph_pass_options options = {.block_anyway = true};
    const uint32_t block = 1u << CIUIC_PASS_BLOCK_CHANNELS;
    const uint32_t chosen = blocks ? passes | block : passes & ~block;
    graph *g = NULL;
    CU_ASSERT_EQUAL_FATAL(graph_build_stem(config, &g), CIUIC_OK);
    if (chosen != 0) CHECK(graph_optimize(g, &options, chosen) == CIUIC_OK, "%s", ciuic_last_error());
    return g;
}

/* ---- against PyTorch -------------------------------------------------------------------------------------------- */

/* The golden layer's output in blocks, with and without a folded normalisation: within what rounding allows of PyTorch's, and
 * in portable C what it is without blocks. */
static void check_golden(safetensors *file, const char *name, uint32_t passes, const char *isa, bool last)
{
    stem_layer layer;
    stem_config config;
    stem *s[2] = {NULL, NULL};
    CU_ASSERT_TRUE_FATAL(stem_golden_layer(file, name, &layer, &config));
    config.channels_last_in = config.channels_last_out = last;
    const tensor *x = stem_tensor(file, name, "x"), *want = stem_tensor(file, name, "y");
    const ciuic_options options = {.memory = CIUIC_MEMORY_ON, .isa = isa};
    float *in = malloc(x->count * sizeof *in), *out[3];
    CU_ASSERT_PTR_NOT_NULL_FATAL(in);
    memcpy(in, x->data, x->count * sizeof *in);
    if (last) stem_transpose(x->data, STEM_IMAGES, config.channels, config.height * config.width, true, in);
    for (int i = 0; i < 3; i++) CU_ASSERT_PTR_NOT_NULL_FATAL(out[i] = malloc(want->count * sizeof *out[i]));
    for (int i = 0; i < 2; i++) {
        graph *g = rewritten(&config, passes, i == 1);
        CU_ASSERT_EQUAL_FATAL(stem_of_graph(g, &options, stem_golden_part, file, &s[i]), CIUIC_OK);
        CU_ASSERT_EQUAL(stem_run(s[i], in, STEM_IMAGES, 2, out[i]), CIUIC_OK);
    }
    if (strcmp(isa, "c") == 0)
        CHECK(memcmp(out[0], out[1], want->count * sizeof *in) == 0, "%s: blocks differ by %g", name,
              max_abs_difference(out[0], out[1], want->count));
    memcpy(out[2], out[1], want->count * sizeof *in);
    if (last)
        stem_transpose(out[1], STEM_IMAGES, layer.out_channels, want->count / STEM_IMAGES / layer.out_channels, false,
                       out[2]);
    const double difference = max_abs_difference(out[2], want->data, want->count),
                 tolerance = stem_allowed_error(file, &layer, &config);
    CHECK(difference <= tolerance, "%s passes %#x on %s: differs by %.3g, rounding allows %.3g", name, passes, isa,
          difference, tolerance);
    const kernel_conv2d conv = {
        .in_channels = config.channels, .out_channels = layer.out_channels, .groups = layer.groups};
    const int blocked = kernel_conv2d_blockable(&conv, KERNEL_CHANNELS_BLOCKED) ? 1 : 0;
    CHECK(blocked_convolutions(stem_graph(s[1])) == blocked, "%s: %d convolutions in blocks", name,
          blocked_convolutions(stem_graph(s[1])));
    for (int i = 0; i < 3; i++) free(out[i]);
    for (int i = 0; i < 2; i++) stem_free(s[i]);
    free(in);
}

static void test_golden(void)
{
    static const char *const names[STEM_CASES] = {"0", "1", "2", "3"};
    static const uint32_t passes[] = {0, 1u << CIUIC_PASS_FOLD_CONSTANTS, 1u << CIUIC_PASS_FOLD_BATCHNORM,
                                      1u << CIUIC_PASS_DROP_LAYOUT,
                                      1u << CIUIC_PASS_FOLD_BATCHNORM | 1u << CIUIC_PASS_DROP_LAYOUT};
    safetensors *file = NULL;
    CU_ASSERT_EQUAL_FATAL(safetensors_open("datasets/golden/conv-bn/golden.safetensors", &file), CIUIC_OK);
    for (int i = 0; i < STEM_CASES; i++)
        for (size_t p = 0; p < sizeof passes / sizeof passes[0]; p++)
            for (int last = 0; last < 2; last++) {
                check_golden(file, names[i], passes[p], "c", last);
                check_golden(file, names[i], passes[p], "best", last);
            }
    safetensors_close(file);
}

/* ---- random stems ----------------------------------------------------------------------------------------------- */

/* A side of 12 at most grows by 6 in a layer at most: 36 x 36, of 48 channels, twice. */
enum { STEMS = 150, LAYERS = 4, LARGEST = 36 * 36 * 48 * 2 };

static unsigned long long state;

static size_t below(size_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(state >> 33) % n;
}

typedef struct random_stem {
    stem_config config;
    stem_layer layers[LAYERS];
    char names[LAYERS][16];
    size_t terms[LAYERS]; /* of a sum */
} random_stem;

/* Groups of every sort: one, each channel its own, whole blocks, and those that no blocked kernel takes. */
static void random_channels(size_t channels, stem_layer *l)
{
    static const size_t outputs[] = {1, 3, 16, 17, 32, 48};
    l->groups = 1;
    l->out_channels = outputs[below(6)];
    if (below(3) == 0) l->groups = l->out_channels = channels;
    if (below(4) == 0 && channels % 2 == 0) {
        l->groups = 2;
        l->out_channels = below(2) == 0 ? 32 : 6;
    }
}

/* All numbers are of one sign, and nothing is normalised, where `positive`: then errors are shares of results. */
static void make_random_stem(random_stem *r, bool positive)
{
    static const size_t channels[] = {1, 3, 16, 20, 32};
    size_t at = channels[below(5)];
    *r = (random_stem){.config = {.channels = at,
                                  .height = 1 + below(12),
                                  .width = 1 + below(12),
                                  .channels_last_in = below(2) == 0,
                                  .channels_last_out = below(2) == 0,
                                  .layer_count = 1 + below(LAYERS)}};
    for (size_t i = 0; i < r->config.layer_count; i++) {
        stem_layer *l = &r->layers[i];
        snprintf(r->names[i], sizeof r->names[i], "%s.%zu", positive ? "plain" : "signed", i);
        *l = (stem_layer){.conv = r->names[i], .bias = below(2) == 0, .eps = 1e-5};
        if (!positive && below(2) == 0) l->norm = r->names[i];
        l->activation = (stem_activation)below(3);
        random_channels(at, l);
        for (int side = 0; side < 2; side++) {
            l->kernel[side] = 1 + below(3), l->stride[side] = 1 + below(2);
            l->padding[side] = below(4), l->dilation[side] = 1 + below(2);
        }
        r->terms[i] = at / l->groups * l->kernel[0] * l->kernel[1] + 1;
        at = l->out_channels;
    }
    r->config.layers = r->layers;
}

static stem *random_run(const random_stem *r, uint32_t passes, bool blocks, const char *isa, size_t count,
                        const float *images, float *out)
{
    const ciuic_options options = {.memory = (ciuic_memory)below(3), .isa = isa};
    stem *s = NULL;
    CU_ASSERT_EQUAL_FATAL(stem_of_graph(rewritten(&r->config, passes, blocks), &options, stem_made_part, NULL, &s),
                          CIUIC_OK);
    CU_ASSERT_TRUE_FATAL(stem_outputs(s) * count <= LARGEST);
    CU_ASSERT_EQUAL(stem_run(s, images, count, (int)(1 + below(3)), out), CIUIC_OK);
    return s;
}

/* With positive numbers alone a sum of t products is within (t + 1) u of itself, here and there, added to the error of what
 * is summed; silu's slope is below 1.28 of its value over its argument where that is positive, and two kernels of it agree
 * within 16 u. The second order is below a tenth of all that. */
static double allowed_share(const random_stem *r)
{
    double share = 0;
    for (size_t i = 0; i < r->config.layer_count; i++)
        share = 1.28 * (share + 2 * (double)(r->terms[i] + 1) * 0x1p-24) + 16 * 0x1p-24;
    return 1.1 * share;
}

static void check_random(int index, bool positive, int *blocked)
{
    static float images[LARGEST], want[LARGEST], got[LARGEST];
    random_stem r;
    graph *built = NULL;
    make_random_stem(&r, positive);
    if (graph_build_stem(&r.config, &built) != CIUIC_OK) return; /* a kernel that does not fit */
    graph_free(built);
    const size_t count = 1 + below(2), numbers = r.config.channels * r.config.height * r.config.width * count;
    for (size_t i = 0; i < numbers; i++) images[i] = (float)below(1000) / 1000.0f - (positive ? 0 : 0.5f);
    const uint32_t passes = (uint32_t)below(1u << CIUIC_PASSES) & ~(1u << CIUIC_PASS_FUSE_SWIGLU);
    const char *isa = positive ? "best" : "c";
    stem *plain = random_run(&r, passes, false, isa, count, images, want);
    stem *fast = random_run(&r, passes, true, isa, count, images, got);
    const size_t outputs = stem_outputs(plain) * count;
    CU_ASSERT_EQUAL_FATAL(stem_outputs(fast) * count, outputs);
    if (!positive)
        CHECK(memcmp(want, got, outputs * sizeof *got) == 0, "stem %d, passes %#x: differs by %g", index, passes,
              max_abs_difference(want, got, outputs));
    double worst = 0;
    for (size_t i = 0; i < outputs && positive; i++) {
        const double share = fabs((double)got[i] - (double)want[i]) / fmax(fabs((double)want[i]), 0x1p-126);
        if (!(share <= worst)) worst = share;
    }
    CHECK(worst <= allowed_share(&r), "stem %d, passes %#x: off by %g of a number, rounding allows %g", index, passes,
          worst, allowed_share(&r));
    *blocked += blocked_convolutions(stem_graph(fast));
    stem_free(plain);
    stem_free(fast);
}

static void test_random(void)
{
    int blocked = 0;
    state = test_seed();
    for (int i = 0; i < STEMS; i++) check_random(i, i % 3 == 0, &blocked);
    CHECK(blocked > STEMS / 2, "%d convolutions were in blocks", blocked);
}

/* ---- which are taken -------------------------------------------------------------------------------------------- */

static stem_layer layer_of(const char *name, size_t out, size_t groups, size_t kernel, size_t stride,
                           stem_activation then)
{
    return (stem_layer){.conv = name,
                        .out_channels = out,
                        .groups = groups,
                        .kernel = {kernel, kernel},
                        .stride = {stride, stride},
                        .padding = {kernel / 2, kernel / 2},
                        .dilation = {1, 1},
                        .activation = then};
}

/* What the pass makes of a stem, by its cost model. */
typedef struct taken {
    const char *what;
    size_t channels, side;
    bool last_in, last_out;
    size_t layer_count;
    stem_layer layers[3];
    int blocked, to, from, first, last; /* convolutions in blocks; conversions to and from them; the others */
} taken;

static void check_taken(const taken *t)
{
    const stem_config config = {.channels = t->channels,
                                .height = t->side,
                                .width = t->side,
                                .channels_last_in = t->last_in,
                                .channels_last_out = t->last_out,
                                .layers = t->layers,
                                .layer_count = t->layer_count};
    const graph_pass_options options = {.block_anyway = false};
    graph *g = NULL;
    bool changed = false, again = false;
    CU_ASSERT_EQUAL_FATAL(graph_build_stem(&config, &g), CIUIC_OK);
    graph_op before[16];
    const int ops = g->op_count, values = g->value_count, weights = g->weight_count;
    memcpy(before, g->ops, (size_t)ops * sizeof *before);
    CU_ASSERT_EQUAL(graph_pass_block_channels(g, &options, &changed), CIUIC_OK);
    CHECK(graph_validate(g) == CIUIC_OK, "%s: %s", t->what, ciuic_last_error());
    const int found[] = {blocked_convolutions(g), stem_count_ops(g, GRAPH_TO_BLOCKS),
                         stem_count_ops(g, GRAPH_FROM_BLOCKS), stem_count_ops(g, GRAPH_CHANNELS_FIRST),
                         stem_count_ops(g, GRAPH_CHANNELS_LAST)};
    const int want[] = {t->blocked, t->to, t->from, t->first, t->last};
    CHECK(memcmp(found, want, sizeof want) == 0,
          "%s: %d in blocks, %d to, %d from, %d first, %d last; expected %d, %d, %d, %d, %d", t->what, found[0],
          found[1], found[2], found[3], found[4], want[0], want[1], want[2], want[3], want[4]);
    CHECK(changed == (t->blocked > 0), "%s: changed is %d", t->what, changed);
    if (!changed)
        CHECK(g->op_count == ops && g->value_count == values && g->weight_count == weights &&
                  memcmp(before, g->ops, (size_t)ops * sizeof *before) == 0,
              "%s: it found nothing and left another graph", t->what);
    const int then = g->op_count;
    CU_ASSERT_EQUAL(graph_pass_block_channels(g, &options, &again), CIUIC_OK);
    CHECK(!again && g->op_count == then, "%s: it found something in what it had made", t->what);
    graph_free(g);
}

static void test_taken(void)
{
    const stem_activation relu = STEM_RELU;
    const taken table[] = {
        {"a first convolution", 3, 64, false, false, 1, {layer_of("a", 64, 1, 7, 2, relu)}, 1, 0, 1, 0, 0},
        {"the same of channels last", 3, 64, true, true, 1, {layer_of("a", 64, 1, 7, 2, relu)}, 1, 0, 1, 0, 0},
        {"one that copies little", 64, 28, false, false, 1, {layer_of("a", 256, 1, 1, 1, relu)}, 0, 0, 0, 0, 0},
        {"patches", 3, 56, false, false, 1, {layer_of("a", 96, 1, 14, 14, STEM_NO_ACTIVATION)}, 1, 0, 1, 0, 0},
        {"a chain",
         3,
         32,
         true,
         false,
         3,
         {layer_of("a", 32, 1, 3, 2, relu), layer_of("b", 32, 32, 3, 1, relu), layer_of("c", 64, 1, 1, 1, STEM_SILU)},
         3,
         0,
         1,
         0,
         0},
        {"groups of no block in the middle",
         3,
         32,
         false,
         false,
         3,
         {layer_of("a", 64, 1, 7, 2, relu), layer_of("b", 64, 16, 3, 1, relu), layer_of("c", 64, 1, 7, 1, relu)},
         2,
         0,
         2,
         0,
         0},
        {"groups of whole blocks",
         3,
         32,
         false,
         false,
         2,
         {layer_of("a", 64, 1, 7, 2, relu), layer_of("b", 64, 2, 3, 1, relu)},
         2,
         0,
         1,
         0,
         0},
        {"depthwise and first", 64, 28, true, true, 1, {layer_of("a", 64, 64, 5, 1, relu)}, 1, 1, 1, 0, 0},
        {"depthwise with little to do", 64, 28, false, false, 1, {layer_of("a", 64, 64, 3, 2, relu)}, 0, 0, 0, 0, 0},
        {"seventeen channels of thirty-two", 3, 32, false, false, 1, {layer_of("a", 17, 1, 3, 1, relu)}, 0, 0, 0, 0, 0},
        {"groups of no block", 8, 32, true, true, 1, {layer_of("a", 24, 2, 3, 1, relu)}, 0, 0, 0, 1, 1},
        {"two outputs for each input", 16, 32, false, false, 1, {layer_of("a", 32, 16, 3, 1, relu)}, 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) check_taken(&table[i]);
}

/* ---- values with several readers -------------------------------------------------------------------------------- */

/* conv a -> x -> conv b -> y; x + y -> z; the output is z, or x, which is then read in blocks and outside of them. */
static graph *residual(bool z_is_output, bool misfit)
{
    const stem_layer layers[] = {layer_of("signed.a", 20, 1, 3, 1, STEM_RELU),
                                 layer_of("signed.b", 20, 1, 3, 1, STEM_NO_ACTIVATION)};
    const stem_config config = {.channels = 3, .height = 6, .width = 5, .layers = layers, .layer_count = 2};
    graph *g = NULL;
    CU_ASSERT_EQUAL_FATAL(graph_build_stem(&config, &g), CIUIC_OK);
    const int b = graph_producer(g, g->output), x = g->ops[b].in[0].value, y = g->output;
    const size_t numbers = (size_t)20 * 6 * 5;
    const int z = graph_add_value(g, GRAPH_F32, GRAPH_TOKENS, numbers, "z");
    const graph_op add = {.kind = GRAPH_ADD,
                          .layer = GRAPH_NONE,
                          .weight = GRAPH_NONE,
                          .heads = 1,
                          .head_width = misfit ? numbers - 5 : numbers, /* a sum of a part is none of images */
                          .in = {graph_whole(x), graph_whole(y), {.value = GRAPH_NONE}},
                          .out = graph_whole(z)};
    CU_ASSERT_NOT_EQUAL_FATAL(graph_add_op(g, &add), GRAPH_NONE);
    g->output = z_is_output ? z : x;
    CU_ASSERT_EQUAL_FATAL(graph_validate(g), CIUIC_OK);
    return g;
}

static void test_readers(void)
{
    static const struct {
        bool z, misfit;
        int from; /* conversions: of the sum; of x; of x and y, which is read outside */
    } table[] = {{true, false, 1}, {false, false, 1}, {true, true, 2}};
    float images[2 * 3 * 6 * 5], want[2 * 20 * 6 * 5], got[2 * 20 * 6 * 5];
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) images[i] = (float)((i * 37) % 101) / 101.0f - 0.5f;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const graph_pass_options options = {.block_anyway = true};
        const ciuic_options memory = {.memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "c"};
        graph *plain = residual(table[i].z, table[i].misfit), *fast = residual(table[i].z, table[i].misfit);
        bool changed = false;
        CU_ASSERT_EQUAL(graph_pass_block_channels(fast, &options, &changed), CIUIC_OK);
        CHECK(graph_validate(fast) == CIUIC_OK, "row %zu: %s", i, ciuic_last_error());
        CHECK(changed && stem_count_ops(fast, GRAPH_FROM_BLOCKS) == table[i].from, "row %zu: %d conversions", i,
              stem_count_ops(fast, GRAPH_FROM_BLOCKS));
        stem *a = NULL, *b = NULL;
        CU_ASSERT_EQUAL_FATAL(stem_of_graph(plain, &memory, stem_made_part, NULL, &a), CIUIC_OK);
        CU_ASSERT_EQUAL_FATAL(stem_of_graph(fast, &memory, stem_made_part, NULL, &b), CIUIC_OK);
        memset(want, 0, sizeof want); /* of a sum of a part, the rest is nobody's */
        memset(got, 0, sizeof got);
        CU_ASSERT_EQUAL(stem_run(a, images, 2, 1, want), CIUIC_OK);
        CU_ASSERT_EQUAL(stem_run(b, images, 2, 2, got), CIUIC_OK);
        const size_t compared = table[i].misfit ? 20 * 6 * 5 - 5 : sizeof want / sizeof *want;
        CHECK(memcmp(want, got, compared * sizeof *want) == 0, "row %zu: differs by %g", i,
              max_abs_difference(want, got, compared));
        stem_free(a);
        stem_free(b);
    }
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

/* Graphs that no kernel could run, each a good one with one thing changed. */
static void test_refusals(void)
{
    static const char *const says[] = {"its filters do not lie as its outputs do",
                                       "no kernel takes its groups from that layout into that one",
                                       "no kernel takes its groups from that layout into that one",
                                       "its filters do not lie as its outputs do",
                                       "it does not convert between blocks and another layout",
                                       "its output reaches beyond its value's columns",
                                       "ends before the columns that are read"};
    const stem_layer layers[] = {layer_of("a", 20, 1, 3, 1, STEM_RELU), layer_of("b", 20, 20, 3, 1, STEM_RELU)};
    const stem_config config = {.channels = 3, .height = 6, .width = 5, .layers = layers, .layer_count = 2};
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {
        graph *g = rewritten(&config, 0, true);
        graph_op *a = &g->ops[1], *b = &g->ops[3], *from = &g->ops[g->op_count - 1];
        CU_ASSERT_TRUE_FATAL(b->kind == GRAPH_CONV2D && from->kind == GRAPH_FROM_BLOCKS);
        switch (i) {
        case 0:
            g->weights[a->weight].blocked = false;
            break;
        case 1:
            b->image.reads = KERNEL_CHANNELS_FIRST; /* a depthwise one */
            break;
        case 2:
            a->image.writes = KERNEL_CHANNELS_FIRST, a->image.reads = KERNEL_CHANNELS_LAST;
            break;
        case 3:
            a->image.writes = KERNEL_CHANNELS_LAST, g->weights[a->weight].blocked = false;
            a->image.reads = KERNEL_CHANNELS_FIRST;
            break;
        case 4:
            from->image.reads = KERNEL_CHANNELS_LAST;
            break;
        case 5:
            g->values[a->out.value].width -= 1;
            break;
        default:
            g->values[from->in[0].value].width -= 1;
            g->ops[g->op_count - 2].head_width -= 1;
            break;
        }
        CHECK(graph_validate(g) == CIUIC_ERROR_INPUT, "row %zu was taken", i);
        CHECK(strstr(ciuic_last_error(), says[i]) != NULL, "row %zu: %s", i, ciuic_last_error());
        graph_free(g);
    }
}

static ciuic_status whole_way(const void *config)
{
    static float images[3 * 32 * 32], out[64 * 16 * 16];
    const ciuic_options on = {.graph = true, .memory = CIUIC_MEMORY_ON, .isa = "c"};
    stem *s = NULL;
    CIUIC_TRY(stem_create(config, &on, stem_made_part, NULL, &s));
    const ciuic_status status = stem_run(s, images, 1, 1, out);
    const bool blocked =
        blocked_convolutions(stem_graph(s)) == 2 && stem_count_ops(stem_graph(s), GRAPH_FROM_BLOCKS) == 1;
    stem_free(s);
    return blocked ? status : CIUIC_ERROR_UNSUPPORTED;
}

static void test_out_of_memory(void)
{
    const stem_layer layers[] = {layer_of("a", 32, 1, 7, 2, STEM_RELU), layer_of("b", 64, 1, 3, 1, STEM_RELU)};
    const stem_config config = {
        .channels = 3, .height = 32, .width = 32, .channels_last_in = true, .layers = layers, .layer_count = 2};
    const sweep_result r = failure_sweep("blocks", whole_way, &config, 0);
    CHECK(r.allocations > 20 && r.survived == 0, "%zu allocations, %zu not missed", r.allocations, r.survived);
}

static const test_case cases[] = {
    {"PyTorch's layers in blocks", test_golden},
    {"random stems with blocks and without", test_random},
    {"which convolutions are taken", test_taken},
    {"values with several readers", test_readers},
    {"refusals", test_refusals},
    {"no memory", test_out_of_memory},
};
TEST_SUITE(block_channels, cases);
