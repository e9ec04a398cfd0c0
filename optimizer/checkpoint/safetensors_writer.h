/* safetensors_writer.h - .safetensors files that appear whole or not at all; and one whose tensors are known
 * beforehand but whose values come in any order, a piece of this one and then of that: the header goes first, each
 * piece to its place. */
#ifndef CIUIC_SAFETENSORS_WRITER_H
#define CIUIC_SAFETENSORS_WRITER_H

#include "optimizer/checkpoint/safetensors.h"

typedef struct safetensors_writer safetensors_writer;

/* Begins the file: `tensors` (name, dtype, dims, shape) in the order of their data, which starts at a multiple of
 * `alignment`, a power of two of at least 8. Names are unique and outlive the writer. */
ciuic_status safetensors_writer_open(const char *path, const tensor *tensors, size_t count, size_t alignment,
                                     safetensors_writer **writer);
/* The next bytes of one tensor, from its first on. More than it has are refused. */
ciuic_status safetensors_writer_append(safetensors_writer *writer, const char *name, const void *data, size_t bytes);
/* Synchronises and renames, if every tensor is whole: otherwise the first that is not is named, and no file appears.
 * Frees the writer either way. */
ciuic_status safetensors_writer_commit(safetensors_writer *writer);
void safetensors_writer_abort(safetensors_writer *writer); /* no file appears; NULL is allowed */

/* ---- whole files ------------------------------------------------------------------------------------------------ */

/* Writes the tensors (name, dtype, dims, shape, data) to `path`. The widest dtype comes first, so that every tensor is
 * aligned. Names are unique. */
ciuic_status safetensors_write(const char *path, const tensor *tensors, size_t count);

/* Puts elements [first, first + n) of `t` into `out`, `n` of its dtype, little-endian. */
typedef ciuic_status tensor_values_fn(void *context, const tensor *t, size_t first, size_t n, void *out);
/* The same for tensors that are larger than memory: `values` is asked for one piece after the other, `data` is not
 * looked at. The first call of `values` that does not return CIUIC_OK ends it, and no file appears. */
ciuic_status safetensors_write_values(const char *path, const tensor *tensors, size_t count, tensor_values_fn *values,
                                      void *context);

#endif
