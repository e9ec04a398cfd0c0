/* token_windows.c - token ids from a safetensors file, cut into windows. */
#include "harness/token_windows.h"

#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/safetensors.h"
#include "optimizer/error.h"

static const char suffix[] = ".safetensors:";

/* Splits "file.safetensors:name"; a path may hold colons elsewhere. *name is NULL when there is none. */
static ciuic_status split_source(const char *source, char **path, const char **name)
{
    const char *last = NULL;
    for (const char *at = source; (at = strstr(at, suffix)) != NULL; at++) last = at;
    const size_t length = last != NULL ? (size_t)(last - source) + strlen(suffix) - 1 : strlen(source);
    *name = last != NULL ? source + length + 1 : NULL;
    if (*name != NULL && **name == '\0')
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: expected the name of a tensor after the colon", source);
    *path = strndup(source, length);
    return *path != NULL ? CIUIC_OK : ciuic_fail_memory("a file's name", length + 1);
}

static ciuic_status find_only_ids(const safetensors *file, const char *path, const tensor **found)
{
    *found = NULL;
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const tensor *t = safetensors_at(file, i);
        if (t->dtype != TENSOR_I32) continue;
        if (*found != NULL)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: holds several I32 tensors ('%s', '%s'); name one: %s:%s", path,
                              (*found)->name, t->name, path, (*found)->name);
        *found = t;
    }
    if (*found != NULL) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: holds no I32 tensor; expected token ids of shape [n] or [rows, n]", path);
}

static ciuic_status find_ids(const safetensors *file, const char *path, const char *name, const tensor **found)
{
    if (name == NULL) return find_only_ids(file, path, found);
    const tensor *t = safetensors_find(file, name);
    if (t == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: no tensor '%s'; expected token ids of that name", path, name);
    if (t->dtype != TENSOR_I32)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor '%s' is %s; expected I32 token ids", path, name,
                          tensor_dtype_name(t->dtype));
    *found = t;
    return CIUIC_OK;
}

static ciuic_status check_ids(const token_windows *w, const tensor *t, size_t vocabulary)
{
    for (size_t i = 0; i < t->count; i++)
        if (w->ids[i] < 0 || (size_t)w->ids[i] >= vocabulary)
            return ciuic_fail(CIUIC_ERROR_INPUT,
                              "%s: tensor '%s', row %zu, column %zu: id %d; expected 0 to %zu, the "
                              "model's vocabulary",
                              t->file, t->name, i / w->row_length, i % w->row_length, (int)w->ids[i], vocabulary - 1);
    return CIUIC_OK;
}

static ciuic_status cut(const tensor *t, size_t length, size_t vocabulary, size_t max_context, token_windows *w)
{
    if (t->dims != 1 && t->dims != 2)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor '%s' has %zu dimensions; expected [n] or [rows, n]", t->file,
                          t->name, t->dims);
    if (t->count == 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor '%s' is empty; expected at least one token id", t->file,
                          t->name);
    w->by_rows = t->dims == 2;
    w->rows = w->by_rows ? t->shape[0] : 1;
    w->row_length = t->shape[t->dims - 1];
    if (length == 0) length = w->by_rows ? w->row_length : TOKEN_WINDOW_DEFAULT;
    w->length = length < w->row_length ? length : w->row_length;
    w->count = w->rows * ((w->row_length - 1) / w->length + 1); /* at most t->count */
    if (w->length > max_context)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: tensor '%s': a window of %zu ids; expected at most the model's %zu "
                          "positions: use --window %zu",
                          t->file, t->name, w->length, max_context, max_context);
    w->ids = reallocarray(NULL, t->count, sizeof *w->ids);
    if (w->ids == NULL) return ciuic_fail_memory("token ids", t->bytes);
    memcpy(w->ids, t->data, t->bytes); /* the mapping need not be aligned */
    return check_ids(w, t, vocabulary);
}

ciuic_status token_windows_read(const char *source, size_t length, size_t vocabulary, size_t max_context,
                                token_windows *windows)
{
    ciuic_status status;
    token_windows read = {0};
    char *path = NULL;
    const char *name = NULL;
    safetensors *file = NULL;
    const tensor *found = NULL;
    if ((status = split_source(source, &path, &name)) != CIUIC_OK) goto cleanup;
    if ((status = safetensors_open(path, &file)) != CIUIC_OK) goto cleanup;
    if ((status = find_ids(file, path, name, &found)) != CIUIC_OK) goto cleanup;
    if ((status = cut(found, length, vocabulary, max_context, &read)) != CIUIC_OK) goto cleanup;
    *windows = read;
    read = (token_windows){0};
cleanup:
    token_windows_free(&read);
    safetensors_close(file);
    free(path);
    return status;
}

void token_windows_free(token_windows *windows)
{
    free(windows->ids);
    *windows = (token_windows){0};
}

const int32_t *token_windows_at(const token_windows *windows, size_t index, size_t *n)
{
    const size_t per_row = (windows->row_length - 1) / windows->length + 1;
    const size_t row = index / per_row, column = index % per_row * windows->length;
    const size_t rest = windows->row_length - column;
    *n = rest < windows->length ? rest : windows->length;
    return windows->ids + row * windows->row_length + column;
}
