/* test_stem.c - convolutional stems as graphs: against PyTorch's outputs before and after every pass, and what is refused. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "optimizer/checkpoint/safetensors.h"
#include "optimizer/runtime/stem.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/stem_fixture.h"

static void check_case(safetensors *file, const char *name, const ciuic_options *options, bool channels_last)
{
    stem_layer layer;
    stem_config config;
    stem *s = NULL;
    if (!stem_golden_layer(file, name, &layer, &config)) return;
    config.channels_last_in = config.channels_last_out = channels_last;
    const tensor *x = stem_tensor(file, name, "x"), *want = stem_tensor(file, name, "y");
    const ciuic_status status = stem_create(&config, options, stem_golden_part, file, &s);
    CHECK(status == CIUIC_OK, "%s: %s", name, ciuic_last_error());
    if (status != CIUIC_OK) return;
    CHECK(stem_outputs(s) * STEM_IMAGES == want->count, "%s: %zu outputs, expected %zu", name, stem_outputs(s),
          want->count / STEM_IMAGES);
    const bool folds = graph_pass_selected(options, CIUIC_PASS_FOLD_BATCHNORM);
    CHECK(stem_count_ops(stem_graph(s), GRAPH_BATCH_NORM) == (folds ? 0 : 1), "%s: normalisations are left", name);
    float *in = malloc(x->count * sizeof *in), *out = malloc(want->count * sizeof *out),
          *y = malloc(want->count * sizeof *y);
    CU_ASSERT_FATAL(in && out && y);
    memcpy(in, x->data, x->count * sizeof *in);
    if (channels_last) stem_transpose(x->data, STEM_IMAGES, config.channels, config.height * config.width, true, in);
    CU_ASSERT_EQUAL(stem_run(s, in, STEM_IMAGES, 2, out), CIUIC_OK);
    memcpy(y, out, want->count * sizeof *y);
    if (channels_last)
        stem_transpose(out, STEM_IMAGES, layer.out_channels, want->count / STEM_IMAGES / layer.out_channels, false, y);
    const double difference = max_abs_difference(y, want->data, want->count),
                 tolerance = stem_allowed_error(file, &layer, &config);
    CHECK(difference <= tolerance, "%s passes %#x channels %s: differs by %.3g, rounding allows %.3g", name,
          options->passes, channels_last ? "last" : "first", difference, tolerance);
    CHECK(tolerance < 1e-2, "%s: a tolerance of %g says nothing", name, tolerance);
    free(in);
    free(out);
    free(y);
    stem_free(s);
}

static void test_golden(void)
{
    static const char *const names[STEM_CASES] = {"0", "1", "2", "3"};
    safetensors *file = NULL;
    CU_ASSERT_EQUAL_FATAL(safetensors_open("datasets/golden/conv-bn/golden.safetensors", &file), CIUIC_OK);
    for (int i = 0; i < STEM_CASES; i++)
        for (int last = 0; last < 2; last++) {
            const ciuic_options off = {.isa = "c"}, on = {.graph = true, .memory = CIUIC_MEMORY_ON, .isa = "best"};
            check_case(file, names[i], &off, last);
            check_case(file, names[i], &on, last);
            for (int a = 0; a < CIUIC_PASSES; a++)
                for (int b = a; b < CIUIC_PASSES; b++) {
                    const ciuic_options some = {.graph = true, .passes = 1u << a | 1u << b, .isa = "c"};
                    if (b == a || a == CIUIC_PASS_FOLD_CONSTANTS || b >= CIUIC_PASS_FOLD_BATCHNORM)
                        check_case(file, names[i], &some, last);
                }
        }
    safetensors_close(file);
}

/* Two layers with activations, channels last at both ends; and one pixel or one channel, where nothing need be moved. */
static void test_layouts(void)
{
    const stem_layer layers[] = {{.conv = "a",
                                  .norm = "n",
                                  .out_channels = 4,
                                  .groups = 1,
                                  .kernel = {3, 2},
                                  .stride = {2, 1},
                                  .padding = {1, 0},
                                  .dilation = {1, 2},
                                  .eps = 1e-3,
                                  .activation = STEM_RELU},
                                 {.conv = "b",
                                  .bias = true,
                                  .out_channels = 6,
                                  .groups = 2,
                                  .kernel = {2, 3},
                                  .stride = {1, 2},
                                  .padding = {0, 1},
                                  .dilation = {1, 1},
                                  .activation = STEM_SILU}};
    static const struct {
        size_t channels, height, width;
        int layouts_off, layouts_on; /* conversions before and behind drop-layout */
    } table[] = {{3, 7, 9, 2, 2}, {1, 7, 9, 2, 1}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const stem_config config = {.channels = table[i].channels,
                                    .height = table[i].height,
                                    .width = table[i].width,
                                    .channels_last_in = true,
                                    .channels_last_out = true,
                                    .layers = layers,
                                    .layer_count = 2};
        const ciuic_options off = {.isa = "c"};
        const ciuic_options on = {.graph = true,
                                  .passes = ((1u << CIUIC_PASSES) - 1) & ~(1u << CIUIC_PASS_BLOCK_CHANNELS),
                                  .memory = CIUIC_MEMORY_ON,
                                  .isa = "c"};
        stem *plain = NULL, *fast = NULL;
        CU_ASSERT_EQUAL_FATAL(stem_create(&config, &off, stem_made_part, NULL, &plain), CIUIC_OK);
        CU_ASSERT_EQUAL_FATAL(stem_create(&config, &on, stem_made_part, NULL, &fast), CIUIC_OK);
        const int before = stem_count_ops(stem_graph(plain), GRAPH_CHANNELS_FIRST) +
                           stem_count_ops(stem_graph(plain), GRAPH_CHANNELS_LAST);
        const int after = stem_count_ops(stem_graph(fast), GRAPH_CHANNELS_FIRST) +
                          stem_count_ops(stem_graph(fast), GRAPH_CHANNELS_LAST);
        CHECK(before == table[i].layouts_off && after == table[i].layouts_on, "row %zu: %d conversions, then %d", i,
              before, after);
        float images[2 * 3 * 7 * 9], a[2048], b[2048];
        for (size_t n = 0; n < sizeof images / sizeof images[0]; n++)
            images[n] = (float)((n * 37) % 101) / 101.0f - 0.5f;
        CU_ASSERT_TRUE_FATAL(2 * stem_outputs(plain) <= 2048 && stem_outputs(plain) == stem_outputs(fast));
        CU_ASSERT_EQUAL(stem_run(plain, images, 2, 3, a), CIUIC_OK);
        CU_ASSERT_EQUAL(stem_run(fast, images, 2, 1, b), CIUIC_OK);
        /* Values below 30 in sums of at most 18 products, folded once: 20 roundings of 2^-24 of 30 each layer. */
        const double difference = max_abs_difference(a, b, 2 * stem_outputs(plain));
        CHECK(difference <= 2 * 20 * 30 * 0x1p-24, "row %zu: differ by %g", i, difference);
        stem_free(plain);
        stem_free(fast);
    }
}

/* A pair of conversions with nothing but element-wise functions between them goes. */
static void test_undone_layout(void)
{
    graph_value values[] = {{.name = "x", .width = 24},
                            {.name = "first", .width = 24},
                            {.name = "relu", .width = 24},
                            {.name = "last", .width = 24}};
    const graph_image image = {.channels = 4, .height = 2, .width = 3};
    const graph_op_kind kinds[] = {GRAPH_INPUT, GRAPH_CHANNELS_FIRST, GRAPH_RELU, GRAPH_CHANNELS_LAST};
    graph_op ops[4];
    for (int i = 0; i < 4; i++)
        ops[i] = (graph_op){.kind = kinds[i],
                            .layer = GRAPH_NONE,
                            .weight = GRAPH_NONE,
                            .heads = 1,
                            .head_width = 24,
                            .image = image,
                            .in = {{.value = i - 1}, {.value = GRAPH_NONE}, {.value = GRAPH_NONE}},
                            .out = {.value = i}};
    graph g = {.values = values, .value_count = 4, .ops = ops, .op_count = 4, .output = 3};
    const graph_pass_options options = {.fold_norms = false};
    bool changed = false;
    CU_ASSERT_EQUAL(graph_pass_drop_layout(&g, &options, &changed), CIUIC_OK);
    CHECK(changed && g.op_count == 2 && g.ops[1].kind == GRAPH_RELU && g.ops[1].in[0].value == 0 && g.output == 2,
          "%d operations, output %d", g.op_count, g.output);
    CU_ASSERT_EQUAL(graph_validate(&g), CIUIC_OK);
}

static void test_refusals(void)
{
    const stem_layer good = {.conv = "a",
                             .norm = "n",
                             .out_channels = 4,
                             .groups = 1,
                             .kernel = {3, 3},
                             .stride = {1, 1},
                             .padding = {1, 1},
                             .dilation = {1, 1},
                             .eps = 1e-5};
    stem_layer groups = good, large = good, still = good, lost = good, astray = good;
    /* Sizes whose products wrap: a kernel of 2^64 taps is none of 0, nor are 2^60 channels of 64 pixels 0 numbers. */
    stem_layer taps = good, filters = good, channels = good, padded = good;
    taps.kernel[0] = taps.kernel[1] = taps.padding[0] = taps.padding[1] = (size_t)1 << 32;
    filters.out_channels = SIZE_MAX / 4, channels.out_channels = (size_t)1 << 57;
    padded.padding[0] = padded.padding[1] = (size_t)1 << 40;
    groups.groups = 3, large.kernel[0] = 12, still.stride[1] = 0, lost.conv = "lost", astray.norm = "lost.norm";
    const struct {
        const stem_layer *layer;
        size_t channels;
        const char *says;
    } table[] = {{&groups, 2, "stem: a: 3 groups; expected a divisor of 2 channels in and 4 out"},
                 {&large, 2, "stem: a: a kernel of 12 x 3"},
                 {&still, 2, "in steps of 1 x 0"},
                 {&lost, 2, "stem: lost: its filters are not there; expected 72 numbers"},
                 {&astray, 2, "stem: lost.norm: its scale are not there; expected 4 numbers"},
                 {&taps, 1, "stem: a: 4 filters of 4294967296 x 4294967296 over 1 channels each"},
                 {&filters, 1, "stem: a: 4611686018427387903 filters of 3 x 3 over 1 channels each"},
                 {&channels, 1, "stem: a: 144115188075855872 channels of 64 numbers each"},
                 {&padded, 1, "in steps of 1 x 1"},
                 {&good, 0, "expected at least one of each"},
                 {&good, SIZE_MAX / 16, "no more bytes than can be counted"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const stem_config config = {
            .channels = table[i].channels, .height = 8, .width = 8, .layers = table[i].layer, .layer_count = 1};
        const ciuic_options on = {.graph = true, .isa = "c"};
        stem *s = NULL;
        CHECK(stem_create(&config, &on, stem_made_part, NULL, &s) == CIUIC_ERROR_INPUT && s == NULL,
              "row %zu was taken", i);
        CHECK(strstr(ciuic_last_error(), table[i].says) != NULL, "row %zu: %s", i, ciuic_last_error());
    }
}

static const test_case cases[] = {
    {"PyTorch's stems, with every pass and pair", test_golden},
    {"layers, activations and layouts", test_layouts},
    {"a layout that is undone", test_undone_layout},
    {"refusals", test_refusals},
};
TEST_SUITE(stem, cases);
