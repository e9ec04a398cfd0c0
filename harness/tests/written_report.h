/* written_report.h - a report of made-up results, written into a folder of its own, for tests that read its pages. */
#ifndef CIUIC_WRITTEN_REPORT_H
#define CIUIC_WRITTEN_REPORT_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "optimizer/ciuic.h"

typedef struct written {
    char *folder, *html, *markdown;
    const char *notice;
    ciuic_status status;
} written;

/* The text of a file in a folder; NULL: there is none. To be freed. */
char *read_in(const char *folder, const char *name);
/* Judges the results, too. End with written_free, which removes the folder. */
written write_pages(cJSON *results);
void written_free(written *w);

bool has(const char *text, const char *part);

#endif
