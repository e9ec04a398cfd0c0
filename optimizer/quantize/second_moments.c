/* second_moments.c - see second_moments.h. */
#include "optimizer/quantize/second_moments.h"

#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/quantize/dense.h"

ciuic_status second_moments_create(second_moments *m, size_t n)
{
    float *h = n > 0 && n <= INT32_MAX ? calloc(n * n, sizeof *h) : NULL;
    if (h == NULL) return ciuic_fail_memory("the second moments of a matrix's inputs", n * n * sizeof *h);
    *m = (second_moments){.n = n, .h = h};
    return CIUIC_OK;
}

void second_moments_free(second_moments *m)
{
    free(m->h);
    *m = (second_moments){0};
}

void second_moments_add(second_moments *m, size_t rows, const float *x, size_t ldx)
{
    if (rows == 0) return;
    dense_add_gram(m->h, m->n, rows, x, ldx);
    m->tokens += rows;
}

float second_moments_mean_square(const second_moments *m, size_t i)
{
    return m->tokens > 0 ? m->h[i * m->n + i] / (float)m->tokens : 0;
}
