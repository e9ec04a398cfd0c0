/* test_memory.c - the arena planner on random lifetimes, and what a session says that it uses. */
#include <stdio.h>
#include <stdlib.h>

#include "optimizer/memory/arena.h"
#include "optimizer/memory/kv_cache.h"
#include "optimizer/runtime/buffers.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/runner.h"

static unsigned long long state;
static size_t random_below(size_t n)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull; /* Knuth's MMIX generator */
    return (size_t)(state >> 33) % n;
}

/* No two values alive together overlap; every offset is aligned; the total covers all and is not below the bound. */
static void check_plan(const arena_value *v, size_t count, size_t total, size_t bound)
{
    CHECK(total >= bound, "total %zu below the lower bound %zu", total, bound);
    for (size_t i = 0; i < count; i++) {
        if (v[i].offset % ARENA_ALIGNMENT != 0 || v[i].offset + v[i].bytes > total) CU_FAIL("offset out of place");
        for (size_t j = 0; j < i; j++) {
            const bool together = v[i].first <= v[j].last && v[j].first <= v[i].last;
            const bool overlap = v[i].offset < v[j].offset + v[j].bytes && v[j].offset < v[i].offset + v[i].bytes;
            if (together && overlap) CU_FAIL("two live values overlap");
        }
    }
}

static void test_arena_property(void)
{
    state = test_seed();
    for (int round = 0; round < 200; round++) {
        arena_value values[40];
        const size_t count = 1 + random_below(40);
        for (size_t i = 0; i < count; i++) {
            const int first = (int)random_below(50);
            values[i] =
                (arena_value){.bytes = 1 + random_below(5000), .first = first, .last = first + (int)random_below(20)};
        }
        size_t total = 0, bound = 0;
        CU_ASSERT_EQUAL(arena_plan(values, count, &total, &bound), CIUIC_OK);
        check_plan(values, count, total, bound);
    }
}

/* A chain in which each value lives until the next is made needs room for two; disjoint values need room for one. */
static void test_arena_known(void)
{
    arena_value chain[8], disjoint[8];
    for (int i = 0; i < 8; i++) {
        chain[i] = (arena_value){.bytes = 640, .first = i, .last = i + 1};
        disjoint[i] = (arena_value){.bytes = 100, .first = i, .last = i};
    }
    size_t total = 0, bound = 0;
    CU_ASSERT_EQUAL(arena_plan(chain, 8, &total, &bound), CIUIC_OK);
    CU_ASSERT_EQUAL(total, 2 * 640);
    CU_ASSERT_EQUAL(bound, 2 * 640);
    CU_ASSERT_EQUAL(arena_plan(disjoint, 8, &total, &bound), CIUIC_OK);
    CU_ASSERT_EQUAL(total, 128);
    CU_ASSERT_EQUAL(arena_plan(NULL, 0, &total, &bound), CIUIC_OK);
    CU_ASSERT_EQUAL(total, 0);
}

static ciuic_memory_use use_after_prefill(const char *folder, const ciuic_options *options)
{
    ciuic_memory_use use = {0};
    golden g;
    golden_session s;
    if (!golden_open(folder, &g)) return use;
    if (golden_session_open(folder, options, 2, &s)) {
        CU_ASSERT_EQUAL(ciuic_prefill(s.session, g.ids, g.count, false, NULL), CIUIC_OK);
        ciuic_session_memory(s.session, &use);
        golden_session_free(&s);
    }
    golden_close(&g);
    return use;
}

/* Against shapes worked out by hand from config.json; the sessions of golden_session_open hold 512 positions. */
static void test_accounting(void)
{
    const ciuic_options off = {.graph = false}, on = {.graph = true, .memory = CIUIC_MEMORY_ON},
                        int4 = {.quantize = CIUIC_QUANTIZE_INT4, .graph = true, .memory = CIUIC_MEMORY_ON};
    const ciuic_memory_use a = use_after_prefill("datasets/deepseek-v3-tiny", &off);
    const ciuic_memory_use b = use_after_prefill("datasets/deepseek-v3-tiny", &on);
    const ciuic_memory_use c = use_after_prefill("datasets/deepseek-v3-tiny", &int4);
    CU_ASSERT_EQUAL(a.kv_cache, 512 * 6 * 8 * (32 + 16 + 32) * 4); /* FP32, expanded heads: k 48, v 32 */
    CU_ASSERT_EQUAL(b.kv_cache, 512 * 6 * (64 + 16) * 2);          /* FP16, latent 64 and k_pe 16 */
    CU_ASSERT_EQUAL(a.mapped, 0);
    CU_ASSERT_TRUE(b.mapped > 0 && b.weights < b.mapped / 100); /* BF16 in place; FP32 norms and routers copied */
    CHECK(a.weights == b.weights + b.mapped, "weights %zu, in place %zu + %zu", a.weights, b.weights, b.mapped);
    CU_ASSERT_EQUAL(c.mapped, 0);
    /* 4 bits and an FP16 scale for 32 of them: 4.5 bits against 16, norms and routers aside */
    const double ratio = (double)c.weights / (double)a.weights;
    CHECK(ratio > 4.5 / 16 && ratio < 4.6 / 16, "int4 weights are %.4f of the 16-bit ones", ratio);
    CHECK(3 * b.activations < a.activations, "activations: %zu in the arena, %zu in buffers of their own",
          b.activations, a.activations);
}

/* FP8 is mapped byte for byte, with a scale for each block of 128 x 128, partial ones included; by hand from config.json
 * (test_checkpoint.c has the same sums as parameters). Embeddings and head are BF16; norms and routers are FP32 copies. */
static void test_f8_accounting(void)
{
    enum {
        ATTENTION = 80 * 256 + 256 * 64 + 256 * 128 + 96 * 256 + 192 * 96,
        CODES = 2 * ATTENTION + 3 * 320 * 256 + (4 + 1) * 3 * 160 * 256,
        /* [1, 2] [2, 1] [2, 1] [1, 2] [2, 1]; [3, 2] twice and [2, 3]; [2, 2] thrice */
        SCALES = 2 * 10 + 18 + (4 + 1) * 12,
        COPIES = 5 * 256 + 2 * (64 + 96) + 4 * 256 + 4,
    };
    const char *folder = "datasets/golden/deepseek-v3-fp8";
    const ciuic_options off = {.graph = false}, on = {.graph = true, .memory = CIUIC_MEMORY_ON};
    const ciuic_memory_use a = use_after_prefill(folder, &off), b = use_after_prefill(folder, &on);
    CHECK(b.mapped == CODES + 4 * SCALES + 2 * 2 * 512 * 256, "%zu bytes in place", b.mapped);
    CHECK(b.weights == 4 * COPIES, "%zu bytes of copies; expected %d", b.weights, 4 * COPIES);
    CHECK(a.mapped == 0 && a.weights == 4 * CODES + 2 * 2 * 512 * 256 + 4 * COPIES, "%zu bytes on the heap", a.weights);
}

static void test_kv_cache(void)
{
    kv_cache cache;
    const size_t width[2] = {3, 2};
    CU_ASSERT_EQUAL_FATAL(kv_cache_create(&cache, KERNEL_CACHE_F16, 2, 4, width, false), CIUIC_OK);
    CU_ASSERT_EQUAL(cache.bytes, 2 * 4 * 5 * 2);
    CU_ASSERT_EQUAL((char *)kv_cache_at(&cache, 1, 2, 1) - (char *)cache.data, ((1 * 4 + 2) * 5 + 3) * 2);
    kv_cache_free(&cache);
    const size_t huge[2] = {(size_t)1 << 40, 0};
    CU_ASSERT_EQUAL(kv_cache_create(&cache, KERNEL_CACHE_F32, 1u << 10, 1u << 20, huge, false),
                    CIUIC_ERROR_UNSUPPORTED);
}

/* A phase that could not grow the shared arena leaves the other phases usable. */
static void test_failed_growth(void)
{
    model_config config;
    graph *decode = NULL, *prefill = NULL;
    buffers small = {0}, large = {0};
    arena_block arena = {0};
    CU_ASSERT_EQUAL_FATAL(model_config_read("datasets/deepseek-v3-tiny/config.json", &config), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(graph_build(&config, GRAPH_DECODE, GRAPH_CACHE_LATENT, &decode), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(graph_build(&config, GRAPH_PREFILL, GRAPH_CACHE_LATENT, &prefill), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(buffers_create(&small, decode), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(buffers_create(&large, prefill), CIUIC_OK);
    CU_ASSERT_EQUAL(buffers_prepare(&small, 1, 64, &arena), CIUIC_OK);
    buffers_bind(&small, 1, 64, &arena, NULL);
    /* More than any address space holds, and more than a size can say. */
    CU_ASSERT_EQUAL(buffers_prepare(&large, (size_t)1 << 45, 64, &arena), CIUIC_ERROR_UNSUPPORTED);
    CU_ASSERT_EQUAL(buffers_prepare(&large, (size_t)1 << 62, 64, &arena), CIUIC_ERROR_UNSUPPORTED);
    CU_ASSERT_EQUAL(buffers_prepare(&small, 1, 64, &arena), CIUIC_OK);
    buffers_bind(&small, 1, 64, &arena, NULL);
    const char *logits = small.values[decode->output], *data = arena.data;
    CU_ASSERT_TRUE(data != NULL && logits >= data && logits + config.vocabulary * sizeof(float) <= data + arena.bytes);
    buffers_free(&small);
    buffers_free(&large);
    graph_free(decode);
    graph_free(prefill);
    free(arena.data);
}

/* The largest sizes that config.json may state (2^24 a width, 2^31 positions and ids), in every architecture's graph: no
 * width or size wraps around to something small that could be had. */
static void test_largest_sizes(void)
{
    static const char *const files[] = {"datasets/golden/deepseek-llm/config.json",
                                        "datasets/golden/deepseek-v2-lite/config.json",
                                        "datasets/golden/deepseek-v3/config.json"};
    const size_t most = (size_t)1 << 24, positions = INT32_MAX;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        model_config c;
        CU_ASSERT_EQUAL_FATAL(model_config_read(files[i], &c), CIUIC_OK);
        const bool mla = model_type_has_mla(c.type);
        c.vocabulary = c.max_position = positions;
        c.hidden_size = c.intermediate_size = c.heads = c.kv_heads = most;
        c.head_dim = mla ? 2 * most : most;
        if (mla) c.kv_lora_rank = c.qk_nope_head_dim = c.qk_rope_head_dim = c.v_head_dim = most;
        if (mla) c.experts = c.experts_per_token = c.moe_intermediate_size = most, c.shared_experts = 1u << 16;
        if (c.q_lora_rank > 0) c.q_lora_rank = most;
        for (int cache = GRAPH_CACHE_EXPANDED; cache <= (mla ? GRAPH_CACHE_LATENT : GRAPH_CACHE_EXPANDED); cache++) {
            graph *g = NULL;
            buffers b = {0};
            kv_cache kv;
            rope_table rope;
            arena_block arena = {0};
            CHECK(graph_build(&c, GRAPH_PREFILL, (graph_cache)cache, &g) == CIUIC_OK, "%s: %s", files[i],
                  ciuic_last_error());
            if (g == NULL) continue;
            CU_ASSERT_EQUAL(buffers_create(&b, g), CIUIC_OK);
            CU_ASSERT_EQUAL(buffers_prepare(&b, positions, positions, &arena), CIUIC_ERROR_UNSUPPORTED);
            CU_ASSERT_EQUAL(buffers_prepare(&b, positions, positions, NULL), CIUIC_ERROR_UNSUPPORTED);
            CU_ASSERT_EQUAL(kv_cache_create(&kv, KERNEL_CACHE_F16, 1u << 16, positions, g->cache_width, false),
                            CIUIC_ERROR_UNSUPPORTED);
            CU_ASSERT_EQUAL(rope_table_create(&rope, &c.rope, most, positions), CIUIC_ERROR_UNSUPPORTED);
            /* heads * (positions + block) + 64, in floats: below 2^58 bytes */
            CU_ASSERT_TRUE(attention_scratch(g, positions, positions) > positions);
            CU_ASSERT_TRUE(attention_scratch(g, positions, positions) < (size_t)1 << 58);
            CU_ASSERT_TRUE(attention_partials(g, positions, 4096) < (size_t)1 << 61);
            buffers_free(&b);
            graph_free(g);
        }
    }
}

static const test_case cases[] = {
    {"largest sizes", test_largest_sizes},
    {"failed growth", test_failed_growth},
    {"arena: random lifetimes", test_arena_property},
    {"arena: known plans", test_arena_known},
    {"accounting", test_accounting},
    {"accounting of FP8", test_f8_accounting},
    {"kv cache", test_kv_cache},
};
TEST_SUITE(memory, cases);
