/* test_rope_at_load.c - rotation at attention's load against rotation as an operation of its own: bit for bit, whatever the
 * threads share out, heads or parts of the cache; and it stays an operation where somebody else reads what it rotates. */
#include <stdlib.h>
#include <string.h>

#include "optimizer/graph/graph.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/runner.h"

/* Long enough for threads to share out positions of the cache (ops_attention.c: from 256 on). */
enum { PREFILLED = 300, DECODED = 3, SHORT = 4 };

/* A prefill, decoding behind it, and a short prefill over a long cache: the logits of each. */
static bool run(const char *folder, const ciuic_options *options, int threads, float *logits, size_t vocabulary)
{
    int32_t ids[PREFILLED + DECODED + SHORT];
    golden_session s;
    if (!golden_session_open(folder, options, threads, &s)) return false;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) ids[i] = (int32_t)((i * 7 + i / 5) % vocabulary);
    bool ok = ciuic_prefill(s.session, ids, PREFILLED, false, logits) == CIUIC_OK;
    for (size_t i = 0; i < DECODED && ok; i++)
        ok = ciuic_decode(s.session, ids[PREFILLED + i], logits + (1 + i) * vocabulary) == CIUIC_OK;
    ok = ok && ciuic_prefill(s.session, ids + PREFILLED + DECODED, SHORT, false, logits + (1 + DECODED) * vocabulary) ==
                   CIUIC_OK;
    CHECK(ok, "%s: %s", folder, ciuic_last_error());
    golden_session_free(&s);
    return ok;
}

/* Every pass, and every pass but this one, with the same kernels on as many threads: the same tasks, of the same numbers. */
static void compare(const golden *g, ciuic_memory memory, int threads)
{
    const size_t count = (2 + DECODED) * g->vocabulary;
    float *at_load = malloc(count * sizeof *at_load), *apart = malloc(count * sizeof *apart);
    CU_ASSERT_FATAL(at_load != NULL && apart != NULL);
    const uint32_t all = ((1u << CIUIC_PASSES) - 1) & ~(1u << CIUIC_PASS_SWIGLU_EPILOGUE);
    ciuic_options options = {.graph = true, .memory = memory, .isa = "best", .passes = all};
    if (run(g->folder, &options, threads, at_load, g->vocabulary)) {
        options.passes = all & ~(1u << CIUIC_PASS_ROPE_AT_LOAD);
        if (run(g->folder, &options, threads, apart, g->vocabulary))
            CHECK(memcmp(at_load, apart, count * sizeof *apart) == 0, "%s memory %d, %d threads: differs by %g",
                  g->folder, memory, threads, max_abs_difference(apart, at_load, count));
    }
    free(at_load);
    free(apart);
}

static void test_bit_for_bit(void)
{
    for (size_t i = 0; i < golden_folder_count; i++) {
        golden g;
        if (!golden_open(golden_folders[i], &g)) continue;
        for (int memory = CIUIC_MEMORY_OFF; memory < CIUIC_MEMORY_COUNT; memory++)
            for (int threads = 1; threads <= 3; threads += 2) compare(&g, (ciuic_memory)memory, threads);
        golden_close(&g);
    }
}

static int rotations(const graph *g)
{
    int count = 0;
    for (int i = 0; i < g->op_count; i++) count += g->ops[i].kind == GRAPH_ROPE ? 1 : 0;
    return count;
}

/* In decode no rotation is left; one more reader of a query, or of the keys of the first layer, keeps it. */
static void test_other_readers(void)
{
    model_config config;
    CU_ASSERT_EQUAL_FATAL(model_config_read("datasets/qwen2-tiny/config.json", &config), CIUIC_OK);
    for (int reader = 0; reader < 3; reader++) {
        graph *g = NULL;
        bool changed = false;
        const graph_pass_options options = {.fold_norms = false};
        CU_ASSERT_EQUAL_FATAL(graph_build(&config, GRAPH_DECODE, GRAPH_CACHE_EXPANDED, &g), CIUIC_OK);
        const int before = rotations(g);
        int seen = 0;
        for (int i = 0; i < g->op_count && reader > 0; i++) {
            if (g->ops[i].kind != GRAPH_ROPE || ++seen != reader) continue;
            const graph_op rope = g->ops[i];
            const size_t width = rope.heads * rope.head_width;
            const int value = graph_add_value(g, GRAPH_F32, GRAPH_TOKENS, width, "reader");
            const graph_op copy = {.kind = GRAPH_SILU,
                                   .layer = rope.layer,
                                   .weight = GRAPH_NONE,
                                   .heads = 1,
                                   .head_width = width,
                                   .in = {{.value = rope.out.value}, {.value = GRAPH_NONE}, {.value = GRAPH_NONE}},
                                   .out = {.value = value}};
            CU_ASSERT_FATAL(value != GRAPH_NONE && graph_add_op(g, &copy) != GRAPH_NONE);
            break;
        }
        CU_ASSERT_EQUAL(graph_passes[CIUIC_PASS_ROPE_AT_LOAD].run(g, &options, &changed), CIUIC_OK);
        CHECK(changed && before == 2 * (int)config.layers && rotations(g) == (reader > 0 ? 1 : 0),
              "reader %d: %d rotations became %d", reader, before, rotations(g));
        CU_ASSERT_EQUAL(graph_validate(g), CIUIC_OK);
        graph_free(g);
    }
}

static const test_case cases[] = {
    {"bit for bit, on any number of threads", test_bit_for_bit},
    {"what others read stays an operation", test_other_readers},
};
TEST_SUITE(rope_at_load, cases);
