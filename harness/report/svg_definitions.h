/* svg_definitions.h - gnuplot defines every kind of point in every plot, whether it draws one or not. */
#ifndef CIUIC_SVG_DEFINITIONS_H
#define CIUIC_SVG_DEFINITIONS_H

/* In place: takes the elements out of <defs> that nothing refers to. Where the definitions are not as gnuplot writes them, one
 * element after the other and each with an id, all of them stay. */
void svg_drop_unused(char *svg);

#endif
