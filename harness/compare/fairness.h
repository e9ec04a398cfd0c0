/* fairness.h - whether results may be set side by side: what differs between the first file and each other one, what that
 * could do to the figures, and which figures it makes incomparable. */
#ifndef CIUIC_COMPARE_FAIRNESS_H
#define CIUIC_COMPARE_FAIRNESS_H

#include "harness/results_file.h"

/* Kinds of figures, as bits. */
enum { FIGURE_SPEED = 1, FIGURE_ERROR = 2, FIGURE_MEMORY = 4, FIGURE_ALL = 7 };

typedef struct difference {
    size_t file;                 /* index of the one that differs from file 0 */
    const char *aspect;          /* "threads" */
    char first[160], other[160]; /* what each has; without control characters */
    const char *effect;          /* a sentence */
    unsigned breaks;             /* figures of the two that may not be compared for it */
} difference;

typedef struct fairness {
    difference *list; /* by file, then in a fixed order of aspects */
    size_t count;
    unsigned broken; /* of any file */
} fairness;

/* Free with fairness_free, also after a failure. */
ciuic_status fairness_check(const results_file *files, size_t n, fairness *out);
void fairness_free(fairness *f);

/* "comparable", "comparable, with the differences below", "not comparable". */
const char *fairness_verdict(const fairness *f);
/* "speed, error": the names of the figures in a mask; "none". */
const char *figure_names(unsigned figures);

/* ---- divisions -------------------------------------------------------------------------------------------------- */

/* Equivalent: the same function, computed otherwise: 16-bit weights as they are, and logits that differ by no more than
 * rounding to half precision explains. Open: everything else, with its loss. */
typedef enum division { DIVISION_EQUIVALENT, DIVISION_OPEN } division;
division division_of(const result_case *c);
/* Why it is open; "" where it is not. */
const char *division_reason(const result_case *c);

/* The same workload in another set; NULL when there is none. The thread count may differ: the nearest is taken. */
const result_group *same_workload(const result_set *other, const result_group *group);
/* Two variants that do the same, each with the kernels that are best (as those of `tuned`) on its machine. */
bool same_variant(const result_set *a, const result_case *x, const result_set *b, const result_case *y);

#endif
