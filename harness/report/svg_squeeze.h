/* svg_squeeze.h - what gnuplot writes into an SVG and nobody sees: a third of a page would be of that. */
#ifndef CIUIC_SVG_SQUEEZE_H
#define CIUIC_SVG_SQUEEZE_H

/* In place, and never longer: blanks between and in tags, hundredths of a pixel in coordinates, attributes that say what is so
 * without them, paths without a line, groups without anything or around one text; polygons of one colour that follow each other
 * become one path. Text and ids stay as they are. */
void svg_squeeze(char *svg);

/* CSS that a squeezed SVG of class plot needs; the page's template has the same. */
extern const char svg_squeeze_style[];

#endif
