/* write_folder.h - a quantised checkpoint on disk (quantized_config.h has the format), written as it is made: layer by
 * layer, in bounded memory, whole or not at all.
 *
 *     folder_writer *w = NULL;
 *     folder_writer_open(&request, &w);
 *     quantize_calibrate(&(quantize_request){..., .done = folder_writer_take, .done_context = w}, set, &log);
 *     folder_writer_finish(w);
 *     ... open folder_writer_path(w) and measure it ...
 *     folder_writer_commit(w, metrics, &result);
 *     folder_writer_free(w);
 *
 * Without calibration the second step is left out: what nobody took is quantised round to nearest. */
#ifndef CIUIC_WRITE_FOLDER_H
#define CIUIC_WRITE_FOLDER_H

#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/quantize/calibrate.h"

/* All that is borrowed outlives the writer. */
typedef struct folder_request {
    const checkpoint *source; /* not quantised itself; never touched */
    const char *output;       /* the folder to make: not there yet, and not within the source */
    const recipe *recipe;
    size_t interleave; /* kernel_table's of the kernels that will run it: its matrices are then used in place */
    quantized_provenance
        provenance;              /* source_path NULL: the source's; source_bits_per_weight and verified are not read */
    size_t shard_bytes;          /* at most this much in a file; 0: 4 GiB */
    int threads;                 /* of quantising round to nearest; 0: all cores */
    ciuic_progress_fn *progress; /* of folder_writer_finish, in bytes; NULL: nobody waits */
    void *progress_context;
} folder_request;

typedef struct folder_result {
    size_t tensors, quantised; /* of the files; matrices that are quantised */
    size_t shards, bytes;      /* bytes of the tensors */
    double bits_per_weight;
} folder_result;

typedef struct folder_writer folder_writer;

/* Whether `output` can be made: as folder_writer_open would find out, but before hours of work. Leaves nothing. */
ciuic_status folder_writer_check(const checkpoint *source, const char *output);

/* Plans every tensor and begins the files, in a temporary folder beside `output`. CIUIC_ERROR_USAGE: the source is
 * quantised, or holds `output`; CIUIC_ERROR_INPUT: `output` is there; CIUIC_ERROR_UNSUPPORTED: the disk is too
 * small, or the kernels have no such groups. */
ciuic_status folder_writer_open(const folder_request *request, folder_writer **writer);

/* Writes what is in the set and empties it: quantised matrices as the recipe has them, and vectors and matrices of
 * F32 that stand in for the source's. `log` says how they were made. `context` is the writer: the signature is that
 * of quantize_request's `done`. */
ciuic_status folder_writer_take(void *context, quantized_set *set, const quantize_log *log);

/* Writes what is left, from the source; then config.json and the files that lie beside it, and opens the folder
 * once. From then on folder_writer_path is a checkpoint. */
ciuic_status folder_writer_finish(folder_writer *writer);
const char *folder_writer_path(const folder_writer *writer);

/* Notes in config.json what was measured (an object, borrowed; NULL: nothing) and gives the folder its name.
 * `result` may be NULL. */
ciuic_status folder_writer_commit(folder_writer *writer, const cJSON *verified, folder_result *result);
/* Of two for the same output: what had to be made for it is from now on removed with `to`. */
void folder_writer_inherit(folder_writer *to, folder_writer *from);
/* Unless it was committed, nothing is left. NULL is allowed. */
void folder_writer_free(folder_writer *writer);

#endif
