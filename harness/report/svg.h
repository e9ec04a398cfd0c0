/* svg.h - makes a plot of gnuplot's fit for a page: the text in the page's colour, ids of its own, a title. */
#ifndef CIUIC_SVG_H
#define CIUIC_SVG_H

#include <stdbool.h>

/* `raw` is what gnuplot wrote; `slug` (letters, digits, hyphens) sets this plot's ids apart from others on the
 * page; the title is escaped. A standalone file brings its own colours, for light and for dark. To be freed; NULL
 * when memory ran out or there is no <svg> in `raw`. */
char *svg_finish(const char *raw, const char *slug, const char *title, bool standalone);

#endif
