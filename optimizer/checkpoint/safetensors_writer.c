/* safetensors_writer.c - see safetensors_writer.h. */
#include "optimizer/checkpoint/safetensors_writer.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "optimizer/atomic_file.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { LENGTH_BYTES = 8, PIECE_BYTES = 8 << 20 };

/* One tensor's place in the file, and how much of it is there. */
typedef struct destination {
    const char *name;
    size_t begin, bytes, written; /* begin: in the file */
} destination;

struct safetensors_writer {
    atomic_file file;
    destination *destinations; /* [count], by name */
    size_t count;
};

/* ---- the header ------------------------------------------------------------------------------------------------- */

static bool add_entry(cJSON *header, const tensor *t, size_t begin, size_t end)
{
    cJSON *entry = cJSON_AddObjectToObject(header, t->name);
    if (entry == NULL || cJSON_AddStringToObject(entry, "dtype", tensor_dtype_name(t->dtype)) == NULL) return false;
    cJSON *shape = cJSON_AddArrayToObject(entry, "shape");
    for (size_t i = 0; i < t->dims; i++)
        if (!cJSON_AddItemToArray(shape, json_size(t->shape[i]))) return false;
    cJSON *offsets = cJSON_AddArrayToObject(entry, "data_offsets");
    return cJSON_AddItemToArray(offsets, json_size(begin)) && cJSON_AddItemToArray(offsets, json_size(end));
}

/* {"__metadata__": {"format": "pt"}, ...}: without the format, transformers refuses the file. */
static char *print_header(const tensor *tensors, size_t count)
{
    cJSON *header = cJSON_CreateObject();
    cJSON *metadata = cJSON_AddObjectToObject(header, "__metadata__");
    bool good = metadata != NULL && cJSON_AddStringToObject(metadata, "format", "pt") != NULL;
    size_t offset = 0;
    for (size_t i = 0; good && i < count; i++) {
        good = add_entry(header, &tensors[i], offset, offset + tensors[i].bytes);
        offset += tensors[i].bytes;
    }
    char *text = good ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    return text;
}

/* At the beginning of the stream; *end is where data follows. */
static ciuic_status write_header(FILE *stream, const tensor *tensors, size_t count, size_t alignment, size_t *end)
{
    char *header = print_header(tensors, count);
    if (header == NULL) return ciuic_fail_memory("a safetensors header", count * sizeof *tensors);
    const size_t length = strlen(header), rest = (LENGTH_BYTES + length) % alignment;
    const size_t padded = length + (rest != 0 ? alignment - rest : 0);
    for (int i = 0; i < LENGTH_BYTES; i++) fputc((int)((uint64_t)padded >> (8 * i) & 0xff), stream);
    fputs(header, stream);
    for (size_t i = length; i < padded; i++) fputc(' ', stream);
    cJSON_free(header);
    *end = LENGTH_BYTES + padded;
    return CIUIC_OK;
}

/* ---- the writer ------------------------------------------------------------------------------------------------- */

static int compare_destinations(const void *a, const void *b)
{
    return strcmp(((const destination *)a)->name, ((const destination *)b)->name);
}

/* A copy with counts and bytes. */
static ciuic_status measure_all(const char *path, const tensor *tensors, size_t count, tensor *measured)
{
    for (size_t i = 0; i < count; i++) {
        char where[512];
        snprintf(where, sizeof where, "%s: tensor \"%.200s\"", path, tensors[i].name);
        measured[i] = tensors[i];
        if (tensors[i].dims > TENSOR_MAX_DIMS)
            return ciuic_fail(CIUIC_ERROR_USAGE, "%s: %zu dimensions; expected at most %d", where, tensors[i].dims,
                              TENSOR_MAX_DIMS);
        CIUIC_TRY(tensor_measure(&measured[i], where));
    }
    return CIUIC_OK;
}

static ciuic_status begin(const char *path, const tensor *tensors, size_t alignment, safetensors_writer *w)
{
    size_t offset = 0;
    CIUIC_TRY(atomic_file_open(path, &w->file));
    CIUIC_TRY(write_header(w->file.stream, tensors, w->count, alignment, &offset));
    errno = ENOSPC; /* what stays when the stream keeps the reason to itself */
    if (fflush(w->file.stream) != 0 || ferror(w->file.stream)) return atomic_file_failed(&w->file, errno);
    for (size_t i = 0; i < w->count; i++) {
        w->destinations[i] = (destination){.name = tensors[i].name, .begin = offset, .bytes = tensors[i].bytes};
        offset += tensors[i].bytes;
    }
    qsort(w->destinations, w->count, sizeof *w->destinations, compare_destinations);
    return CIUIC_OK;
}

ciuic_status safetensors_writer_open(const char *path, const tensor *tensors, size_t count, size_t alignment,
                                     safetensors_writer **writer)
{
    safetensors_writer *w = calloc(1, sizeof *w);
    tensor *measured = calloc(count + 1, sizeof *measured); /* + 1: an empty file is no failed allocation */
    if (w != NULL) w->destinations = calloc(count + 1, sizeof *w->destinations);
    ciuic_status status = measured != NULL && w != NULL && w->destinations != NULL
                              ? measure_all(path, tensors, count, measured)
                              : ciuic_fail_memory("the table of tensors", count * sizeof *measured);
    if (status == CIUIC_OK) {
        w->count = count;
        status = begin(path, measured, alignment, w);
    }
    free(measured);
    if (status != CIUIC_OK)
        safetensors_writer_abort(w);
    else
        *writer = w;
    return status;
}

static ciuic_status write_at(const safetensors_writer *w, size_t offset, const unsigned char *data, size_t bytes)
{
    const int descriptor = fileno(w->file.stream);
    while (bytes > 0) {
        const ssize_t written = pwrite(descriptor, data, bytes, (off_t)offset);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return atomic_file_failed(&w->file, written < 0 ? errno : ENOSPC);
        data += written;
        offset += (size_t)written;
        bytes -= (size_t)written;
    }
    return CIUIC_OK;
}

ciuic_status safetensors_writer_append(safetensors_writer *w, const char *name, const void *data, size_t bytes)
{
    const destination key = {.name = name};
    destination *d = w->count > 0 ? bsearch(&key, w->destinations, w->count, sizeof key, compare_destinations) : NULL;
    if (d == NULL)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: values of tensor \"%.200s\", which it is not to have", w->file.path,
                          name);
    if (bytes > d->bytes - d->written)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: tensor \"%.200s\": %zu bytes after the first %zu; it has %zu",
                          w->file.path, name, bytes, d->written, d->bytes);
    CIUIC_TRY(write_at(w, d->begin + d->written, data, bytes));
    d->written += bytes;
    return CIUIC_OK;
}

static ciuic_status check_whole(const safetensors_writer *w)
{
    for (size_t i = 0; i < w->count; i++) {
        const destination *d = &w->destinations[i];
        if (d->written != d->bytes)
            return ciuic_fail(CIUIC_ERROR_USAGE, "%s: tensor \"%.200s\": %zu bytes of %zu were written", w->file.path,
                              d->name, d->written, d->bytes);
    }
    return CIUIC_OK;
}

static void free_writer(safetensors_writer *w)
{
    free(w->destinations);
    free(w);
}

ciuic_status safetensors_writer_commit(safetensors_writer *w)
{
    ciuic_status status = check_whole(w);
    if (status == CIUIC_OK)
        status = atomic_file_commit(&w->file);
    else
        atomic_file_abort(&w->file);
    free_writer(w);
    return status;
}

void safetensors_writer_abort(safetensors_writer *w)
{
    if (w == NULL) return;
    atomic_file_abort(&w->file);
    free_writer(w);
}

/* ---- whole files ------------------------------------------------------------------------------------------------ */

static int compare_widths(const void *a, const void *b)
{
    const tensor *x = a, *y = b;
    const size_t wide_x = tensor_dtype_bytes(x->dtype), wide_y = tensor_dtype_bytes(y->dtype);
    if (wide_x != wide_y) return wide_x > wide_y ? -1 : 1;
    return strcmp(x->name, y->name);
}

static ciuic_status write_tensor(safetensors_writer *w, const tensor *t, tensor_values_fn *values, void *context,
                                 void *piece)
{
    const size_t width = tensor_dtype_bytes(t->dtype), most = PIECE_BYTES / width;
    for (size_t first = 0; first < t->count; first += most) {
        const size_t n = t->count - first < most ? t->count - first : most;
        CIUIC_TRY(values(context, t, first, n, piece));
        CIUIC_TRY(safetensors_writer_append(w, t->name, piece, n * width));
    }
    return CIUIC_OK;
}

ciuic_status safetensors_write_values(const char *path, const tensor *tensors, size_t count, tensor_values_fn *values,
                                      void *context)
{
    safetensors_writer *w = NULL;
    tensor *arranged = calloc(count + 1, sizeof *arranged);
    void *piece = malloc(PIECE_BYTES);
    ciuic_status status = arranged != NULL && piece != NULL
                              ? measure_all(path, tensors, count, arranged)
                              : ciuic_fail_memory("writing a safetensors file", PIECE_BYTES + count * sizeof *arranged);
    if (status == CIUIC_OK) {
        qsort(arranged, count, sizeof *arranged, compare_widths);
        status = safetensors_writer_open(path, arranged, count, LENGTH_BYTES, &w);
    }
    for (size_t i = 0; status == CIUIC_OK && i < count; i++)
        status = write_tensor(w, &arranged[i], values, context, piece);
    if (status == CIUIC_OK)
        status = safetensors_writer_commit(w);
    else
        safetensors_writer_abort(w);
    free(piece);
    free(arranged);
    return status;
}

/* Values that are there already. */
static ciuic_status copy_values(void *context, const tensor *t, size_t first, size_t n, void *out)
{
    (void)context;
    const size_t width = tensor_dtype_bytes(t->dtype);
    memcpy(out, (const unsigned char *)t->data + first * width, n * width);
    return CIUIC_OK;
}

ciuic_status safetensors_write(const char *path, const tensor *tensors, size_t count)
{
    return safetensors_write_values(path, tensors, count, copy_values, NULL);
}
