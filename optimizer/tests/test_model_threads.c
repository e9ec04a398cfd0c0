/* test_model_threads.c - models that several threads prepare at once, and what a progress callback may do meanwhile: one model
 * is prepared once, and no model waits for another. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/runtime/model.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

#define QWEN "datasets/golden/r1-distill-qwen"
#define LLAMA "datasets/golden/r1-distill-llama"

enum { ROWS = 4, LENGTH = 128, DEADLOCK_S = 60 }; /* nothing waits so long but what waits for ever */

/* A calibrating quantiser, the slow part of preparing, that tells how far it is. */
typedef struct calibration {
    temporary_folder folder;
    char ids[TEST_PATH];
    ciuic_options options;
} calibration;

static void open_calibration(calibration *c, ciuic_progress_fn *progress, void *context)
{
    char path[TEST_PATH];
    int32_t ids[ROWS * LENGTH];
    for (int i = 0; i < ROWS * LENGTH; i++) ids[i] = i * 7 % 500;
    const tensor t = {.name = "calib", .dtype = TENSOR_I32, .dims = 2, .shape = {ROWS, LENGTH}, .data = ids};
    temporary_folder_create(&c->folder);
    CU_ASSERT_EQUAL_FATAL(safetensors_write(temporary_path(&c->folder, "calib.safetensors", path), &t, 1), CIUIC_OK);
    snprintf(c->ids, sizeof c->ids, "%.400s:calib", path);
    c->options = (ciuic_options){.quantize = CIUIC_QUANTIZE_INT4,
                                 .quantizer = CIUIC_QUANTIZER_CLIP,
                                 .calibration = c->ids,
                                 .graph = true,
                                 .memory = CIUIC_MEMORY_ON,
                                 .threads = 1,
                                 .progress = progress,
                                 .progress_context = context};
}

static ciuic_model *made(const ciuic_options *options)
{
    ciuic_model *model = NULL;
    checkpoint *source = NULL;
    CU_ASSERT_EQUAL_FATAL(checkpoint_open(QWEN, &source), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(model_create(source, options, &model), CIUIC_OK);
    return model;
}

static struct timespec deadline(void)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += DEADLOCK_S;
    return at;
}

static bool wait_for(sem_t *signal)
{
    const struct timespec at = deadline();
    int error;
    while ((error = sem_timedwait(signal, &at)) != 0 && errno == EINTR) {
    }
    return error == 0;
}

/* ---- a callback that uses other models -------------------------------------------------------------------------- */

typedef struct bystander {
    ciuic_model *freed, *used; /* another model's last handle; one without weights yet */
    ciuic_status status;
    pthread_t thread;
    bool began, came_back;
} bystander;

static void *use_models(void *context)
{
    bystander *b = context;
    ciuic_session *session = NULL;
    ciuic_model_free(b->freed);
    b->status = ciuic_session_create(b->used, &(ciuic_session_options){.context = 8, .threads = 1}, &session);
    ciuic_session_free(session);
    return NULL;
}

/* On a thread of its own, so that a wait without end fails and does not hang. */
static ciuic_status use_others(void *context, const char *what, size_t done, size_t total)
{
    bystander *b = context;
    const struct timespec at = deadline();
    (void)what, (void)done, (void)total;
    if (b->began) return CIUIC_ERROR_INTERRUPTED;
    b->began = pthread_create(&b->thread, NULL, use_models, b) == 0;
    b->came_back = b->began && pthread_timedjoin_np(b->thread, NULL, &at) == 0;
    return CIUIC_ERROR_INTERRUPTED;
}

static void a_callback_uses_other_models(void)
{
    bystander b = {.status = CIUIC_ERROR_LIMIT};
    calibration c;
    ciuic_model *plain = NULL, *model = NULL;
    open_calibration(&c, use_others, &b);
    CU_ASSERT_EQUAL_FATAL(ciuic_model_load(QWEN, &plain), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(ciuic_model_load(LLAMA, &b.freed), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(ciuic_model_load(LLAMA, &b.used), CIUIC_OK);
    CU_ASSERT_EQUAL(ciuic_optimize(plain, &c.options, &model, NULL), CIUIC_ERROR_INTERRUPTED);
    CHECK(b.began && b.came_back, "freeing one model and preparing another waited for the end of quantising");
    if (b.began && !b.came_back) pthread_join(b.thread, NULL);
    CU_ASSERT_EQUAL(b.status, CIUIC_OK);
    CU_ASSERT_TRUE(model == NULL);
    ciuic_model_free(b.used);
    ciuic_model_free(plain);
    temporary_folder_remove(&c.folder);
}

/* ---- two threads ------------------------------------------------------------------------------------------------ */

/* The first thread is inside its quantiser when the second begins, and goes on when it has had a sign of it. */
typedef struct pair {
    ciuic_model *second;
    sem_t inside, sign;
    bool sign_first; /* before the second prepares its model; otherwise after that */
    bool signed_in_time;
    atomic_int calls;
    ciuic_status status;
} pair;

static ciuic_status count(void *context, const char *what, size_t done, size_t total)
{
    pair *p = context;
    (void)what, (void)done, (void)total;
    atomic_fetch_add(&p->calls, 1);
    return CIUIC_OK;
}

static ciuic_status count_and_meet(void *context, const char *what, size_t done, size_t total)
{
    pair *p = context;
    (void)what, (void)done, (void)total;
    if (atomic_fetch_add(&p->calls, 1) == 0) {
        sem_post(&p->inside);
        p->signed_in_time = wait_for(&p->sign);
    }
    return CIUIC_OK;
}

static void *prepare_second(void *context)
{
    pair *p = context;
    if (!wait_for(&p->inside)) return NULL;
    if (p->sign_first) sem_post(&p->sign);
    p->status = model_prepare(p->second);
    if (!p->sign_first) sem_post(&p->sign);
    return NULL;
}

static void prepare_both(ciuic_model *first, pair *p)
{
    pthread_t thread;
    sem_init(&p->inside, 0, 0);
    sem_init(&p->sign, 0, 0);
    p->status = CIUIC_ERROR_LIMIT;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, prepare_second, p), 0);
    CHECK(model_prepare(first) == CIUIC_OK, "%s", ciuic_last_error());
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(p->status, CIUIC_OK);
    sem_destroy(&p->inside);
    sem_destroy(&p->sign);
}

static void one_model_is_prepared_once(void)
{
    pair alone = {.calls = 0}, both = {.sign_first = true};
    calibration c;
    open_calibration(&c, count, &alone);
    ciuic_model *model = made(&c.options);
    CHECK(model_prepare(model) == CIUIC_OK, "%s", ciuic_last_error());
    ciuic_model_free(model);
    c.options.progress = count_and_meet;
    c.options.progress_context = &both;
    both.second = model = made(&c.options);
    prepare_both(model, &both);
    CHECK(alone.calls > 1 && both.calls == alone.calls, "quantised in %d parts, by one thread in %d", (int)both.calls,
          (int)alone.calls);
    ciuic_model_free(model);
    temporary_folder_remove(&c.folder);
}

static void two_models_do_not_wait(void)
{
    pair p = {.calls = 0};
    calibration c;
    open_calibration(&c, count_and_meet, &p);
    ciuic_model *first = made(&c.options);
    c.options.progress = NULL;
    p.second = made(&c.options);
    prepare_both(first, &p);
    CHECK(p.signed_in_time, "a model waited for another that was being quantised");
    CU_ASSERT_TRUE(first->ready && p.second->ready);
    ciuic_model_free(first);
    ciuic_model_free(p.second);
    temporary_folder_remove(&c.folder);
}

static const test_case cases[] = {
    {"a callback uses other models", a_callback_uses_other_models},
    {"two threads, one model", one_model_is_prepared_once},
    {"two threads, two models", two_models_do_not_wait},
};
TEST_SUITE(model_threads, cases);
