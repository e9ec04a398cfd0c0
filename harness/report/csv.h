/* csv.h - cases and verdicts for a spreadsheet: RFC 4180, a row each, and no cell that a spreadsheet would take for a formula. */
#ifndef CIUIC_CSV_H
#define CIUIC_CSV_H

#include <stdio.h>

#include "harness/report/sections.h"

/* One row for each case, all of them: what was measured, in the units of results.json. Nothing known is an empty cell. */
void csv_cases(FILE *stream, const report_view *v);
/* One row for each verdict. */
void csv_verdicts(FILE *stream, const report_view *v);

/* A text as one cell: quoted; one that begins with = + - @ or white space gets a ' before it, since programs would compute it;
 * control characters become blanks. */
void csv_text(FILE *stream, const char *text);

#endif
