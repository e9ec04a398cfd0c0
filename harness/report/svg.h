/* svg.h - makes a plot of gnuplot's fit for a page: the text in the page's colour, ids of its own, a title. */
#ifndef CIUIC_SVG_H
#define CIUIC_SVG_H

/* `raw` is what gnuplot wrote; `slug` (letters, digits, hyphens) sets this plot's ids apart from others on the
 * page; the title is escaped. To be freed; NULL when memory ran out or there is no whole <svg> in `raw`. */
char *svg_finish(const char *raw, const char *slug, const char *title);
/* The same plot as a file, which brings its own colours, for light and for dark. To be freed; NULL when memory ran out. */
char *svg_standalone(const char *svg);

#endif
