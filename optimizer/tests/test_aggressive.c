/* test_aggressive.c - memory = aggressive: its INT8 cache by hand-computed bytes and against the FP16 one, prefill in chunks
 * against all at once, results in the place of their inputs against results of their own. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/memory/kv_cache.h"
#include "optimizer/runtime/model.h"
#include "optimizer/runtime/value_places.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/runner.h"

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

/* deepseek-v2-lite cut to 4 layers: latent 512, k_pe 64; in INT8 576 values in 9 groups. */
static void test_bytes_of_v2_lite(void)
{
    model_config c;
    graph *g = NULL;
    CU_ASSERT_EQUAL_FATAL(model_config_read("datasets/shapes/deepseek-v2-lite.json", &c), CIUIC_OK);
    c.layers = 4;
    CU_ASSERT_EQUAL_FATAL(graph_build(&c, GRAPH_DECODE, GRAPH_CACHE_LATENT, &g), CIUIC_OK);
    kv_cache_shape shape = {.format = KERNEL_CACHE_F16,
                            .layers = c.layers,
                            .positions = 1,
                            .width = {g->cache_width[0], g->cache_width[1]},
                            .heads = 1,
                            .joined = true};
    size_t half = 0, int8 = 0;
    CU_ASSERT_EQUAL(kv_cache_bytes(&shape, &half), CIUIC_OK);
    shape.format = KERNEL_CACHE_INT8;
    CU_ASSERT_EQUAL(kv_cache_bytes(&shape, &int8), CIUIC_OK);
    CHECK(half == (512 + 64) * 2 * 4, "FP16: %zu bytes a token", half);
    CHECK(int8 == half / 2 + 9 * 2 * 4, "INT8: %zu bytes a token", int8);
    graph_free(g);
}

static ciuic_memory_use use_of(const char *folder, ciuic_memory memory, size_t context, size_t prompt)
{
    ciuic_model *plain = NULL, *model = NULL;
    ciuic_session *session = NULL;
    ciuic_memory_use use = {0};
    const ciuic_options options = {.graph = true, .memory = memory};
    const ciuic_session_options how = {.context = context, .threads = 1};
    int32_t *ids = calloc(prompt, sizeof *ids);
    CU_ASSERT_EQUAL_FATAL(ciuic_model_load(folder, &plain), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(ciuic_optimize(plain, &options, &model, NULL), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(ciuic_session_create(model, &how, &session), CIUIC_OK);
    CU_ASSERT_EQUAL(ciuic_prefill(session, ids, prompt, false, NULL), CIUIC_OK);
    ciuic_session_memory(session, &use);
    ciuic_session_free(session);
    ciuic_model_free(model);
    ciuic_model_free(plain);
    free(ids);
    return use;
}

/* deepseek-v3-tiny: latent 64 and k_pe 16, 6 layers: 80 values in 2 groups. qwen2-tiny: keys and values of 2 heads of 32, 6
 * layers, a group each. */
static void test_bytes_of_sessions(void)
{
    const ciuic_memory_use half = use_of("datasets/deepseek-v3-tiny", CIUIC_MEMORY_ON, 512, 100);
    const ciuic_memory_use int8 = use_of("datasets/deepseek-v3-tiny", CIUIC_MEMORY_AGGRESSIVE, 512, 100);
    CHECK(half.kv_cache == 512 * (64 + 16) * 2 * 6, "FP16: %zu bytes", half.kv_cache);
    CHECK(int8.kv_cache == 512 * (64 + 16 + 2 * 2) * 6, "INT8: %zu bytes", int8.kv_cache);
    CHECK(int8.kv_cache_used == 100 * (64 + 16 + 2 * 2) * 6, "INT8, used: %zu bytes", int8.kv_cache_used);
    const ciuic_memory_use heads = use_of("datasets/qwen2-tiny", CIUIC_MEMORY_AGGRESSIVE, 512, 100);
    CHECK(heads.kv_cache == 512 * 2 * 2 * (32 + 2) * 6, "INT8 of heads: %zu bytes", heads.kv_cache);
}

/* A cached value is rounded by at most half a step, 1/254 of the largest of its group (and of the rounded scale, 2^-11 more).
 * Otherwise as for FP16 in test_variants.c: 6 layers * (1 + 2 * 8), where the signs of all errors agree. */
static const double int8_bound = 6 * (1 + 2 * 8) * (1.0 / 254) * (1 + 0x1p-11);

/* ---- chunks ----------------------------------------------------------------------------------------------------- */

enum { PROMPT = 300 };

static bool run_prompt(const golden *g, const ciuic_options *options, size_t chunk, float *logits)
{
    ciuic_model *plain = NULL, *model = NULL;
    ciuic_session *session = NULL;
    int32_t ids[PROMPT];
    const ciuic_session_options how = {.context = 512, .threads = chunk < PROMPT ? 3 : 1, .chunk = chunk};
    for (size_t i = 0; i < PROMPT; i++) ids[i] = g->ids[i % g->count];
    ciuic_status status = ciuic_model_load(g->folder, &plain);
    if (status == CIUIC_OK) status = ciuic_optimize(plain, options, &model, NULL);
    if (status == CIUIC_OK) status = ciuic_session_create(model, &how, &session);
    if (status == CIUIC_OK) status = ciuic_prefill(session, ids, PROMPT, true, logits);
    CHECK(status == CIUIC_OK, "%s: %s", g->folder, ciuic_last_error());
    ciuic_session_free(session);
    ciuic_model_free(model);
    ciuic_model_free(plain);
    return status == CIUIC_OK;
}

/* Portable C computes each row by itself, whatever rows stand beside it, and the cache holds the same bits: so do the
 * logits. The best kernels, in FP32, sum in another order where a chunk ends: 5e-4 of a logit (test_variants.c), about 1e-5
 * of a hidden state. That sends 254 * 1e-5 of the cached values to the next step of the INT8 cache, about one of the
 * hundreds of a position. A step is twice the most that rounding does, so one value of a group of 64 moves what
 * test_int8_cache() allows all of them by 2 / 64 of that. */
static void test_chunks(void)
{
    const double bound = 5e-4 + 2.0 / 64 * int8_bound;
    for (size_t i = 0; i < golden_folder_count; i++) {
        golden g;
        if (!golden_open(golden_folders[i], &g)) continue;
        const size_t values = PROMPT * g.vocabulary;
        float *whole = malloc(values * sizeof *whole), *parts = malloc(values * sizeof *parts);
        const ciuic_options c = {.graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "c"};
        const ciuic_options best = {
            .graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "best", .weights_f32 = true};
        if (run_prompt(&g, &c, PROMPT, whole) && run_prompt(&g, &c, 64, parts))
            CHECK(memcmp(whole, parts, values * sizeof *whole) == 0, "%s: chunks of 64 differ by %.3g", g.folder,
                  max_abs_difference(whole, parts, values));
        if (run_prompt(&g, &best, PROMPT, whole) && run_prompt(&g, &best, 64, parts)) {
            const double difference = max_abs_difference(whole, parts, values);
            CHECK(difference <= bound, "%s: chunks of 64 differ by %.3g, at most %.3g", g.folder, difference, bound);
        }
        free(whole);
        free(parts);
        golden_close(&g);
    }
}

/* The usual chunk is CIUIC_CHUNK: a longer prompt takes no more activations. */
static void test_usual_chunk(void)
{
    const ciuic_memory_use one = use_of("datasets/qwen2-tiny", CIUIC_MEMORY_AGGRESSIVE, 2048, CIUIC_CHUNK);
    const ciuic_memory_use four = use_of("datasets/qwen2-tiny", CIUIC_MEMORY_AGGRESSIVE, 2048, 4 * CIUIC_CHUNK);
    const ciuic_memory_use whole = use_of("datasets/qwen2-tiny", CIUIC_MEMORY_ON, 2048, 4 * CIUIC_CHUNK);
    CU_ASSERT_EQUAL(one.activations, four.activations);
    CHECK(4 * four.activations < whole.activations + 65536, "%zu bytes in chunks, %zu at once", four.activations,
          whole.activations);
}

/* ---- in place --------------------------------------------------------------------------------------------------- */

/* x -> a, b (columns of ab) -> swiglu -> y, + x -> z: y lies in a's columns of ab, z where x was; the output never moves in. */
static void test_places(void)
{
    graph_value values[5] = {{.width = 8}, {.width = 16}, {.width = 8}, {.width = 8}, {.width = 8}};
    const graph_operand none = {GRAPH_NONE, 0, 0};
    graph_op ops[] = {
        {.kind = GRAPH_INPUT, .heads = 1, .head_width = 8, .in = {none, none, none}, .out = {0, 0, 0}},
        {.kind = GRAPH_MATMUL, .heads = 1, .in = {{0, 0, 0}, none, none}, .out = {1, 0, 0}},
        {.kind = GRAPH_SWIGLU, .heads = 1, .head_width = 8, .in = {{1, 0, 0}, {1, 8, 0}, none}, .out = {2, 0, 0}},
        {.kind = GRAPH_ADD, .heads = 1, .head_width = 8, .in = {{0, 0, 0}, {2, 0, 0}, none}, .out = {3, 0, 0}},
        {.kind = GRAPH_SILU, .heads = 1, .head_width = 8, .in = {{3, 0, 0}, none, none}, .out = {4, 0, 0}},
    };
    const graph g = {.values = values, .value_count = 5, .ops = ops, .op_count = 5, .output = 4};
    value_life life[5];
    value_place place[5];
    value_lives(&g, life);
    value_places(&g, life, true, place);
    CU_ASSERT_TRUE(place[2].root == 1 && place[2].offset == 0 && place[2].stride == 16);
    CU_ASSERT_TRUE(place[3].root == 0 && place[3].stride == 8);
    CU_ASSERT_EQUAL(place[4].root, 4);
    ops[2].in[0].offset = 4; /* either place would cover half of the other input */
    value_places(&g, life, true, place);
    CU_ASSERT_EQUAL(place[2].root, 2);
    ops[2].in[0].offset = 0;
    life[1].last = 3; /* somebody still reads it */
    value_places(&g, life, true, place);
    CU_ASSERT_EQUAL(place[2].root, 2);
    value_places(&g, life, false, place);
    for (int v = 0; v < 5; v++) CU_ASSERT_EQUAL(place[v].root, v);
}

/* The errors of all positions, prefilled, and decoded for the second half. */
static bool position_errors(const golden *g, ciuic_session *session, double *errors)
{
    float *logits = malloc(g->count * g->vocabulary * sizeof *logits);
    bool ok = logits != NULL && ciuic_prefill(session, g->ids, g->count, true, logits) == CIUIC_OK &&
              ciuic_session_truncate(session, g->count / 2) == CIUIC_OK;
    for (size_t i = 0; i < g->count && ok; i++)
        errors[i] = max_abs_difference(logits + i * g->vocabulary, g->logits + i * g->vocabulary, g->vocabulary);
    for (size_t i = g->count / 2; i < g->count && ok; i++) {
        ok = ciuic_decode(session, g->ids[i], logits) == CIUIC_OK;
        errors[i] = fmax(errors[i], max_abs_difference(logits, g->logits + i * g->vocabulary, g->vocabulary));
    }
    free(logits);
    return ok;
}

/* Against the reference. Where a rounded router logit sends a token to another expert nothing is bounded: so it is the median
 * over positions, as in test_variants.c. */
static void test_int8_cache(void)
{
    for (size_t i = 0; i < golden_folder_count; i++) {
        golden g;
        golden_session session;
        if (!golden_open(golden_folders[i], &g)) continue;
        for (int fused = 0; fused < 2; fused++) {
            const ciuic_options options = {
                .graph = fused != 0, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "best", .weights_f32 = true};
            double *errors = calloc(g.count, sizeof *errors);
            if (errors != NULL && golden_session_open(g.folder, &options, 2, &session)) {
                CU_ASSERT_TRUE(position_errors(&g, session.session, errors));
                const double median = sorted_median(errors, g.count);
                CHECK(median <= int8_bound, "%s graph %d: differs by %.3g, at most %.3g", g.folder, fused, median,
                      int8_bound);
                CHECK(median > 1e-5, "%s graph %d: differs by %.3g only: is the cache INT8?", g.folder, fused, median);
                golden_session_free(&session);
            }
            free(errors);
        }
        golden_close(&g);
    }
}

/* Resident pages of mapped files of that suffix, from /proc/self/smaps. */
static size_t resident_of(const char *suffix)
{
    char line[4608];
    bool counts = false;
    size_t sum = 0;
    FILE *file = fopen("/proc/self/smaps", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        unsigned long long from = 0, to = 0, kilobytes = 0;
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2) counts = strstr(line, suffix) != NULL;
        if (counts && sscanf(line, "Rss: %llu kB", &kilobytes) == 1) sum += (size_t)kilobytes * 1024;
    }
    if (file != NULL) fclose(file);
    return sum;
}

/* Every weight is a copy: none of the checkpoint's pages stays, header and all. With weights in place, theirs do. */
static void test_sources_given_back(void)
{
    const char *folder = "datasets/qwen2-tiny", *file = "qwen2-tiny/model.safetensors";
    ciuic_model *plain = NULL, *copies = NULL, *in_place = NULL;
    const ciuic_options quantised = {
        .quantize = CIUIC_QUANTIZE_INT4, .graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "best"};
    const ciuic_options mapped = {.graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "best"};
    CU_ASSERT_EQUAL_FATAL(ciuic_model_load(folder, &plain), CIUIC_OK);
    CHECK(resident_of(file) > 0, "nothing of %s is mapped", file);
    CU_ASSERT_EQUAL_FATAL(ciuic_optimize(plain, &quantised, &copies, NULL), CIUIC_OK);
    CHECK(resident_of(file) == 0, "%zu bytes of %s stay resident", resident_of(file), file);
    CU_ASSERT_EQUAL_FATAL(ciuic_optimize(plain, &mapped, &in_place, NULL), CIUIC_OK);
    ciuic_session *session = NULL;
    const int32_t id = 1;
    CU_ASSERT_EQUAL_FATAL(ciuic_session_create(in_place, NULL, &session), CIUIC_OK);
    CU_ASSERT_EQUAL(ciuic_prefill(session, &id, 1, false, NULL), CIUIC_OK);
    CHECK(resident_of(file) > 1000000, "%zu bytes of weights in use are resident", resident_of(file));
    ciuic_session_free(session);
    ciuic_model_free(in_place);
    ciuic_model_free(copies);
    ciuic_model_free(plain);
}

static const test_case cases[] = {
    {"source pages are given back", test_sources_given_back},
    {"bytes a token of V2-Lite", test_bytes_of_v2_lite},
    {"bytes of sessions", test_bytes_of_sessions},
    {"chunks give what the whole gives", test_chunks},
    {"the usual chunk", test_usual_chunk},
    {"results in the place of inputs", test_places},
    {"INT8 cache", test_int8_cache},
};
TEST_SUITE(aggressive, cases);
