/* openblas.h - the `openblas` baseline's matmul: what a user gets who takes a good BLAS and FP32 weights. */
#ifndef CIUIC_OPENBLAS_H
#define CIUIC_OPENBLAS_H

#include "kernels/kernels.h"

/* Replaces the FP32 matmul of `table` by OpenBLAS: sgemv for one row, sgemm for more. Its own threads are set to one,
 * because the runtime gives every thread a slice of the rows of each matmul. */
void openblas_install(kernel_table *table);

/* Ends the threads that OpenBLAS starts by itself when a program is loaded, nobody's here. Each maps 128 MiB when it first
 * runs, which may be before or after a limit of addresses is counted from what there is; afterwards none is left to do so. */
void openblas_end_threads(void);

/* "OpenBLAS 0.3.21 ... SkylakeX ...": version and the kernels it chose. */
const char *openblas_describe(void);

#endif
