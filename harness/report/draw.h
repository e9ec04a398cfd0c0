/* draw.h - one plot: its data to a file, a script to gnuplot, what comes back to an SVG file and to a page. */
#ifndef CIUIC_DRAW_H
#define CIUIC_DRAW_H

#include <stddef.h>
#include <stdio.h>

#include "optimizer/ciuic.h"

typedef struct drawing {
    const char *kind;      /* reports/<kind>.gnuplot */
    const char *folder;    /* which exists */
    const char *slug;      /* <slug>.dat, .svg and .png; letters, digits and hyphens, less than DRAW_SLUG of them */
    const char *title;     /* any text; it is escaped */
    const char *variables; /* lines of gnuplot that go before the style and the script; nothing of it from a file */
    const char *data;      /* of the .dat file */
    size_t bytes;          /* of data */
} drawing;

enum { DRAW_PROBLEM = 512, DRAW_SLUG = 64 };

/* PNGs that are being drawn by gnuplots of their own. */
typedef struct draw_pngs draw_pngs;

/* Several of one folder: leaves the data and, where gnuplot can draw it, the SVG of each. What gnuplot cannot do is no failure:
 * `problem` then says what, and is otherwise left alone. svgs: [count], each (to be freed) the plot for a page, NULL when it was not
 * drawn. *pngs, also after a failure, is for draw_pngs_finish; the drawings need not stay until then. */
ciuic_status draw_plots(const drawing *list, size_t count, char **svgs, char problem[DRAW_PROBLEM], draw_pngs **pngs);
/* Waits for them; each that is whole takes its name. `problem` as of draw_plots. */
void draw_pngs_finish(draw_pngs *p, char problem[DRAW_PROBLEM]);
/* One, in all its forms. */
ciuic_status draw_plot(const drawing *d, char problem[DRAW_PROBLEM]);

/* A label as a script may read it: all but plain letters, digits and a few marks become '?', so that none can end a field,
 * open a string or be taken for a command; "-" for an empty one. At most `most` characters. */
void draw_label(FILE *out, const char *text, size_t most);

#endif
