/* outliers.c - see outliers.h. */
#include "harness/judge/outliers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/order.h"
#include "optimizer/error.h"

ciuic_status outliers_scale(const double *values, size_t n, double *median, double *spread)
{
    *median = *spread = NAN;
    if (n == 0) return CIUIC_OK;
    double *copy = malloc(n * sizeof *copy), sum = 0.0;
    if (copy == NULL) return ciuic_fail_memory("samples", n * sizeof *copy);
    memcpy(copy, values, n * sizeof *copy);
    *median = order_median(copy, n);
    for (size_t i = 0; i < n; i++) sum += copy[i] = fabs(copy[i] - *median);
    const double mad = order_median(copy, n);
    *spread = mad > 0.0 ? 1.4826 * mad : 1.2533 * sum / (double)n;
    free(copy);
    return CIUIC_OK;
}

bool outliers_is(double value, double median, double spread)
{
    return fabs(value - median) > OUTLIER_MADS * spread;
}
