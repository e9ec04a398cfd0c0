/* second_moments.c - see second_moments.h. */
#include "optimizer/quantize/second_moments.h"

#include <cblas.h>
#include <stdlib.h>

#include "optimizer/error.h"

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
    const blasint n = (blasint)m->n;
    if (rows == 0) return;
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, n, (blasint)rows, 1.0F, x, (blasint)ldx, 1.0F, m->h, n);
    m->tokens += rows;
}

float second_moments_mean_square(const second_moments *m, size_t i)
{
    return m->tokens > 0 ? m->h[i * m->n + i] / (float)m->tokens : 0;
}
