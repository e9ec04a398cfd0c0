/* plots.h - the data of every plot, and the plots themselves where gnuplot is there to draw them. */
#ifndef CIUIC_PLOTS_H
#define CIUIC_PLOTS_H

#include <stddef.h>

#include "harness/judge/results.h"

typedef struct plot {
    const char *
        kind; /* "speedup", "stages", "attribution", "memory", "error", "tradeoff", "bits" (one for all groups: group 0) */
    size_t group;
    char file[96]; /* "plots/speedup-1-decode64.svg" */
    char *svg;     /* for a page: without a prologue; NULL when it could not be drawn */
} plot;

typedef struct plot_set {
    plot *plots;
    size_t count;
    struct draw_pngs *pngs; /* that are still being drawn */
    char problem[512];      /* why plots are missing; "" when none is */
} plot_set;

/* Leaves DIR/plots/<name>.dat, .svg and .png for each group and kind that has data. A missing or failing gnuplot is no
 * failure: see `problem`. The PNGs are there when plots_finish has returned. Free with plots_free, also after a failure. */
ciuic_status plots_make(const result_set *r, const char *directory, plot_set *set);
void plots_finish(plot_set *set);
void plots_free(plot_set *set);
/* The drawn plot of this kind and group, or NULL. */
const plot *plots_find(const plot_set *set, const char *kind, size_t group);

#endif
