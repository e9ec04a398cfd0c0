/* smaller.c - see smaller.h. */
#include "harness/tests/planted/smaller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/audit/checkpoint_copy.h"
#include "harness/audit/temporary.h"
#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { PATH_BYTES = 4400, CONFIG_BYTES = 1 << 20 };

/* A temporary folder, and in it "checkpoint" with links to all files but one. */
static ciuic_status begin(const char *path, const char *except, char **folder)
{
    char *place = NULL;
    CIUIC_TRY(temporary_make(&place));
    if (asprintf(folder, "%s/checkpoint", place) < 0) return ciuic_fail_memory("a path", 0);
    free(place);
    return checkpoint_link(path, *folder, except);
}

void smaller_forget(char *folder)
{
    if (folder == NULL) return;
    *strrchr(folder, '/') = '\0';
    temporary_remove(folder);
}

static ciuic_status write_config(const char *path, const char *folder, size_t layers)
{
    char from[PATH_BYTES], to[PATH_BYTES];
    cJSON *config = NULL;
    snprintf(from, sizeof from, "%s/config.json", path);
    snprintf(to, sizeof to, "%s/config.json", folder);
    remove(to);
    CIUIC_TRY(json_read_file(from, CONFIG_BYTES, &config));
    cJSON_ReplaceItemInObjectCaseSensitive(config, "num_hidden_layers", json_size(layers));
    const ciuic_status status = json_write_file(to, config);
    cJSON_Delete(config);
    return status;
}

/* Where a layer goes: SIZE_MAX, nowhere. */
static size_t new_place(size_t layer, size_t layers, bool half)
{
    const size_t middle = layers / 2;
    if (half) return layer < middle ? layer : SIZE_MAX;
    return layer == middle ? SIZE_MAX : layer > middle ? layer - 1 : layer;
}

static ciuic_status write_tensors(const checkpoint *c, const char *folder, bool half)
{
    static char names[4096][128];
    char path[PATH_BYTES];
    size_t n = 0;
    const size_t layers = checkpoint_config(c)->layers, count = checkpoint_count(c);
    tensor *kept = calloc(count, sizeof *kept);
    if (kept == NULL || count > 4096) return ciuic_fail_memory("a smaller checkpoint", count);
    for (size_t i = 0; i < count; i++) {
        size_t layer = 0;
        int end = 0;
        const tensor *t = checkpoint_at(c, i);
        kept[n] = *t;
        if (sscanf(t->name, "model.layers.%zu.%n", &layer, &end) == 1 && end > 0) {
            const size_t place = new_place(layer, layers, half);
            if (place == SIZE_MAX) continue;
            snprintf(names[n], sizeof names[n], "model.layers.%zu.%s", place, t->name + end);
            kept[n].name = names[n];
        }
        n++;
    }
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    const ciuic_status status = safetensors_write(path, kept, n);
    free(kept);
    return status;
}

ciuic_status smaller_checkpoint(const char *path, bool half, char **folder)
{
    checkpoint *c = NULL;
    CIUIC_TRY(checkpoint_open(path, &c));
    const size_t layers = checkpoint_config(c)->layers;
    ciuic_status status = begin(path, "model.safetensors", folder);
    if (status == CIUIC_OK) status = write_tensors(c, *folder, half);
    if (status == CIUIC_OK) status = write_config(path, *folder, half ? layers / 2 : layers - 1);
    checkpoint_release(c);
    return status;
}

/* The first row, which is timed, stays: the output is the honest one. */
ciuic_status easier_streams(const char *path, char **folder)
{
    enum { PERIOD = 4 };
    char file[PATH_BYTES];
    safetensors *streams = NULL;
    snprintf(file, sizeof file, "%s/streams.safetensors", path);
    CIUIC_TRY(safetensors_open(file, &streams));
    const tensor *honest = safetensors_find(streams, "eval_ids");
    int32_t *ids = honest != NULL ? malloc(honest->bytes) : NULL;
    ciuic_status status = ids != NULL ? begin(path, "streams.safetensors", folder) : ciuic_fail_memory("token ids", 0);
    if (status == CIUIC_OK) {
        memcpy(ids, honest->data, honest->bytes);
        for (size_t i = honest->shape[1] + PERIOD; i < honest->count; i++) ids[i] = ids[i - PERIOD];
        tensor easier = *honest;
        easier.data = ids;
        snprintf(file, sizeof file, "%s/streams.safetensors", *folder);
        status = safetensors_write(file, &easier, 1);
    }
    free(ids);
    safetensors_close(streams);
    return status;
}
