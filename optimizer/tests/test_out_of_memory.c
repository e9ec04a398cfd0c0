/* test_out_of_memory.c - every allocation from a checkpoint to a decoded token fails in turn: each call then succeeds or says
 * that memory ran out, nothing stays behind, and a session goes on as if it had not been called. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/injected_failures.h"
#include "optimizer/tests/runner.h"

/* A key head for all, weights in the heap, a buffer for each value; quantised weights and panels, an INT8 cache; experts, a
 * latent cache, weights in place. */
static const struct variant {
    const char *folder;
    ciuic_options options;
} variants[] = {
    {"datasets/golden/r1-distill-llama", {.graph = false}},
    {"datasets/golden/r1-distill-qwen",
     {.quantize = CIUIC_QUANTIZE_INT8, .graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "best"}},
    {"datasets/golden/deepseek-v2-lite", {.graph = true, .memory = CIUIC_MEMORY_ON, .isa = "best"}},
};

enum { TOKENS = 12, CONTEXT = 32, PARTS_CONTEXT = 300 };
static const int32_t ids[TOKENS] = {1, 5, 9, 13, 17, 21, 25, 29, 33, 37, 41, 45};

/* From the folder to a decoded token, and all freed again. */
static ciuic_status whole_way(const struct variant *v)
{
    ciuic_model *plain = NULL, *model = NULL;
    ciuic_session *session = NULL;
    ciuic_prefix_cache *prefixes = NULL;
    ciuic_session_options how = {.context = CONTEXT, .threads = 1};
    ciuic_status status = ciuic_model_load(v->folder, &plain);
    if (status == CIUIC_OK) status = ciuic_optimize(plain, &v->options, &model, NULL);
    if (status == CIUIC_OK) status = ciuic_prefix_cache_create(model, 10000, &prefixes);
    how.prefixes = prefixes;
    if (status == CIUIC_OK) status = ciuic_session_create(model, &how, &session);
    if (status == CIUIC_OK) status = ciuic_prefill(session, ids, TOKENS, false, NULL);
    if (status == CIUIC_OK) status = ciuic_decode(session, 3, NULL);
    ciuic_session_free(session);
    ciuic_prefix_cache_free(prefixes);
    ciuic_model_free(model);
    ciuic_model_free(plain);
    return status;
}

static void test_whole_way(void)
{
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        size_t survived = 0, number = 0;
        for (bool failed = true; failed;) {
            (void)ciuic_fail(CIUIC_ERROR_INPUT, "nothing was said"); /* what a failure has to replace */
            injected_begin(++number);
            const ciuic_status status = whole_way(&variants[i]);
            const injected_result r = injected_end();
            failed = r.failed;
            survived += failed && status == CIUIC_OK;
            CHECK(r.live == 0, "%s: allocation %zu: %zu blocks stay behind", variants[i].folder, number, r.live);
            CHECK(failed ? status == CIUIC_OK || strcmp(ciuic_last_error(), "nothing was said") != 0
                         : status == CIUIC_OK,
                  "%s: allocation %zu: status %d: %s", variants[i].folder, number, status, ciuic_last_error());
            if (failed && status != CIUIC_OK)
                CHECK(strstr(ciuic_last_error(), "memory") != NULL || strstr(ciuic_last_error(), "mapped") != NULL,
                      "%s: allocation %zu: %s", variants[i].folder, number, ciuic_last_error());
        }
        CHECK(number > 100 && survived < number / 10, "%s: %zu allocations, %zu not missed", variants[i].folder, number,
              survived);
    }
}

/* A prompt and a token of a session that has decoded before; the logits of both, [2][vocabulary]. */
static ciuic_status go_on(ciuic_session *session, float *logits, size_t vocabulary)
{
    const ciuic_status status = ciuic_prefill(session, ids, TOKENS, false, logits);
    return status == CIUIC_OK ? ciuic_decode(session, 3, logits + vocabulary) : status;
}

/* In a session, a failure leaves its length, and what is asked again comes as if nothing had been. Sessions are made anew for
 * every allocation, since they keep what they have. Two threads and a long cache make parts of attention. */
static void test_session_goes_on(void)
{
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        ciuic_model *plain = NULL, *model = NULL;
        ciuic_model_info info;
        const ciuic_session_options how = {.context = PARTS_CONTEXT, .threads = 2};
        CU_ASSERT_EQUAL_FATAL(ciuic_model_load(variants[i].folder, &plain), CIUIC_OK);
        CU_ASSERT_EQUAL_FATAL(ciuic_optimize(plain, &variants[i].options, &model, NULL), CIUIC_OK);
        ciuic_model_describe(model, &info);
        float *clean = malloc(4 * info.vocabulary * sizeof *clean), *logits = clean + 2 * info.vocabulary;
        size_t number = 0;
        for (bool failed = true; failed && clean != NULL; number++) {
            ciuic_session *session = NULL;
            CU_ASSERT_EQUAL_FATAL(ciuic_session_create(model, &how, &session), CIUIC_OK);
            injected_begin(number); /* 0: the clean one */
            const ciuic_status status = go_on(session, number == 0 ? clean : logits, info.vocabulary);
            failed = injected_end().failed || number == 0;
            if (status != CIUIC_OK) {
                const size_t length = ciuic_session_length(session);
                CHECK(length == 0 || length == TOKENS, "%s: allocation %zu: length %zu", variants[i].folder, number,
                      length);
                CU_ASSERT_EQUAL(ciuic_session_truncate(session, 0), CIUIC_OK);
                CHECK(go_on(session, logits, info.vocabulary) == CIUIC_OK, "%s: allocation %zu, again: %s",
                      variants[i].folder, number, ciuic_last_error());
            }
            if (number > 0)
                CHECK(memcmp(clean, logits, 2 * info.vocabulary * sizeof *clean) == 0,
                      "%s: allocation %zu: the session goes on otherwise", variants[i].folder, number);
            ciuic_session_free(session);
        }
        CHECK(number > 5, "%s: %zu allocations only", variants[i].folder, number);
        free(clean);
        ciuic_model_free(model);
        ciuic_model_free(plain);
    }
}

static const test_case cases[] = {
    {"from the folder to a token", test_whole_way},
    {"a session goes on", test_session_goes_on},
};
TEST_SUITE(out_of_memory, cases);
