/* write.c - see write.h. */
#include "harness/synth/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "harness/synth/plan.h"
#include "harness/synth/weights.h"
#include "optimizer/atomic_folder.h"
#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/checkpoint/shards.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static const size_t max_config_bytes = 4u << 20;

typedef struct writing {
    const synth_request *request;
    const synth_plan *plan;
    const synth_weights *weights;
    const char *folder; /* the temporary one */
    synth_progress_fn *progress;
    void *context;
    size_t done_bytes;
} writing;

static ciuic_status path_in(const char *folder, const char *name, char **path)
{
    return asprintf(path, "%s/%s", folder, name) >= 0 ? CIUIC_OK : ciuic_fail_memory("a path", strlen(folder));
}

/* ---- config.json ------------------------------------------------------------------------------------------------ */

/* What the weights are like: the model named by the shape, or the shape's file. */
static const char *likeness(const cJSON *json, const char *path)
{
    const cJSON *source = json_find(json, "_source");
    const char *slash = strrchr(path, '/');
    return cJSON_IsString(source) ? source->valuestring : slash != NULL ? slash + 1 : path;
}

/* The shape's config, as far as it is true of what is written: so many layers, all BF16, none for multi-token
 * prediction; and a key that says what this is. */
static ciuic_status adapt_config(cJSON *json, const synth_request *request, size_t layers)
{
    static const char *const untrue[] = {"_source", "quantization_config", "num_nextn_predict_layers", "torch_dtype",
                                         "dtype"};
    char *like = strdup(likeness(json, request->like));
    for (size_t i = 0; i < sizeof untrue / sizeof untrue[0]; i++)
        cJSON_DeleteItemFromObjectCaseSensitive(json, untrue[i]);
    cJSON_DeleteItemFromObjectCaseSensitive(json, "_ciuic_synthetic");
    cJSON *count = json_size(layers);
    cJSON *synthetic = NULL;
    const bool good = like != NULL && cJSON_ReplaceItemInObjectCaseSensitive(json, "num_hidden_layers", count) &&
                      cJSON_AddStringToObject(json, "torch_dtype", "bfloat16") != NULL &&
                      (synthetic = cJSON_AddObjectToObject(json, "_ciuic_synthetic")) != NULL &&
                      cJSON_AddStringToObject(synthetic, "like", like) != NULL &&
                      json_add_size(synthetic, "seed", request->seed);
    free(like);
    return good ? CIUIC_OK : ciuic_fail_memory("config.json", 0);
}

static ciuic_status write_config(const writing *w, size_t layers)
{
    cJSON *json = NULL;
    char *path = NULL;
    CIUIC_TRY(json_read_file(w->request->like, max_config_bytes, &json));
    ciuic_status status = adapt_config(json, w->request, layers);
    if (status == CIUIC_OK) status = path_in(w->folder, "config.json", &path);
    if (status == CIUIC_OK) status = json_write_file(path, json);
    free(path);
    cJSON_Delete(json);
    return status;
}

/* ---- weights ---------------------------------------------------------------------------------------------------- */

static ciuic_status report_values(void *context, const tensor *t, size_t first, size_t n, void *out)
{
    writing *w = context;
    CIUIC_TRY(w->progress(w->context, w->done_bytes, w->plan->bytes));
    w->done_bytes += n * tensor_dtype_bytes(t->dtype);
    return synth_values(w->weights, t, first, n, out);
}

static ciuic_status write_shards(writing *w)
{
    const synth_plan *plan = w->plan;
    for (size_t i = 0; i < plan->shard_count; i++) {
        char name[SHARD_NAME], *path = NULL;
        CIUIC_TRY(path_in(w->folder, shard_name(i, plan->shard_count, name), &path));
        const size_t first = plan->shards[i], count = plan->shards[i + 1] - first;
        const ciuic_status status = safetensors_write_values(path, plan->tensors + first, count, report_values, w);
        free(path);
        CIUIC_TRY(status);
    }
    return w->progress(w->context, w->done_bytes, plan->bytes); /* an interruption during the last synchronisation */
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

/* Better said now than after minutes of writing. Headers and config.json are less than a hundredth of a model. */
static ciuic_status check_space(const atomic_folder *folder, size_t bytes)
{
    struct statvfs disk;
    if (statvfs(folder->temporary, &disk) != 0 || disk.f_frsize == 0) return CIUIC_OK; /* then a full disk will tell */
    const size_t blocks = bytes / disk.f_frsize + 1;
    if (blocks <= disk.f_bavail) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED,
                      "%s: needs %.1f GB of disk, and %.1f GB are free there; choose another place, or fewer layers "
                      "with --layers",
                      folder->path, (double)bytes * 1e-9, (double)disk.f_bavail * (double)disk.f_frsize * 1e-9);
}

static ciuic_status check_accepted(const char *path, const synth_plan *plan)
{
    checkpoint *c = NULL;
    CIUIC_TRY(checkpoint_open(path, &c));
    const size_t parameters = checkpoint_parameters(c);
    checkpoint_release(c);
    if (parameters == plan->parameters) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: has %zu parameters after writing; expected %zu", path, parameters,
                      plan->parameters);
}

static ciuic_status write_folder(writing *w, const char *output, size_t layers)
{
    atomic_folder folder;
    CIUIC_TRY(atomic_folder_open(output, &folder));
    w->folder = folder.temporary;
    ciuic_status status = check_space(&folder, w->plan->bytes);
    if (status == CIUIC_OK) status = write_config(w, layers);
    if (status == CIUIC_OK) status = write_shards(w);
    if (status == CIUIC_OK)
        status = shards_write_index(w->folder, w->plan->tensors, w->plan->shards, w->plan->shard_count);
    if (status == CIUIC_OK) status = check_accepted(w->folder, w->plan);
    if (status == CIUIC_OK) return atomic_folder_commit(&folder);
    atomic_folder_abort(&folder);
    return status;
}

static ciuic_status read_shape(const synth_request *request, model_config *config)
{
    CIUIC_TRY(model_config_read(request->like, config));
    if (request->layers > config->layers)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: %zu layers asked for; expected at most the %zu that the model has",
                          request->like, request->layers, config->layers);
    if (request->layers > 0) config->layers = request->layers;
    return CIUIC_OK;
}

ciuic_status synth_write(const synth_request *request, synth_progress_fn *progress, void *context, synth_result *result)
{
    model_config config;
    synth_plan plan;
    synth_weights *weights = NULL;
    CIUIC_TRY(read_shape(request, &config));
    const size_t shard_bytes = request->shard_bytes > 0 ? request->shard_bytes : usual_shard_bytes;
    CIUIC_TRY(synth_plan_create(request->like, &config, shard_bytes, &plan));
    ciuic_status status = synth_weights_create(request->seed, &weights);
    if (status == CIUIC_OK) {
        writing w = {.request = request, .plan = &plan, .weights = weights, .progress = progress, .context = context};
        status = write_folder(&w, request->output, config.layers);
    }
    if (status == CIUIC_OK)
        *result = (synth_result){.layers = config.layers,
                                 .tensors = plan.count,
                                 .shards = plan.shard_count,
                                 .parameters = plan.parameters,
                                 .bytes = plan.bytes};
    synth_weights_free(weights);
    synth_plan_free(&plan);
    return status;
}
