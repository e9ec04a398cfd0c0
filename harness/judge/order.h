/* order.h - numbers by their rank. None of the values may be NaN. */
#ifndef CIUIC_ORDER_H
#define CIUIC_ORDER_H

#include <stddef.h>

/* Ascending. */
void order_sort(double *values, size_t n);

/* The value that would stand at position `rank` (from 0, below n) if the n were sorted. They are left rearranged: none before
 * that position is above it, none after it below. On average a few passes over them (Hoare's quickselect, 1961). */
double order_select(double *values, size_t n, size_t rank);

/* The middle value, or the mean of the two; rearranges them, too. NaN for n = 0. */
double order_median(double *values, size_t n);

#endif
