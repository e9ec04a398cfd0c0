/* test_long_context.c - decoding over a cache that is long enough to be cut by positions: how it is cut, and that what the
 * parts give together is what the whole gives. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/runtime/execute.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/runner.h"

/* Worked out by hand from the bytes that attention_parts() compares. */
typedef struct cut_case {
    size_t heads, kv_heads, value_width, position_bytes, positions;
    int threads;
    size_t parts;
} cut_case;
static const cut_case cuts[] = {
    {16, 1, 512, 1152, 4096, 1, 1},  /* nobody to share with */
    {8, 8, 32, 160, 4096, 2, 1},     /* four key heads for each thread */
    {16, 1, 512, 1152, 255, 2, 1},   /* short */
    {16, 1, 512, 1152, 256, 2, 2},   /* 128 positions, 16 + 16 partial outputs of 2 KiB: 213 kB, against 295 kB */
    {128, 1, 512, 1152, 256, 2, 1},  /* 128 + 128 partial outputs: 672 kB, against 295 kB */
    {128, 1, 512, 1152, 4096, 2, 2}, /* 2.9 MB, against 4.7 MB */
    {16, 1, 512, 1152, 256, 16, 4},  /* no part below 64 positions */
    {8, 2, 32, 512, 300, 3, 3},      /* six tasks of 100 positions instead of four of 300 */
    {12, 2, 128, 512, 1024, 4, 2},   /* the two tasks of a key head would both read all of it */
    {12, 2, 128, 512, 1024, 2, 1},   /* one key head each */
    {8, 8, 32, 320, 1024, 3, 3},     /* 24 tasks of a third instead of three whole heads for one thread */
};

static void test_cuts(void)
{
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        const cut_case *c = &cuts[i];
        const graph_op op = {.kind = GRAPH_ATTENTION,
                             .heads = c->heads,
                             .kv_heads = c->kv_heads,
                             .key_width = c->value_width,
                             .value_width = c->value_width};
        const size_t parts = attention_parts(&op, c->position_bytes, c->positions, c->threads);
        CHECK(parts == c->parts, "%zu heads, %zu key heads, %zu positions, %d threads: %zu parts, expected %zu",
              c->heads, c->kv_heads, c->positions, c->threads, parts, c->parts);
    }
}

/* Decoding begins beyond 256 positions. The goldens are shorter: their ids are said again. */
enum { PROMPT = 300, DECODED = 6, TOKENS = PROMPT + DECODED };

/* Logits of the decoded tokens, [DECODED][vocabulary]; false when a call failed. */
static bool decode_long(const golden *g, const ciuic_options *options, int threads, float *logits)
{
    golden_session s;
    int32_t ids[TOKENS];
    for (size_t i = 0; i < TOKENS; i++) ids[i] = g->ids[i % g->count];
    if (!golden_session_open(g->folder, options, threads, &s)) return false;
    bool ok = ciuic_prefill(s.session, ids, PROMPT, false, NULL) == CIUIC_OK;
    for (size_t i = 0; i < DECODED && ok; i++)
        ok = ciuic_decode(s.session, ids[PROMPT + i], logits + i * g->vocabulary) == CIUIC_OK;
    CHECK(ok, "%s: %s", g->folder, ciuic_last_error());
    golden_session_free(&s);
    return ok;
}

/* FP32 cache: sums in another order, 5e-4 as in test_variants.c.
 *
 * FP16 cache: the prompt's rows are the same bits on any number of threads, since prefill cuts no sum. The rows of the
 * decoded tokens come from sums in another order, which makes about one value in a thousand round the other way, by 2^-10
 * of itself: of at most DECODED * 6 layers * 128 values, a handful do, each in one position of 300. A logit is allowed the
 * full weight of four of them. */
static const double reordered = 5e-4, half_cache = 5e-4 + 4.0 / 1024;

static void check_long(const golden *g, bool fused, ciuic_memory memory, const float *reference)
{
    /* In FP32, so that no product with 16-bit weights rounds the activations, too. */
    const ciuic_options options = {.graph = fused, .memory = memory, .isa = "best", .weights_f32 = true};
    const size_t values = DECODED * g->vocabulary;
    float *one = malloc(values * sizeof *one), *many = malloc(values * sizeof *many),
          *again = malloc(values * sizeof *again);
    if (one && many && again && decode_long(g, &options, 1, one)) {
        double difference = max_abs_difference(one, reference, values);
        CHECK(memory == CIUIC_MEMORY_ON || difference <= reordered, "%s graph %d: differs from the reference by %.3g",
              g->folder, fused, difference);
        for (int threads = 2; threads <= 5; threads++) {
            if (!decode_long(g, &options, threads, many)) continue;
            difference = max_abs_difference(one, many, values);
            CHECK(difference <= (memory == CIUIC_MEMORY_ON ? half_cache : reordered),
                  "%s graph %d memory %d: %d threads differ from one by %.3g", g->folder, fused, memory, threads,
                  difference);
            if (threads != 3 || !decode_long(g, &options, threads, again)) continue;
            CHECK(memcmp(many, again, values * sizeof *many) == 0, "%s graph %d memory %d: two runs differ", g->folder,
                  fused, memory);
        }
    }
    free(one);
    free(many);
    free(again);
}

/* A model with one key head, one with two, and MLA: expanded to eight heads, and absorbed to one. */
static void test_decode(void)
{
    static const char *const folders[] = {"datasets/golden/r1-distill-llama", "datasets/qwen2-tiny",
                                          "datasets/golden/deepseek-v2-lite", "datasets/deepseek-v3-tiny"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        golden g;
        if (!golden_open(folders[i], &g)) continue;
        float *reference = malloc(DECODED * g.vocabulary * sizeof *reference);
        if (reference && decode_long(&g, NULL, 1, reference)) {
            check_long(&g, false, CIUIC_MEMORY_OFF, reference);
            check_long(&g, true, CIUIC_MEMORY_OFF, reference);
            check_long(&g, false, CIUIC_MEMORY_ON, reference);
            check_long(&g, true, CIUIC_MEMORY_ON, reference);
        }
        free(reference);
        golden_close(&g);
    }
}

static const test_case cases[] = {
    {"how the cache is cut", test_cuts},
    {"decode on one to five threads", test_decode},
};
TEST_SUITE(long_context, cases);
