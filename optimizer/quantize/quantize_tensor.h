/* quantize_tensor.h - one tensor from the checkpoint's values to codes in a set, by the quantizer asked for. */
#ifndef CIUIC_QUANTIZE_TENSOR_H
#define CIUIC_QUANTIZE_TENSOR_H

#include "optimizer/quantize/calibrate.h"
#include "optimizer/quantize/gptq.h"

typedef struct quantize_task {
    const checkpoint *source;
    const char *tensor; /* name without ".weight" */
    quantize_setting setting;
    ciuic_quantizer quantizer;
    const gptq_factor *factor; /* of its input; NULL: none is known, as of an embedding */
    const float *column_scale; /* [columns] that the values are multiplied by beforehand; NULL: none */
    const float *drift;        /* [columns][columns]: sum of (x' - x) x^T over its inputs, see stages.h; NULL: none */
    const float *behind;       /* [rows][columns]: sum of (r' - r) x^T; NULL: none */
} quantize_task;

/* Reads, quantises, adds to `set`, and notes in *record what was done. Some rows at a time, so that no matrix is ever whole in
 * FP32. Errors name the tensor. */
ciuic_status quantize_tensor(const quantize_task *task, quantized_set *set, quantize_record *record);

/* Rows and columns of the tensor, which is a matrix that is not quantised yet. */
ciuic_status quantize_shape(const quantize_task *task, size_t *rows, size_t *columns);
/* `count` rows from row `first` on, times column_scale: values [count][columns]. */
ciuic_status quantize_read(const quantize_task *task, size_t first, size_t count, float *values);

#endif
