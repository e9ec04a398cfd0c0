/* bits_plot.h - bits per weight against KL, a point for each way of quantising, a panel for each checkpoint. */
#ifndef CIUIC_BITS_PLOT_H
#define CIUIC_BITS_PLOT_H

#include <stdio.h>

#include "harness/judge/results.h"

/* A way of quantising in one group: of cases whose weights are the same, the one with every stage on, or else the first. */
typedef struct bits_point {
    const result_case *c;
    double bits, kl, low, high; /* low and high: 1.96 standard errors either way, as if positions were independent */
} bits_point;

/* The quantised variants of a group that have both figures, by bits and then by KL; *points is to be freed. Unquantised
 * weights are left out: their error is that of arithmetic alone. */
ciuic_status bits_points(const result_set *r, size_t group, bits_point **points, size_t *n);

/* The groups that become panels: of each checkpoint the one with most points, and of those the one whose errors are means over
 * most positions; none with fewer than three different bits. `groups` has room for r->group_count; returns how many. */
ciuic_status bits_groups(const result_set *r, size_t *groups, size_t *n);

/* Writes the rows to `out` and what reports/bits.gnuplot must know beforehand to `variables`; *panels 0: nothing to draw. */
ciuic_status bits_plot_data(const result_set *r, FILE *out, FILE *variables, size_t *panels);

#endif
