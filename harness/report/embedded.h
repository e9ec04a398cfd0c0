/* embedded.h - files under reports/ that the program carries inside itself, so that it works from any folder. Each
 * ends in a NUL that is not counted. */
#ifndef CIUIC_EMBEDDED_H
#define CIUIC_EMBEDDED_H

#include <stddef.h>

typedef struct embedded_file {
    const char *text;
    size_t bytes;
} embedded_file;

embedded_file embedded_template(void); /* reports/report.html.in */
embedded_file embedded_schema(void);   /* reports/results.schema.json */
embedded_file embedded_style(void);    /* reports/style.gnuplot */
/* "speedup", "stages", "memory", "error", "tradeoff", "bits", "sensitivity": reports/<name>.gnuplot; {NULL, 0} for another name. */
embedded_file embedded_plot(const char *name);

#endif
