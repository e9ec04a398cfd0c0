/* golden.c - opening goldens and sessions for the tests that compare against them. */
#include "optimizer/tests/golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "optimizer/tests/runner.h"

const char *const golden_folders[] = {
    "datasets/golden/deepseek-llm",
    "datasets/golden/deepseek-coder",
    "datasets/golden/r1-distill-qwen",
    "datasets/golden/r1-distill-llama",
    "datasets/golden/r1-0528-qwen3",
    "datasets/golden/deepseek-v2-lite",
    "datasets/golden/deepseek-v2",
    "datasets/golden/deepseek-v3",
    "datasets/golden/deepseek-v3-fp8",
    "datasets/deepseek-v3-tiny",
    "datasets/qwen2-tiny",
};
const size_t golden_folder_count = sizeof golden_folders / sizeof golden_folders[0];

bool golden_open(const char *folder, golden *g)
{
    char path[256];
    const tensor *ids = NULL, *logits = NULL;
    *g = (golden){.folder = folder};
    snprintf(path, sizeof path, "%s/golden.safetensors", folder);
    const bool ok =
        safetensors_open(path, &g->file) == CIUIC_OK &&
        safetensors_require(g->file, "input_ids", TENSOR_I32, 1, (const size_t[]){0}, &ids) == CIUIC_OK &&
        safetensors_require(g->file, "logits", TENSOR_F32, 2, (const size_t[]){ids->shape[0], 0}, &logits) == CIUIC_OK;
    CHECK(ok, "%s: %s", path, ciuic_last_error());
    if (!ok) {
        golden_close(g);
        return false;
    }
    g->ids = ids->data;
    g->count = ids->count;
    g->logits = logits->data;
    g->vocabulary = logits->shape[1];
    const tensor *greedy = safetensors_find(g->file, "greedy_ids");
    if (greedy != NULL) {
        g->greedy = greedy->data;
        g->greedy_count = greedy->count;
    }
    return true;
}

void golden_close(golden *g)
{
    safetensors_close(g->file);
    g->file = NULL;
}

double max_abs_difference(const float *a, const float *b, size_t count)
{
    double max = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double difference = fabs((double)a[i] - (double)b[i]);
        if (!isfinite(difference)) return INFINITY;
        if (difference > max) max = difference;
    }
    return max;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double sorted_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return values[n / 2];
}

bool golden_session_open(const char *folder, const ciuic_options *options, int threads, golden_session *s)
{
    ciuic_model *loaded = NULL;
    *s = (golden_session){0};
    ciuic_status status = ciuic_model_load(folder, &loaded);
    if (status == CIUIC_OK && options != NULL) {
        status = ciuic_optimize(loaded, options, &s->model, NULL);
        ciuic_model_free(loaded);
    } else {
        s->model = loaded;
    }
    const ciuic_session_options session = {.threads = threads, .context = 512};
    if (status == CIUIC_OK) status = ciuic_session_create(s->model, &session, &s->session);
    CHECK(status == CIUIC_OK, "%s: %s", folder, ciuic_last_error());
    if (status != CIUIC_OK) golden_session_free(s);
    return status == CIUIC_OK;
}

void golden_session_free(golden_session *s)
{
    ciuic_session_free(s->session);
    ciuic_model_free(s->model);
    *s = (golden_session){0};
}
