/* quantized_set.h - tensors that calibration made, by name, in memory: what a weight store takes instead of the
 * checkpoint's. */
#ifndef CIUIC_QUANTIZED_SET_H
#define CIUIC_QUANTIZED_SET_H

#include "kernels/kernels.h"
#include "optimizer/ciuic.h"

typedef struct quantized_set quantized_set;

/* NULL when out of memory. */
quantized_set *quantized_set_create(void);
void quantized_set_free(quantized_set *set); /* NULL is allowed */

/* A matrix of that format, group and shape under `name` (a tensor's, without ".weight"), rows as they lie, replacing what
 * was there; its memory, to be written by the caller, is in *values, *scales and *minimums. A vector is a matrix of F32 of
 * one row. The matrix stays where it is until it is removed. */
ciuic_status quantized_set_add(quantized_set *set, const char *name, const kernel_matrix *like, void **values,
                               uint16_t **scales, uint16_t **minimums, kernel_matrix **added);
/* NULL when there is none of that name. */
const kernel_matrix *quantized_set_find(const quantized_set *set, const char *name);
void quantized_set_remove(quantized_set *set, const char *name);
size_t quantized_set_count(const quantized_set *set);
/* In the order in which they were added; index < count. */
const kernel_matrix *quantized_set_at(const quantized_set *set, size_t index, const char **name);
size_t quantized_set_bytes(const quantized_set *set);

#endif
