/* changed_checkpoint.c - see changed_checkpoint.h. */
#include "optimizer/tests/changed_checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

static void edit_json(const char *path, const char *object, const char *key, const char *value)
{
    cJSON *json = NULL;
    CU_ASSERT_FATAL(json_read_file(path, 1 << 20, &json) == CIUIC_OK);
    cJSON *edited = object == NULL ? json : cJSON_GetObjectItemCaseSensitive(json, object);
    cJSON_DeleteItemFromObjectCaseSensitive(edited, key);
    if (value != NULL) cJSON_AddItemToObject(edited, key, cJSON_Parse(value));
    CU_ASSERT_FATAL(json_write_file(path, json) == CIUIC_OK);
    cJSON_Delete(json);
}

static tensor_dtype parse_dtype(const char *name)
{
    for (int i = 0; i < TENSOR_DTYPES; i++)
        if (strcmp(tensor_dtype_name((tensor_dtype)i), name) == 0) return (tensor_dtype)i;
    abort();
}

static void set_element(const tensor *t, unsigned char *data, size_t at, float value)
{
    const size_t size = tensor_dtype_bytes(t->dtype);
    const uint16_t half = t->dtype == TENSOR_F16 ? float_to_f16(value) : float_to_bf16(value);
    const unsigned char code = t->dtype == TENSOR_F8_E4M3 ? (unsigned char)value : 0;
    memcpy(data + at * size, size == 4 ? (const void *)&value : size == 2 ? (const void *)&half : &code, size);
}

/* Gives the tensor data of its own, which is returned, to be freed. */
static void *edit_values(tensor *t, const checkpoint_change *edit)
{
    unsigned char *data = malloc(t->bytes);
    const char *number = edit->value;
    size_t first = 0, end = t->count;
    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    memcpy(data, t->data, t->bytes);
    t->data = data;
    if (edit->what == POKE) {
        char *rest = NULL;
        first = strtoul(edit->value, &rest, 10);
        end = first + 1;
        number = rest;
    }
    CU_ASSERT_FATAL(end <= t->count);
    for (size_t i = first; i < end; i++) set_element(t, data, i, strtof(number, NULL));
    return data;
}

static size_t find_tensor(const tensor *list, size_t count, const char *name)
{
    size_t at = 0;
    while (at < count && strcmp(list[at].name, name) != 0) at++;
    CU_ASSERT_FATAL(at < count);
    return at;
}

/* Applies a change of a tensor to the list; returns the new count. */
static size_t edit_tensors(tensor *list, size_t count, const checkpoint_change *edit)
{
    tensor *t = &list[find_tensor(list, count, edit->target)];
    const size_t rows = t->shape[0];
    switch (edit->what) {
    case DROP:
        *t = list[count - 1];
        return count - 1;
    case RENAME:
        t->name = edit->value;
        return count;
    case COPY:
        list[count] = *t;
        list[count].name = edit->value;
        return count + 1;
    case TRANSPOSE:
        t->shape[0] = t->shape[1];
        t->shape[1] = rows;
        return count;
    case FLATTEN:
        t->dims = 1;
        t->shape[0] = t->count;
        return count;
    case AS_TYPE:
        t->dtype = parse_dtype(edit->value);
        return count;
    default:
        return count;
    }
}

static bool changes_tensors(const checkpoint_change *edit)
{
    return edit->what >= DROP && edit->what <= POKE;
}

/* Rewrites model.safetensors of the copy with the changes of tensors among `edits`. */
static void rewrite_tensors(const char *base, const checkpoint_change *edits, size_t count,
                            const temporary_folder *folder)
{
    char from[TEST_PATH], to[TEST_PATH];
    safetensors *file = NULL;
    snprintf(from, sizeof from, "%s/model.safetensors", base);
    CU_ASSERT_FATAL(safetensors_open(from, &file) == CIUIC_OK);
    size_t tensors = safetensors_count(file);
    tensor *list = calloc(tensors + count, sizeof *list);
    void **owned = calloc(count, sizeof *owned);
    for (size_t i = 0; i < tensors; i++) list[i] = *safetensors_at(file, i);
    for (size_t i = 0; i < count; i++) {
        if (edits[i].target == NULL || !changes_tensors(&edits[i])) continue;
        if (edits[i].what == FILL || edits[i].what == POKE)
            owned[i] = edit_values(&list[find_tensor(list, tensors, edits[i].target)], &edits[i]);
        else
            tensors = edit_tensors(list, tensors, &edits[i]);
    }
    CU_ASSERT_FATAL(safetensors_write(temporary_path(folder, "model.safetensors", to), list, tensors) == CIUIC_OK);
    for (size_t i = 0; i < count; i++) free(owned[i]);
    free(owned);
    free(list);
    safetensors_close(file);
}

static void copy_checkpoint(const char *base, const temporary_folder *folder)
{
    static const char *const names[] = {"config.json",
                                        "model.safetensors",
                                        "model.safetensors.index.json",
                                        "model-00001-of-00005.safetensors",
                                        "model-00002-of-00005.safetensors",
                                        "model-00003-of-00005.safetensors",
                                        "model-00004-of-00005.safetensors",
                                        "model-00005-of-00005.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char from[TEST_PATH], to[TEST_PATH];
        snprintf(from, sizeof from, "%s/%s", base, names[i]);
        if (access(from, F_OK) == 0) copy_file(from, temporary_path(folder, names[i], to));
    }
}

static void edit_file(const checkpoint_change *edit, const temporary_folder *folder)
{
    char path[TEST_PATH];
    struct stat status;
    temporary_path(folder, edit->target, path);
    switch (edit->what) {
    case CONFIG:
        edit_json(temporary_path(folder, "config.json", path), NULL, edit->target, edit->value);
        break;
    case MAP:
        edit_json(temporary_path(folder, "model.safetensors.index.json", path), "weight_map", edit->target,
                  edit->value);
        break;
    case CUT_FILE:
        CU_ASSERT_FATAL(stat(path, &status) == 0);
        CU_ASSERT_FATAL(truncate(path, status.st_size - strtol(edit->value, NULL, 10)) == 0);
        break;
    case DELETE_FILE:
        CU_ASSERT_FATAL(unlink(path) == 0);
        break;
    case REPLACE:
        write_bytes(path, edit->value, strlen(edit->value));
        break;
    default:
        break;
    }
}

void changed_checkpoint_write(const char *base, const checkpoint_change *edits, size_t count, const char *path)
{
    temporary_folder folder;
    snprintf(folder.path, sizeof folder.path, "%s", path);
    copy_checkpoint(base, &folder);
    bool tensors = false;
    for (size_t i = 0; i < count; i++) tensors = tensors || (edits[i].target != NULL && changes_tensors(&edits[i]));
    if (tensors) rewrite_tensors(base, edits, count, &folder);
    for (size_t i = 0; i < count; i++)
        if (edits[i].target != NULL) edit_file(&edits[i], &folder);
}
