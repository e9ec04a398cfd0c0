/* row_source.h - a tensor's rows on their way into another format, a few at a time. */
#ifndef CIUIC_ROW_SOURCE_H
#define CIUIC_ROW_SOURCE_H

#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/quantize/quantize.h"

/* Rows read at once: enough to make the calls cheap, few enough to stay in the cache. */
enum { ROW_SOURCE_BLOCK = 16 };

typedef struct row_source {
    const checkpoint *source;
    const char *name;  /* of the tensor */
    const float *fold; /* [columns], multiplied into the rows; NULL: nothing is */
    size_t columns;
    int threads; /* row_blocks_threads() */
} row_source;

/* Converts all rows to m's format, into the memory `to`; sets scale and minimum of the affine formats. `blocks`:
 * [threads][ROW_SOURCE_BLOCK][columns]. CIUIC_ERROR_INPUT: a value that cannot be quantised. */
ciuic_status row_source_convert(const row_source *r, quantized_memory to, float *blocks, kernel_matrix *m);

#endif
