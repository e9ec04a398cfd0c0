/* column_style.h - the style of the tables that have the same columns: which are numbers, and, on a phone, where a row is a card,
 * the names that stand before its cells. Written once for all such tables: in each cell it would double a page. */
#ifndef CIUIC_COLUMN_STYLE_H
#define CIUIC_COLUMN_STYLE_H

#include <stdint.h>

#include "harness/report/page.h"

/* The same for tables of the same columns and kind, and for no others. */
uint64_t column_style_key(const page_column *columns, size_t n, bool compact);

/* CSS for tables of the class "t<number>". Whatever is in a title, it stays within its string. */
void column_style_write(FILE *stream, size_t number, const page_column *columns, size_t n, bool compact);

#endif
