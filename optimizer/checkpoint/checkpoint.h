/* checkpoint.h - a Hugging Face folder: config.json + model.safetensors, or shards with
 * model.safetensors.index.json. */
#ifndef CIUIC_CHECKPOINT_H
#define CIUIC_CHECKPOINT_H

#include "optimizer/checkpoint/config.h"
#include "optimizer/checkpoint/quantized_config.h"
#include "optimizer/checkpoint/safetensors.h"

typedef struct checkpoint checkpoint;

/* Opens and checks everything: the index against the shards, config.json against the tensors (every tensor that the
 * architecture needs is there with the right shape and F32, F16 or BF16; or F8_E4M3 with its weight_scale_inv, when
 * config.json says so; or quantised, as quantized_config.h describes it, when config.json lists it). Ignored are
 * rotary inv_freq buffers, lm_head.weight when embeddings are tied, and layers >= num_hidden_layers that multi-token
 * prediction uses (num_nextn_predict_layers of them, or with an eh_proj of their own). Any other tensor is an error:
 * the config contradicts it. Reference-counted; starts at 1. */
ciuic_status checkpoint_open(const char *path, checkpoint **out);
checkpoint *checkpoint_retain(const checkpoint *c);
void checkpoint_release(checkpoint *c); /* NULL is allowed */

const char *checkpoint_path(const checkpoint *c);
const model_config *checkpoint_config(const checkpoint *c);
size_t checkpoint_count(const checkpoint *c);
const tensor *checkpoint_at(const checkpoint *c, size_t index);       /* by name; the ignored ones too */
bool checkpoint_uses(const checkpoint *c, size_t index);              /* false: an ignored one */
const tensor *checkpoint_find(const checkpoint *c, const char *name); /* NULL when absent */
/* The tensor of a weight: "name.weight", or "name" itself where it has no such suffix (e_score_correction_bias); NULL when
 * neither is there. */
const tensor *checkpoint_find_weight(const checkpoint *c, const char *name);
/* Whether that tensor has so many elements and all of them are `number`; false, too, when it cannot be read. */
bool checkpoint_all_equal(const checkpoint *c, const char *name, size_t elements, float number);
/* Parameters of all tensors the architecture uses; scales are not parameters. */
size_t checkpoint_parameters(const checkpoint *c);

/* Copies rows [first, first + count) of the 2-D tensor `name` as float, F8_E4M3 block scales applied (w = e4m3(q) *
 * weight_scale_inv[row / block][column / block]), a quantised matrix ("X.weight") decoded; a 1-D tensor counts as
 * one column a row. out: [count][columns]. */
ciuic_status checkpoint_read_f32(const checkpoint *c, const char *name, size_t first, size_t count, float *out);

/* ---- checkpoints that are quantised already --------------------------------------------------------------------- */

/* How its matrices were quantised and what it was made from; NULL for an ordinary checkpoint. */
const quantized_config *checkpoint_quantized(const checkpoint *c);
const quantized_provenance *checkpoint_provenance(const checkpoint *c); /* the part of it that says from what */
/* The matrix whose tensor is name.weight; NULL when it is not quantised. */
const quantized_tensor *checkpoint_quantized_tensor(const checkpoint *c, const char *name);
/* The same where it is mapped, as its interleave says; false when it is not quantised. */
bool checkpoint_matrix(const checkpoint *c, const char *name, kernel_matrix *m);
/* Tells the kernel that the pages of such a matrix were copied, or are not needed for now. */
void checkpoint_drop_pages(const checkpoint *c, const char *name);
/* The same of all pages that hold nothing of a tensor that is used, the header's among them. */
void checkpoint_drop_unused(const checkpoint *c, tensor_used_fn *used, const void *context);
/* Bytes of its tables in the heap: names, shapes, places. */
size_t checkpoint_table_bytes(const checkpoint *c);
/* Bytes of its files, all of which are mapped. */
size_t checkpoint_file_bytes(const checkpoint *c);
/* Compares what is mapped with the files (safetensors_check_mapping). */
ciuic_status checkpoint_check_mapping(const checkpoint *c);
/* The settings of its units; of an ordinary checkpoint it is empty. */
const recipe *checkpoint_recipe(const checkpoint *c);

#endif
