/* order.c - see order.h. */
#include "harness/judge/order.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *x, const void *y)
{
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

void order_sort(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare);
}

static double middle_of(double a, double b, double c)
{
    return fmax(fmin(a, b), fmin(fmax(a, b), c));
}

double order_select(double *values, size_t n, size_t rank)
{
    size_t first = 0, last = n - 1; /* the one wanted is among these */
    while (first < last) {
        const double pivot = middle_of(values[first], values[first + (last - first) / 2], values[last]);
        size_t i = first, j = last;
        for (;;) { /* equal ones stop both, so that ties are split in halves */
            while (values[i] < pivot) i++;
            while (values[j] > pivot) j--;
            if (i >= j) break;
            const double value = values[i];
            values[i++] = values[j];
            values[j--] = value;
        }
        /* Up to j nothing is above the pivot, and from j + 1 on nothing below it. */
        if (rank <= j)
            last = j;
        else
            first = j + 1;
    }
    return values[rank];
}

double order_median(double *values, size_t n)
{
    if (n == 0) return NAN;
    const double upper = order_select(values, n, n / 2);
    if (n % 2 == 1) return upper;
    double lower = values[0]; /* the largest of those before it */
    for (size_t i = 1; i < n / 2; i++) lower = fmax(lower, values[i]);
    return lower + (upper - lower) / 2.0;
}
