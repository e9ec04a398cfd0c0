/* comparison.h - results set side by side, after the question whether they may be: as text, Markdown, JSON, and as a sheet
 * that discloses how one of them came about. */
#ifndef CIUIC_COMPARE_COMPARISON_H
#define CIUIC_COMPARE_COMPARISON_H

#include <stdio.h>

#include "harness/compare/fairness.h"
#include "harness/import/imported.h"

enum { COMPARED_FILES = 16 };

/* One variant of one workload, in all files that have measured it. */
typedef struct compared_row {
    const result_case *cases[COMPARED_FILES]; /* NULL where a file has none that is ok; at least one is there */
    const result_case *first;                 /* the first that is there, */
    size_t first_file;                        /* and whose it is */
    division division;                        /* equivalent where it is so in all of them */
} compared_row;

typedef struct comparison {
    const results_file *files;
    size_t count;
    fairness fairness;
    compared_row *rows; /* those of the equivalent division first; in the order of file 0 */
    size_t row_count;
    size_t alone; /* measured cases that only one of several files has: left out */
} comparison;

/* At most COMPARED_FILES files. Free with comparison_free, also after a failure. */
ciuic_status comparison_make(const results_file *files, size_t count, comparison *out);
void comparison_free(comparison *c);

/* How many times as fast as in the row's first file, from the intervals of both medians, end against end; NaN where speed may
 * not be compared, or was not measured. */
typedef struct speed_ratio {
    double value, low, high;
} speed_ratio;
speed_ratio comparison_speed(const comparison *c, const compared_row *row, size_t file);
/* Whether these figures (FIGURE_...) of the file may be held against file 0's. */
bool comparison_allows(const comparison *c, size_t file, unsigned figures);

/* "A", "B", ...: how a file is called. */
char comparison_letter(size_t file);
/* "made-up-model prefill128@0, batch 1". */
void comparison_workload(const compared_row *row, const comparison *c, char *text, size_t size);
const char *division_title(division d);

/* To stdout, 100 columns. */
void comparison_print(const comparison *c);
ciuic_status comparison_markdown(FILE *stream, const comparison *c);
cJSON *comparison_json(const comparison *c); /* NULL when out of memory */

/* Imported timings, behind the comparison: a table of their own, which says that nothing of it was measured here. The last one
 * adds the member `imported` and is false when out of memory. */
void comparison_print_imported(const comparison *c, const imported_set *set);
ciuic_status comparison_markdown_imported(FILE *stream, const comparison *c, const imported_set *set);
bool comparison_json_imported(cJSON *object, const comparison *c, const imported_set *set);

/* What a competition entry (one file) has to disclose, as Markdown; what the file cannot know is asked for. */
ciuic_status disclosure_write(FILE *stream, const results_file *file);

#endif
