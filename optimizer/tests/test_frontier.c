/* test_frontier.c - a layer that stops where a stage may go on, and goes on in another pass, puts out what one that runs through
 * does, to the last bit; and no matrix that is still to be quantised lies before such a place. */
#include "optimizer/quantize/frontier.h"

#include <stdlib.h>
#include <string.h>

#include "optimizer/tests/grouped_matrix.h"
#include "optimizer/tests/runner.h"

enum { WINDOW = 24, IDS = 60 }; /* two whole windows and half a one */

static const char *const folders[] = {"datasets/golden/deepseek-v2-lite", "datasets/golden/deepseek-v3",
                                      "datasets/golden/r1-distill-qwen", "datasets/golden/r1-0528-qwen3"};

static layer_pass *open_pass(const checkpoint *c, size_t layer)
{
    const recipe nothing = {.count = 0};
    const weight_source from = {.checkpoint = c, .recipe = &nothing};
    layer_pass *p = NULL;
    CHECK(layer_pass_create(&from, layer, WINDOW, 2, &p) == CIUIC_OK, "%s", ciuic_last_error());
    return p;
}

static size_t window_at(size_t first)
{
    return IDS - first < WINDOW ? IDS - first : WINDOW;
}

/* Runs all windows in one pass and keeps them at `f->at`, then goes on in another, windows in reverse. */
static void check_place(const checkpoint *c, size_t layer, const float *x, frontier *f)
{
    const size_t hidden = checkpoint_config(c)->hidden_size;
    layer_pass *before = open_pass(c, layer), *after = open_pass(c, layer), *through = open_pass(c, layer);
    if (before == NULL || after == NULL || through == NULL) return;
    for (size_t first = 0; first < IDS; first += WINDOW) {
        const size_t rows = window_at(first);
        CU_ASSERT_EQUAL(layer_pass_run(before, x + first * hidden, rows, f->at, NULL), CIUIC_OK);
        CU_ASSERT_EQUAL(frontier_keep(f, before, first, rows), CIUIC_OK);
    }
    for (size_t window = (IDS + WINDOW - 1) / WINDOW; window-- > 0;) {
        const size_t first = window * WINDOW, rows = window_at(first);
        const int output = layer_pass_graph(after)->output;
        CU_ASSERT_EQUAL(frontier_restore(f, after, first, rows), CIUIC_OK);
        CU_ASSERT_EQUAL(
            layer_pass_resume(after, x + first * hidden, rows, f->at, INT32_MAX, frontier_routing(f, first)), CIUIC_OK);
        CU_ASSERT_EQUAL(layer_pass_run(through, x + first * hidden, rows, INT32_MAX, NULL), CIUIC_OK);
        CHECK(memcmp(layer_pass_value(after, output), layer_pass_value(through, output),
                     rows * layer_pass_graph(after)->values[output].width * sizeof(float)) == 0,
              "%s layer %zu from operation %d: another output in window %zu", checkpoint_path(c), layer, f->at, window);
    }
    layer_pass_free(before);
    layer_pass_free(after);
    layer_pass_free(through);
}

static void check_layer(const checkpoint *c, size_t layer, const float *x)
{
    const quantize_setting int8 = {.quantised = true, .format = KERNEL_INT8, .group = 32};
    const recipe everything = {.otherwise = int8};
    graph *g = NULL;
    layer_stages stages = {0};
    CU_ASSERT_EQUAL_FATAL(graph_build_layer(checkpoint_config(c), layer, &g), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(layer_stages_find(g, &everything, &stages), CIUIC_OK);
    CU_ASSERT_TRUE(stages.count > 1);
    for (int stage = 0; stage < stages.count; stage++) {
        frontier f = {0};
        const int at = frontier_place(g, &stages, stage);
        CHECK(stage == 0 ? at == 0 || stages.stage[0] == STAGE_NONE : at > 0, "stage %d: place %d", stage, at);
        for (int i = 0; i < at; i++) CU_ASSERT_TRUE(stages.stage[i] < stage);
        CU_ASSERT_EQUAL_FATAL(frontier_create(&f, g, at, IDS, WINDOW), CIUIC_OK);
        check_place(c, layer, x, &f);
        frontier_free(&f);
    }
    layer_stages_free(&stages);
    graph_free(g);
}

static void goes_on_where_it_stopped(void)
{
    unsigned long long state = test_seed();
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        checkpoint *c = NULL;
        CHECK(checkpoint_open(folders[i], &c) == CIUIC_OK, "%s", ciuic_last_error());
        if (c == NULL) continue;
        const size_t count = IDS * checkpoint_config(c)->hidden_size;
        float *x = malloc(count * sizeof *x);
        CU_ASSERT_PTR_NOT_NULL_FATAL(x);
        for (size_t k = 0; k < count; k++) x[k] = random_uniform(&state);
        for (size_t layer = 0; layer < checkpoint_config(c)->layers; layer++) check_layer(c, layer, x);
        free(x);
        checkpoint_release(c);
    }
}

/* Attention is where the time is: the place before the output projection lies after it. */
static void attention_is_not_run_again(void)
{
    checkpoint *c = NULL;
    CU_ASSERT_EQUAL_FATAL(checkpoint_open(folders[0], &c), CIUIC_OK);
    const quantize_setting int8 = {.quantised = true, .format = KERNEL_INT8, .group = 32};
    const recipe everything = {.otherwise = int8};
    graph *g = NULL;
    layer_stages stages = {0};
    CU_ASSERT_EQUAL_FATAL(graph_build_layer(checkpoint_config(c), 1, &g), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(layer_stages_find(g, &everything, &stages), CIUIC_OK);
    int attention = 0, output = 0;
    while (g->ops[attention].kind != GRAPH_ATTENTION) attention++;
    for (output = attention; stages.stage[output] == STAGE_NONE;) output++;
    CHECK(frontier_place(g, &stages, stages.stage[output]) == output, "place %d of the output projection, %d",
          frontier_place(g, &stages, stages.stage[output]), output);
    layer_stages_free(&stages);
    graph_free(g);
    checkpoint_release(c);
}

static const test_case cases[] = {
    {"a layer goes on where it stopped", goes_on_where_it_stopped},
    {"attention is not run again", attention_is_not_run_again},
};
TEST_SUITE(frontier, cases);
