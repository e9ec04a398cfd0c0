/* safetensors.h - one .safetensors file, mapped and checked.
 * Format: 8 bytes little-endian header length, a JSON object name -> {dtype, shape, data_offsets}, then the data.
 * (https://github.com/huggingface/safetensors) */
#ifndef CIUIC_SAFETENSORS_H
#define CIUIC_SAFETENSORS_H

#include "optimizer/ciuic.h"

typedef enum tensor_dtype {
    TENSOR_F32,
    TENSOR_F16,
    TENSOR_BF16,
    TENSOR_F8_E4M3,
    TENSOR_I64,
    TENSOR_I32,
    TENSOR_I16,
    TENSOR_I8,
    TENSOR_U8,
    TENSOR_BOOL,
    TENSOR_F64,
    TENSOR_DTYPES
} tensor_dtype;

enum { TENSOR_MAX_DIMS = 8 };

typedef struct tensor {
    const char *name; /* owned by the file */
    const char *file; /* path of the file it is in, owned by the file */
    tensor_dtype dtype;
    size_t dims;
    size_t shape[TENSOR_MAX_DIMS];
    size_t count; /* product of shape */
    size_t bytes;
    const void *data; /* in the mapping; aligned to the file's offset only, perhaps not to the dtype */
} tensor;

size_t tensor_dtype_bytes(tensor_dtype dtype);
const char *tensor_dtype_name(tensor_dtype dtype); /* as in the header: "BF16" */

/* count and bytes from shape and dtype; `where` begins the error when they overflow. */
ciuic_status tensor_measure(tensor *t, const char *where);

/* Writes "[2, 3]" into text, cut to size, and returns text; for messages. */
const char *tensor_print_shape(size_t dims, const size_t *shape, char *text, size_t size);

typedef struct safetensors safetensors;

/* Maps `path` read-only and checks all of it: header length, JSON, dtypes, shapes (overflow), offsets inside the file,
 * not overlapping, no hole, no duplicate name. */
ciuic_status safetensors_open(const char *path, safetensors **file);
void safetensors_close(safetensors *file); /* NULL is allowed */
size_t safetensors_count(const safetensors *file);
const tensor *safetensors_at(const safetensors *file, size_t index);
const tensor *safetensors_find(const safetensors *file, const char *name); /* NULL when absent */

/* Finds `name` and requires dtype and dims (a 0 in shape accepts any size); the error names what was found. */
ciuic_status safetensors_require(const safetensors *file, const char *name, tensor_dtype dtype, size_t dims,
                                 const size_t *shape, const tensor **found);

/* The whole pages inside the tensor, where it is mapped: they are read again when needed, and no longer count as
 * ours. */
void tensor_drop_pages(const tensor *t);

/* Whether somebody uses the tensor where it is mapped. */
typedef bool tensor_used_fn(const void *context, const tensor *t);
/* The same of all pages of the file, the header's too, that hold nothing of a tensor that is used. */
void safetensors_drop_unused(const safetensors *file, tensor_used_fn *used, const void *context);
size_t safetensors_file_bytes(const safetensors *file);
/* Reads the file once more and compares it with what is mapped: pages that were written to by mistake are this process's own.
 * CIUIC_ERROR_LIMIT names the first tensor that is not the file's. */
ciuic_status safetensors_check_mapping(const safetensors *file);
/* Bytes of names and shapes in the heap. */
size_t safetensors_table_bytes(const safetensors *file);

/* Copies n elements from `first` on as float: F32, F16, BF16, F64 and F8_E4M3 (unscaled); unaligned data is fine. */
ciuic_status tensor_to_f32(const tensor *t, size_t first, size_t n, float *out);

#endif
