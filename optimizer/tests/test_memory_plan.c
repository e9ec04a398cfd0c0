/* test_memory_plan.c - what a variant is said to need before anything is read, against what a session then says it takes. */
#include <stdlib.h>
#include <string.h>

#include "optimizer/ciuic.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/runner.h"

typedef struct plan_case {
    ciuic_options options;
    ciuic_session_options session;
    ciuic_work work;
} plan_case;

static const plan_case plans[] = {
    {{.graph = false}, {.context = 300, .threads = 1}, {.prefill = 200, .decode = true}},
    {{.graph = true}, {.context = 300, .threads = 1}, {.all_logits = true}},
    {{.graph = true, .memory = CIUIC_MEMORY_ON, .isa = "best"}, {.context = 400, .threads = 2}, {.decode = true}},
    {{.graph = false, .memory = CIUIC_MEMORY_ON}, {.context = 300, .threads = 1, .chunk = 50}, {.prefill = 120}},
    {{.graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "best"},
     {.context = 500, .threads = 1},
     {.decode = true}},
    {{.quantize = CIUIC_QUANTIZE_INT8, .graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE, .isa = "best"},
     {.context = 300, .threads = 1},
     {.decode = true}},
    {{.quantize = CIUIC_QUANTIZE_INT4, .group = 64, .asymmetric = true, .memory = CIUIC_MEMORY_ON, .isa = "best"},
     {.context = 290, .threads = 1},
     {.all_logits = true, .decode = true}},
    {{.graph = true, .memory = CIUIC_MEMORY_ON, .weights_f32 = true}, {.context = 64, .threads = 1}, {.prefill = 10}},
};

/* Does that work, all positions used. */
static bool do_work(const char *folder, const plan_case *p, ciuic_memory_use *planned, ciuic_memory_use *used)
{
    ciuic_model *plain = NULL, *model = NULL;
    ciuic_session *session = NULL;
    int32_t ids[512] = {0};
    const size_t context = p->session.context, prompt = p->work.prefill > 0 ? p->work.prefill : context;
    ciuic_status status = ciuic_model_load(folder, &plain);
    if (status == CIUIC_OK) status = ciuic_plan_memory(plain, &p->options, &p->session, &p->work, planned);
    if (status == CIUIC_OK) status = ciuic_optimize(plain, &p->options, &model, NULL);
    if (status == CIUIC_OK) status = ciuic_session_create(model, &p->session, &session);
    for (size_t n = 0; n < context && status == CIUIC_OK; n += prompt)
        status = ciuic_prefill(session, ids, n + prompt < context ? prompt : context - n, p->work.all_logits, NULL);
    if (status == CIUIC_OK && p->work.decode) status = ciuic_session_truncate(session, context - 1);
    if (status == CIUIC_OK && p->work.decode) status = ciuic_decode(session, 0, NULL);
    if (status == CIUIC_OK) ciuic_session_memory(session, used);
    CHECK(status == CIUIC_OK, "%s: %s", folder, ciuic_last_error());
    ciuic_session_free(session);
    ciuic_model_free(model);
    ciuic_model_free(plain);
    return status == CIUIC_OK;
}

static void test_plans(void)
{
    for (size_t i = 0; i < golden_folder_count; i++)
        for (size_t j = 0; j < sizeof plans / sizeof plans[0]; j++) {
            ciuic_memory_use planned, used;
            if (!do_work(golden_folders[i], &plans[j], &planned, &used)) continue;
            CHECK(planned.weights == used.weights && planned.packed == used.packed && planned.mapped == used.mapped,
                  "%s plan %zu: weights %zu packed %zu mapped %zu; found %zu, %zu, %zu", golden_folders[i], j,
                  planned.weights, planned.packed, planned.mapped, used.weights, used.packed, used.mapped);
            CHECK(planned.kv_cache == used.kv_cache && planned.kv_cache_used == used.kv_cache_used,
                  "%s plan %zu: cache %zu, used %zu; found %zu, %zu", golden_folders[i], j, planned.kv_cache,
                  planned.kv_cache_used, used.kv_cache, used.kv_cache_used);
            CHECK(planned.activations == used.activations && planned.workspace == used.workspace,
                  "%s plan %zu: activations %zu, workspace %zu; found %zu, %zu", golden_folders[i], j,
                  planned.activations, planned.workspace, used.activations, used.workspace);
            CHECK(planned.other == used.other && planned.loading == used.loading && planned.files == used.files,
                  "%s plan %zu: other %zu, loading %zu; found %zu, %zu", golden_folders[i], j, planned.other,
                  planned.loading, used.other, used.loading);
        }
}

/* The context that is found needs no more than the limit, and one position more does. */
static void test_longest_context(void)
{
    static const char *const folders[] = {"datasets/qwen2-tiny", "datasets/deepseek-v3-tiny"};
    static const size_t percents[] = {101, 110, 140};
    for (size_t i = 0; i < 2; i++) {
        ciuic_model *plain = NULL;
        ciuic_memory_use need;
        const ciuic_work work = {.decode = true};
        const ciuic_options options = {.graph = true, .memory = CIUIC_MEMORY_AGGRESSIVE};
        ciuic_session_options session = {.threads = 2, .context = 1};
        CU_ASSERT_EQUAL_FATAL(ciuic_model_load(folders[i], &plain), CIUIC_OK);
        CU_ASSERT_EQUAL(ciuic_plan_memory(plain, &options, &session, &work, &need), CIUIC_OK);
        const size_t one = ciuic_memory_total(&need);
        for (size_t j = 0; j < sizeof percents / sizeof percents[0]; j++) {
            const size_t limit = one / 100 * percents[j];
            size_t context = 0;
            CU_ASSERT_EQUAL(ciuic_longest_context(plain, &options, &session, &work, limit, &context), CIUIC_OK);
            CHECK(context > 1 && context <= 2048, "%s: %zu positions in %zu bytes", folders[i], context, limit);
            session.context = context;
            CU_ASSERT_EQUAL(ciuic_plan_memory(plain, &options, &session, &work, &need), CIUIC_OK);
            CU_ASSERT_TRUE(ciuic_memory_total(&need) <= limit);
            session.context = context + 1;
            if (context == 2048) continue;
            CU_ASSERT_EQUAL(ciuic_plan_memory(plain, &options, &session, &work, &need), CIUIC_OK);
            CU_ASSERT_TRUE(ciuic_memory_total(&need) > limit);
        }
        size_t context = 1;
        CU_ASSERT_EQUAL(ciuic_longest_context(plain, &options, &session, &work, one / 2, &context), CIUIC_OK);
        CU_ASSERT_EQUAL(context, 0);
        ciuic_model_free(plain);
    }
}

static void test_refused_plans(void)
{
    ciuic_model *plain = NULL;
    ciuic_memory_use need;
    const ciuic_work work = {0};
    const ciuic_options options = {.graph = true}, bad = {.graph = true, .bits = 4};
    const ciuic_session_options session = {.context = 2049};
    CU_ASSERT_EQUAL_FATAL(ciuic_model_load("datasets/qwen2-tiny", &plain), CIUIC_OK);
    CU_ASSERT_EQUAL(ciuic_plan_memory(plain, &options, &session, &work, &need), CIUIC_ERROR_USAGE);
    CHECK(strstr(ciuic_last_error(), "2049") != NULL && strstr(ciuic_last_error(), "2048") != NULL, "%s",
          ciuic_last_error());
    CU_ASSERT_EQUAL(ciuic_plan_memory(plain, &bad, NULL, &work, &need), CIUIC_ERROR_USAGE);
    ciuic_model_free(plain);
}

static const test_case cases[] = {
    {"plans are what sessions then take", test_plans},
    {"longest context under a limit", test_longest_context},
    {"plans that are refused", test_refused_plans},
};
TEST_SUITE(memory_plan, cases);
