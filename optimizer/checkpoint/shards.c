/* shards.c - see shards.h. */
#include "optimizer/checkpoint/shards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

const size_t usual_shard_bytes = (size_t)4 << 30;
/* A cache line: what kernels load at once. */
enum { ALIGNMENT = 64 };

const char *shard_name(size_t shard, size_t count, char name[SHARD_NAME])
{
    if (count == 1)
        snprintf(name, SHARD_NAME, "model.safetensors");
    else
        snprintf(name, SHARD_NAME, "model-%05zu-of-%05zu.safetensors", shard + 1, count);
    return name;
}

ciuic_status shards_divide(const tensor *tensors, size_t count, size_t shard_bytes, size_t **first, size_t *shards)
{
    size_t *begin = calloc(count + 2, sizeof *begin), n = 0, filled = 0;
    if (begin == NULL) return ciuic_fail_memory("the table of shards", count * sizeof *begin);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || filled + tensors[i].bytes > shard_bytes) {
            begin[n++] = i;
            filled = 0;
        }
        filled += tensors[i].bytes;
    }
    if (n == 0) n = 1; /* no tensors: an empty file */
    begin[n] = count;
    *first = begin;
    *shards = n;
    return CIUIC_OK;
}

static bool fill_index(cJSON *index, const tensor *tensors, const size_t *first, size_t shards)
{
    cJSON *metadata = cJSON_AddObjectToObject(index, "metadata"), *map = cJSON_AddObjectToObject(index, "weight_map");
    size_t bytes = 0;
    for (size_t i = 0; i < first[shards]; i++) bytes += tensors[i].bytes;
    if (metadata == NULL || map == NULL || !json_add_size(metadata, "total_size", bytes)) return false;
    for (size_t shard = 0; shard < shards; shard++) {
        char name[SHARD_NAME];
        shard_name(shard, shards, name);
        for (size_t i = first[shard]; i < first[shard + 1]; i++)
            if (cJSON_AddStringToObject(map, tensors[i].name, name) == NULL) return false;
    }
    return true;
}

ciuic_status shards_write_index(const char *folder, const tensor *tensors, const size_t *first, size_t shards)
{
    if (shards == 1) return CIUIC_OK;
    char *path = NULL;
    cJSON *index = cJSON_CreateObject();
    ciuic_status status = index != NULL && fill_index(index, tensors, first, shards) &&
                                  asprintf(&path, "%s/model.safetensors.index.json", folder) >= 0
                              ? CIUIC_OK
                              : ciuic_fail_memory("the index of the shards", first[shards] * sizeof *tensors);
    if (status == CIUIC_OK) status = json_write_file(path, index);
    free(path);
    cJSON_Delete(index);
    return status;
}

/* ---- values in any order ---------------------------------------------------------------------------------------- */

/* Where a tensor is. */
typedef struct place {
    const char *name;
    size_t shard;
} place;

struct shards_writer {
    char *folder;
    tensor *tensors; /* [count], as they were given */
    size_t count;
    size_t *first; /* [shards + 1] */
    size_t shards;
    place *places;              /* [count], by name */
    safetensors_writer **files; /* [shards] */
};

static int compare_places(const void *a, const void *b)
{
    return strcmp(((const place *)a)->name, ((const place *)b)->name);
}

/* The largest power of two up to ALIGNMENT that divides the size; that of nothing is ALIGNMENT. */
static size_t alignment_of(size_t bytes)
{
    size_t alignment = ALIGNMENT;
    while (bytes % alignment != 0) alignment /= 2;
    return alignment;
}

/* Begins the file of one shard, its tensors by falling alignment, otherwise in their order. */
static ciuic_status open_shard(shards_writer *w, size_t shard)
{
    const size_t begin = w->first[shard], end = w->first[shard + 1];
    char name[SHARD_NAME], *path = NULL;
    tensor *arranged = calloc(end - begin + 1, sizeof *arranged);
    ciuic_status status =
        arranged != NULL && asprintf(&path, "%s/%s", w->folder, shard_name(shard, w->shards, name)) >= 0
            ? CIUIC_OK
            : ciuic_fail_memory("a shard", (end - begin) * sizeof *arranged);
    size_t n = 0;
    for (size_t alignment = ALIGNMENT; alignment > 0 && status == CIUIC_OK; alignment /= 2)
        for (size_t i = begin; i < end; i++)
            if (alignment_of(w->tensors[i].bytes) == alignment) arranged[n++] = w->tensors[i];
    if (status == CIUIC_OK) status = safetensors_writer_open(path, arranged, n, ALIGNMENT, &w->files[shard]);
    free(path);
    free(arranged);
    return status;
}

static ciuic_status begin_files(shards_writer *w, size_t shard_bytes)
{
    CIUIC_TRY(shards_divide(w->tensors, w->count, shard_bytes, &w->first, &w->shards));
    w->places = calloc(w->count + 1, sizeof *w->places);
    w->files = calloc(w->shards, sizeof(safetensors_writer *));
    if (w->places == NULL || w->files == NULL) return ciuic_fail_memory("shards", w->count * sizeof *w->places);
    for (size_t shard = 0; shard < w->shards; shard++) {
        for (size_t i = w->first[shard]; i < w->first[shard + 1]; i++)
            w->places[i] = (place){.name = w->tensors[i].name, .shard = shard};
        CIUIC_TRY(open_shard(w, shard));
    }
    qsort(w->places, w->count, sizeof *w->places, compare_places);
    return CIUIC_OK;
}

ciuic_status shards_writer_open(const char *folder, const tensor *tensors, size_t count, size_t shard_bytes,
                                shards_writer **writer)
{
    shards_writer *w = calloc(1, sizeof *w);
    if (w != NULL) w->folder = strdup(folder);
    if (w != NULL) w->tensors = calloc(count + 1, sizeof *w->tensors);
    ciuic_status status = CIUIC_OK;
    if (w == NULL || w->folder == NULL || w->tensors == NULL) {
        status = ciuic_fail_memory("shards", count * sizeof *tensors);
    } else {
        memcpy(w->tensors, tensors, count * sizeof *tensors);
        w->count = count;
        status = begin_files(w, shard_bytes);
    }
    if (status == CIUIC_OK)
        *writer = w;
    else
        shards_writer_abort(w);
    return status;
}

ciuic_status shards_writer_append(shards_writer *w, const char *name, const void *data, size_t bytes)
{
    const place key = {.name = name};
    const place *found = w->count > 0 ? bsearch(&key, w->places, w->count, sizeof key, compare_places) : NULL;
    return safetensors_writer_append(w->files[found != NULL ? found->shard : 0], name, data, bytes);
}

size_t shards_writer_count(const shards_writer *w)
{
    return w->shards;
}

ciuic_status shards_writer_commit(shards_writer *w)
{
    ciuic_status status = CIUIC_OK;
    for (size_t i = 0; i < w->shards && status == CIUIC_OK; i++) {
        status = safetensors_writer_commit(w->files[i]);
        w->files[i] = NULL;
    }
    if (status == CIUIC_OK) status = shards_write_index(w->folder, w->tensors, w->first, w->shards);
    shards_writer_abort(w);
    return status;
}

void shards_writer_abort(shards_writer *w)
{
    if (w == NULL) return;
    for (size_t i = 0; w->files != NULL && i < w->shards; i++) safetensors_writer_abort(w->files[i]);
    free(w->folder);
    free(w->tensors);
    free(w->first);
    free(w->places);
    free(w->files);
    free(w);
}
