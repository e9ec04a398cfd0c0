/* test_out_of_memory.c - allocations from a checkpoint to a decoded token fail in turn: each call then succeeds or says that
 * memory ran out, nothing stays behind, and a session goes on as if it had not been called. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/tests/failure_sweep.h"
#include "optimizer/tests/injected_failures.h"
#include "optimizer/tests/quantized_folder.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/stem_fixture.h"
#include "optimizer/tests/temporary_folder.h"

#define LLAMA "datasets/golden/r1-distill-llama"
#define QWEN "datasets/golden/r1-distill-qwen"
#define LITE "datasets/golden/deepseek-v2-lite"
#define V3 "datasets/golden/deepseek-v3"
#define FP8 "datasets/golden/deepseek-v3-fp8"

enum { TOKENS = 12, SHARED = 8, CONTEXT = 32, PARTS_CONTEXT = 300 };
/* Two prompts that begin alike: the second is a hit, and takes the first one's place in a cache of prefixes. */
static const int32_t prompts[2][TOKENS] = {{1, 5, 9, 13, 17, 21, 25, 29, 33, 37, 41, 45},
                                           {1, 5, 9, 13, 17, 21, 25, 29, 7, 11, 3, 2}};

typedef struct variant {
    const char *folder;
    ciuic_options options;
    size_t most; /* allocations that fail, where every one would take too long; 0: every one */
} variant;

/* ---- from the folder to a decoded token -------------------------------------------------------------------------- */

typedef struct whole_way {
    const variant *v;
    size_t capacity; /* of a cache of prefixes */
    ciuic_prefix_use *use;
} whole_way;

static ciuic_status go_whole_way(const void *context)
{
    const whole_way *w = context;
    ciuic_model *plain = NULL, *model = NULL;
    ciuic_session *session = NULL;
    ciuic_prefix_cache *prefixes = NULL;
    ciuic_session_options how = {.context = CONTEXT, .threads = 1};
    ciuic_status status = ciuic_model_load(w->v->folder, &plain);
    if (status == CIUIC_OK) status = ciuic_optimize(plain, &w->v->options, &model, NULL);
    if (status == CIUIC_OK) status = ciuic_prefix_cache_create(model, w->capacity, &prefixes);
    how.prefixes = prefixes;
    if (status == CIUIC_OK) status = ciuic_session_create(model, &how, &session);
    if (status == CIUIC_OK) status = ciuic_prefill(session, prompts[0], TOKENS, false, NULL);
    if (status == CIUIC_OK) status = ciuic_session_truncate(session, 0);
    if (status == CIUIC_OK) status = ciuic_prefill(session, prompts[1], TOKENS, false, NULL);
    if (status == CIUIC_OK) status = ciuic_decode(session, 3, NULL);
    if (prefixes != NULL) ciuic_prefix_cache_describe(prefixes, w->use);
    ciuic_session_free(session);
    ciuic_prefix_cache_free(prefixes);
    ciuic_model_free(model);
    ciuic_model_free(plain);
    return status;
}

/* Room for one prompt and a half. */
static size_t capacity_of(const variant *v)
{
    const ciuic_session_options session = {.context = CONTEXT, .threads = 1};
    ciuic_model *plain = NULL;
    ciuic_memory_use use = {0};
    CHECK(ciuic_model_load(v->folder, &plain) == CIUIC_OK &&
              ciuic_plan_memory(plain, &v->options, &session, &(ciuic_work){0}, &use) == CIUIC_OK,
          "%s: %s", v->folder, ciuic_last_error());
    ciuic_model_free(plain);
    return TOKENS * 3 / 2 * (use.kv_cache / CONTEXT + sizeof(int32_t));
}

static void check_whole_way(const variant *v)
{
    static const char *const memory[] = {"off", "on", "aggressive"};
    char name[256];
    ciuic_prefix_use use = {0};
    const whole_way w = {.v = v, .capacity = capacity_of(v), .use = &use};
    snprintf(name, sizeof name, "%.200s, memory %s", v->folder, memory[v->options.memory]);
    CHECK(go_whole_way(&w) == CIUIC_OK, "%s: %s", name, ciuic_last_error());
    CHECK(use.hits == 1 && use.tokens == SHARED && use.entries == 1, "%s: %zu hits of %zu tokens, %zu entries", name,
          use.hits, use.tokens, use.entries);
    const sweep_result r = failure_sweep(name, go_whole_way, &w, v->most);
    /* No more than a tenth of all is memory that can be done without, as a prefix's is; of a sample, four deviations more. */
    const double tried = (double)r.tried, most = tried / 10 + (v->most > 0 ? 4 * sqrt(tried * 0.1 * 0.9) : 0);
    CHECK(r.allocations > 100 && (double)r.survived <= most, "%s: %zu allocations, %zu of %zu not missed", name,
          r.allocations, r.survived, r.tried);
}

/* A key head for all, weights in the heap, a buffer for each value; quantised weights and panels, an INT8 cache; experts, a
 * latent cache, weights in place; expert groups and FP8. */
static const variant variants[] = {
    {LLAMA, {.graph = false}, 0},
    {QWEN, {.quantize = CIUIC_QUANTIZE_INT8, .graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "best"}, 0},
    {LITE, {.graph = true, .memory = CIUIC_MEMORY_ON, .isa = "best"}, 0},
    {V3, {.graph = true, .memory = CIUIC_MEMORY_ON, .isa = "best"}, 0},
    {V3, {.graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "best"}, 0},
    {FP8, {.graph = true, .memory = CIUIC_MEMORY_ON, .isa = "best"}, 0},
    {FP8, {.graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "best"}, 0},
};
enum { VARIANTS = sizeof variants / sizeof variants[0] };

static void test_whole_way(void)
{
    for (size_t i = 0; i < VARIANTS; i++) check_whole_way(&variants[i]);
}

static void quantise_folder(temporary_folder *folder)
{
    kernel_table best;
    kernel_table_fill(&best, kernel_isa_best());
    /* Panels as the kernels want them, others, rows, and what is not quantised. */
    const quantized_rule rules[QUANTIZED_RULES] = {{"embed_tokens", "int8-g128", 0},
                                                   {"experts.", "int4-asym", best.interleave},
                                                   {"o_proj", "affine8", 0},
                                                   {"down_proj", "none", 0},
                                                   {"", "int4-g64", 4}};
    quantized_folder f;
    temporary_folder_create(folder);
    quantized_folder_make(V3, rules, &f);
    quantized_folder_write(&f, folder->path);
    quantized_folder_free(&f);
}

static void test_quantised_folder(void)
{
    temporary_folder folder;
    quantise_folder(&folder);
    for (int memory = CIUIC_MEMORY_ON; memory <= CIUIC_MEMORY_AGGRESSIVE; memory++) {
        const variant v = {folder.path, {.graph = true, .memory = (ciuic_memory)memory, .isa = "best"}, 1600};
        check_whole_way(&v);
    }
    temporary_folder_remove(&folder);
}

/* On the fewest ids that may be calibrated on. A second for each: a few of thousands of allocations, others with every seed. */
static void test_calibrating(void)
{
    enum { IDS = 512 };
    temporary_folder folder;
    char path[TEST_PATH], source[TEST_PATH];
    int32_t ids[IDS];
    for (int i = 0; i < IDS; i++) ids[i] = i * 7 % 500;
    const tensor t = {.name = "calib", .dtype = TENSOR_I32, .dims = 1, .shape = {IDS}, .data = ids};
    temporary_folder_create(&folder);
    CU_ASSERT_EQUAL_FATAL(safetensors_write(temporary_path(&folder, "calib.safetensors", path), &t, 1), CIUIC_OK);
    snprintf(source, sizeof source, "%.400s:calib", path);
    for (int memory = CIUIC_MEMORY_ON; memory <= CIUIC_MEMORY_AGGRESSIVE; memory++) {
        const variant v = {QWEN,
                           {.quantize = CIUIC_QUANTIZE_INT4,
                            .quantizer = CIUIC_QUANTIZER_GPTQ,
                            .calibration = source,
                            .threads = 1,
                            .graph = true,
                            .memory = (ciuic_memory)memory,
                            .isa = "best"},
                           10};
        check_whole_way(&v);
    }
    temporary_folder_remove(&folder);
}

/* ---- a stem ----------------------------------------------------------------------------------------------------- */

static ciuic_status go_through_stem(const void *context)
{
    static float images[2 * 3 * 16 * 16], out[2 * 48 * 8 * 8];
    const stem_layer layers[] = {
        {.conv = "signed.a",
         .norm = "a",
         .bias = true,
         .out_channels = 32,
         .groups = 1,
         .kernel = {3, 3},
         .stride = {2, 2},
         .padding = {1, 1},
         .dilation = {1, 1},
         .eps = 1e-5,
         .activation = STEM_RELU},
        {.conv = "signed.b", .out_channels = 48, .groups = 1, .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}}};
    const stem_config config = {
        .channels = 3, .height = 16, .width = 16, .channels_last_in = true, .layers = layers, .layer_count = 2};
    stem *s = NULL;
    ciuic_status status = stem_create(&config, context, stem_made_part, NULL, &s);
    if (status == CIUIC_OK && stem_outputs(s) != sizeof out / sizeof out[0] / 2) status = CIUIC_ERROR_USAGE;
    if (status == CIUIC_OK) status = stem_run(s, images, 1, 1, out);
    if (status == CIUIC_OK) status = stem_run(s, images, 2, 1, out);
    stem_free(s);
    return status;
}

static void test_stem(void)
{
    for (int memory = CIUIC_MEMORY_OFF; memory <= CIUIC_MEMORY_AGGRESSIVE; memory++)
        for (int passes = 0; passes < 2; passes++) {
            char name[64];
            const ciuic_options options = {.graph = passes == 1, .memory = (ciuic_memory)memory, .isa = "best"};
            snprintf(name, sizeof name, "stem, graph %d, memory %d", passes, memory);
            const sweep_result r = failure_sweep(name, go_through_stem, &options, 0);
            CHECK(r.allocations > 20 && r.survived == 0, "%s: %zu allocations, %zu not missed", name, r.allocations,
                  r.survived);
        }
}

/* ---- a session -------------------------------------------------------------------------------------------------- */

/* Both prompts, each afresh, and a token; the logits of all three, [3][vocabulary]. */
static ciuic_status go_on(ciuic_session *session, float *logits, size_t vocabulary)
{
    ciuic_status status = ciuic_prefill(session, prompts[0], TOKENS, false, logits);
    if (status == CIUIC_OK) status = ciuic_session_truncate(session, 0);
    if (status == CIUIC_OK) status = ciuic_prefill(session, prompts[1], TOKENS, false, logits + vocabulary);
    return status == CIUIC_OK ? ciuic_decode(session, 3, logits + 2 * vocabulary) : status;
}

/* A failure leaves a session's length, and what is asked again comes as if nothing had been. Sessions are made anew for every
 * allocation, since they keep what they have; so are caches of prefixes, where there is a `capacity`. Two threads and a long
 * cache make parts of attention. */
static void check_session(const variant *v, size_t capacity)
{
    ciuic_model *plain = NULL, *model = NULL;
    ciuic_model_info info;
    CU_ASSERT_EQUAL_FATAL(ciuic_model_load(v->folder, &plain), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(ciuic_optimize(plain, &v->options, &model, NULL), CIUIC_OK);
    ciuic_model_describe(model, &info);
    float *clean = malloc(6 * info.vocabulary * sizeof *clean), *logits = clean + 3 * info.vocabulary;
    size_t number = 0;
    for (bool failed = true; failed && clean != NULL; number++) {
        ciuic_session *session = NULL;
        ciuic_session_options how = {.context = PARTS_CONTEXT, .threads = 2};
        if (capacity > 0) CU_ASSERT_EQUAL_FATAL(ciuic_prefix_cache_create(model, capacity, &how.prefixes), CIUIC_OK);
        CU_ASSERT_EQUAL_FATAL(ciuic_session_create(model, &how, &session), CIUIC_OK);
        injected_begin(number); /* 0: the clean one */
        const ciuic_status status = go_on(session, number == 0 ? clean : logits, info.vocabulary);
        failed = injected_end().failed || number == 0;
        if (status != CIUIC_OK) {
            const size_t length = ciuic_session_length(session);
            CHECK(length == 0 || length == TOKENS, "%s: allocation %zu: length %zu", v->folder, number, length);
            CU_ASSERT_EQUAL(ciuic_session_truncate(session, 0), CIUIC_OK);
            CHECK(go_on(session, logits, info.vocabulary) == CIUIC_OK, "%s: allocation %zu, again: %s", v->folder,
                  number, ciuic_last_error());
        }
        if (number > 0)
            CHECK(memcmp(clean, logits, 3 * info.vocabulary * sizeof *clean) == 0,
                  "%s memory %d: allocation %zu: the session goes on otherwise", v->folder, v->options.memory, number);
        ciuic_session_free(session);
        ciuic_prefix_cache_free(how.prefixes);
    }
    CHECK(number > 5, "%s: %zu allocations only", v->folder, number);
    free(clean);
    ciuic_model_free(model);
    ciuic_model_free(plain);
}

static void test_session_goes_on(void)
{
    temporary_folder folder;
    quantise_folder(&folder);
    for (size_t i = 0; i < VARIANTS; i++) check_session(&variants[i], 0);
    for (int memory = CIUIC_MEMORY_ON; memory <= CIUIC_MEMORY_AGGRESSIVE; memory++) {
        const variant v = {folder.path, {.graph = true, .memory = (ciuic_memory)memory, .isa = "best"}, 0};
        check_session(&v, 0);
    }
    temporary_folder_remove(&folder);
}

/* Hits and evictions, or none where one failed, give the same bits with portable C that absorbs nothing. */
static void test_session_with_prefixes(void)
{
    static const char *const folders[] = {QWEN, V3, FP8};
    const uint32_t expanding = ((1u << CIUIC_PASSES) - 1) & ~(1u << CIUIC_PASS_ABSORB_MLA);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        for (int memory = CIUIC_MEMORY_ON; memory <= CIUIC_MEMORY_AGGRESSIVE; memory++) {
            const variant v = {
                folders[i], {.graph = true, .passes = expanding, .memory = (ciuic_memory)memory, .isa = "c"}, 0};
            check_session(&v, capacity_of(&v));
        }
}

static const test_case cases[] = {
    {"from the folder to a token", test_whole_way},
    {"from a quantised folder", test_quantised_folder},
    {"by way of a calibrating quantiser", test_calibrating},
    {"a stem", test_stem},
    {"a session goes on", test_session_goes_on},
    {"a session with a cache of prefixes goes on", test_session_with_prefixes},
};
TEST_SUITE(out_of_memory, cases);
