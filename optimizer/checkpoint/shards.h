/* shards.h - the files of a checkpoint's tensors: model.safetensors, or several of limited size and their index. */
#ifndef CIUIC_SHARDS_H
#define CIUIC_SHARDS_H

#include "optimizer/checkpoint/safetensors.h"

enum { SHARD_NAME = 64 };
/* What a file may have where nobody says otherwise: 4 GiB. */
extern const size_t usual_shard_bytes;

/* "model.safetensors", or "model-00001-of-00005.safetensors" where there are several. */
const char *shard_name(size_t shard, size_t count, char name[SHARD_NAME]);

/* Divides the tensors, in their order: shard i holds [first[i], first[i + 1]). One ends before the tensor that would
 * take it beyond `shard_bytes`; a tensor larger than that has a shard of its own. `first` has shards + 1 items, to
 * be freed. */
ciuic_status shards_divide(const tensor *tensors, size_t count, size_t shard_bytes, size_t **first, size_t *shards);

/* Writes model.safetensors.index.json into `folder`, unless there is one shard. */
ciuic_status shards_write_index(const char *folder, const tensor *tensors, const size_t *first, size_t shards);

/* ---- values in any order ---------------------------------------------------------------------------------------- */

typedef struct shards_writer shards_writer;

/* Begins all files of these tensors (name, dtype, dims, shape, bytes) in `folder`. Within a file, tensors whose
 * bytes are multiples of 64 come first, then of 32 and so on, so that each begins at a multiple of the same. Names
 * are unique and outlive the writer. */
ciuic_status shards_writer_open(const char *folder, const tensor *tensors, size_t count, size_t shard_bytes,
                                shards_writer **writer);
/* The next bytes of one tensor, from its first on. */
ciuic_status shards_writer_append(shards_writer *writer, const char *name, const void *data, size_t bytes);
size_t shards_writer_count(const shards_writer *writer); /* of files, the index not counted */
/* Synchronises and names the files, and writes the index: if every tensor is whole. Frees the writer either way. */
ciuic_status shards_writer_commit(shards_writer *writer);
void shards_writer_abort(shards_writer *writer); /* NULL is allowed */

#endif
