/* plot_data.h - rows of numbers and labels as the gnuplot scripts read them. */
#ifndef CIUIC_PLOT_DATA_H
#define CIUIC_PLOT_DATA_H

#include <stdio.h>

#include "harness/judge/results.h"

/* Writes the rows of one kind of plot for one group; returns how many. Columns are named in reports/<kind>.gnuplot. */
typedef size_t plot_data_fn(const result_set *r, size_t group, FILE *out);
plot_data_fn plot_data_speedup, plot_data_stages, plot_data_attribution, plot_data_memory, plot_data_error,
    plot_data_tradeoff, plot_data_roofline;

/* Operations a byte that a case has to read, and operations a second that it does; NaN when not known. */
double roofline_intensity(const result_case *c);
double roofline_operations_per_s(const result_case *c);

/* Where an error of exactly zero is drawn on a logarithmic axis. */
#define PLOT_ZERO_ERROR 1e-8

#endif
