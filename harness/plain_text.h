/* plain_text.h - names from files on their way to people: nothing in them may move a cursor, break a line or close a tag. */
#ifndef CIUIC_PLAIN_TEXT_H
#define CIUIC_PLAIN_TEXT_H

#include <stddef.h>
#include <stdio.h>

#include "optimizer/error.h"

/* Bytes of a character that sets the direction of writing, if `text` begins with one, else 0: it is not seen, and shows what
 * stands behind it in another order than it has. */
size_t direction_mark(const char *text);

/* In place: control characters (C0, DEL, and C1 as UTF-8 has them), marks of direction and bytes that are no UTF-8 become '?',
 * byte by byte. */
void plain_text(char *text);

/* The same on its way into a stream; the text stays as it is. */
void plain_write(FILE *stream, const char *text);

/* Appends to a NUL-terminated text in `size` bytes; what does not fit is cut. */
void plain_append(char *text, size_t size, const char *format, ...) CIUIC_PRINTF(3, 4);

/* Text as the content of an XML 1.0 element or attribute: what XML cannot hold becomes '?', white space a blank. */
void xml_text(FILE *stream, const char *text);

#endif
