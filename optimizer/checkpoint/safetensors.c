/* safetensors.c - maps a file and believes nothing in its header before it is checked. */
#include "optimizer/checkpoint/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { LENGTH_BYTES = 8 };
/* The limit of the format's own implementation. */
static const size_t max_header_bytes = 100000000;

struct safetensors {
    char *path;
    void *mapping;
    size_t bytes;
    const unsigned char *data; /* after the header */
    size_t data_bytes;
    size_t count;
    tensor *tensors;        /* in the order of their data */
    const tensor **by_name; /* sorted */
    char *names;            /* all names, one after the other */
};

static const struct {
    const char *name;
    size_t bytes;
} dtypes[TENSOR_DTYPES] = {
    [TENSOR_F32] = {"F32", 4},         [TENSOR_F16] = {"F16", 2}, [TENSOR_BF16] = {"BF16", 2},
    [TENSOR_F8_E4M3] = {"F8_E4M3", 1}, [TENSOR_I64] = {"I64", 8}, [TENSOR_I32] = {"I32", 4},
    [TENSOR_I16] = {"I16", 2},         [TENSOR_I8] = {"I8", 1},   [TENSOR_U8] = {"U8", 1},
    [TENSOR_BOOL] = {"BOOL", 1},       [TENSOR_F64] = {"F64", 8},
};

size_t tensor_dtype_bytes(tensor_dtype dtype)
{
    return dtypes[dtype].bytes;
}

const char *tensor_dtype_name(tensor_dtype dtype)
{
    return dtypes[dtype].name;
}

const char *tensor_print_shape(size_t dims, const size_t *shape, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (size_t i = 0; i < dims && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%zu", i == 0 ? "" : ", ", shape[i]);
    if (used < size) snprintf(text + used, size - used, "]");
    return text;
}

static bool parse_dtype(const char *name, tensor_dtype *dtype)
{
    for (int i = 0; i < TENSOR_DTYPES; i++) {
        if (strcmp(dtypes[i].name, name) != 0) continue;
        *dtype = (tensor_dtype)i;
        return true;
    }
    return false;
}

/* ---- the header ------------------------------------------------------------------------------------------------- */

/* An array of whole numbers; at most `max` of them. */
static ciuic_status read_sizes(const cJSON *object, const char *where, const char *key, size_t max, size_t *sizes,
                               size_t *count)
{
    const cJSON *array = NULL, *item = NULL;
    CIUIC_TRY(json_get_array(object, where, key, &array));
    size_t n = 0;
    cJSON_ArrayForEach(item, array)
    {
        if (n == max) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s has more than %zu items", where, key, max);
        /* 2^53: up to there a double is exact, and no file is larger. */
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 0x1p53) ||
            (double)(size_t)item->valuedouble != item->valuedouble)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s[%zu] is not a whole number from 0 to 2^53", where, key, n);
        sizes[n++] = (size_t)item->valuedouble;
    }
    *count = n;
    return CIUIC_OK;
}

ciuic_status tensor_measure(tensor *t, const char *where)
{
    bool overflow = false, empty = false;
    size_t count = 1;
    for (size_t i = 0; i < t->dims; i++) {
        empty = empty || t->shape[i] == 0;
        overflow = overflow || __builtin_mul_overflow(count, t->shape[i], &count);
    }
    /* An empty tensor is empty whatever its other sizes multiply to. */
    t->count = empty ? 0 : count;
    if ((overflow && !empty) || __builtin_mul_overflow(t->count, dtypes[t->dtype].bytes, &t->bytes)) {
        char shape[200];
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: shape %s of %s overflows; expected at most the file's size", where,
                          tensor_print_shape(t->dims, t->shape, shape, sizeof shape), dtypes[t->dtype].name);
    }
    return CIUIC_OK;
}

/* One entry of the header; t->name is set already. */
static ciuic_status read_entry(const safetensors *file, const cJSON *entry, tensor *t)
{
    char where[512];
    snprintf(where, sizeof where, "%s: tensor \"%.200s\"", file->path, t->name);
    if (!cJSON_IsObject(entry))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: not an object; expected {dtype, shape, data_offsets}", where);

    const char *dtype = NULL;
    CIUIC_TRY(json_get_string(entry, where, "dtype", &dtype));
    if (!parse_dtype(dtype, &t->dtype))
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: dtype \"%.40s\" is not supported; expected F32, F16, BF16, F8_E4M3, "
                          "F64, I64, I32, I16, I8, U8 or BOOL",
                          where, dtype);
    CIUIC_TRY(read_sizes(entry, where, "shape", TENSOR_MAX_DIMS, t->shape, &t->dims));
    CIUIC_TRY(tensor_measure(t, where));

    size_t offsets[2] = {0, 0}, n = 0;
    CIUIC_TRY(read_sizes(entry, where, "data_offsets", 2, offsets, &n));
    if (n != 2 || offsets[0] > offsets[1] || offsets[1] > file->data_bytes)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: data_offsets [%zu, %zu]; expected begin <= end <= %zu, the bytes of data "
                          "in the file",
                          where, offsets[0], offsets[1], file->data_bytes);
    if (offsets[1] - offsets[0] != t->bytes) {
        char shape[200];
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: data_offsets span %zu bytes; expected %zu for %s %s", where,
                          offsets[1] - offsets[0], t->bytes, dtypes[t->dtype].name,
                          tensor_print_shape(t->dims, t->shape, shape, sizeof shape));
    }
    t->file = file->path;
    t->data = file->data + offsets[0];
    return CIUIC_OK;
}

static int compare_offsets(const void *a, const void *b)
{
    const tensor *x = a, *y = b;
    if (x->data != y->data) return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* empty ones before the one that begins there */
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const tensor *const *)a)->name, (*(const tensor *const *)b)->name);
}

/* Sorted by offset, each tensor begins where the one before it ends, and the last ends with the file. */
static ciuic_status check_coverage(const safetensors *file)
{
    size_t end = 0;
    for (size_t i = 0; i < file->count; i++) {
        const tensor *t = &file->tensors[i];
        const size_t begin = (size_t)((const unsigned char *)t->data - file->data);
        if (begin != end)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%.200s\": data begins at %zu; expected %zu: it %s",
                              file->path, t->name, begin, end,
                              begin < end ? "overlaps the tensor before it" : "leaves a hole before it");
        end = begin + t->bytes;
    }
    if (end != file->data_bytes)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: %zu bytes follow the header; expected %zu, the end of the last tensor", file->path,
                          file->data_bytes, end);
    return CIUIC_OK;
}

static ciuic_status check_metadata(const safetensors *file, const cJSON *metadata)
{
    bool good = cJSON_IsObject(metadata);
    for (const cJSON *item = metadata->child; item != NULL; item = item->next) good = good && cJSON_IsString(item);
    return good ? CIUIC_OK
                : ciuic_fail(CIUIC_ERROR_INPUT,
                             "%s: __metadata__ is not what it should be; expected an object of strings", file->path);
}

/* Room for all entries and their names. */
static ciuic_status allocate_entries(safetensors *file, const cJSON *header)
{
    size_t count = 0, name_bytes = 0;
    for (const cJSON *entry = header->child; entry != NULL; entry = entry->next) {
        count++;
        name_bytes += strlen(entry->string) + 1;
    }
    file->tensors = calloc(count + 1, sizeof *file->tensors); /* + 1: an empty file is no failed allocation */
    file->by_name = calloc(count + 1, sizeof *file->by_name);
    file->names = malloc(name_bytes + 1);
    if (file->tensors == NULL || file->by_name == NULL || file->names == NULL)
        return ciuic_fail_memory("the table of tensors", count * sizeof *file->tensors);
    return CIUIC_OK;
}

static ciuic_status read_header(safetensors *file, const cJSON *header)
{
    if (!cJSON_IsObject(header))
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: the header is not a JSON object; expected name -> {dtype, shape, "
                          "data_offsets}",
                          file->path);
    CIUIC_TRY(allocate_entries(file, header));
    char *name = file->names;
    for (const cJSON *entry = header->child; entry != NULL; entry = entry->next) {
        if (strcmp(entry->string, "__metadata__") == 0) {
            CIUIC_TRY(check_metadata(file, entry));
            continue;
        }
        tensor *t = &file->tensors[file->count++];
        const size_t length = strlen(entry->string) + 1;
        t->name = memcpy(name, entry->string, length);
        name += length;
        CIUIC_TRY(read_entry(file, entry, t));
    }
    qsort(file->tensors, file->count, sizeof *file->tensors, compare_offsets);
    for (size_t i = 0; i < file->count; i++) file->by_name[i] = &file->tensors[i];
    qsort(file->by_name, file->count, sizeof *file->by_name, compare_names);
    return check_coverage(file);
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static ciuic_status map_file(safetensors *file)
{
    const int descriptor = open(file->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be opened: %s; expected a safetensors file", file->path,
                          strerror(errno));
    struct stat status;
    ciuic_status result = CIUIC_OK;
    if (fstat(descriptor, &status) != 0) {
        result = ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be read: %s", file->path, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        result = ciuic_fail(CIUIC_ERROR_INPUT, "%s: is %s; expected a safetensors file", file->path,
                            S_ISDIR(status.st_mode) ? "a folder" : "a device, pipe or socket");
    } else if (status.st_size < LENGTH_BYTES) {
        result = ciuic_fail(CIUIC_ERROR_INPUT, "%s: has %lld bytes; expected a header length of 8 bytes first",
                            file->path, (long long)status.st_size);
    } else {
        file->bytes = (size_t)status.st_size;
        file->mapping = mmap(NULL, file->bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (file->mapping == MAP_FAILED) {
            file->mapping = NULL;
            result = ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: cannot be mapped (%zu bytes): %s", file->path,
                                file->bytes, strerror(errno));
        }
    }
    close(descriptor); /* the mapping stays */
    return result;
}

static ciuic_status open_checked(safetensors *file)
{
    CIUIC_TRY(map_file(file));
    const unsigned char *bytes = file->mapping;
    uint64_t header_bytes = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) header_bytes = header_bytes << 8 | bytes[i];
    const size_t rest = file->bytes - LENGTH_BYTES;
    if (header_bytes > rest || header_bytes > max_header_bytes)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: header length is %llu; expected at most %zu", file->path,
                          (unsigned long long)header_bytes, rest < max_header_bytes ? rest : max_header_bytes);
    file->data = bytes + LENGTH_BYTES + header_bytes;
    file->data_bytes = rest - (size_t)header_bytes;

    char name[512];
    snprintf(name, sizeof name, "%s: header", file->path);
    cJSON *header = NULL;
    CIUIC_TRY(json_parse((const char *)bytes + LENGTH_BYTES, (size_t)header_bytes, name, &header));
    const ciuic_status status = read_header(file, header);
    cJSON_Delete(header);
    return status;
}

ciuic_status safetensors_open(const char *path, safetensors **out)
{
    safetensors *file = calloc(1, sizeof *file);
    if (file == NULL || (file->path = strdup(path)) == NULL) {
        free(file);
        return ciuic_fail_memory("a safetensors file", sizeof *file);
    }
    const ciuic_status status = open_checked(file);
    if (status != CIUIC_OK) {
        safetensors_close(file);
        return status;
    }
    *out = file;
    return CIUIC_OK;
}

/* The tensor that holds the byte of the mapping. */
static const char *name_at(const safetensors *file, const unsigned char *at)
{
    for (size_t i = 0; i < file->count; i++) {
        const unsigned char *data = file->tensors[i].data;
        if (at >= data && at < data + file->tensors[i].bytes) return file->tensors[i].name;
    }
    return "its header";
}

static ciuic_status compare_mapping(const safetensors *file, int descriptor, unsigned char *piece, size_t size)
{
    const unsigned char *mapped = file->mapping;
    for (size_t done = 0; done < file->bytes;) {
        const size_t wanted = file->bytes - done < size ? file->bytes - done : size;
        const ssize_t got = pread(descriptor, piece, wanted, (off_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be read again at byte %zu", file->path, done);
        const bool same = memcmp(piece, mapped + done, (size_t)got) == 0;
        for (size_t i = 0; !same && i < (size_t)got; i++)
            if (piece[i] != mapped[done + i])
                return ciuic_fail(CIUIC_ERROR_LIMIT,
                                  "%s: the model runs on a damaged %s: byte %zu of the file is 0x%02x, and where it is "
                                  "mapped 0x%02x",
                                  file->path, name_at(file, mapped + done + i), done + i, piece[i], mapped[done + i]);
        done += (size_t)got;
    }
    return CIUIC_OK;
}

ciuic_status safetensors_check_mapping(const safetensors *file)
{
    enum { PIECE = 1 << 18 };
    unsigned char *piece = malloc(PIECE);
    const int descriptor = piece != NULL ? open(file->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    ciuic_status status = piece != NULL ? CIUIC_OK : ciuic_fail_memory("a piece of a file", PIECE);
    if (status == CIUIC_OK && descriptor < 0)
        status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be opened again: %s", file->path, strerror(errno));
    if (status == CIUIC_OK) status = compare_mapping(file, descriptor, piece, PIECE);
    if (descriptor >= 0) close(descriptor);
    free(piece);
    return status;
}

void safetensors_close(safetensors *file)
{
    if (file == NULL) return;
    if (file->mapping != NULL) munmap(file->mapping, file->bytes);
    free(file->tensors);
    free(file->by_name);
    free(file->names);
    free(file->path);
    free(file);
}

/* ---- looking up ------------------------------------------------------------------------------------------------- */

size_t safetensors_count(const safetensors *file)
{
    return file->count;
}

const tensor *safetensors_at(const safetensors *file, size_t index)
{
    return &file->tensors[index];
}

const tensor *safetensors_find(const safetensors *file, const char *name)
{
    const tensor key = {.name = name}, *key_pointer = &key;
    if (file->count == 0) return NULL;
    const tensor *const *found =
        bsearch(&key_pointer, file->by_name, file->count, sizeof *file->by_name, compare_names);
    return found != NULL ? *found : NULL;
}

ciuic_status safetensors_require(const safetensors *file, const char *name, tensor_dtype dtype, size_t dims,
                                 const size_t *shape, const tensor **found)
{
    char expected[200], actual[200];
    tensor_print_shape(dims, shape, expected, sizeof expected);
    const tensor *t = safetensors_find(file, name);
    if (t == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%.200s\" is missing; expected %s %s (0 is any size)",
                          file->path, name, dtypes[dtype].name, expected);
    bool good = t->dtype == dtype && t->dims == dims;
    for (size_t i = 0; good && i < dims; i++) good = shape[i] == 0 || shape[i] == t->shape[i];
    if (!good)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%.200s\" is %s %s; expected %s %s (0 is any size)",
                          file->path, name, dtypes[t->dtype].name,
                          tensor_print_shape(t->dims, t->shape, actual, sizeof actual), dtypes[dtype].name, expected);
    *found = t;
    return CIUIC_OK;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

/* The whole pages of [begin, end). */
static void drop_pages(uintptr_t begin, uintptr_t end)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = (begin + page - 1) / page * page, last = end / page * page;
    if (last > first) (void)madvise((void *)first, last - first, MADV_DONTNEED); /* advice: failing costs only memory */
}

void tensor_drop_pages(const tensor *t)
{
    drop_pages((uintptr_t)t->data, (uintptr_t)t->data + t->bytes);
}

void safetensors_drop_unused(const safetensors *file, tensor_used_fn *used, const void *context)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)file->mapping; /* of the run of unused tensors, which stand one behind the other */
    for (size_t i = 0; i < file->count; i++) {
        const tensor *t = &file->tensors[i];
        if (!used(context, t)) continue;
        drop_pages(begin, (uintptr_t)t->data);
        begin = (uintptr_t)t->data + t->bytes;
    }
    /* The mapping goes on to the end of the file's last page. */
    drop_pages(begin, ((uintptr_t)file->mapping + file->bytes + page - 1) / page * page);
}

size_t safetensors_file_bytes(const safetensors *file)
{
    return file->bytes;
}

size_t safetensors_table_bytes(const safetensors *file)
{
    size_t names = 0;
    for (size_t i = 0; i < file->count; i++) names += strlen(file->tensors[i].name) + 1;
    return sizeof *file + strlen(file->path) + 1 + names +
           file->count * (sizeof *file->tensors + sizeof *file->by_name);
}

ciuic_status tensor_to_f32(const tensor *t, size_t first, size_t n, float *out)
{
    if (first > t->count || n > t->count - first)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: tensor \"%.200s\": elements [%zu, %zu) asked for; it has %zu",
                          t->file, t->name, first, first + n, t->count);
    const unsigned char *data = (const unsigned char *)t->data + first * dtypes[t->dtype].bytes;
    uint16_t half;
    double wide;
    switch (t->dtype) {
    case TENSOR_F32:
        if (n > 0) memcpy(out, data, n * sizeof *out);
        return CIUIC_OK;
    case TENSOR_F16:
        for (size_t i = 0; i < n; i++) {
            memcpy(&half, data + i * sizeof half, sizeof half);
            out[i] = float_from_f16(half);
        }
        return CIUIC_OK;
    case TENSOR_BF16:
        for (size_t i = 0; i < n; i++) {
            memcpy(&half, data + i * sizeof half, sizeof half);
            out[i] = float_from_bf16(half);
        }
        return CIUIC_OK;
    case TENSOR_F8_E4M3:
        for (size_t i = 0; i < n; i++) out[i] = float_from_e4m3(data[i]);
        return CIUIC_OK;
    case TENSOR_F64:
        for (size_t i = 0; i < n; i++) {
            memcpy(&wide, data + i * sizeof wide, sizeof wide);
            out[i] = (float)wide;
        }
        return CIUIC_OK;
    default:
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor \"%.200s\" is %s; expected F32, F16, BF16, F64 or F8_E4M3",
                          t->file, t->name, dtypes[t->dtype].name);
    }
}
