/* holm.c - sort, multiply, and never fall back. */
#include "harness/judge/holm.h"

#include <math.h>
#include <stdlib.h>

#include "optimizer/error.h"

typedef struct ranked {
    double p;
    size_t index;
} ranked;

static int compare_ranked(const void *x, const void *y)
{
    const ranked *a = x, *b = y;
    if (a->p != b->p) return a->p < b->p ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

ciuic_status holm_adjust(const double *p, size_t n, double *adjusted)
{
    if (n == 0) return CIUIC_OK;
    ranked *order = calloc(n, sizeof *order);
    if (order == NULL) return ciuic_fail_memory("p-values", n * sizeof *order);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(p[i])) order[count++] = (ranked){p[i], i};
        adjusted[i] = p[i];
    }
    qsort(order, count, sizeof *order, compare_ranked);
    double largest = 0.0;
    for (size_t k = 0; k < count; k++) {
        largest = fmax(largest, fmin(1.0, (double)(count - k) * order[k].p));
        adjusted[order[k].index] = largest;
    }
    free(order);
    return CIUIC_OK;
}
