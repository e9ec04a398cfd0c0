/* test_unbound_tensors.c - a checkpoint that lacks any one of the tensors that its graph reads is refused, by the tensor's
 * name, before anything is computed: on every architecture, each tensor in turn. */
#include <stdio.h>
#include <string.h>

#include "optimizer/checkpoint/safetensors.h"
#include "optimizer/ciuic.h"
#include "optimizer/tests/changed_checkpoint.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

/* One folder for each architecture and kind of weights; deepseek-coder's shards are a llama's. */
static const char *const folders[] = {
    "datasets/golden/deepseek-llm",  "datasets/golden/r1-distill-qwen",  "datasets/golden/r1-distill-llama",
    "datasets/golden/r1-0528-qwen3", "datasets/golden/deepseek-v2-lite", "datasets/golden/deepseek-v2",
    "datasets/golden/deepseek-v3",   "datasets/golden/deepseek-v3-fp8",
};

/* Loads a copy without the tensor, and makes a plan of it where that is not refused. */
static void check_without(const char *folder, const char *name)
{
    temporary_folder copy;
    ciuic_model *model = NULL;
    ciuic_session *session = NULL;
    const ciuic_session_options how = {.context = 4, .threads = 1};
    const checkpoint_change change = {DROP, name, NULL};
    temporary_folder_create(&copy);
    changed_checkpoint_write(folder, &change, 1, copy.path);
    ciuic_status status = ciuic_model_load(copy.path, &model);
    if (status == CIUIC_OK) status = ciuic_session_create(model, &how, &session);
    CHECK(status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), name) != NULL, "%s without %s: %d, %s", folder,
          name, status, ciuic_last_error());
    CU_ASSERT_TRUE(session == NULL);
    ciuic_session_free(session);
    ciuic_model_free(model);
    temporary_folder_remove(&copy);
}

static void test_every_tensor(void)
{
    for (size_t f = 0; f < sizeof folders / sizeof folders[0]; f++) {
        char path[TEST_PATH];
        safetensors *file = NULL;
        snprintf(path, sizeof path, "%s/model.safetensors", folders[f]);
        CU_ASSERT_EQUAL_FATAL(safetensors_open(path, &file), CIUIC_OK);
        CHECK(safetensors_count(file) > 20, "%s: %zu tensors", path, safetensors_count(file));
        for (size_t i = 0; i < safetensors_count(file); i++) check_without(folders[f], safetensors_at(file, i)->name);
        safetensors_close(file);
    }
}

static const test_case cases[] = {
    {"each tensor of each architecture", test_every_tensor},
};
TEST_SUITE(unbound_tensors, cases);
