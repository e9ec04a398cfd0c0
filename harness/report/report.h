/* report.h - results as a page: DIR/index.html, DIR/report.md, DIR/cases.csv, DIR/verdicts.csv, DIR/plots/; or text. */
#ifndef CIUIC_REPORT_H
#define CIUIC_REPORT_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "harness/import/imported.h"
#include "optimizer/ciuic.h"

typedef enum report_format {
    REPORT_ALL, /* HTML, Markdown, CSV and plots */
    REPORT_HTML,
    REPORT_MARKDOWN,
    REPORT_CSV,
    REPORT_TEXT, /* to `text`, and no file at all */
} report_format;

typedef struct report_request {
    const char *directory; /* made when it is missing; not used for text */
    report_format format;
    FILE *text;                   /* where REPORT_TEXT goes */
    const cJSON *claims;          /* to judge instead of those of the results; NULL: those */
    const char *claims_name;      /* where they came from */
    const imported_set *imported; /* timings of other programs, to be shown and not judged; NULL: none */
} report_request;

/* Checks `root` (read from `name`) against the schema, judges it again from its samples, so that no verdict is
 * shown that they do not bear out, and writes what is asked for. Files appear whole or not at all. *notice (a static
 * text, or NULL) says what is missing from the report, e.g. plots without gnuplot. */
ciuic_status report_write(cJSON *root, const char *name, const report_request *request, const char **notice);

#endif
