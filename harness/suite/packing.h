/* packing.h - the quantised folders that packed variants are loaded from: each is made once, whoever of them needs it.
 *
 * What is stored depends on the checkpoint, on how its weights are quantised, and on the order of rows that kernels take them
 * in (kernel_table's interleave, which depends on activations, too); on nothing else that a variant may differ in. */
#ifndef CIUIC_PACKING_H
#define CIUIC_PACKING_H

#include "harness/suite/matrix.h"

struct bench_packing {
    size_t checkpoint;     /* into suite.checkpoints: the source */
    bench_variant variant; /* the first that needs it; only how it quantises and its kernels count */
    size_t interleave;
    char weights[VARIANT_NAME_SIZE]; /* "int4-g64": as variants are called up to their first '+' */
};
typedef struct bench_packing bench_packing;

/* Lists the folders that the matrix's cases need, in their order, and sets every case's `packing`. A case that is skipped
 * needs none. */
ciuic_status packings_list(const suite *s, bench_matrix *m);

#endif
