/* folder_plan.h - what a quantised folder will consist of: every tensor of the architecture, how it is stored, and
 * where it comes from. */
#ifndef CIUIC_FOLDER_PLAN_H
#define CIUIC_FOLDER_PLAN_H

#include "optimizer/checkpoint/checkpoint.h"

/* One tensor of the architecture. */
typedef struct planned_tensor {
    char *name;              /* of the tensor */
    char *stem;              /* the same without ".weight", where it ends so: the name that calibration gives it */
    const tensor *source;    /* the source's */
    quantized_tensor listed; /* how it is quantised; setting.quantised is false where it is not. Named by `stem` */
    tensor_dtype dtype;      /* of one that is not: F32 for what is small and exact, otherwise the source's */
    size_t rows, columns;    /* columns 1 for a vector */
    bool written;
} planned_tensor;

typedef struct folder_plan {
    planned_tensor *items;    /* [count] in the architecture's order */
    planned_tensor **by_stem; /* [count] sorted */
    size_t count, room;
    tensor *tensors; /* [tensor_count] what the files will hold: name (owned), dtype, shape, count and bytes */
    size_t tensor_count, tensor_room, bytes;
    bool blocks; /* F8_E4M3 matrices are left */
} folder_plan;

/* Quantises the source's matrices as `r` says; panels as kernels like them that want `interleave` rows and multiply
 * by such activations. */
ciuic_status folder_plan_create(const checkpoint *source, const recipe *r, size_t interleave,
                                ciuic_activations activations, folder_plan *plan);
void folder_plan_free(folder_plan *plan);                                    /* all zero is allowed */
planned_tensor *folder_plan_find(const folder_plan *plan, const char *stem); /* NULL when absent */

#endif
