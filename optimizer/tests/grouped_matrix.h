/* grouped_matrix.h - INT8, INT4 and INT3 matrices with memory of their own, for tests of what fills them. */
#ifndef CIUIC_TESTS_GROUPED_MATRIX_H
#define CIUIC_TESTS_GROUPED_MATRIX_H

#include "optimizer/quantize/quantize.h"

typedef struct grouped_matrix {
    kernel_matrix m;
    quantized_memory to; /* the same memory, to be written */
} grouped_matrix;

/* All zero. group 0: whole rows share a scale. Out of memory ends the test. */
void grouped_matrix_create(grouped_matrix *g, kernel_format format, size_t rows, size_t columns, size_t group,
                           bool minimums);
void grouped_matrix_free(grouped_matrix *g);
/* w [rows][columns]: what the kernels make of the codes. */
void grouped_matrix_decode(const grouped_matrix *g, float *w);
/* "int4 5x100 g64 asym"; valid until the next call. */
const char *grouped_matrix_name(const grouped_matrix *g);

/* Memory for n floats, all zero; never NULL. */
float *floats(size_t n);
/* Uniform in [-1, 1); state as of random_next. */
float random_uniform(unsigned long long *state);
void random_fill(unsigned long long *state, float magnitude, size_t n, float *x);

#endif
