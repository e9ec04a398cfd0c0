/* test_prefix_cache.c - prompts that begin like earlier ones: the same logits, bounded bytes, the least recently used gone, and
 * what is kept where memory is out. */
#include <stdlib.h>
#include <string.h>

#include "optimizer/memory/prefix_cache.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/injected_failures.h"
#include "optimizer/tests/runner.h"

enum { LONGEST = 48, VOCABULARY = 512 };

typedef struct fixture {
    ciuic_model *plain, *model;
    ciuic_prefix_cache *cache;
    ciuic_session *with, *without;
} fixture;

static bool open_fixture(const char *folder, const ciuic_options *options, size_t bytes, fixture *f)
{
    *f = (fixture){0};
    ciuic_session_options how = {.context = LONGEST, .threads = 1};
    ciuic_status status = ciuic_model_load(folder, &f->plain);
    if (status == CIUIC_OK) status = ciuic_optimize(f->plain, options, &f->model, NULL);
    if (status == CIUIC_OK) status = ciuic_session_create(f->model, &how, &f->without);
    if (status == CIUIC_OK) status = ciuic_prefix_cache_create(f->model, bytes, &f->cache);
    how.prefixes = f->cache;
    if (status == CIUIC_OK) status = ciuic_session_create(f->model, &how, &f->with);
    CHECK(status == CIUIC_OK, "%s: %s", folder, ciuic_last_error());
    return status == CIUIC_OK;
}

static void close_fixture(fixture *f)
{
    ciuic_session_free(f->with);
    ciuic_session_free(f->without);
    ciuic_prefix_cache_free(f->cache);
    ciuic_model_free(f->model);
    ciuic_model_free(f->plain);
}

static bool prefill_and_decode(ciuic_session *session, const int32_t *ids, size_t n, float *logits)
{
    return ciuic_session_truncate(session, 0) == CIUIC_OK &&
           ciuic_prefill(session, ids, n, false, logits) == CIUIC_OK &&
           ciuic_decode(session, 7, logits + VOCABULARY) == CIUIC_OK;
}

static unsigned long long state;
static size_t random_below(size_t n)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull; /* Knuth's MMIX generator */
    return (size_t)(state >> 33) % n;
}

/* Prompts of two letters often begin alike. With portable C every row is the same bits, whatever stands beside it. */
static void check_random_prompts(const char *folder, const ciuic_options *options, double tolerance)
{
    fixture f;
    const size_t capacity = 200000;
    if (!open_fixture(folder, options, capacity, &f)) return;
    float *with = malloc(2 * VOCABULARY * sizeof *with), *without = malloc(2 * VOCABULARY * sizeof *without);
    for (int round = 0; round < 60 && with && without; round++) {
        int32_t ids[LONGEST];
        ciuic_prefix_use use;
        const size_t n = 1 + random_below(LONGEST - 1);
        for (size_t i = 0; i < n; i++) ids[i] = random_below(8) == 0 ? 11 : 5;
        CHECK(prefill_and_decode(f.with, ids, n, with) && prefill_and_decode(f.without, ids, n, without), "%s: %s",
              folder, ciuic_last_error());
        const double difference = max_abs_difference(with, without, 2 * VOCABULARY);
        CHECK(difference <= tolerance, "%s memory %d round %d: differs by %.3g", folder, options->memory, round,
              difference);
        ciuic_prefix_cache_describe(f.cache, &use);
        CHECK(use.bytes <= capacity && use.lookups == (size_t)round + 1, "%zu bytes of %zu", use.bytes, capacity);
        CU_ASSERT_EQUAL(ciuic_session_length(f.with), n + 1);
    }
    ciuic_prefix_use use;
    ciuic_prefix_cache_describe(f.cache, &use);
    CHECK(use.hits > 20 && use.tokens > use.hits, "%s: %zu hits, %zu tokens", folder, use.hits, use.tokens);
    free(with);
    free(without);
    close_fixture(&f);
}

static void test_random_prompts(void)
{
    static const char *const folders[] = {"datasets/golden/r1-distill-qwen", "datasets/golden/deepseek-v3"};
    state = test_seed();
    for (size_t i = 0; i < 2; i++)
        for (int memory = CIUIC_MEMORY_OFF; memory < CIUIC_MEMORY_COUNT; memory++) {
            const uint32_t all = (1u << CIUIC_PASSES) - 1, expanding = all & ~(1u << CIUIC_PASS_ABSORB_MLA);
            ciuic_options c = {.graph = true, .passes = expanding, .memory = (ciuic_memory)memory, .isa = "c"};
            check_random_prompts(folders[i], &c, 0.0);
            /* A short rest over a long prefix may be absorbed where the whole prompt is not: test_variants.c's bound. */
            c.passes = 0;
            check_random_prompts(folders[i], &c, 5e-4 + 4.0 / 1024);
        }
    /* FP32 sums in another order: 5e-4, as in test_variants.c. The cache is FP32, too. */
    const ciuic_options best = {.graph = true, .isa = "best", .weights_f32 = true};
    check_random_prompts(folders[0], &best, 5e-4);
}

static size_t hits_after(fixture *f, const int32_t *ids, size_t n)
{
    ciuic_prefix_use use;
    float logits[VOCABULARY];
    CU_ASSERT_EQUAL(ciuic_session_truncate(f->with, 0), CIUIC_OK);
    CU_ASSERT_EQUAL(ciuic_prefill(f->with, ids, n, false, logits), CIUIC_OK);
    ciuic_prefix_cache_describe(f->cache, &use);
    return use.hits;
}

/* Room for two prompts of 20 tokens: the third pushes out the one that was used longest ago. A row of r1-distill-qwen is 2
 * halves of 1 head of 32 values in FP16, in 3 layers. */
static void test_least_recently_used(void)
{
    enum { N = 20, TOKEN = 3 * 64 * 2 + 4, OVERHEAD = 64 };
    int32_t a[N], b[N], c[N];
    for (int i = 0; i < N; i++) a[i] = 1, b[i] = 2, c[i] = 3;
    fixture f;
    const ciuic_options options = {.graph = true, .memory = CIUIC_MEMORY_ON};
    ciuic_prefix_use use;
    if (!open_fixture("datasets/golden/r1-distill-qwen", &options, 2 * (N * TOKEN + OVERHEAD), &f)) return;
    CU_ASSERT_EQUAL(hits_after(&f, a, N), 0);
    CU_ASSERT_EQUAL(hits_after(&f, b, N), 0);
    CU_ASSERT_EQUAL(hits_after(&f, a, N), 1); /* b is now the older one */
    CU_ASSERT_EQUAL(hits_after(&f, c, N), 1);
    ciuic_prefix_cache_describe(f.cache, &use);
    CHECK(use.entries == 2 && use.tokens == N - 1, "%zu entries, %zu tokens", use.entries, use.tokens);
    CU_ASSERT_EQUAL(hits_after(&f, a, N), 2);
    CU_ASSERT_EQUAL(hits_after(&f, b, N), 2); /* gone */
    close_fixture(&f);
    /* A prompt that is longer than there is room for is kept as far as it fits; no room keeps nothing. */
    if (!open_fixture("datasets/golden/r1-distill-qwen", &options, 10 * TOKEN + OVERHEAD, &f)) return;
    CU_ASSERT_EQUAL(hits_after(&f, a, N), 0);
    CU_ASSERT_EQUAL(hits_after(&f, a, N), 1);
    ciuic_prefix_cache_describe(f.cache, &use);
    CHECK(use.tokens >= 10 && use.tokens <= 11, "%zu tokens", use.tokens);
    close_fixture(&f);
    if (!open_fixture("datasets/golden/r1-distill-qwen", &options, 8, &f)) return;
    CU_ASSERT_EQUAL(hits_after(&f, a, N), 0);
    CU_ASSERT_EQUAL(hits_after(&f, a, N), 0);
    close_fixture(&f);
}

/* Off unless asked for, of its own model only, and not where logits of all tokens are wanted. */
static void test_refusals(void)
{
    fixture f;
    ciuic_session *session = NULL;
    ciuic_prefix_use use;
    const int32_t ids[4] = {1, 2, 3, 4};
    const ciuic_options options = {.graph = true, .memory = CIUIC_MEMORY_ON};
    if (!open_fixture("datasets/golden/r1-distill-qwen", &options, 100000, &f)) return;
    const ciuic_session_options other = {.context = 8, .prefixes = f.cache};
    CU_ASSERT_EQUAL(ciuic_session_create(f.plain, &other, &session), CIUIC_ERROR_USAGE);
    CU_ASSERT_TRUE(session == NULL);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(ciuic_session_truncate(f.with, 0), CIUIC_OK);
        CU_ASSERT_EQUAL(ciuic_prefill(f.with, ids, 4, true, NULL), CIUIC_OK);
    }
    ciuic_prefix_cache_describe(f.cache, &use);
    CHECK(use.lookups == 0 && use.entries == 0, "%zu lookups, %zu entries", use.lookups, use.entries);
    close_fixture(&f);
}

/* A session that keeps the cache as it is finds the same again and again; what it computed itself is not there. */
static void test_kept(void)
{
    enum { N = 20, SHARED = 12 };
    int32_t ids[N];
    float logits[VOCABULARY];
    fixture f;
    ciuic_session *kept = NULL;
    ciuic_prefix_use use;
    const ciuic_options options = {.graph = true, .memory = CIUIC_MEMORY_ON};
    if (!open_fixture("datasets/golden/r1-distill-qwen", &options, 1 << 20, &f)) return;
    const ciuic_session_options how = {.context = N, .threads = 1, .prefixes = f.cache, .prefixes_kept = true};
    for (int i = 0; i < N; i++) ids[i] = 3 * i;
    CU_ASSERT_EQUAL(ciuic_prefill(f.with, ids, SHARED, false, logits), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(ciuic_session_create(f.model, &how, &kept), CIUIC_OK);
    for (int round = 1; round <= 3; round++) {
        CU_ASSERT_EQUAL(ciuic_session_truncate(kept, 0), CIUIC_OK);
        CU_ASSERT_EQUAL(ciuic_prefill(kept, ids, N, false, logits), CIUIC_OK);
        ciuic_prefix_cache_describe(f.cache, &use);
        CHECK(use.entries == 1 && use.tokens == (size_t)round * SHARED, "round %d: %zu entries, %zu tokens", round,
              use.entries, use.tokens);
    }
    ciuic_session_free(kept);
    close_fixture(&f);
}

/* A cache outlives its handle as long as a session has it. */
static void test_freed_before_its_sessions(void)
{
    enum { N = 20 };
    int32_t ids[N];
    float logits[2][VOCABULARY];
    fixture f;
    const ciuic_options options = {.graph = true, .memory = CIUIC_MEMORY_ON};
    if (!open_fixture("datasets/golden/r1-distill-qwen", &options, 0, &f)) return;
    ciuic_prefix_cache *cache = NULL;
    ciuic_session *session = NULL;
    for (int i = 0; i < N; i++) ids[i] = 3 * i;
    injected_begin(0);
    CU_ASSERT_EQUAL_FATAL(ciuic_prefix_cache_create(f.model, 1 << 20, &cache), CIUIC_OK);
    const ciuic_session_options how = {.context = N, .threads = 1, .prefixes = cache};
    CU_ASSERT_EQUAL_FATAL(ciuic_session_create(f.model, &how, &session), CIUIC_OK);
    CU_ASSERT_EQUAL(ciuic_prefill(session, ids, N, false, logits[0]), CIUIC_OK);
    const size_t live = injected_live();
    ciuic_prefix_cache_free(cache);
    const bool kept = injected_live() == live;
    CHECK(kept, "%zu of %zu blocks are left to the session", injected_live(), live);
    if (kept) {
        CU_ASSERT_EQUAL(ciuic_session_truncate(session, 0), CIUIC_OK);
        CU_ASSERT_EQUAL(ciuic_prefill(session, ids, N, false, logits[1]), CIUIC_OK);
        CU_ASSERT_EQUAL(memcmp(logits[0], logits[1], sizeof logits[0]), 0);
    }
    ciuic_session_free(session);
    const injected_result r = injected_end();
    CHECK(r.live == 0, "%zu blocks stay behind", r.live);
    close_fixture(&f);
}

/* Where there is no memory for a prompt, those that it would have made room by are still there; where there is, the bytes keep
 * within the bound. */
static void test_no_memory_to_keep(void)
{
    enum { N = 4, PROMPTS = 3 };
    static const int32_t ids[PROMPTS][N] = {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}};
    const kv_cache_shape shape = {.format = KERNEL_CACHE_F16, .layers = 2, .positions = N, .width = {8, 8}, .heads = 1};
    const size_t capacity = 2 * (N * (2 * 16 * sizeof(uint16_t) + sizeof(int32_t)) + 64);
    kv_cache kv;
    CU_ASSERT_EQUAL_FATAL(kv_cache_create(&kv, &shape, true), CIUIC_OK);
    size_t number = 0;
    for (bool failed = true; failed;) {
        prefix_cache *c = NULL;
        ciuic_prefix_use use;
        CU_ASSERT_EQUAL_FATAL(prefix_cache_create(&shape, capacity, &c), CIUIC_OK);
        for (int i = 0; i + 1 < PROMPTS; i++) prefix_cache_put(c, ids[i], N, &kv);
        injected_begin(++number);
        prefix_cache_put(c, ids[PROMPTS - 1], N, &kv);
        failed = injected_end().failed;
        prefix_cache_describe(c, &use);
        CHECK(use.entries == 2 && use.bytes <= capacity, "allocation %zu: %zu entries, %zu bytes of %zu", number,
              use.entries, use.bytes, capacity);
        for (int i = 0; i < PROMPTS; i++) {
            const size_t known = prefix_cache_take(c, ids[i], N, &kv), expected = i == (failed ? 2 : 0) ? 0 : N;
            CHECK(known == expected, "allocation %zu: prompt %d: %zu tokens are known, not %zu", number, i, known,
                  expected);
        }
        prefix_cache_free(c);
    }
    CHECK(number > 2, "%zu allocations", number);
    kv_cache_free(&kv);
}

static const test_case cases[] = {
    {"a cache that is freed before its sessions", test_freed_before_its_sessions},
    {"no memory to keep a prompt", test_no_memory_to_keep},
    {"a cache that is kept as it is", test_kept},
    {"random prompts", test_random_prompts},
    {"the least recently used goes", test_least_recently_used},
    {"refusals", test_refusals},
};
TEST_SUITE(prefix_cache, cases);
