/* draw.h - one plot: its data to a file, a script to gnuplot, what comes back to an SVG file and to a page. */
#ifndef CIUIC_DRAW_H
#define CIUIC_DRAW_H

#include <stddef.h>
#include <stdio.h>

#include "optimizer/ciuic.h"

typedef struct drawing {
    const char *kind;      /* reports/<kind>.gnuplot */
    const char *folder;    /* which exists */
    const char *slug;      /* <slug>.dat, .svg and .png; letters, digits and hyphens */
    const char *title;     /* any text; it is escaped */
    const char *variables; /* lines of gnuplot that go before the style and the script; nothing of it from a file */
    const char *data;      /* of the .dat file */
    size_t bytes;          /* of data */
} drawing;

enum { DRAW_PROBLEM = 512 };

/* Leaves the data and, where gnuplot can draw it, the SVG and the PNG. What gnuplot cannot do is no failure: `problem` then says what, and
 * is otherwise left alone. *svg (to be freed; the pointer may be NULL) is the plot for a page, NULL when it was not drawn. */
ciuic_status draw_plot(const drawing *d, char **svg, char problem[DRAW_PROBLEM]);
/* Several of one folder, with few starts of gnuplot. svgs: [count]. */
ciuic_status draw_plots(const drawing *list, size_t count, char **svgs, char problem[DRAW_PROBLEM]);

/* A label as a script may read it: all but plain letters, digits and a few marks become '?', so that none can end a field,
 * open a string or be taken for a command; "-" for an empty one. At most `most` characters. */
void draw_label(FILE *out, const char *text, size_t most);

#endif
