/* calibration_ids.c - see calibration_ids.h. */
#include "optimizer/quantize/calibration_ids.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* "PATH:NAME" into its two halves, cut in place; the name is what follows the last colon. */
static ciuic_status split(char *text, const char **name)
{
    char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] == '\0')
        return ciuic_fail(CIUIC_ERROR_USAGE, "calibration ids '%s': expected FILE.safetensors:NAME", text);
    *colon = '\0';
    *name = colon + 1;
    return CIUIC_OK;
}

static ciuic_status take(const checkpoint *c, const tensor *t, calibration_ids *ids)
{
    const size_t row = t->dims == 2 ? t->shape[1] : t->count < CALIBRATION_WINDOW ? t->count : CALIBRATION_WINDOW;
    const model_config *config = checkpoint_config(c);
    if (t->count < CALIBRATION_LEAST_IDS)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor '%s' has %zu ids; expected at least %d to calibrate on",
                          t->file, t->name, t->count, CALIBRATION_LEAST_IDS);
    if (row > config->max_position)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor '%s': a window of %zu ids; expected at most the model's %zu",
                          t->file, t->name, row, config->max_position);
    ids->rows = t->count / row;
    ids->length = row;
    ids->ids = malloc(ids->rows * row * sizeof *ids->ids);
    if (ids->ids == NULL) return ciuic_fail_memory("calibration ids", t->bytes);
    memcpy(ids->ids, t->data, ids->rows * row * sizeof *ids->ids);
    for (size_t i = 0; i < ids->rows * row; i++)
        if (ids->ids[i] < 0 || (size_t)ids->ids[i] >= config->vocabulary)
            return ciuic_fail(CIUIC_ERROR_INPUT,
                              "%s: tensor '%s', row %zu, column %zu: id %d; expected 0 to %zu, the model's vocabulary",
                              t->file, t->name, i / row, i % row, (int)ids->ids[i], config->vocabulary - 1);
    return CIUIC_OK;
}

static ciuic_status read_file(const checkpoint *c, char *path, const char *name, calibration_ids *ids)
{
    safetensors *file = NULL;
    CIUIC_TRY(safetensors_open(path, &file));
    const tensor *t = safetensors_find(file, name);
    ciuic_status status = CIUIC_OK;
    if (t == NULL || t->dtype != TENSOR_I32 || t->dims < 1 || t->dims > 2 || t->count == 0)
        status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor '%s': %s; expected I32 of shape [n] or [rows, n], not empty",
                            path, name, t == NULL ? "missing" : "another type or shape");
    if (status == CIUIC_OK) status = take(c, t, ids);
    safetensors_close(file);
    return status;
}

ciuic_status calibration_ids_read(const checkpoint *c, const char *source, calibration_ids *ids)
{
    calibration_ids read = {0};
    char *path = NULL;
    const char *name = NULL;
    const int n = source != NULL ? asprintf(&read.source, "%s", source)
                                 : asprintf(&read.source, "%s/streams.safetensors:calib_ids", checkpoint_path(c));
    if (n < 0) return ciuic_fail_memory("a path", 1);
    ciuic_status status = CIUIC_OK;
    if ((path = strdup(read.source)) == NULL) status = ciuic_fail_memory("a path", strlen(read.source));
    if (status == CIUIC_OK) status = split(path, &name);
    if (status == CIUIC_OK) status = read_file(c, path, name, &read);
    free(path);
    if (status != CIUIC_OK)
        calibration_ids_free(&read);
    else
        *ids = read;
    return status;
}

void calibration_ids_free(calibration_ids *ids)
{
    free(ids->source);
    free(ids->ids);
    *ids = (calibration_ids){0};
}

/* ---- overlap ---------------------------------------------------------------------------------------------------- */

static uint64_t hash_run(const int32_t *ids, size_t n)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a over whole ids */
    for (size_t i = 0; i < n; i++) hash = (hash ^ (uint32_t)ids[i]) * 0x100000001b3u;
    return hash;
}

static int compare_hashes(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Whether one of the hashes is that of ids[0..n). */
static bool holds(const uint64_t *hashes, size_t count, const int32_t *ids, size_t n)
{
    const uint64_t key = hash_run(ids, n);
    return bsearch(&key, hashes, count, sizeof key, compare_hashes) != NULL;
}

ciuic_status calibration_ids_check_apart(const calibration_ids *ids, const int32_t *other, size_t rows, size_t length,
                                         const char *name)
{
    size_t run = CALIBRATION_OVERLAP;
    if (length < run) run = length;
    if (ids->length < run) run = ids->length;
    const size_t per_row = length - run + 1, count = rows * per_row;
    if (run == 0 || count == 0) return CIUIC_OK;
    uint64_t *hashes = malloc(count * sizeof *hashes);
    if (hashes == NULL) return ciuic_fail_memory("comparing ids", count * sizeof *hashes);
    for (size_t i = 0; i < count; i++) hashes[i] = hash_run(other + i / per_row * length + i % per_row, run);
    qsort(hashes, count, sizeof *hashes, compare_hashes);
    ciuic_status status = CIUIC_OK;
    for (size_t row = 0; row < ids->rows && status == CIUIC_OK; row++)
        for (size_t i = 0; i + run <= ids->length && status == CIUIC_OK; i++)
            if (holds(hashes, count, ids->ids + row * ids->length + i, run))
                status =
                    ciuic_fail(CIUIC_ERROR_INPUT,
                               "%s: row %zu, ids %zu to %zu are also in %s; calibrating on what is evaluated would "
                               "flatter the result: use other ids",
                               ids->source, row, i, i + run - 1, name);
    free(hashes);
    return status;
}
