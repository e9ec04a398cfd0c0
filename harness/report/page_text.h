/* page_text.h - the third form of a page: plain text for a terminal, PAGE_TEXT_WIDTH columns wide; for page.c. */
#ifndef CIUIC_PAGE_TEXT_H
#define CIUIC_PAGE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { PAGE_TEXT_WIDTH = 100 };

/* Words wrapped to the width, every line indented by `indent` blanks, the first begun by `begin` in their place. Control
 * characters become '?'. Here and below, false: memory ran out, and something is missing. */
bool text_paragraph(FILE *stream, const char *begin, size_t indent, const char *text);
/* A title with a line of `under` below it. */
bool text_title(FILE *stream, const char *title, char under);

/* A table, cell by cell; it is laid out when all of them are there. */
typedef struct text_table text_table;
/* Titles are copied. NULL: out of memory, or more than 24 columns; the others then do nothing. */
text_table *text_table_begin(const char *const *titles, const bool *numbers, size_t columns);
bool text_table_add(text_table *t, const char *mark, const char *text);
/* Columns as wide as their longest word at least; what does not fit beside the first column goes below, with it again. */
void text_table_print(FILE *stream, text_table *t);
void text_table_free(text_table *t);

#endif
