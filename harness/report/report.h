/* report.h - results as a page: DIR/index.html, DIR/report.md, DIR/plots/. */
#ifndef CIUIC_REPORT_H
#define CIUIC_REPORT_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

/* Checks `root` (read from `name`) against the schema, judges it again from its samples, so that no verdict is
 * shown that they do not bear out, and writes the report into `directory`, which is made when it is missing. Files
 * appear whole or not at all. *notice (a static text, or NULL) says what is missing from the report, e.g. plots
 * without gnuplot. */
ciuic_status report_write(cJSON *root, const char *name, const char *directory, const char **notice);

#endif
