/* test_memory.c - the arena planner on random lifetimes, and what a session says that it uses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Every architecture: the goldens, the trained ones, and the shapes of the real models. */
static const char *const configs[] = {
    "datasets/golden/deepseek-llm/config.json",
    "datasets/golden/deepseek-coder/config.json",
    "datasets/golden/r1-distill-qwen/config.json",
    "datasets/golden/r1-distill-llama/config.json",
    "datasets/golden/r1-0528-qwen3/config.json",
    "datasets/golden/deepseek-v2-lite/config.json",
    "datasets/golden/deepseek-v2/config.json",
    "datasets/golden/deepseek-v3/config.json",
    "datasets/golden/deepseek-v3-fp8/config.json",
    "datasets/deepseek-v3-tiny/config.json",
    "datasets/qwen2-tiny/config.json",
    "datasets/shapes/deepseek-coder-1.3b.json",
    "datasets/shapes/deepseek-v2-lite.json",
    "datasets/shapes/deepseek-v2.json",
    "datasets/shapes/deepseek-v3.json",
    "datasets/shapes/r1-0528-qwen3-8b.json",
    "datasets/shapes/r1-distill-qwen-1.5b.json",
};

/* A graph as a session runs it: fused or not, with quantised activations or not. */
static graph *lowered_graph(const model_config *c, graph_phase phase, bool fused, bool quantised)
{
    graph *g = NULL;
    const graph_pass_options passes = {.fold_norms = quantised};
    const graph_cache cache = model_type_has_mla(c->type) ? GRAPH_CACHE_LATENT : GRAPH_CACHE_EXPANDED;
    CU_ASSERT_EQUAL_FATAL(graph_build(c, phase, cache, &g), CIUIC_OK);
    if (fused) CU_ASSERT_EQUAL_FATAL(graph_optimize(g, &passes, 0), CIUIC_OK);
    graph_q8_need *needs = calloc((size_t)g->weight_count + 1, sizeof *needs);
    for (int i = 0; i < g->weight_count; i++)
        if (quantised && g->weights[i].kind != GRAPH_VECTOR && !g->weights[i].exact)
            needs[i] = (graph_q8_need){.quantised = true, .group = 32};
    CU_ASSERT_EQUAL_FATAL(graph_insert_quantize(g, needs, fused), CIUIC_OK);
    free(needs);
    return g;
}

/* Prefill of 512 tokens, and decoding; with results in the place of inputs, and without. */
static void test_arena_near_bound(void)
{
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        model_config c;
        CU_ASSERT_EQUAL_FATAL(model_config_read(configs[i], &c), CIUIC_OK);
        for (int setting = 0; setting < 16; setting++) {
            const bool decode = setting & 1, fused = setting & 2, quantised = setting & 4, in_place = setting & 8;
            graph *g = lowered_graph(&c, decode ? GRAPH_DECODE : GRAPH_PREFILL, fused, quantised);
            size_t bytes = 0, bound = 0;
            CU_ASSERT_EQUAL(buffers_plan(g, in_place, true, decode ? 1 : 512, 512, &bytes, &bound), CIUIC_OK);
            CHECK((double)bytes <= 1.05 * (double)bound, "%s decode %d fused %d quantised %d in place %d: %.2f%% more",
                  configs[i], decode, fused, quantised, in_place, 100.0 * ((double)bytes / (double)bound - 1.0));
            graph_free(g);
        }
    }
}

/* What the passes and the arena save of the activations of a 512-token prefill. */
static void test_activations_saved(void)
{
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        model_config c;
        graph *off = NULL;
        size_t each = 0, bytes[2] = {0}, bound = 0;
        CU_ASSERT_EQUAL_FATAL(model_config_read(configs[i], &c), CIUIC_OK);
        CU_ASSERT_EQUAL_FATAL(graph_build(&c, GRAPH_PREFILL, GRAPH_CACHE_EXPANDED, &off), CIUIC_OK);
        CU_ASSERT_EQUAL(buffers_plan(off, false, false, 512, 512, &each, &bound), CIUIC_OK);
        for (int in_place = 0; in_place < 2; in_place++) {
            graph *on = lowered_graph(&c, GRAPH_PREFILL, true, false);
            CU_ASSERT_EQUAL(buffers_plan(on, in_place, true, 512, 512, &bytes[in_place], &bound), CIUIC_OK);
            CHECK(3 * bytes[in_place] <= each, "%s in place %d: %zu bytes, %zu with memory off", configs[i], in_place,
                  bytes[in_place], each);
            graph_free(on);
        }
        CHECK(bytes[1] <= bytes[0], "%s: %zu bytes in place, %zu not", configs[i], bytes[1], bytes[0]);
        graph_free(off);
    }
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
    kv_cache_shape shape = {.format = KERNEL_CACHE_F16, .layers = 2, .positions = 4, .width = {3, 2}, .heads = 1};
    CU_ASSERT_EQUAL_FATAL(kv_cache_create(&cache, &shape, false), CIUIC_OK);
    CU_ASSERT_EQUAL(cache.bytes, 2 * 4 * 5 * 2);
    CU_ASSERT_EQUAL((char *)kv_cache_at(&cache, 1, 2, 1) - (char *)kv_cache_at(&cache, 1, 0, 0), (2 * 5 + 3) * 2);
    kv_cache_free(&cache);
    /* Keys of two heads of 65 values: two groups each; values of two heads of 3: one. 136 values, 6 scales. */
    shape = (kv_cache_shape){.format = KERNEL_CACHE_INT8, .layers = 3, .positions = 7, .width = {130, 6}, .heads = 2};
    CU_ASSERT_EQUAL_FATAL(kv_cache_create(&cache, &shape, false), CIUIC_OK);
    CU_ASSERT_EQUAL(cache.row_bytes, 136 + 2 * 6);
    CU_ASSERT_EQUAL((char *)kv_cache_scales(&cache, 0, 0, 0, 1) - (char *)kv_cache_at(&cache, 0, 0, 0), 136 + 2 * 2);
    CU_ASSERT_EQUAL((char *)kv_cache_scales(&cache, 1, 3, 1, 1) - (char *)kv_cache_at(&cache, 1, 3, 0), 136 + 2 * 5);
    kv_cache_free(&cache);
    shape.joined = true, shape.width[0] = 65,
    shape.width[1] = 64; /* one vector of 129: three groups, after 130 bytes */
    CU_ASSERT_EQUAL(kv_cache_row_bytes(&shape), 130 + 2 * 3);
    const kv_cache_shape huge = {.layers = 1u << 10, .positions = 1u << 20, .width = {(size_t)1 << 40, 0}, .heads = 1};
    CU_ASSERT_EQUAL(kv_cache_create(&cache, &huge, false), CIUIC_ERROR_UNSUPPORTED);
}

/* Growing moves nothing, stops at what was reserved, and says so. */
static void test_kv_cache_growth(void)
{
    kv_cache cache;
    const kv_cache_shape shape = {
        .format = KERNEL_CACHE_F32, .layers = 3, .positions = 1000, .width = {96, 32}, .heads = 1};
    CU_ASSERT_EQUAL_FATAL(kv_cache_create(&cache, &shape, false), CIUIC_OK);
    float *first = kv_cache_at(&cache, 2, 0, 0);
    CU_ASSERT_EQUAL(kv_cache_grow(&cache, 1), CIUIC_OK);
    *first = 7.0f;
    for (size_t n = 2; n <= 1000; n += 37) {
        CU_ASSERT_EQUAL(kv_cache_grow(&cache, n), CIUIC_OK);
        *(float *)kv_cache_at(&cache, 1, n - 1, 1) = (float)n; /* would fault where it did not grow */
        CU_ASSERT_EQUAL(cache.used, n);
    }
    CU_ASSERT_EQUAL(kv_cache_grow(&cache, 1000), CIUIC_OK);
    CU_ASSERT_TRUE(first == kv_cache_at(&cache, 2, 0, 0) && *first == 7.0f);
    CU_ASSERT_EQUAL(kv_cache_grow(&cache, 1001), CIUIC_ERROR_USAGE);
    CHECK(strstr(ciuic_last_error(), "1001") != NULL && strstr(ciuic_last_error(), "1000") != NULL, "%s",
          ciuic_last_error());
    kv_cache_free(&cache);
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
    CU_ASSERT_EQUAL_FATAL(buffers_create(&small, decode, false), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(buffers_create(&large, prefill, true), CIUIC_OK);
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
            CU_ASSERT_EQUAL(buffers_create(&b, g, true), CIUIC_OK);
            CU_ASSERT_EQUAL(buffers_prepare(&b, positions, positions, &arena), CIUIC_ERROR_UNSUPPORTED);
            CU_ASSERT_EQUAL(buffers_prepare(&b, positions, positions, NULL), CIUIC_ERROR_UNSUPPORTED);
            const kv_cache_shape shape = {.format = KERNEL_CACHE_F16,
                                          .layers = 1u << 16,
                                          .positions = positions,
                                          .width = {g->cache_width[0], g->cache_width[1]},
                                          .heads = 1};
            CU_ASSERT_EQUAL(kv_cache_create(&kv, &shape, false), CIUIC_ERROR_UNSUPPORTED);
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

/* Tokens whose rows are beyond the bound are refused by name, and the session goes on as it was; with memory off, where the whole
 * cache is written at once, when the session is made. A row of r1-distill-qwen is 2 halves of 32 values in 3 layers. */
static void test_cache_limit(void)
{
    enum { MOST = 10 };
    static const size_t element[CIUIC_MEMORY_COUNT] = {4, 2, 1};
    const int32_t ids[MOST + 1] = {0};
    for (int memory = 0; memory < CIUIC_MEMORY_COUNT; memory++) {
        /* INT8: a scale of 2 bytes for each of the two halves. */
        const size_t row = 3 * (64 * element[memory] + (memory == CIUIC_MEMORY_AGGRESSIVE ? 4 : 0));
        const ciuic_options options = {.memory = (ciuic_memory)memory};
        ciuic_session_options how = {.context = MOST + 6, .threads = 1, .cache_limit = MOST * row};
        ciuic_model *plain = NULL, *model = NULL;
        ciuic_session *session = NULL;
        CU_ASSERT_EQUAL_FATAL(ciuic_model_load("datasets/golden/r1-distill-qwen", &plain), CIUIC_OK);
        CU_ASSERT_EQUAL_FATAL(ciuic_optimize(plain, &options, &model, NULL), CIUIC_OK);
        if (memory == CIUIC_MEMORY_OFF) {
            CHECK(ciuic_session_create(model, &how, &session) == CIUIC_ERROR_USAGE &&
                      strstr(ciuic_last_error(), "10 positions fit") != NULL,
                  "%s", ciuic_last_error());
            how.context = MOST;
        }
        CHECK(ciuic_session_create(model, &how, &session) == CIUIC_OK, "memory %d: %s", memory, ciuic_last_error());
        if (session != NULL && memory != CIUIC_MEMORY_OFF) {
            CHECK(ciuic_prefill(session, ids, MOST + 1, false, NULL) == CIUIC_ERROR_USAGE &&
                      strstr(ciuic_last_error(), "10 positions fit") != NULL && ciuic_session_length(session) == 0,
                  "memory %d: %s", memory, ciuic_last_error());
            CHECK(ciuic_prefill(session, ids, MOST, false, NULL) == CIUIC_OK, "memory %d: %s", memory,
                  ciuic_last_error());
            CHECK(ciuic_decode(session, 1, NULL) == CIUIC_ERROR_USAGE && ciuic_session_length(session) == MOST,
                  "memory %d: the cache grew past its bound", memory);
            CU_ASSERT_EQUAL(ciuic_session_truncate(session, MOST - 1), CIUIC_OK);
            CU_ASSERT_EQUAL(ciuic_decode(session, 1, NULL), CIUIC_OK);
        }
        ciuic_session_free(session);
        ciuic_model_free(model);
        ciuic_model_free(plain);
    }
}

static const test_case cases[] = {
    {"a cache keeps its bound", test_cache_limit},
    {"largest sizes", test_largest_sizes},
    {"failed growth", test_failed_growth},
    {"arena: random lifetimes", test_arena_property},
    {"arena: known plans", test_arena_known},
    {"arena: near the bound", test_arena_near_bound},
    {"arena: activations saved", test_activations_saved},
    {"accounting", test_accounting},
    {"accounting of FP8", test_f8_accounting},
    {"kv cache", test_kv_cache},
    {"kv cache growth", test_kv_cache_growth},
};
TEST_SUITE(memory, cases);
