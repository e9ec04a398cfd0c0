/* dense.h - the products and the factorisation that quantising is made of, on all threads of OpenMP. BLAS does the blocks, on
 * one thread each: its own threads and OpenMP's would take the cores from each other. */
#ifndef CIUIC_QUANTIZE_DENSE_H
#define CIUIC_QUANTIZE_DENSE_H

#include <stdbool.h>
#include <stddef.h>

/* The lower triangle of h [n][n] += X^T X for `rows` rows of n floats, ldx apart. */
void dense_add_gram(float *h, size_t n, size_t rows, const float *x, size_t ldx);
/* c [m][n] = alpha a^T b + c for a [rows] rows of m, lda apart, b [rows] rows of n, ldb apart; ldc floats between rows of c. */
void dense_add_transposed(size_t m, size_t n, size_t rows, const float *a, size_t lda, const float *b, size_t ldb,
                          float *c, size_t ldc);
/* c [rows][n] = alpha a b + beta c; a [rows][k], b [k] rows of n. */
void dense_product(size_t rows, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b, size_t ldb,
                   float beta, float *c, size_t ldc);
/* The lower triangle of l [n][n] becomes its Cholesky factor; the upper one is not looked at. False: there is none. */
bool dense_cholesky(float *l, size_t n);
/* Says that BLAS is to use one thread; called before any use of it from within a parallel region. */
void dense_single_thread(void);
/* How many of a matrix's rows a thread takes at once: the more, the less a product copies for each, but all threads need some. */
size_t dense_rows_at_once(size_t rows);

#endif
