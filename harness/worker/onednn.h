/* onednn.h - the `onednn` baseline's matmul: what a user gets who takes Intel's deep-learning library, weights packed once
 * in the layout that it asks for. */
#ifndef CIUIC_ONEDNN_H
#define CIUIC_ONEDNN_H

#include "kernels/kernels.h"
#include "optimizer/ciuic.h"

/* Whether this program was built with oneDNN and finds it. */
bool onednn_available(void);

/* Replaces the F32, F16, BF16 and F8 matmuls of `table` by oneDNN's: 16-bit weights, and F8 rounded to them, in bfloat16
 * where the CPU multiplies that, otherwise in FP32; F32 weights (routers) stay FP32. A slice of rows is packed by the thread
 * that first multiplies it, and its pages are given back where they are a mapped file's. To be called before the model is
 * loaded, in the thread that will run it: oneDNN gets one thread, because the runtime gives every thread a slice of the rows
 * of each matmul. */
ciuic_status onednn_install(kernel_table *table);

/* CIUIC_ERROR_UNSUPPORTED with what oneDNN refused, if it refused anything since: those products were made by the table's
 * own kernels, and their times are not oneDNN's. */
ciuic_status onednn_status(void);

/* What packing has changed about the memory that weights take, in bytes. */
typedef struct onednn_memory {
    size_t packed;   /* in the heap besides the weights of the model */
    size_t released; /* pages of the mapped checkpoint that are no longer needed */
} onednn_memory;
onednn_memory onednn_memory_use(void);

/* "oneDNN 2.6.0, products in bf16": version and what it multiplies 16-bit weights in; "none" without it. */
const char *onednn_describe(void);

#endif
