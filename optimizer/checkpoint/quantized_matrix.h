/* quantized_matrix.h - the tensors of one quantised matrix, held against what config.json says of it. */
#ifndef CIUIC_QUANTIZED_MATRIX_H
#define CIUIC_QUANTIZED_MATRIX_H

#include "optimizer/checkpoint/quantized_config.h"
#include "optimizer/checkpoint/safetensors.h"

/* The parts of a matrix by what follows its name. */
enum { QUANTIZED_VALUES, QUANTIZED_SCALES, QUANTIZED_MINIMUMS, QUANTIZED_PARTS };
extern const char *const quantized_part_suffix[QUANTIZED_PARTS]; /* ".weight", ".weight_scale", ".weight_minimum" */

/* Parts that a matrix of that setting has: the first so many. */
size_t quantized_part_count(const quantize_setting *setting);
/* What the part of a matrix of `rows` x `columns` is: dtype, dims, shape, count and bytes. */
tensor quantized_part(const quantized_tensor *t, size_t rows, size_t columns, int part);

/* Checks all parts (found[part] NULL: it is missing from `source`) and puts the matrix into t->matrix, its memory
 * theirs. */
ciuic_status quantized_matrix_bind(const char *source, const tensor *const found[QUANTIZED_PARTS], size_t rows,
                                   size_t columns, quantized_tensor *t);

#endif
