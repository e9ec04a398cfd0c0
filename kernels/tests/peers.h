/* peers.h - other people's products, for the bench to stand beside: OpenBLAS, and oneDNN with weights packed once. Those
 * that this build does not have are not available; peers.c is compiled with HAVE_CBLAS and HAVE_DNNL for those it has. */
#ifndef CIUIC_KERNELS_PEERS_H
#define CIUIC_KERNELS_PEERS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum peer { PEER_OPENBLAS, PEER_DNNL_F32, PEER_DNNL_BF16, PEER_DNNL_INT8, PEERS } peer;

/* "openblas", "onednn_f32", "onednn_bf16", "onednn_u8s8s32". */
const char *peer_name(peer p);

typedef struct peer_product peer_product;

/* y [m][rows] = x [m][columns] * weights^T, weights [rows][columns], on `threads` threads. The weights are packed, and x is
 * made bfloat16 or bytes (codes without a scale: only their time means anything), here and not where it is timed. NULL when
 * this build or this CPU has no such product. Borrows weights and x (openblas); free with peer_product_free. */
peer_product *peer_product_create(peer p, size_t m, size_t rows, size_t columns, const float *weights, const float *x,
                                  int threads);
/* Multiplies once; false when the library reports a failure. */
bool peer_product_run(peer_product *p);
void peer_product_free(peer_product *p); /* NULL is allowed */

#endif
